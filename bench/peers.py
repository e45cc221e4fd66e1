"""What off-the-shelf methods make of an instance: METIS, KaHIP, min-cost-flow k-means.

They are not installed with the product: `make peers` adds them from requirements/peers.lock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from balancing import Instance

Alignment = NDArray[np.int32]

# METIS and KaHIP want whole weights; the sum has to stay below 2³¹.
WEIGHT_SUM = 2_000_000_000
N_CENTRES, N_LLOYD_STEPS = 16, 10


def metis(instance: Instance, n_territories: int, tolerance: float) -> Alignment:
    """k-way METIS, contiguous (Karypis and Kumar 1998)."""
    import pymetis

    # `ufactor` is the allowed imbalance in thousandths.
    options = pymetis.Options(ufactor=max(1, round(1000 * tolerance)), contig=1)
    graph = instance.graph
    _, parts = pymetis.part_graph(
        n_territories,
        xadj=graph.indptr,
        adjncy=graph.indices,
        vweights=_whole_weights(instance),
        recursive=False,
        options=options,
    )
    return np.asarray(parts, dtype=np.int32)


def kahip(instance: Instance, n_territories: int, tolerance: float) -> Alignment:
    """KaFFPa in its "eco" mode (Sanders and Schulz 2011); not bound to be contiguous."""
    import kahip as library

    graph, eco = instance.graph, 1
    weights = _whole_weights(instance)
    _, parts = library.kaffpa(
        weights.tolist(), graph.indptr.tolist(), [1] * len(graph.indices),
        graph.indices.tolist(), n_territories, tolerance, True, 0, eco,
    )  # fmt: skip
    return np.asarray(parts, dtype=np.int32)


def flow(instance: Instance, n_territories: int, tolerance: float) -> Alignment:
    """Lloyd's k-means with a min-cost flow to the 16 nearest centres; split units are rounded."""
    points = np.stack([instance.x_m, instance.y_m], axis=1)
    work = instance.activity[:, 0]
    generator = np.random.default_rng(0)
    first = generator.choice(instance.n_units, n_territories, replace=False, p=work / work.sum())
    centres = points[first]
    alignment = np.zeros(instance.n_units, np.int32)
    for _ in range(N_LLOYD_STEPS):
        alignment = _flow_assignment(points, work, centres, tolerance)
        mass = np.bincount(alignment, work, n_territories)
        for axis in range(2):
            moment = np.bincount(alignment, work * points[:, axis], n_territories)
            centres[:, axis] = np.where(
                mass > 0, moment / np.where(mass > 0, mass, 1), centres[:, axis]
            )
    return alignment


def _flow_assignment(
    points: NDArray[np.float64],
    work: NDArray[np.float64],
    centres: NDArray[np.float64],
    tolerance: float,
) -> Alignment:
    from ortools.graph.python import min_cost_flow

    n_units, n_centres = len(points), len(centres)
    n_near = min(N_CENTRES, n_centres)
    away, near = KDTree(centres).query(points, n_near)
    supply = np.round(work / work.sum() * 1e7).astype(np.int64)
    cost = np.round((away / away.mean()) ** 2 * 1000).astype(np.int64)
    solver = min_cost_flow.SimpleMinCostFlow()
    tails = np.repeat(np.arange(n_units), n_near)
    heads = n_units + near.ravel()
    arcs = solver.add_arcs_with_capacity_and_unit_cost(
        tails, heads, np.repeat(supply, n_near), cost.ravel()
    )
    room = np.full(n_centres, int(supply.sum() / n_centres * (1 + tolerance)) + 1)
    sink = n_units + n_centres
    solver.add_arcs_with_capacity_and_unit_cost(
        n_units + np.arange(n_centres), np.full(n_centres, sink), room, np.zeros(n_centres, int)
    )
    solver.set_nodes_supplies(np.append(np.arange(n_units), sink), np.append(supply, -supply.sum()))
    solver.solve_max_flow_with_min_cost()
    shares = solver.flows(arcs).reshape(n_units, n_near)
    # Units without work, and ties, go to the nearest of the centres with the largest share.
    chosen: Alignment = near[np.arange(n_units), shares.argmax(axis=1)].astype(np.int32)
    return chosen


def _whole_weights(instance: Instance) -> NDArray[np.int64]:
    work = instance.activity[:, 0]
    weights: NDArray[np.int64] = np.round(work / work.sum() * WEIGHT_SUM).astype(np.int64)
    return weights


PEERS: dict[str, Callable[[Instance, int, float], Alignment]] = {
    "metis": metis,
    "kahip": kahip,
    "flow": flow,
}
