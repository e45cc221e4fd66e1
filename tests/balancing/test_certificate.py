"""The proof of a plan, checked against the plan by other means than made it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing import (
    Centre,
    Parameters,
    Requirements,
    VerificationError,
    connected_components,
    design,
)
from balancing.certificate import certify, grow_trees
from tests.balancing.patches import (
    examples,
    hexagon_graph,
    hexagon_instance,
    instances,
    parallelogram,
)


def _designed(n_territories=4, **wishes):
    generator = np.random.default_rng(4)
    instance = hexagon_instance(parallelogram(12, 10), generator.lognormal(size=120))
    parameters = Parameters(n_territories=n_territories, tolerances=(0.1,), **wishes)
    return instance, parameters, design(instance, parameters, 1)


def _are_trees(graph, alignment, order, parent, n_territories):
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    for unit in range(len(order)):
        if parent[unit] < 0:
            continue
        assert place[parent[unit]] < place[unit]
        assert alignment[parent[unit]] == alignment[unit]
        assert parent[unit] in graph.neighbours(unit)
    assert sorted(order.tolist()) == list(range(len(order)))
    assert np.count_nonzero(parent < 0) == n_territories
    assert len(set(alignment[parent < 0].tolist())) == n_territories


@settings(deadline=None, max_examples=examples(8))
@given(instance=instances(most_measures=1), n_territories=st.integers(1, 3), data=st.data())
def test_every_unit_but_one_per_territory_hangs_from_one_before_it(instance, n_territories, data):
    n_pieces = int(connected_components(instance.graph).max()) + 1
    n_territories = max(n_territories, n_pieces)
    if n_territories > instance.n_units:
        n_territories = instance.n_units
    parameters = Parameters(n_territories=n_territories, tolerances=(0.3,))
    result = design(instance, parameters, data.draw(st.integers(0, 9)))

    certificate = certify(instance, parameters, result)

    _are_trees(
        instance.graph, result.alignment, certificate.order, certificate.parent, n_territories
    )
    assert certificate.bound.value <= result.objective_value * (1 + 1e-12)


def test_territories_stand_together_in_the_order():
    instance, parameters, result = _designed()

    certificate = certify(instance, parameters, result)

    listed = result.alignment[certificate.order]
    assert np.count_nonzero(np.diff(listed)) == result.n_territories - 1


def test_a_torn_territory_gets_no_trees():
    graph = hexagon_graph(parallelogram(4, 1))

    with pytest.raises(VerificationError, match="3 of 4"):
        grow_trees(graph, np.array([0, 1, 1, 0], np.int32), 2)


def test_a_plan_with_wrong_sums_gets_no_certificate():
    instance, parameters, result = _designed()

    with pytest.raises(VerificationError):
        certify(instance, parameters, replace(result, sums=result.sums * 1.01))


def test_trees_use_bridges_and_shun_barriers():
    left, right = parallelogram(4, 4), parallelogram(4, 4, left=20)
    instance = hexagon_instance(left + right, np.ones(32))
    bridge = [[3, 16]]
    wall = [[unit, unit + 4] for unit in range(4, 7)] + [[unit, unit + 3] for unit in range(5, 8)]
    parameters = Parameters(
        n_territories=1,
        requirements=Requirements(bridges=np.array(bridge), forbidden_edges=np.array(wall)),
    )
    result = design(instance, parameters, 1)

    certificate = certify(instance, parameters, result)

    hangs = {frozenset((u, p)) for u, p in enumerate(certificate.parent.tolist()) if p >= 0}
    assert frozenset(bridge[0]) in hangs
    assert not hangs & {frozenset(pair) for pair in wall}
    assert certificate.bridges.tolist() == bridge
    assert "1 bridges" in certificate.proven[0]


@pytest.mark.machine_code
@pytest.mark.parametrize("objective", ["moment_of_inertia", "total_distance"])
def test_a_gap_is_what_the_plan_costs_above_the_bound(objective):
    instance, parameters, result = _designed(objective=objective)

    certificate = certify(instance, parameters, result)

    assert certificate.gap == pytest.approx(result.objective_value / certificate.bound.value - 1)
    assert 0 <= certificate.gap < 0.2
    assert f"{certificate.gap:.3%}" in certificate.proven[-1]
    assert any(
        "is not proven: they come from a search" in sentence for sentence in certificate.not_proven
    )


def test_of_cut_edges_no_bound_is_claimed():
    instance, parameters, result = _designed(objective="cut_edges")

    certificate = certify(instance, parameters, result)

    assert certificate.bound is None
    assert certificate.gap is None
    assert "No lower bound of the number of cut edges is claimed" in certificate.not_proven[0]


@pytest.mark.parametrize("pull", [0.4, 1.0])
def test_the_bound_of_drawn_centres_is_of_the_same_mixture_as_the_objective(pull):
    centres = tuple(Centre(t, 2000.0 * t, 4000.0, pull) for t in range(4))
    instance, parameters, result = _designed(requirements=Requirements(centres=centres))

    certificate = certify(instance, parameters, result)

    away = (instance.x_m - result.centre_x_m[result.alignment]) ** 2
    away += (instance.y_m - result.centre_y_m[result.alignment]) ** 2
    cost = np.sum(instance.compactness_weight * away) + certificate.loads @ certificate.surcharge
    assert cost == pytest.approx(result.objective_value)
    assert 0 <= certificate.gap < 0.2
    says_centres_are_open = any("other centres" in line for line in certificate.not_proven)
    assert says_centres_are_open is (pull < 1)


def test_a_missed_tolerance_is_said_and_stands_among_the_violations():
    instance = hexagon_instance(parallelogram(6, 2), [100.0] + 11 * [1.0])
    parameters = Parameters(n_territories=3, tolerances=(0.05,))
    result = design(instance, parameters, 1)

    certificate = certify(instance, parameters, result)

    assert any("not within the tolerance" in sentence for sentence in certificate.proven)
    assert certificate.violations == result.violations != ()
    assert any("violation" in sentence for sentence in certificate.not_proven)


def test_the_spread_of_the_starts_is_a_hint():
    instance, parameters, result = _designed()

    certificate = certify(instance, parameters, replace(result, n_starts=4, start_spread=0.0234))

    assert any("4 starts" in line and "2.34%" in line for line in certificate.not_proven)
