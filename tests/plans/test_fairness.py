"""Measures of evenness, against values computed by hand and against their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plans.fairness import evenness, gini, variation
from app.plans.travel import stem_minutes
from app.settings import WorkSettings
from geo.distance import great_circle_m

amounts = st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], 0.0),
        ([3.0, 3.0, 3.0, 3.0], 0.0),
        ([0.0, 0.0, 0.0, 8.0], 0.75),
        ([1.0, 2.0, 3.0], 2 / 9),
        ([3.0, 1.0, 2.0], 2 / 9),
        ([0.0, 0.0], 0.0),
        # Mean difference of all pairs: (1 + 3 + 2) × 2 / 9 = 4/3; over twice the mean, 14/3.
        ([1.0, 2.0, 4.0], 2 / 7),
    ],
)
def test_gini_is_what_it_comes_to_by_hand(values: list[float], expected: float) -> None:
    assert gini(values) == pytest.approx(expected, abs=1e-12)


@given(amounts)
def test_gini_is_half_the_mean_difference_over_the_mean(values: list[float]) -> None:
    x = np.array(values) / (max(values) or 1.0)
    mean = x.mean()
    by_pairs = np.abs(x[:, None] - x[None, :]).mean() / (2 * mean) if mean else 0.0

    assert gini(values) == pytest.approx(by_pairs, abs=1e-9)
    assert 0 <= gini(values) < 1


@given(amounts, st.floats(1e-6, 1e6))
def test_neither_gini_nor_variation_depends_on_the_unit(values: list[float], unit: float) -> None:
    scaled = [value * unit for value in values]

    assert gini(scaled) == pytest.approx(gini(values), abs=1e-9)
    assert variation(scaled) == pytest.approx(variation(values), abs=1e-9)


def test_the_others_are_what_they_come_to_by_hand() -> None:
    found = evenness([2.0, 4.0, 4.0, 6.0])

    assert (found.n, found.mean, found.smallest, found.largest) == (4, 4.0, 2.0, 6.0)
    assert (found.range, found.ratio) == (4.0, 3.0)
    # Squares of the differences: 4, 0, 0, 4; their mean 2.
    assert found.variation == pytest.approx(2**0.5 / 4)
    assert evenness([0.0, 1.0]).ratio is None


@pytest.mark.parametrize("values", [[], [1.0, -1.0]])
def test_nothing_and_negative_amounts_have_no_evenness(values: list[float]) -> None:
    with pytest.raises(ValueError, match="not negative"):
        evenness(values)


def test_the_stem_is_days_times_two_ways_home() -> None:
    settings = WorkSettings(circuity=1.5, rural_speed_kmh=50, fixed_travel_minutes=7)
    lon, lat = np.array([113.0, 113.5]), np.array([30.0, 30.0])
    customers = np.array([3.0, 1.0])
    km = (3 * 0 + float(great_circle_m(113.0, 30.0, 113.5, 30.0))) / 4 / 1000

    found = stem_minutes(settings, (113.0, 30.0), lon, lat, customers, 1000.0, 384.0)

    # 1,000 minutes at 384 a day are three days in the field.
    assert found == pytest.approx(3 * 2 * 1.5 * km / 50 * 60)
    assert stem_minutes(settings, (113.0, 30.0), lon[:0], lat[:0], customers[:0], 0.0, 384.0) == 0
