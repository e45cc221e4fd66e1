"""Wishes about particular units, edges and territories: kept, or answered with the reason."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing import (
    Centre,
    Instance,
    ParameterError,
    Parameters,
    Requirements,
    connected_components,
    design,
)
from tests.balancing.patches import (
    examples,
    hexagon_instance,
    instances,
    parallelogram,
)
from tests.balancing.test_graph import as_networkx

WISHES_LEFT_OUT = {
    "locks_disconnected",
    "lock_ignored",
    "group_conflict",
    "group_disconnected",
}


@pytest.fixture(params=["power diagram", "population"])
def engine(request, monkeypatch):
    """Either engine, whatever the number of units."""
    if request.param == "power diagram":
        monkeypatch.setattr("balancing.component.FEW_UNITS", 0)
        monkeypatch.setattr("balancing.component.MOST_POPULATION_UNITS", 0)


def square(side=16, activity=None):
    n_units = side * side
    return hexagon_instance(
        parallelogram(side, side), np.ones(n_units) if activity is None else activity
    )


def codes(result):
    return [violation.code for violation in result.violations]


def violation(result, code):
    return next(found for found in result.violations if found.code == code)


def asked(n_territories=4, tolerance=0.1, **wishes):
    return Parameters(
        n_territories=n_territories,
        tolerances=(tolerance,),
        n_starts=2,
        requirements=Requirements(**wishes),
    )


def locks(instance, **units):
    lock = np.full(instance.n_units, -1, np.int32)
    for territory, chosen in units.items():
        lock[chosen] = int(territory.removeprefix("t"))
    return lock


def assert_connected(instance, result, bridges=(), barriers=()):
    oracle = as_networkx(instance.graph)
    oracle.remove_edges_from(barriers)
    oracle.add_edges_from(bridges)
    for territory in range(result.n_territories):
        assert nx.is_connected(oracle.subgraph(np.flatnonzero(result.alignment == territory)))


# --- any wishes at all ---------------------------------------------------------------------------


@st.composite
def wishes(draw):
    """An instance with random locks, groups, centres, barriers and bridges."""
    instance = draw(instances())
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_units = instance.n_units
    tails = np.repeat(np.arange(n_units), np.diff(instance.graph.indptr))
    links = np.stack([tails, instance.graph.indices], axis=1)
    barriers = links[generator.random(len(links)) < draw(st.sampled_from((0.0, 0.1)))]
    ends = generator.integers(n_units, size=(draw(st.integers(0, 3)), 2))
    bridges = ends[ends[:, 0] != ends[:, 1]]
    edited = instance.graph.edited(bridges.astype(np.int32), barriers.astype(np.int32))
    least = int(connected_components(edited).max()) + 1
    n_territories = draw(st.integers(least, min(n_units, least + 4)))
    lock = np.full(n_units, -1, np.int32)
    for unit in generator.integers(n_units, size=draw(st.integers(0, 4))):
        lock[unit] = generator.integers(n_territories)
    groups = tuple(generator.integers(n_units, size=3) for _ in range(draw(st.integers(0, 2))))
    centres = tuple(
        Centre(territory, *generator.uniform(0, 8000, 2), draw(st.sampled_from((0.3, 1.0))))
        for territory in range(draw(st.integers(0, n_territories)))
    )
    discouraged = links[generator.random(len(links)) < 0.1]
    requirements = Requirements(
        locks=lock if draw(st.booleans()) else None,
        groups=groups,
        centres=centres,
        bridges=bridges,
        forbidden_edges=barriers,
        discouraged_edges=discouraged,
        discouragements=generator.uniform(0, 5, len(discouraged)),
        max_radius_m=draw(st.sampled_from((None, 2000.0))),
    )
    parameters = Parameters(
        n_territories=n_territories,
        tolerances=(0.2,) * instance.n_measures,
        objective=draw(st.sampled_from(("moment_of_inertia", "total_distance", "cut_edges"))),
        n_starts=1,
        requirements=requirements,
    )
    return instance, parameters


def assert_wishes_kept(instance, parameters, result):
    wanted = parameters.requirements
    barriers = {tuple(sorted(map(int, pair))) for pair in wanted.forbidden_edges}
    assert set(result.alignment) == set(range(result.n_territories))
    assert_connected(instance, result, map(tuple, wanted.bridges), barriers)
    if not WISHES_LEFT_OUT & set(codes(result)):
        if wanted.locks is not None:
            is_locked = wanted.locks >= 0
            assert np.array_equal(result.alignment[is_locked], wanted.locks[is_locked])
        for group in wanted.groups:
            assert len(set(result.alignment[group])) == 1


@pytest.mark.parametrize("units", [0, 3000])
def test_every_plan_is_connected_and_keeps_what_it_does_not_report(units, monkeypatch):
    monkeypatch.setattr("balancing.component.FEW_UNITS", units)
    monkeypatch.setattr("balancing.component.MOST_POPULATION_UNITS", units)

    @settings(deadline=None, max_examples=examples(20))
    @given(wishes(), st.integers(0, 1000))
    def check(task, seed):
        instance, parameters = task
        try:
            result = design(instance, parameters, seed)
        except ParameterError as error:
            # Merged groups may leave fewer pieces than territories.
            assert error.facts["field"] == "n_territories"  # noqa: PT017
            return
        assert_wishes_kept(instance, parameters, result)
        if result.is_feasible:
            assert np.all(result.worst_imbalance <= 0.2 + 1e-9)

    check()


# --- one by one ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
class TestLocks:
    def test_units_are_in_the_territory_they_are_locked_to(self):
        instance = square()
        lock = locks(instance, t2=[0, 1], t0=[255], t3=[120, 137])

        result = design(instance, asked(locks=lock), 1)

        assert result.is_feasible
        assert np.array_equal(result.alignment[lock >= 0], lock[lock >= 0])

    def test_locked_units_apart_are_joined_by_their_territory(self):
        instance = square()
        lock = locks(instance, t1=[0, 15, 255])

        result = design(instance, asked(locks=lock), 1)

        assert set(result.alignment[[0, 15, 255]]) == {1}
        assert_connected(instance, result)

    def test_locks_that_nothing_can_join_are_named_with_what_to_leave_out(self):
        instance = hexagon_instance(parallelogram(6, 6) + parallelogram(6, 6, left=20), np.ones(72))
        lock = locks(instance, t0=[0, 71])

        result = design(instance, asked(locks=lock), 1)

        found = violation(result, "locks_disconnected")
        assert found.facts["territory"] == 0
        assert found.relaxation["field"] == "locks"
        assert result.alignment[0] == 0
        assert_connected(instance, result)

    def test_too_much_locked_to_one_territory_is_proven_too_much(self):
        instance = square()
        lock = locks(instance, t0=list(range(100)))

        result = design(instance, asked(locks=lock), 1)

        assert violation(result, "locks_too_heavy").facts["territory"] == 0
        assert np.all(result.alignment[:100] == 0)

    def test_a_closed_territory_is_exactly_what_is_locked_and_the_others_share_the_rest(self):
        instance = square()
        chosen = [16 * row + column for row in range(16) for column in range(3)]
        lock = locks(instance, t1=chosen)

        result = design(instance, asked(locks=lock, closed=(1,)), 1)

        assert result.is_feasible
        assert np.array_equal(np.flatnonzero(result.alignment == 1), chosen)
        assert result.targets[1, 0] == 48
        assert np.allclose(result.targets[[0, 2, 3], 0], (256 - 48) / 3)

    def test_a_group_partly_in_a_closed_territory_is_a_conflict(self):
        instance = square()
        chosen = [16 * row + column for row in range(16) for column in range(3)]
        wishes = asked(locks=locks(instance, t1=chosen), closed=(1,), groups=(np.array([2, 3]),))

        result = design(instance, wishes, 1)

        assert violation(result, "group_conflict").facts["territory"] == 1
        assert np.array_equal(np.flatnonzero(result.alignment == 1), chosen)

    def test_a_closed_territory_cut_by_a_barrier_keeps_its_larger_part(self):
        instance = square()
        chosen = [16 * row + column for row in range(16) for column in range(3)]
        barrier = links_across_row(instance, 10)
        wishes = asked(locks=locks(instance, t1=chosen), closed=(1,), forbidden_edges=barrier)

        result = design(instance, wishes, 1)

        assert violation(result, "locks_disconnected").facts["territory"] == 1
        assert set(np.flatnonzero(result.alignment == 1)) <= set(chosen)
        assert_connected(instance, result, barriers=map(tuple, barrier))

    def test_a_pocket_that_closed_territories_cut_off_joins_one_and_is_reported(self):
        instance = square()
        wall = [16 * row + 1 for row in range(16)]
        lock = locks(instance, t0=wall)

        result = design(instance, asked(locks=lock, closed=(0,)), 1)

        assert "lock_ignored" in codes(result)
        assert result.alignment[0] == 0
        assert_connected(instance, result)


@pytest.mark.usefixtures("engine")
class TestGroups:
    def test_a_group_stays_together_even_across_the_map(self):
        instance = square()
        groups = (np.array([0, 18]), np.array([240, 255]), np.array([100, 101, 102]))

        result = design(instance, asked(groups=groups), 1)

        assert result.is_feasible
        for group in groups:
            assert len(set(result.alignment[group])) == 1

    def test_a_group_with_a_locked_unit_is_locked(self):
        instance = square()

        result = design(
            instance, asked(locks=locks(instance, t3=[17]), groups=(np.array([17, 50]),)), 1
        )

        assert result.alignment[50] == 3

    def test_a_group_locked_to_two_territories_is_a_conflict(self):
        instance = square()
        lock = locks(instance, t0=[0], t1=[255])

        result = design(instance, asked(locks=lock, groups=(np.array([0, 255]),)), 1)

        assert violation(result, "group_conflict").facts["group"] == 0
        assert (result.alignment[0], result.alignment[255]) == (0, 1)

    def test_a_barrier_that_cuts_a_group_is_answered(self):
        instance = square()
        barrier = links_across_row(instance, 8)

        result = design(instance, asked(groups=(np.array([0, 255]),), forbidden_edges=barrier), 1)

        assert "group_disconnected" in codes(result)
        assert_connected(instance, result, barriers=map(tuple, barrier))

    def test_a_group_heavier_than_a_territory_is_proven_too_heavy(self):
        instance = square()

        result = design(instance, asked(groups=(np.arange(120),)), 1)

        assert violation(result, "group_too_heavy").relaxation["field"] == "groups"


def links_across_row(instance, row, side=16):
    tails = np.repeat(np.arange(instance.n_units), np.diff(instance.graph.indptr))
    heads = instance.graph.indices
    is_across = (tails < row * side) & (heads >= row * side)
    return np.stack([tails[is_across], heads[is_across]], axis=1)


@pytest.mark.usefixtures("engine")
class TestEdges:
    def test_no_territory_crosses_a_barrier(self):
        instance = square()
        barrier = links_across_row(instance, 8)

        result = design(instance, asked(forbidden_edges=barrier), 1)

        assert result.is_feasible
        north = set(result.alignment[:128])
        assert not north & set(result.alignment[128:])

    def test_a_barrier_with_a_gap_is_gone_round(self):
        instance = square()
        barrier = links_across_row(instance, 6)[:-2]

        result = design(instance, asked(n_territories=5, forbidden_edges=barrier), 1)

        assert_connected(instance, result, barriers=map(tuple, barrier))

    def test_a_named_bridge_joins_islands_and_is_reported_when_used(self):
        hexagons = parallelogram(6, 6) + parallelogram(6, 6, left=20)
        instance = hexagon_instance(hexagons, np.ones(72))
        bridges = np.array([[5, 36]])

        result = design(instance, asked(n_territories=1, bridges=bridges), 1)

        assert result.bridges.tolist() == [[5, 36]]
        assert len(result.components) == 1

    def test_without_the_bridge_islands_have_territories_of_their_own(self):
        hexagons = parallelogram(6, 6) + parallelogram(6, 4, left=20)
        instance = hexagon_instance(hexagons, np.ones(60))

        result = design(instance, asked(n_territories=5), 1)

        assert [component.n_territories for component in result.components] == [3, 2]

    @pytest.mark.machine_code
    def test_discouraged_edges_become_borders_the_more_the_stronger(self):
        instance = square(activity=np.random.default_rng(2).uniform(0.5, 1.5, 256))
        river = links_across_row(instance, 7)
        together = []
        for strength in (0.0, 30.0):
            wishes = {
                "discouraged_edges": river,
                "discouragements": np.full(len(river), strength),
            }
            result = design(instance, asked(n_territories=4, tolerance=0.15, **wishes), 1)
            ends = result.alignment[river]
            together.append(int(np.count_nonzero(ends[:, 0] == ends[:, 1])))

        assert together[1] < together[0]


@pytest.mark.usefixtures("engine")
class TestCentres:
    def test_fixed_centres_are_the_centres(self):
        instance = square()
        places = [(2000.0, 2000.0), (15000.0, 3000.0), (8000.0, 11000.0), (20000.0, 11000.0)]
        centres = tuple(Centre(number, *place) for number, place in enumerate(places))

        result = design(instance, asked(centres=centres), 1)

        assert result.is_feasible
        assert np.allclose(np.stack([result.centre_x_m, result.centre_y_m], axis=1), places)
        nearest = np.argmin(
            [(instance.x_m - x) ** 2 + (instance.y_m - y) ** 2 for x, y in places], axis=0
        )
        assert np.mean(nearest == result.alignment) > 0.6

    @pytest.mark.machine_code
    def test_a_preferred_centre_draws_its_territory(self):
        instance = square()
        away = []
        for pull in (0.05, 0.9):
            centres = (Centre(2, 2000.0, 2000.0, pull),)
            result = design(instance, asked(centres=centres), 1)
            mine = result.alignment == 2
            away.append(
                np.hypot(instance.x_m[mine].mean() - 2000, instance.y_m[mine].mean() - 2000)
            )

        assert away[1] < away[0]

    def test_two_homes_at_one_place_still_make_a_plan(self):
        instance = square()
        centres = (Centre(0, 5000.0, 5000.0), Centre(1, 5000.0, 5000.0))

        result = design(instance, asked(centres=centres), 1)

        assert result.is_feasible

    @pytest.mark.machine_code
    def test_the_radius_holds_where_it_can(self):
        instance = square()

        result = design(instance, asked(max_radius_m=6500.0), 1)

        assert result.is_feasible
        assert result.radius_m.max() <= 6500

    def test_a_radius_too_small_is_answered_with_the_one_reached(self):
        instance = square()

        result = design(instance, asked(max_radius_m=1500.0), 1)

        found = violation(result, "radius_exceeded")
        assert found.relaxation == {
            "field": "max_radius_m",
            "value": pytest.approx(result.radius_m.max()),
        }


@pytest.mark.usefixtures("engine")
class TestLimits:
    def test_limits_hold_before_the_tolerance(self):
        instance = square(activity=np.random.default_rng(1).uniform(0.5, 1.5, 256))
        target = instance.activity.sum() / 4

        result = design(
            instance, asked(tolerance=0.3, least=(0.98 * target,), most=(1.02 * target,)), 1
        )

        assert result.is_feasible
        assert result.sums.min() >= 0.98 * target
        assert result.sums.max() <= 1.02 * target

    def test_limits_that_add_up_to_too_little_are_proven_wrong(self):
        instance = square()

        result = design(instance, asked(most=(60.0,)), 1)

        assert violation(result, "limits_cannot_hold").relaxation == {
            "field": "n_territories",
            "value": 5,
        }
        assert "limit_not_met" in codes(result)


@pytest.mark.machine_code
@pytest.mark.usefixtures("engine")
def test_asking_for_the_relaxations_instead_succeeds():
    instance = square(activity=np.random.default_rng(1).pareto(1.2, 256) + 0.1)

    first = design(instance, asked(tolerance=0.01), 1)
    reached = violation(first, "tolerance_not_met").relaxation["value"]

    assert reached > 0.01
    assert np.abs(first.imbalance).max() == pytest.approx(reached)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("objective", ["moment_of_inertia", "total_distance", "cut_edges"])
def test_the_objective_value_is_what_anyone_computes_from_the_alignment(objective):
    instance = square(activity=np.random.default_rng(1).uniform(0.5, 1.5, 256))
    parameters = Parameters(n_territories=4, tolerances=(0.1,), objective=objective)

    result = design(instance, parameters, 1)

    assert result.objective_value == pytest.approx(objective_of(instance, result, objective))
    assert result.is_feasible


def objective_of(instance, result, objective):
    if objective == "cut_edges":
        return sum(
            result.alignment[a] != result.alignment[b] for a, b in as_networkx(instance.graph).edges
        )
    total = 0.0
    for territory in range(result.n_territories):
        mine = np.flatnonzero(result.alignment == territory)
        weight, x, y = instance.activity[mine, 0], instance.x_m[mine], instance.y_m[mine]
        if objective == "moment_of_inertia":
            dx, dy = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
            total += np.sum(weight * (dx**2 + dy**2))
        else:
            away = np.hypot(x[:, None] - x[None], y[:, None] - y[None])
            total += (away * weight).sum(axis=1).min()
    return total


@pytest.mark.machine_code
def test_each_objective_is_smallest_where_it_is_asked_for():
    instance = square(activity=np.random.default_rng(1).uniform(0.5, 1.5, 256))
    names = ("moment_of_inertia", "total_distance", "cut_edges")
    plans = {
        name: design(instance, Parameters(n_territories=4, tolerances=(0.1,), objective=name), 1)
        for name in names
    }
    for name in names:
        own = plans[name].objective_value
        assert all(own <= 1.001 * objective_of(instance, plans[other], name) for other in names)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wishes", "field", "index"),
    [
        ({"locks": np.full(4, -1)}, "locks", None),
        ({"locks": np.full(256, 9)}, "locks", 0),
        ({"closed": (1,)}, "closed", 0),
        ({"closed": (7,)}, "closed", 0),
        ({"groups": (np.array([1, 2]), np.array([3, 300]))}, "groups", 1),
        ({"centres": (Centre(4, 0.0, 0.0),)}, "centres", 0),
        ({"bridges": np.array([[0, 1], [5, 999]])}, "bridges", 1),
        ({"forbidden_edges": np.array([[0, 256]])}, "forbidden_edges", 0),
        ({"least": (1.0, 2.0)}, "least", None),
    ],
)
def test_wishes_that_name_what_is_not_there_are_refused(wishes, field, index):
    with pytest.raises(ParameterError) as caught:
        design(square(), asked(**wishes), 1)

    assert caught.value.facts["field"] == field
    assert caught.value.facts.get("index") == index


@pytest.mark.parametrize(
    ("wishes", "field", "index"),
    [
        ({"centres": (Centre(0, np.nan, 0.0),)}, "centres", 0),
        ({"centres": (Centre(0, 0.0, 0.0, 0.0),)}, "centres", 0),
        ({"centres": (Centre(0, 0.0, 0.0), Centre(0, 1.0, 1.0))}, "centres", 1),
        ({"bridges": np.array([[3, 3]])}, "bridges", 0),
        ({"bridges": np.array([3, 4])}, "bridges", None),
        ({"locks": np.zeros(3)}, "locks", None),
        ({"groups": (np.array([0.5]),)}, "groups", 0),
        (
            {"discouraged_edges": np.array([[0, 1]]), "discouragements": np.array([-1.0])},
            "discouragements",
            0,
        ),
        (
            {"discouraged_edges": np.array([[0, 1]]), "discouragements": np.ones(2)},
            "discouragements",
            None,
        ),
        ({"least": (-1.0,)}, "least", 0),
        ({"least": (2.0,), "most": (1.0,)}, "least", 0),
        ({"max_radius_m": 0.0}, "max_radius_m", None),
    ],
)  # fmt: skip
def test_wishes_that_mean_nothing_are_refused_when_made(wishes, field, index):
    with pytest.raises(ParameterError) as caught:
        Requirements(**wishes)

    assert caught.value.facts["field"] == field
    assert caught.value.facts.get("index") == index


def test_closing_every_territory_with_units_left_is_refused():
    instance = square()
    lock = locks(instance, t0=[0], t1=[255])

    with pytest.raises(ParameterError, match="closed"):
        design(instance, asked(n_territories=2, locks=lock, closed=(0, 1)), 1)


@pytest.mark.machine_code
def test_the_plan_does_not_depend_on_the_number_of_cores(monkeypatch):
    monkeypatch.setattr("balancing.component.FEW_UNITS", 0)
    instance = Instance(
        square(40).graph,
        square(40).x_m,
        square(40).y_m,
        np.random.default_rng(1).uniform(0.5, 1.5, (1600, 1)),
    )
    plans = []
    for cores in (1, 4):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        plans.append(design(instance, asked(n_territories=6), 3).alignment)

    assert all(np.array_equal(one, other) for one, other in pairwise(plans))
