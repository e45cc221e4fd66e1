"""The search for few units: what every plan of it holds, and what it knows of a plan."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing import Instance
from balancing.contiguity import label_pieces
from balancing.growth import fresh_plan
from balancing.objective import cut_weight, inertia
from balancing.population import search_population
from balancing.problem import Bands, Problem
from balancing.recombination import random_tree, recombine
from balancing.short_run import Control, Rates, short_run
from balancing.state import breach, overreach, tally
from balancing.working_plan import (
    centre_after,
    cost_after,
    excess_after,
    give,
    make_links,
    make_working_plan,
)
from tests.balancing.patches import (
    IS_COMPILED,
    examples,
    hexagon_instance,
    instances,
    one_component_problem,
    parallelogram,
)

OBJECTIVES = ("moment_of_inertia", "total_distance", "cut_edges")
BUDGET = 100_000 if IS_COMPILED else 1000
SEEDS = st.integers(0, 2**32 - 1)


def never(fraction, best_imbalance):
    return False


def random_of(seed):
    return np.array([seed + 1], np.uint64)


def search(problem, bands, seed=0, should_stop=never, n_proposals=BUDGET):
    return search_population(problem, bands, np.random.default_rng(seed), should_stop, n_proposals)


def are_connected(problem, alignment):
    n_territories = len(problem.targets)
    pieces = np.unique(np.column_stack((alignment, label_pieces(problem, alignment))), axis=0)
    return pieces[:, 0].tolist() == list(range(n_territories))


def scores(problem, bands, alignment):
    """Breach and objective by the definitions, with nothing of the search."""
    sums = tally(problem, alignment)
    n_territories = len(problem.targets)
    cost, out = 0.0, 0.0
    for territory in range(n_territories):
        members = np.flatnonzero(alignment == territory)
        x, y, mass = problem.x[members], problem.y[members], problem.mass[members]
        pull, anchor = (
            problem.pull[territory],
            (problem.anchor_x[territory], problem.anchor_y[territory]),
        )
        centre = (mass @ x / mass.sum(), mass @ y / mass.sum())
        if problem.objective == 1:
            away = np.hypot(x[:, None] - x, y[:, None] - y) @ mass
            centre = (x[np.argmin(away)], y[np.argmin(away)])
            to_anchor = mass @ np.hypot(x - anchor[0], y - anchor[1])
            cost += (1 - pull) * away.min() + pull * to_anchor
        out += breach(problem, bands, sums.loads[territory], territory)
        centre_x, centre_y = (
            np.full(n_territories, c + pull * (a - c)) for c, a in zip(centre, anchor, strict=True)
        )
        if np.isfinite(problem.max_radius):
            out += sum(overreach(problem, centre_x, centre_y, int(i), territory) for i in members)
    if problem.objective == 0:
        cost = inertia(problem, sums)
    if problem.objective == 2:
        cost = cut_weight(problem, alignment)
    return out, cost


@st.composite
def problems(draw):
    """A connected patch with some wish of every kind, in any mixture."""
    instance = draw(instances(most_components=1))
    plain, _ = one_component_problem(instance, 1)
    label = label_pieces(plain, np.zeros(instance.n_units, np.int32))
    kept = np.flatnonzero(label == np.bincount(label).argmax()).astype(np.int32)
    n_units = len(kept)
    n_territories = draw(st.integers(1, min(n_units, 5)))
    generator = np.random.default_rng(draw(SEEDS))
    lock = np.full(n_units, -1, np.int32)
    n_locks = draw(st.integers(0, n_territories))
    lock[generator.permutation(n_units)[:n_locks]] = generator.permutation(n_territories)[:n_locks]
    activity = instance.activity[kept]
    activity[0, 0] += 1.0
    graph = instance.graph.restricted_to(kept)
    weight = generator.uniform(-0.5, 2.0, (n_units, n_units))
    weight += weight.T
    tails = np.repeat(np.arange(n_units), np.diff(graph.indptr))
    part = Instance(graph, instance.x_m[kept], instance.y_m[kept], activity, instance.measure_names)
    shares = generator.uniform(0.5, 1.5, n_territories)
    return one_component_problem(
        part,
        n_territories,
        tolerance=draw(st.sampled_from((0.02, 0.1, 0.5))),
        objective=draw(st.sampled_from(OBJECTIVES)),
        targets=np.outer(shares / shares.sum(), activity.sum(axis=0)),
        edge_weight=weight[tails, graph.indices],
        lock=lock,
        pull=generator.choice([0.0, 0.0, 0.4, 1.0], n_territories),
        anchor_x_m=generator.uniform(0, 8000, n_territories),
        anchor_y_m=generator.uniform(0, 8000, n_territories),
        max_radius_m=draw(st.sampled_from((np.inf, np.inf, 3000.0))),
    )


@settings(deadline=None, max_examples=examples(30))
@given(problems(), SEEDS)
def test_plans_are_connected_complete_and_keep_locks(problem_and_bands, seed):
    problem, bands = problem_and_bands

    alignment = search(problem, bands, seed)

    assert are_connected(problem, alignment)
    is_locked = problem.lock >= 0
    assert np.array_equal(alignment[is_locked], problem.lock[is_locked])


@settings(deadline=None, max_examples=examples(30))
@given(problems(), SEEDS)
def test_a_run_never_ends_worse_than_it_starts_and_knows_its_scores(problem_and_bands, seed):
    problem, bands = problem_and_bands
    start = fresh_plan(problem, random_of(seed), seed % 2 == 0)
    control = Control(1.0, 0.1, 10.0, 0.0, 0.5, 5000)
    rates = Rates(0.0, 1.0) if problem.objective == 2 else Rates(1.0, 0.0)

    outcome = short_run(
        problem,
        bands,
        make_links(problem),
        rates,
        control,
        start,
        random_of(seed),
        np.zeros(1, bool),
    )

    first, last = scores(problem, bands, start), scores(problem, bands, outcome.alignment)
    assert (outcome.breach, outcome.energy) == pytest.approx(last, rel=1e-7, abs=1e-9)
    assert last[0] <= first[0] + 1e-9
    if last[0] == first[0]:
        assert last[1] <= first[1] + 1e-9


@settings(deadline=None, max_examples=examples(30))
@given(problems(), SEEDS)
def test_all_that_is_known_of_a_plan_stays_true_over_thousands_of_moves(problem_and_bands, seed):
    problem, bands = problem_and_bands
    links = make_links(problem)
    generator = np.random.default_rng(seed)
    plan = make_working_plan(problem, bands, links, fresh_plan(problem, random_of(seed), True))
    n_units, n_territories = len(problem.mass), len(problem.targets)

    for _ in range(3000):
        unit, to = int(generator.integers(n_units)), int(generator.integers(n_territories))
        home = int(plan.alignment[unit])
        if to != home and plan.sums.n_units[home] > 1:
            give(problem, bands, links, plan, unit, to)

    fresh = make_working_plan(problem, bands, links, plan.alignment)
    for moved, counted in zip(plan.sums, fresh.sums, strict=True):
        assert np.allclose(moved, counted, atol=1e-9)
    for name in ("reach", "cost", "excess", "breach"):
        assert np.allclose(getattr(plan, name), getattr(fresh, name), atol=1e-8), name
    for territory in range(n_territories):
        members = plan.members[territory, : plan.sums.n_units[territory]]
        assert sorted(members) == np.flatnonzero(plan.alignment == territory).tolist()
    cut = plan.cut_links[: plan.n_cut[0]]
    assert sorted(cut) == sorted(fresh.cut_links[: fresh.n_cut[0]])
    total_breach, cost = scores(problem, bands, plan.alignment)
    assert plan.breach.sum() == pytest.approx(total_breach, abs=1e-8)
    if problem.objective != 2:
        assert plan.cost.sum() == pytest.approx(cost, abs=1e-8)


@settings(deadline=None, max_examples=examples(40))
@given(problems(), SEEDS)
def test_each_announced_score_is_the_one_after_the_move(problem_and_bands, seed):
    problem, bands = problem_and_bands
    links = make_links(problem)
    generator = np.random.default_rng(seed)
    plan = make_working_plan(problem, bands, links, fresh_plan(problem, random_of(seed), False))
    unit, to = (int(generator.integers(len(rows))) for rows in (problem.mass, problem.targets))
    home = int(plan.alignment[unit])
    if to == home or plan.sums.n_units[home] == 1:
        return

    announced = [
        (
            cost_after(problem, plan, *change),
            *excess_after(problem, bands, plan, *change),
            *centre_after(problem, plan, *change),
        )
        for change in ((home, -1, unit), (to, unit, -1))
    ]
    give(problem, bands, links, plan, unit, to)

    for territory, expected in zip((home, to), announced, strict=True):
        found = (
            plan.cost[territory],
            plan.excess[territory],
            plan.breach[territory],
            *centre_after(problem, plan, territory, -1, -1),
        )
        assert found == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=examples(30))
@given(problems(), SEEDS)
def test_a_kick_leaves_territories_connected_and_locks_kept(problem_and_bands, seed):
    problem, bands = problem_and_bands
    random = random_of(seed)
    alignment = fresh_plan(problem, random, False)

    for _ in range(5):
        recombine(problem, bands, alignment, random)

    assert are_connected(problem, alignment)
    is_locked = problem.lock >= 0
    assert np.array_equal(alignment[is_locked], problem.lock[is_locked])


def test_random_trees_of_a_triangle_come_equally_often():
    # Three spanning trees; six standard deviations of a count are 155.
    triangle = hexagon_instance([(0, 0), (1, 0), (0, 1)], np.ones(3))
    problem, _ = one_component_problem(triangle, 2)
    units, random, counts = np.arange(3, dtype=np.int32), random_of(1), np.zeros(3)

    for _ in range(3000):
        parent, order = random_tree(problem, units, np.ones(3, bool), random)
        degree = np.bincount([*order[1:], *parent[order[1:]]], minlength=3)
        counts[degree.argmax()] += 1

    assert np.all(np.abs(counts - 1000) < 155)


@pytest.mark.machine_code
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seed", range(3))
def test_tiny_instances_are_solved_to_the_optimum(objective, seed):
    generator = np.random.default_rng(seed)
    instance = hexagon_instance(parallelogram(4, 3), generator.uniform(0.5, 1.5, 12))
    problem, bands = one_component_problem(instance, 3, tolerance=0.15, objective=objective)
    problem = problem._replace(cut_price=0.0)

    found = scores(problem, bands, search(problem, bands, seed))

    assert found == pytest.approx(best_of_all(problem, bands), abs=1e-9)


def best_of_all(problem: Problem, bands: Bands) -> tuple[float, float]:
    """The optimum by trying every alignment; the first unit's territory is a matter of names."""
    candidates = np.array(list(product(range(3), repeat=11)), np.int32)
    candidates = np.column_stack((np.zeros(len(candidates), np.int32), candidates))
    loads = np.stack([(candidates == t) @ problem.activity[:, 0] for t in range(3)], axis=1)
    out = np.maximum(loads - 1 - bands.upper[:, 0], bands.lower[:, 0] - loads + 1).max(axis=1)
    likely = candidates[out < 0.15]
    return min(
        scores(problem, bands, alignment)
        for alignment in likely
        if are_connected(problem, alignment)
    )


