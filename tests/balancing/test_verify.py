from dataclasses import replace

import numpy as np
import pytest

from balancing import Parameters, VerificationError, design, verify
from tests.balancing.patches import hexagon_instance, parallelogram

INSTANCE = hexagon_instance(parallelogram(6, 6), np.ones(36))


@pytest.fixture(scope="module")
def result():
    return design(INSTANCE, Parameters(n_territories=3, n_starts=1), seed=0)


def torn(alignment):
    """Two far corners of the patch change places."""
    changed = alignment.copy()
    changed[[0, -1]] = changed[[-1, 0]]
    return changed


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda r: {"alignment": r.alignment[:-1]}, id="a unit is missing"),
        pytest.param(lambda r: {"alignment": r.alignment.astype(np.int64)}, id="wrong type"),
        pytest.param(lambda r: {"alignment": r.alignment - np.int32(1)}, id="no territory"),
        pytest.param(lambda r: {"alignment": r.alignment // np.int32(2)}, id="empty territory"),
        pytest.param(lambda r: {"alignment": torn(r.alignment)}, id="torn territory"),
        pytest.param(lambda r: {"sums": r.sums * 1.001}, id="wrong sums"),
        pytest.param(lambda r: {"cut_edges": r.cut_edges + 1}, id="wrong cut"),
    ],
)
def test_a_damaged_result_is_refused(result, damage):
    verify(INSTANCE, result)

    with pytest.raises(VerificationError):
        verify(INSTANCE, replace(result, **damage(result)))
