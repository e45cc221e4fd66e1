import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancing import ParameterError, apportion
from balancing.apportionment import place_shares

activities = st.lists(st.floats(0.1, 100), min_size=1, max_size=8)


@given(activities, st.integers(0, 30))
def test_every_territory_is_handed_out_and_every_component_gets_one(activity, spare):
    counts = apportion(activity, len(activity) + spare)

    assert counts.sum() == len(activity) + spare
    assert counts.min() >= 1


@given(activities, st.integers(0, 30))
def test_large_components_get_their_quota_rounded_down_or_up(activity, spare):
    n_territories = len(activity) + spare
    quota = np.array(activity) / sum(activity) * n_territories

    counts = apportion(activity, n_territories)

    if quota.min() >= 1:
        assert np.all(np.abs(counts - quota) < 1 + 1e-9)


def test_the_largest_remainder_gets_the_last_territory():
    assert apportion([46, 31, 23], 10).tolist() == [5, 3, 2]


def test_a_component_gets_no_more_territories_than_it_has_units():
    assert apportion([90, 10], 5, component_units=[2, 40]).tolist() == [2, 3]


def test_a_component_without_activity_gets_one_territory():
    assert apportion([5, 0, 5], 5).tolist() == [2, 1, 2]


def test_the_largest_share_goes_where_most_activity_is():
    placed = place_shares([70, 30], [0.3, 0.5, 0.2])

    assert placed.tolist() == [1, 0, 0]


@pytest.mark.parametrize(("n_territories", "counts"), [(2, "n_components"), (9, "n_units")])
def test_impossible_counts_are_refused_with_the_numbers(n_territories, counts):
    with pytest.raises(ParameterError) as caught:
        apportion([1, 1, 1], n_territories, component_units=[2, 2, 2])

    assert caught.value.field == "n_territories"
    assert caught.value.facts["n_territories"] == n_territories
    assert counts in caught.value.facts
