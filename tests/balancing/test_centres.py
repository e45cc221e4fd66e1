import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing.centres import MOST_TRIED, centre_units


def sums_of_distances(x, y, weight):
    return np.hypot(x[:, None] - x, y[:, None] - y) @ weight


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_member_is_nearer_to_the_others_than_the_centre(n_units, n_territories, seed):
    generator = np.random.default_rng(seed)
    n_territories = min(n_territories, n_units)
    x, y = generator.normal(size=(2, n_units))
    weight = generator.pareto(1.5, n_units)
    alignment = generator.permutation(np.arange(n_units) % n_territories).astype(np.int32)

    centres = centre_units(x, y, weight, alignment, n_territories)

    for territory, centre in enumerate(centres):
        members = np.flatnonzero(alignment == territory)
        sums = sums_of_distances(x[members], y[members], weight[members])
        assert alignment[centre] == territory
        assert sums[np.flatnonzero(members == centre)[0]] == pytest.approx(sums.min())


@pytest.mark.machine_code
@pytest.mark.parametrize("is_weighted", [True, False])
def test_the_centre_of_very_many_members_is_found_among_those_next_to_their_median(is_weighted):
    generator = np.random.default_rng(4)
    n_units = MOST_TRIED + 500
    x, y = generator.normal(size=(2, n_units)) + generator.choice((0.0, 4.0), n_units)
    weight = generator.pareto(1.5, n_units) if is_weighted else np.ones(n_units)

    (centre,) = centre_units(x, y, weight, np.zeros(n_units, np.int32), 1)

    assert centre == np.argmin(sums_of_distances(x, y, weight))


@pytest.mark.machine_code
def test_very_many_members_without_weight_still_have_a_centre():
    n_units = MOST_TRIED + 1
    nothing = np.zeros(n_units)

    (centre,) = centre_units(
        np.arange(float(n_units)), nothing, nothing, nothing.astype(np.int32), 1
    )

    assert 0 <= centre < n_units