@pytest.mark.machine_code
def test_the_same_generator_gives_the_same_plan():
    instance = hexagon_instance(parallelogram(8, 8), np.random.default_rng(1).uniform(1, 2, 64))
    problem, bands = one_component_problem(instance, 6)

    first, second = (search(problem, bands, 7, n_proposals=400_000) for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.machine_code
def test_a_larger_budget_is_never_worse():
    instance = hexagon_instance(parallelogram(8, 8), np.random.default_rng(1).pareto(1.5, 64))
    problem, bands = one_component_problem(instance, 6, objective="cut_edges", tolerance=0.02)

    found = [
        scores(problem, bands, search(problem, bands, 7, n_proposals=budget))
        for budget in (1000, 300_000, 1_500_000)
    ]

    assert found[2] <= found[1] <= found[0]


@pytest.mark.machine_code
def test_a_stop_is_obeyed_at_once_with_a_valid_plan():
    instance = hexagon_instance(parallelogram(30, 30), np.ones(900))
    problem, bands = one_component_problem(instance, 12)
    n_questions = 0

    def at_once(fraction, best_imbalance):
        nonlocal n_questions
        n_questions += 1
        return True

    alignment = search(problem, bands, 0, at_once, n_proposals=10**9)

    assert are_connected(problem, alignment)
    assert n_questions <= 20


@pytest.mark.machine_code
def test_progress_rises_and_tells_the_best_imbalance():
    instance = hexagon_instance(parallelogram(8, 8), np.random.default_rng(3).pareto(1.5, 64))
    problem, bands = one_component_problem(instance, 5, tolerance=0.01)
    told = []

    search(problem, bands, 0, lambda *report: told.append(report) and False, n_proposals=1_000_000)

    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert told[0][1] is None
    assert told[-1][1] > 0


@pytest.mark.machine_code
def test_a_unit_too_heavy_for_its_band_does_not_spoil_the_rest():
    # The heavy unit alone is out of its band; the other territories can still be compact.
    activity = np.ones(64)
    activity[0] = 40.0
    problem, bands = one_component_problem(hexagon_instance(parallelogram(8, 8), activity), 4)
    alone = np.where(np.arange(64) == 0, 0, 1 + np.arange(64) // 22).astype(np.int32)

    alignment = search(problem, bands, 0, n_proposals=1_000_000)

    best, stripes = scores(problem, bands, alignment), scores(problem, bands, alone)
    assert best[0] <= stripes[0] + 1e-9
    assert best[1] < stripes[1]
