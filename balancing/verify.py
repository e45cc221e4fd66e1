"""Independent check of a finished plan: shares no code with the search."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components as label_connected

from balancing.errors import VerificationError
from balancing.instance import Instance
from balancing.result import Result

# Sums in another order than exact ones differ by a few units in the last place per addition.
RELATIVE_ROUNDING = 1e-9


def verify(instance: Instance, result: Result) -> None:
    """Check that the plan is complete and connected and its sums are right.

    Connectivity is searched breadth-first in the graph without its cut edges; sums are
    exact (`math.fsum`).

    Raises
    ------
    VerificationError
        With the fact that does not hold; a defect of the solver, not of the input.
    """
    _check_alignment(instance, result)
    _check_contiguity(instance, result)
    _check_sums(instance, result)


def _check_alignment(instance: Instance, result: Result) -> None:
    alignment = result.alignment
    if alignment.shape != (instance.n_units,) or alignment.dtype != np.int32:
        raise VerificationError("the alignment is not one int32 per unit", field="alignment")
    if alignment.min() < 0 or alignment.max() >= result.n_territories:
        raise VerificationError("a unit is in no territory", field="alignment")
    if len(np.unique(alignment)) != result.n_territories:
        raise VerificationError("a territory is empty", field="alignment")


def _check_contiguity(instance: Instance, result: Result) -> None:
    graph, alignment = instance.graph, result.alignment
    tails = np.repeat(np.arange(graph.n_units), np.diff(graph.indptr))
    is_inside = alignment[tails] == alignment[graph.indices]
    ends = (tails[is_inside], graph.indices[is_inside])
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
