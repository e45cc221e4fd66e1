"""Which units count as touching: barriers cut links, bridges add some, borders make some dear."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.plans.places import Places
from app.plans.request import PlanRequest
from geo.adjacency import Adjacency
from geo.barriers import crossed_links
from geo.geojson import Barrier, barrier_from_geojson

Cells = NDArray[np.uint64]
Pairs = NDArray[np.int32]
Floats = NDArray[np.float64]

NO_PAIRS = np.empty((0, 2), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of units, (n, 2) each: what a request says of links.

    `bridge_numbers` is the bridge of the request each pair of `bridges` comes from; `strengths`
    belongs to `discouraged`.
    """

    forbidden: Pairs
    bridges: Pairs
    bridge_numbers: tuple[int, ...]
    discouraged: Pairs
    strengths: Floats

    def among(self, units: NDArray[np.int32], n_units: int) -> "Links":
        """Return the links between some of `n_units` units, numbered by their place among them."""
        place = np.full(n_units, -1, dtype=np.int32)
        place[units] = np.arange(len(units), dtype=np.int32)

        def restricted(pairs: Pairs) -> tuple[Pairs, NDArray[np.bool_]]:
            moved = place[pairs]
            stays = np.all(moved >= 0, axis=1)
            return moved[stays], stays

        bridges, stay = restricted(self.bridges)
        discouraged, are_left = restricted(self.discouraged)
        return Links(
            forbidden=restricted(self.forbidden)[0],
            bridges=bridges,
            bridge_numbers=tuple(np.array(self.bridge_numbers, dtype=int)[stay].tolist()),
            discouraged=discouraged,
            strengths=self.strengths[are_left],
        )


def find_links(request: PlanRequest, cells: Cells, adjacency: Adjacency) -> Links:
    """Return what the barriers, borders and bridges of a request come to between units.

    Raises
    ------
    InvalidInput
        When an end of a bridge is far from every unit.
    """
    bridges, numbers = _bridges(request, Places(cells))
    discouraged, strengths = _discouraged(request, cells, adjacency)
    return Links(_forbidden(request, cells, adjacency), bridges, numbers, discouraged, strengths)


def _forbidden(request: PlanRequest, cells: Cells, adjacency: Adjacency) -> Pairs:
    shapes = [barrier_from_geojson(barrier.geometry) for barrier in request.barriers]
    return np.unique(_crossed(cells, adjacency, shapes), axis=0)


def _discouraged(request: PlanRequest, cells: Cells, adjacency: Adjacency) -> tuple[Pairs, Floats]:
    """Every pair once, with the greatest of its strengths: counties share their borders."""
    by_strength = defaultdict(list)
    for wish in request.discouraged:
        by_strength[wish.strength].append(barrier_from_geojson(wish.geometry))
    pairs, strengths = [NO_PAIRS], [np.empty(0)]
    for strength, shapes in by_strength.items():
        found = _crossed(cells, adjacency, shapes)
        pairs.append(found)
        strengths.append(np.full(len(found), strength))
    distinct, row = np.unique(np.concatenate(pairs), axis=0, return_inverse=True)
    greatest = np.zeros(len(distinct))
    np.maximum.at(greatest, row.reshape(-1), np.concatenate(strengths))
    return distinct, greatest


def _crossed(cells: Cells, adjacency: Adjacency, shapes: Sequence[Barrier]) -> Pairs:
    """Pairs of touching units with a line, or the border of an area, between their centres.

    All at once, since each search walks over all links; areas by their borders, because areas
    that touch would lose the border between them when taken together. Those that reach the
    antimeridian are searched one by one: there the edge of the map is no border.
    """
    apart = [shape for shape in shapes if _reaches_seam(shape)]
    together = [shape for shape in shapes if not _reaches_seam(shape)]
    lines = [shape.boundary if _is_area(shape) else shape for shape in together]
    found: list[NDArray[np.integer[Any]]] = [NO_PAIRS]
    if lines:
        found.append(crossed_links(cells, adjacency, shapely.GeometryCollection(lines)))
    found += [crossed_links(cells, adjacency, shape) for shape in apart]
    return np.concatenate(found).astype(np.int32)


def _is_area(shape: Barrier) -> bool:
    return shape.geom_type in ("Polygon", "MultiPolygon")


def _reaches_seam(shape: Barrier) -> bool:
    west, _, east, _ = shape.bounds
    return _is_area(shape) and (west <= -180.0 or east >= 180.0)


def _bridges(request: PlanRequest, places: Places) -> tuple[Pairs, tuple[int, ...]]:
    """Pairs of units, without bridges inside one unit: those hold by themselves."""
    pairs, numbers = [], []
    for number, bridge in enumerate(request.bridges):
        ends = [
            _landing(places, *point, f"/bridges/{number}/{name}")
            for name, point in (("from", bridge.from_), ("to", bridge.to))
        ]
        if ends[0] != ends[1]:
            pairs.append(ends)
            numbers.append(number)
    return np.array(pairs, dtype=np.int32).reshape(-1, 2), tuple(numbers)


def _landing(places: Places, lon: float, lat: float, pointer: str) -> int:
    unit = places.near_point(lon, lat)
    if unit is None:
        fault = Fault("outside", f"{lon}, {lat} is farther than two cells from the plan", pointer)
        raise InvalidInput("A bridge ends outside of the plan.", [fault])
    return unit
