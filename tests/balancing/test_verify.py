from dataclasses import replace

import numpy as np
import pytest

from balancing import Parameters, Requirements, VerificationError, Violation, design, verify
from tests.balancing.patches import hexagon_instance, parallelogram

INSTANCE = hexagon_instance(parallelogram(6, 6), np.ones(36))


@pytest.fixture(scope="module")
def result():
    return design(INSTANCE, Parameters(n_territories=3, n_starts=1), seed=0)


def wishing(**wishes):
    return Parameters(n_territories=3, requirements=Requirements(**wishes))


def members(result, territory):
    return np.flatnonzero(result.alignment == territory)


def lock(**territory_of_unit):
    locks = np.full(INSTANCE.n_units, -1, np.int32)
    for unit, territory in territory_of_unit.items():
        locks[int(unit.removeprefix("u"))] = territory
    return locks


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


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        pytest.param(lambda r: {"locks": lock(u0=1 - min(r.alignment[0], 1))}, "locks", id="lock"),
        pytest.param(
            lambda r: {"locks": lock(u0=r.alignment[0]), "closed": (int(r.alignment[0]),)},
            "closed",
            id="closed territory that grew",
        ),
        pytest.param(
            lambda r: {"groups": (np.array([members(r, 0)[0], members(r, 1)[0]]),)},
            "groups",
            id="group",
        ),
    ],
)
def test_a_wish_that_the_plan_does_not_keep_is_named(result, broken, field):
    with pytest.raises(VerificationError) as caught:
        verify(INSTANCE, result, wishing(**broken(result)))

    assert caught.value.facts["field"] == field


@pytest.mark.parametrize(
    ("code", "wish"),
    [
        ("lock_ignored", lambda r: {"locks": lock(u0=1 - min(r.alignment[0], 1))}),
        ("group_conflict", lambda r: {"groups": (np.array([0, 35]), np.arange(36))}),
    ],
)
def test_a_wish_reported_as_left_out_need_not_hold(result, code, wish):
    reported = replace(result, violations=(Violation(code, "left out", {}),))

    verify(INSTANCE, reported, wishing(**wish(result)))


def test_wishes_that_the_plan_keeps_pass(result):
    first = members(result, 0)
    everywhere = {f"u{unit}": 0 for unit in first}

    verify(INSTANCE, result, wishing(locks=lock(**everywhere), closed=(0,), groups=(first[:3],)))


def test_a_bridge_holds_two_pieces_together_and_a_barrier_tears_one_apart():
    two_pieces = hexagon_instance([(0, 0), (1, 0), (9, 0), (10, 0)], np.ones(4))
    bridge, barrier = np.array([[1, 2]], np.int32), np.array([[2, 3]], np.int32)
    bridged = Parameters(n_territories=1, requirements=Requirements(bridges=bridge))
    result = design(two_pieces, bridged, seed=0)

    verify(two_pieces, result, bridged)

    for wishes in (
        Requirements(),
        Requirements(bridges=bridge, forbidden_edges=barrier),
    ):
        with pytest.raises(VerificationError) as caught:
            verify(two_pieces, result, Parameters(n_territories=1, requirements=wishes))
        assert caught.value.facts["n_pieces"] == 2
