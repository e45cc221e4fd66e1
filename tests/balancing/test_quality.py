"""A floor under the quality on a real city pattern; figures stand in bench/RESULTS.md."""

import numpy as np
import pytest

from balancing import Parameters, design
from bench.instances import load_instance, shared_instances
from bench.solver import count_torn

# Inertia of METIS (contiguous) on oh4k, work km²: research data, peers.csv.
METIS_INERTIA = 1.120e8


@pytest.fixture(scope="module")
def ohio():
    path = shared_instances() / "oh4k.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there; BAILIWICK_SHARED_DATA names the folder above it")
    return load_instance(path)


@pytest.mark.parametrize("tolerance", [0.05, 0.01])
def test_ohio_is_divided_within_tolerance_and_far_more_compactly_than_by_metis(ohio, tolerance):
    instance, n_territories = ohio
    parameters = Parameters(n_territories=n_territories, tolerances=(tolerance,))

    result = design(instance, parameters, seed=7)

    assert result.is_feasible
    assert result.worst_imbalance[0] <= tolerance + 1e-9
    assert count_torn(instance.graph, result.alignment) == 0
    assert result.total_moment_of_inertia / 1e6 < 0.72 * METIS_INERTIA


def test_shares_of_unlike_size_are_met_in_ohio(ohio):
    instance, n_territories = ohio
    shares = np.linspace(1, 3, n_territories)
    parameters = Parameters(n_territories=n_territories, shares=tuple(shares / shares.sum()))

    result = design(instance, parameters, seed=7)

    assert result.is_feasible
