"""Independent check of a finished plan: shares no code with the search."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components as label_connected

from balancing.arrays import IntArray
from balancing.errors import VerificationError
from balancing.graph import Graph
from balancing.instance import Instance
from balancing.parameters import Parameters
from balancing.requirements import Requirements
from balancing.result import Result

# Sums in another order than exact ones differ by a few units in the last place per addition.
RELATIVE_ROUNDING = 1e-9


def verify(instance: Instance, result: Result, parameters: Parameters | None = None) -> None:
    """Check that the plan is complete and connected, its sums are right and wishes are kept.

    Connectivity is searched breadth-first in the graph without its cut edges and barriers,
    bridges included; sums are exact (`math.fsum`). Locks and groups must hold unless a
    violation says that one was left out.

    Raises
    ------
    VerificationError
        With the fact that does not hold; a defect of the solver, not of the input.
    """
    wishes = Requirements() if parameters is None else parameters.requirements
    _check_alignment(instance, result)
    _check_contiguity(instance, wishes, result)
    _check_sums(instance, result)
    _check_wishes(wishes, result)


def _check_alignment(instance: Instance, result: Result) -> None:
    alignment = result.alignment
    if alignment.shape != (instance.n_units,) or alignment.dtype != np.int32:
        raise VerificationError("the alignment is not one int32 per unit", field="alignment")
    if alignment.min() < 0 or alignment.max() >= result.n_territories:
        raise VerificationError("a unit is in no territory", field="alignment")
    if len(np.unique(alignment)) != result.n_territories:
        raise VerificationError("a territory is empty", field="alignment")


def _check_contiguity(instance: Instance, wishes: Requirements, result: Result) -> None:
    graph, alignment = instance.graph, result.alignment
    tails, heads = _counted_links(graph, wishes)
    is_inside = alignment[tails] == alignment[heads]
    ends = (tails[is_inside], heads[is_inside])
    shape = (graph.n_units, graph.n_units)
    inside = csr_array((np.ones(len(ends[0]), np.int8), ends), shape=shape)
    n_pieces, _ = label_connected(inside, directed=False)
    if n_pieces != result.n_territories:
        raise VerificationError(
            f"{result.n_territories} territories lie in {n_pieces} pieces", n_pieces=n_pieces
        )
    n_cut = int(np.count_nonzero(~is_inside)) // 2
    if n_cut != result.cut_edges:
        raise VerificationError("cut edges are miscounted", cut_edges=n_cut)


def _counted_links(graph: Graph, wishes: Requirements) -> tuple[IntArray, IntArray]:
    """Tails and heads of the links that count: bridges in, barriers out."""
    tails = np.repeat(np.arange(graph.n_units, dtype=np.int32), np.diff(graph.indptr))
    if not len(wishes.bridges) and not len(wishes.forbidden_edges):
        return tails, graph.indices
    shape = (graph.n_units, graph.n_units)

    def matrix(ends: tuple[IntArray, IntArray]) -> csr_array:
        links = csr_array((np.ones(len(ends[0]), np.int8), ends), shape=shape)
        return (links + links.T).astype(np.bool_)

    bridges, barriers = (
        matrix((p[:, 0], p[:, 1])) for p in (wishes.bridges, wishes.forbidden_edges)
    )
    plain = matrix((tails, graph.indices))
    counted = ((plain > barriers) + bridges).tocoo()
    return counted.row, counted.col


def _check_wishes(wishes: Requirements, result: Result) -> None:
    codes = {violation.code for violation in result.violations}
    are_locks_left_out = codes & {"locks_disconnected", "lock_ignored", "group_conflict"}
    if wishes.locks is not None and not are_locks_left_out:
        is_locked = wishes.locks >= 0
        if np.any(result.alignment[is_locked] != wishes.locks[is_locked]):
            raise VerificationError("a lock is broken", field="locks")
        for territory in wishes.closed:
            if np.any((result.alignment == territory) & (wishes.locks != territory)):
                raise VerificationError(f"closed territory {territory} has grown", field="closed")
    if not codes & {"group_conflict", "group_disconnected", "locks_disconnected"}:
        for number, group in enumerate(wishes.groups):
            if len(group) and len(np.unique(result.alignment[group])) > 1:
                raise VerificationError(f"group {number} is torn", field="groups", index=number)


def _check_sums(instance: Instance, result: Result) -> None:
    order = np.argsort(result.alignment, kind="stable")
    bounds = np.searchsorted(result.alignment[order], np.arange(result.n_territories + 1))
    for measure in range(instance.n_measures):
        column = instance.activity[order, measure]
        slack = RELATIVE_ROUNDING * max(math.fsum(column), 1e-300)
        for territory in range(result.n_territories):
            exact = math.fsum(column[bounds[territory] : bounds[territory + 1]])
            if abs(exact - result.sums[territory, measure]) > slack:
                raise VerificationError(
                    f"the sum of territory {territory} is wrong", territory=territory
                )
