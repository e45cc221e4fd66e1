import numpy as np
import pytest

from balancing import Parameters, design
from tests.balancing.patches import hexagon_instance, parallelogram


def codes(result):
    return [violation.code for violation in result.violations]


def test_a_unit_heavier_than_a_territory_is_named():
    activity = np.ones(36)
    activity[14] = 30.0
    instance = hexagon_instance(parallelogram(6, 6), activity)

    result = design(instance, Parameters(n_territories=4, n_starts=1), seed=0)

    assert codes(result) == ["unit_too_heavy", "tolerance_not_met"]
    facts = result.violations[0].facts
    assert (facts["unit"], facts["n_units"]) == (14, 1)
    assert facts["ratio"] == pytest.approx(30 / (65 / 4))


def test_a_unit_too_heavy_lies_alone_and_the_rest_is_shared_evenly():
    activity = np.ones(49)
    activity[24] = 40.0
    instance = hexagon_instance(parallelogram(7, 7), activity)

    result = design(instance, Parameters(n_territories=4, n_starts=1), seed=0)

    assert sorted(result.sums[:, 0]) == [16, 16, 16, 40]


def test_a_component_that_deserves_less_than_a_territory_is_named():
    hexagons = parallelogram(6, 6) + parallelogram(2, 1, left=20)
    instance = hexagon_instance(hexagons, np.ones(38))

    result = design(instance, Parameters(n_territories=4, n_starts=1), seed=0)

    assert "component_too_small" in codes(result)
    violation = result.violations[codes(result).index("component_too_small")]
    assert violation.facts["component"] == 1
    assert violation.facts["forced_imbalance"] == pytest.approx(2 / (38 / 4) - 1)


def test_a_component_that_deserves_a_fraction_is_named():
    hexagons = parallelogram(10, 3) + parallelogram(10, 2, left=20)
    instance = hexagon_instance(hexagons, np.ones(50))

    result = design(instance, Parameters(n_territories=3, n_starts=1), seed=0)

    assert codes(result) == ["component_share", "component_share", "tolerance_not_met"]


def test_a_component_forced_out_of_the_band_is_held_to_its_own_mean():
    hexagons = parallelogram(10, 6) + parallelogram(10, 4, left=20)
    instance = hexagon_instance(hexagons, np.ones(100))

    result = design(instance, Parameters(n_territories=3), seed=0)

    large, small, other = sorted(result.sums[:, 0], reverse=True)
    assert large == 40
    assert max(small, other) <= 30 * 1.05


def test_a_component_short_of_units_is_named():
    hexagons = [*parallelogram(6, 1), (20, 0)]
    instance = hexagon_instance(hexagons, [1, 1, 1, 1, 1, 1, 60])

    result = design(instance, Parameters(n_territories=4, n_starts=1), seed=0)

    assert "more_territories_than_units" in codes(result)


def test_the_imbalance_reached_is_stated_for_each_measure_missed():
    activity = np.column_stack((np.ones(12), np.arange(12)))
    instance = hexagon_instance(parallelogram(12, 1), activity)
    parameters = Parameters(n_territories=3, tolerances=(0.05, 0.05), n_starts=1)

    result = design(instance, parameters, seed=0)

    stated = {
        violation.facts["measure"]: violation.facts["worst_imbalance"]
        for violation in result.violations
        if violation.code == "tolerance_not_met"
    }
    for measure, name in enumerate(result.measure_names):
        if name in stated:
            assert stated[name] == pytest.approx(result.worst_imbalance[measure])
        else:
            assert result.worst_imbalance[measure] <= 0.05 + 1e-9
    assert stated


def test_a_measure_that_is_zero_everywhere_counts_as_balanced():
    activity = np.column_stack((np.ones(36), np.zeros(36)))
    instance = hexagon_instance(parallelogram(6, 6), activity)

    result = design(instance, Parameters(n_territories=4, tolerances=(0.05, 0.05)), seed=0)

    assert result.is_feasible
    assert np.all(result.imbalance[:, 1] == 0)


def test_a_component_without_activity_gets_connected_territories():
    hexagons = parallelogram(5, 5) + parallelogram(3, 3, left=20)
    instance = hexagon_instance(hexagons, [1.0] * 25 + [0.0] * 9)

    result = design(instance, Parameters(n_territories=3, n_starts=1), seed=0)

    assert [c.n_territories for c in result.components] == [2, 1]
    assert "component_too_small" in codes(result)
