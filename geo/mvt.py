"""Mapbox Vector Tile 2.1, written from arrays: points and polygons, and what is said of them.

See https://github.com/mapbox/vector-tile-spec/tree/master/2.1. A feature is nothing but varints
(keys and lengths of protobuf are such too), so all features of a layer are laid out as one array of
numbers, which is turned into bytes at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Keys of protobuf: number of the field times eight, and 0 for a varint, 1 for eight bytes, 2 for
# bytes with their length before them.
_LAYER, _VERSION, _NAME, _FEATURE, _KEY, _VALUE, _EXTENT = 0x1A, 0x78, 0x0A, 0x12, 0x1A, 0x22, 0x28
_TAGS, _TYPE, _GEOMETRY = 0x12, 0x18, 0x22
_TEXT, _DOUBLE, _COUNT = 0x0A, 0x19, 0x28

_POINT, _POLYGON = 1, 3
_MOVE_TO_ONE, _LINE_TO, _CLOSE = 9, 2, 15
_HEXADECIMAL = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_CELL_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one property: `n` of them as bytes, and which each feature (m,) has; -1 is none."""

    data: bytes
    n: int
    indices: IntArray


@dataclass(frozen=True, slots=True)
class Geometries:
    """Commands of all features one after another; feature i owns those from offsets[i] on."""

    kind: int
    commands: IntArray
    offsets: IntArray


def layer(
    name: str, extent: int, geometries: Geometries, properties: Mapping[str, Values]
) -> bytes:
    """The tile of one layer, or nothing if it has no features: a layer must have one."""
    if len(geometries.offsets) == 1:
        return b""
    parts = [_field(_NAME, name.encode()), _features(geometries, list(properties.values()))]
    parts += [_field(_KEY, key.encode()) for key in properties]
    parts += [values.data for values in properties.values()]
    parts += [_varints(np.array([_EXTENT, extent, _VERSION, 2]))]
    return _field(_LAYER, b"".join(parts))


def points(places: IntArray) -> Geometries:
    """A feature for each place (n, 2), in units of the tile."""
    commands = np.column_stack([np.full(len(places), _MOVE_TO_ONE), _zigzag(places)])
    return Geometries(_POINT, commands.ravel(), 3 * np.arange(len(places) + 1))


def polygons(vertices: IntArray, offsets: IntArray, owners: IntArray) -> Geometries:
    """A feature for each owner, of the rings that are its own, all of them outer ones.

    Parameters
    ----------
    vertices : (m, 2)
        In units of the tile, of all rings one after another, clockwise as seen on the map (y runs
        down) and not closed.
    offsets : (n_rings + 1,)
        Ring i owns vertices from offsets[i] on, three or more.
    owners : (n_rings,)
        Ascending, from 0 on without a gap.
    """
    sizes = np.diff(offsets)
    # Begin, its place, go on, the other places, close.
    starts = np.concatenate([[0], np.cumsum(2 * sizes + 3)])
    ring = np.repeat(np.arange(len(sizes)), sizes)
    nth = np.arange(len(vertices)) - offsets[ring]
    commands = np.empty(starts[-1], dtype=np.int64)
    at = starts[ring] + 2 * nth + np.where(nth == 0, 1, 2)
    steps = _zigzag(_steps(vertices, offsets, owners))
    commands[at], commands[at + 1] = steps[:, 0], steps[:, 1]
    commands[starts[:-1]] = _MOVE_TO_ONE
    commands[starts[:-1] + 3] = (sizes - 1) << 3 | _LINE_TO
    commands[starts[1:] - 1] = _CLOSE
    firsts = np.flatnonzero(np.diff(owners, prepend=-1))
    return Geometries(_POLYGON, commands, starts[np.append(firsts, len(sizes))])


def texts(values: Sequence[str], indices: IntArray) -> Values:
    """Some texts, and the index of that of each feature."""
    data = b"".join(_field(_VALUE, _field(_TEXT, value.encode())) for value in values)
    return Values(data, len(values), indices)


def cells(ids: npt.NDArray[np.uint64]) -> Values:
    """An H3 cell of each feature, hexadecimal; no two are the same."""
    shifts = np.arange(4 * _CELL_DIGITS - 4, -1, -4).astype(np.uint64)
    rows = np.empty((len(ids), 4 + _CELL_DIGITS), dtype=np.uint8)
    rows[:, :4] = (_VALUE, 2 + _CELL_DIGITS, _TEXT, _CELL_DIGITS)
    rows[:, 4:] = _HEXADECIMAL[(ids[:, None] >> shifts) & np.uint64(15)]
    return Values(rows.tobytes(), len(ids), np.arange(len(ids)))


def counts(numbers: IntArray, is_told: BoolArray | None = None) -> Values:
    """A number of 0 or more for each feature, or for those of which it is told."""
    distinct, indices = _distinct(numbers, is_told)
    key, kind = np.full(len(distinct), _VALUE), np.full(len(distinct), _COUNT)
    fields = np.column_stack([key, 1 + _n_bytes(distinct), kind, distinct])
    return Values(_varints(fields.ravel()), len(distinct), indices)


