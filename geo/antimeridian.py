"""Cutting at 180 degrees: rings that run round the globe, and polygons that leave the map."""

from __future__ import annotations

from typing import cast

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geo.sphere import FloatArray, unit_vectors

Polygonal = Polygon | MultiPolygon

# The map's corners as stations on a walk round it, counter-clockwise from the south-west corner.
_CORNERS = {1: (180.0, -90.0), 2: (180.0, 90.0), 3: (-180.0, 90.0), 4: (-180.0, -90.0)}


def cut_rings(rings: list[FloatArray]) -> list[FloatArray]:
    """Closed rings of one territory, all of them crossing, as closed rings within ±180 degrees.

    The territory lies to the left of every ring, and edges run the shorter way round the globe.
    Where a ring leaves the map the result follows the map's edge counter-clockwise to the next
    place where one comes back, over a pole if need be; so a territory round a pole, and a band
    round the globe, come out right without being special cases. The method is that of
    ``clipAntimeridian`` in d3-geo.
    """
    chains = [chain for ring in rings for chain in _chains(ring)]
    starts = np.array([_station(*chain[0]) for chain in chains])
    remaining = set(range(len(chains)))
    closed = []
    while remaining:
        first = current = min(remaining)
        pieces: list[FloatArray] = []
        while True:
            remaining.discard(current)
            pieces.append(chains[current])
            following, corners = _next_start(_station(*chains[current][-1]), starts)
            pieces.append(corners)
            if following == first:
                break
            current = following
        closed.append(np.concatenate([*pieces, chains[first][:1]]))
    return closed


def _chains(ring: FloatArray) -> list[FloatArray]:
    """The parts of a crossing ring between its crossings, each from map edge to map edge."""
    jumps = np.flatnonzero(np.abs(np.diff(ring[:, 0])) > 180.0)
    latitudes = _crossing_latitudes(ring[jumps], ring[jumps + 1])
    sides = np.copysign(180.0, ring[jumps, 0])
    leaving = np.column_stack([sides, latitudes])
    entering = np.column_stack([-sides, latitudes])
    open_ring = ring[:-1]
    chains = []
    for i, jump in enumerate(jumps):
        following = (i + 1) % len(jumps)
        if following > i:
            inner = open_ring[jump + 1 : jumps[following] + 1]
        else:
            inner = np.concatenate([open_ring[jump + 1 :], open_ring[: jumps[following] + 1]])
        chains.append(np.concatenate([entering[i : i + 1], inner, leaving[[following]]]))
    return chains


def _crossing_latitudes(before: FloatArray, after: FloatArray) -> FloatArray:
    """Latitudes where great circles between points on both sides meet the antimeridian."""
    # The eastern point always first, so that both neighbours of an edge get identical numbers.
    swap = before[:, :1] < 0
    p, q = np.where(swap, after, before), np.where(swap, before, after)
    normals = np.cross(unit_vectors(p[:, 0], p[:, 1]), unit_vectors(q[:, 0], q[:, 1]))
    return np.asarray(np.degrees(np.arctan(normals[:, 0] / normals[:, 2])))


def _station(lon: float, lat: float) -> float:
    """Place of a point of the map's left or right edge on the walk round it, from 0 to 4."""
    return 1.0 + (lat + 90.0) / 180.0 if lon > 0 else 3.0 + (90.0 - lat) / 180.0


def _next_start(station: float, starts: FloatArray) -> tuple[int, FloatArray]:
    """The chain that starts next on the walk, and the corners passed on the way, (c, 2)."""
    steps = (starts - station) % 4.0
    following = int(np.argmin(steps))
    passed = [
        _CORNERS[(corner - 1) % 4 + 1]
        for corner in range(int(np.floor(station)) + 1, 9)
        if station < corner < station + steps[following]
    ]
    return following, np.array(passed).reshape(-1, 2)


def onto_one_map(geometry: Polygonal) -> Polygonal:
    """A polygon with the ground beyond ±180 degrees moved to where it is on the map.

    Edges stay straight in longitude and latitude. Always a new object.
    """
    if geometry.is_empty:
        return geometry
    west, _, east, _ = geometry.bounds
    turns = range(int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east - 180.0) / 360.0)) + 1)
    world = shapely.box(-180.0, -90.0, 180.0, 90.0)
    pieces = []
    for turn in turns:
        moved = shapely.transform(geometry, lambda xy, turn=turn: xy - [360.0 * turn, 0.0])
        # Parts that only touch the map's edge come back as points and lines.
        parts = shapely.get_parts(moved if len(turns) == 1 else shapely.intersection(moved, world))
        pieces += [part for part in parts if part.geom_type == "Polygon"]
    if len(turns) == 1:
        return cast("Polygonal", pieces[0] if len(pieces) == 1 else MultiPolygon(pieces))
    return cast("Polygonal", shapely.union_all(pieces))
