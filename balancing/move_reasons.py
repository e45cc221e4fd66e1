"""Why something moved: what both territories would carry had it stayed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.errors import ParameterError
from balancing.graph import connected_components
from balancing.instance import Instance
from balancing.measures import imbalance
from balancing.parameters import Parameters
from balancing.result import Result


@dataclass(frozen=True, eq=False)
class MovedBlock:
    """Touching units that went together from one territory to another.

    Imbalances are (sum - target) / target, (n_measures,) each: a territory at 124 % of its
    target has 0.24. "If stayed" leaves all other moves as they are.

    Parameters
    ----------
    units
        Its units, ascending.
    origin, destination
        Territories.
    activity
        (n_measures,) what it carries.
    origin_now, destination_now
        Imbalance of both in the new plan.
    origin_if_stayed, destination_if_stayed
        The same had the block stayed.
    """

    units: IntArray
    origin: int
    destination: int
    activity: FloatArray
    origin_now: FloatArray
    destination_now: FloatArray
    origin_if_stayed: FloatArray
    destination_if_stayed: FloatArray


def explain_moves(
    instance: Instance, parameters: Parameters, incumbent: IntArray, result: Result
) -> tuple[MovedBlock, ...]:
    """Return the moved blocks of a plan with what they changed, the most work first.

    Units that were in no territory before, -1, have moved from nowhere and are not listed.

    Raises
    ------
    ParameterError
        If the incumbent is not one whole number per unit.
    """
    past = np.asarray(incumbent)
    if past.shape != (instance.n_units,) or past.dtype.kind not in "iu":
        raise ParameterError(
            f"the incumbent must be {instance.n_units} whole numbers", field="incumbent"
        )
    moved = np.flatnonzero((past >= 0) & (past != result.alignment)).astype(np.int32)
    if not moved.size:
        return ()
    blocks = [
        _explained(instance, past, result, units)
        for units in moved_blocks(instance, parameters, past, result.alignment, moved)
    ]
    return tuple(sorted(blocks, key=lambda block: (-block.activity[0], block.units[0])))


def moved_blocks(
    instance: Instance,
    parameters: Parameters,
    past: IntArray,
    alignment: IntArray,
    moved: IntArray,
) -> list[IntArray]:
    """Return sets of touching moved units with the same two territories, each ascending.

    Parameters
    ----------
    past
        (n_units,) int32 where each unit was; numbers beyond those of the territories are fine.
    moved
        The units in question, ascending.
    """
    wishes = parameters.requirements
    graph = instance.graph.edited(wishes.bridges, wishes.forbidden_edges).restricted_to(moved)
    tails = np.repeat(moved, np.diff(graph.indptr))
    heads = moved[graph.indices]
    is_parted = (past[tails] != past[heads]) | (alignment[tails] != alignment[heads])
    local = np.repeat(np.arange(len(moved), dtype=np.int32), np.diff(graph.indptr))
    parted = np.stack([local, graph.indices], axis=1)[is_parted]
    label = connected_components(graph.edited(np.empty((0, 2), np.int32), parted))
    order = np.argsort(label, kind="stable")
    return np.split(moved[order], np.flatnonzero(np.diff(label[order])) + 1)


def _explained(instance: Instance, past: IntArray, result: Result, units: IntArray) -> MovedBlock:
    ends = [int(past[units[0]]), int(result.alignment[units[0]])]
    activity = instance.activity[units].sum(axis=0)
    sums, targets = result.sums[ends], result.targets[ends]
    now = imbalance(sums, targets)
    stayed = imbalance(sums + np.stack([activity, -activity]), targets)
    return MovedBlock(
        units=units,
        origin=ends[0],
        destination=ends[1],
        activity=activity,
        origin_now=now[0],
        destination_now=now[1],
        origin_if_stayed=stayed[0],
        destination_if_stayed=stayed[1],
    )
