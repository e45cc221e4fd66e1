"""Instances to test with: patches of hexagons, whole or with holes, in one piece or several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numba
import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from balancing import Graph, Instance
from balancing.problem import Bands, Component, Problem, make_bands, make_problem

Hexagon = tuple[int, int]

# False in the pass that runs the kernels as Python, some hundred times slower.
IS_COMPILED = not numba.config.DISABLE_JIT

# Axial steps to the six neighbours, counter-clockwise.
STEPS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))


def examples(number: int) -> int:
    """How many of so many generated instances there is time for."""
    return number if IS_COMPILED else number // 5 + 1


def parallelogram(width: int, height: int, left: int = 0) -> list[Hexagon]:
    return [(left + q, r) for r in range(height) for q in range(width)]


def hexagon_graph(hexagons: Iterable[Hexagon], *, is_ring_ordered: bool = True) -> Graph:
    number = {hexagon: index for index, hexagon in enumerate(hexagons)}
    rows = [
        [number[q + dq, r + dr] for dq, dr in STEPS if (q + dq, r + dr) in number]
        for q, r in number
    ]
    if not is_ring_ordered:
        rows = [sorted(row) for row in rows]
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([index for row in rows for index in row], dtype=np.int32)
    return Graph(indptr, indices, is_ring_ordered)


def hexagon_instance(
    hexagons: Iterable[Hexagon], activity: ArrayLike, *, is_ring_ordered: bool = True
) -> Instance:
    hexagons = list(hexagons)
    columns = np.array(activity, dtype=np.float64).reshape(len(hexagons), -1)
    q, r = np.array(hexagons, dtype=np.float64).T
    return Instance(
        hexagon_graph(hexagons, is_ring_ordered=is_ring_ordered),
        x_m=1000 * (q + r / 2),
        y_m=1000 * r * np.sqrt(0.75),
        activity=columns,
        measure_names=tuple(f"measure_{number}" for number in range(columns.shape[1])),
    )


def path_instance(activity: ArrayLike) -> Instance:
    activity = np.asarray(activity, dtype=np.float64)
    return hexagon_instance(parallelogram(len(activity), 1), activity)


def one_component(instance: Instance, n_territories: int, **wishes: Any) -> Component:
    """A component of plain wishes; `wishes` replaces fields of it."""
    nothing = np.zeros(n_territories)
    plain: dict[str, Any] = {
        "graph": instance.graph,
        "x_m": instance.x_m,
        "y_m": instance.y_m,
        "weight": instance.compactness_weight,
        "activity": instance.activity,
        "edge_weight": np.ones(len(instance.graph.indices)),
        "lock": np.full(instance.n_units, -1, np.int32),
        "targets": np.outer(
            np.full(n_territories, 1 / n_territories), instance.activity.sum(axis=0)
        ),
        "anchor_x_m": nothing,
        "anchor_y_m": nothing,
        "pull": nothing,
        "objective": "moment_of_inertia",
        "max_radius_m": np.inf,
    }
    return Component(**{**plain, **wishes})


def one_component_problem(
    instance: Instance, n_territories: int, tolerance: float = 0.05, **wishes: Any
) -> tuple[Problem, Bands]:
    component = one_component(instance, n_territories, **wishes)
    n_measures = instance.n_measures
    bands = make_bands(
        component,
        np.full(n_measures, tolerance),
        np.ones(n_measures),
        np.zeros(n_measures),
        np.full(n_measures, np.inf),
    )
    return make_problem(component), bands


@st.composite
def hexagon_sets(draw: st.DrawFn, *, most_components: int = 3) -> list[Hexagon]:
    """Up to three pieces far apart, each with cells knocked out, which may tear it further."""
    hexagons: list[Hexagon] = []
    for component in range(draw(st.integers(1, most_components))):
        width, height = draw(st.integers(1, 8)), draw(st.integers(1, 8))
        piece = parallelogram(width, height, left=20 * component)
        holes = draw(st.sets(st.sampled_from(piece), max_size=len(piece) // 4))
        hexagons += [hexagon for hexagon in piece if hexagon not in holes]
    return hexagons


@st.composite
def instances(draw: st.DrawFn, *, most_components: int = 3, most_measures: int = 2) -> Instance:
    hexagons = draw(hexagon_sets(most_components=most_components))
    n_measures = draw(st.integers(1, most_measures))
    seed = draw(st.integers(0, 2**32 - 1))
    kind = draw(st.sampled_from(("even", "ragged", "heavy-tailed")))
    generator = np.random.default_rng(seed)
    shape = (len(hexagons), n_measures)
    activity = {
        "even": lambda: generator.uniform(0.8, 1.2, shape),
        "ragged": lambda: generator.uniform(0, 1, shape) * (generator.random(shape) < 0.7),
        "heavy-tailed": lambda: generator.pareto(1.2, shape),
    }[kind]()
    activity[draw(st.integers(0, len(hexagons) - 1)), 0] += 1.0
    return hexagon_instance(hexagons, activity, is_ring_ordered=draw(st.booleans()))