def doubles(numbers: FloatArray, is_told: BoolArray | None = None) -> Values:
    """A number for each feature, or for those of which it is told."""
    distinct, indices = _distinct(numbers, is_told)
    rows = np.empty((len(distinct), 11), dtype=np.uint8)
    rows[:, :3] = (_VALUE, 9, _DOUBLE)
    rows[:, 3:] = distinct.astype("<f8").view(np.uint8).reshape(-1, 8)
    return Values(rows.tobytes(), len(distinct), indices)


def _distinct(numbers: npt.NDArray[Any], is_told: BoolArray | None) -> tuple[Any, IntArray]:
    if is_told is None:
        distinct, indices = np.unique(numbers, return_inverse=True)
        return distinct, indices
    indices = np.full(len(numbers), -1)
    distinct, indices[is_told] = np.unique(numbers[is_told], return_inverse=True)
    return distinct, indices


def _steps(vertices: IntArray, offsets: IntArray, owners: IntArray) -> IntArray:
    """From where the feature was before to each vertex; a feature begins at the tile's corner."""
    steps = np.diff(vertices, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
    begins = offsets[:-1][np.diff(owners, prepend=-1) > 0]
    steps[begins] = vertices[begins]
    return steps


def _features(geometries: Geometries, properties: list[Values]) -> bytes:
    """Every feature as a field of the layer."""
    tags, tag_offsets = _tags(properties)
    n = len(geometries.offsets) - 1
    tag_bytes = _lengths(tags, tag_offsets)
    geometry_bytes = _lengths(geometries.commands, geometries.offsets)
    n_tags, n_commands = np.diff(tag_offsets), np.diff(geometries.offsets)
    whole = 4 + tag_bytes + geometry_bytes + _n_bytes(tag_bytes) + _n_bytes(geometry_bytes)
    # Its key and length, tags with theirs, the type, the geometry with its.
    starts = np.concatenate([[0], np.cumsum(8 + n_tags + n_commands)])
    heads, middles = starts[:-1], starts[:-1] + 4 + n_tags
    numbers = np.empty(starts[-1], dtype=np.int64)
    for place, values in enumerate((_FEATURE, whole, _TAGS, tag_bytes)):
        numbers[heads + place] = values
    for place, values in enumerate((_TYPE, geometries.kind, _GEOMETRY, geometry_bytes)):
        numbers[middles + place] = values
    feature = np.arange(n)
    numbers[np.arange(len(tags)) + np.repeat(heads + 4 - tag_offsets[:-1], n_tags)] = tags
    of_commands = np.repeat(feature, n_commands)
    shift = middles + 4 - geometries.offsets[:-1]
    numbers[np.arange(len(geometries.commands)) + shift[of_commands]] = geometries.commands
    return _varints(numbers)


def _tags(properties: list[Values]) -> tuple[IntArray, IntArray]:
    """Pairs of key and value that each feature has, one feature after another."""
    first, columns = 0, []
    for key, values in enumerate(properties):
        has = values.indices >= 0
        columns += [np.where(has, key, -1), np.where(has, values.indices + first, -1)]
        first += values.n
    table = np.column_stack(columns)
    is_told = table >= 0
    return table[is_told], np.concatenate([[0], np.cumsum(is_told.sum(axis=1))])


def _lengths(numbers: IntArray, offsets: IntArray) -> IntArray:
    """How many bytes the numbers of each feature take."""
    ends = np.concatenate([[0], np.cumsum(_n_bytes(numbers))])
    return np.asarray(np.diff(ends[offsets]))


def _n_bytes(numbers: IntArray) -> IntArray:
    n = np.ones(len(numbers), dtype=np.int64)
    rest = numbers >> 7
    while rest.any():
        n += rest > 0
        rest >>= 7
    return n


def _varints(numbers: IntArray) -> bytes:
    """The numbers seven bits a byte, the lowest first."""
    n_bytes = _n_bytes(numbers)
    starts = np.cumsum(n_bytes) - n_bytes
    data = np.empty(int(n_bytes.sum()), dtype=np.uint8)
    rest = numbers
    while len(rest):
        goes_on = rest > 0x7F
        data[starts] = (rest & 0x7F) | (goes_on.astype(np.int64) << 7)
        starts, rest = starts[goes_on] + 1, rest[goes_on] >> 7
    return data.tobytes()


def _zigzag(numbers: IntArray) -> IntArray:
    """Signed numbers so that those near zero are small: 0, -1, 1, -2 are 0, 1, 2, 3."""
    return (numbers << 1) ^ (numbers >> 63)


def _field(key: int, content: bytes) -> bytes:
    n = len(content)
    return bytes([key]) + (bytes([n]) if n <= 0x7F else _varints(np.array([n]))) + content
