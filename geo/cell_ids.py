"""The arithmetic of H3 cell ids, which needs no H3 library.

An id is 64 bits: mode (4 bits from bit 59), resolution (4 bits from bit 52), base cell (7 bits
from bit 45), then fifteen digits of three bits, the first at bit 42; unused digits are 7. See
https://h3geo.org/docs/core-library/h3Indexing and research/infra.md §2.5. Every function works
on cells of mixed resolutions, since a cell carries its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.errors import CellError

CellArray = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

FINEST_RESOLUTION = 15
CUSTOMER_RESOLUTION = 12
"""Customers are stored by their cell of this resolution; coarser membership derives from it."""

PENTAGON_BASE_CELLS = np.array([4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117], dtype=np.uint64)

_RESOLUTION_SHIFT = np.uint64(52)
_RESOLUTION_MASK = np.uint64(15 << 52)
_BASE_CELL_SHIFT = np.uint64(45)


def as_cells(cells: npt.ArrayLike) -> CellArray:
    """The ids as a one-dimensional ``uint64`` array, copied only when they are not one yet."""
    return np.atleast_1d(np.asarray(cells, dtype=np.uint64))


def resolutions(cells: npt.ArrayLike) -> IntArray:
    """Resolution of each cell, (n,) integers 0 to 15, read from the id without checking it."""
    fields = (as_cells(cells) & _RESOLUTION_MASK) >> _RESOLUTION_SHIFT
    return fields.astype(np.int64)


def single_resolution(cells: npt.ArrayLike) -> int:
    """The one resolution all cells have.

    Raises
    ------
    CellError
        ``no_cells`` for an empty set, ``mixed_resolutions`` when there are several.
    """
    found = np.unique(resolutions(cells))
    if len(found) == 0:
        raise CellError("no_cells", "a cell set without cells has no resolution")
    if len(found) > 1:
        raise CellError(
            "mixed_resolutions",
            f"cells of one resolution are needed here, found {found.tolist()}",
            resolutions=found.tolist(),
        )
    return int(found[0])


def ancestors(cells: npt.ArrayLike, resolution: int) -> CellArray:
    """The logical ancestor of each cell at a resolution; a cell of that resolution is its own.

    Returns
    -------
    (n,) uint64 in the order given.

    Raises
    ------
    CellError
        ``coarser_than_asked`` when a cell is coarser than ``resolution``.
    """
    check_resolution(resolution)
    ids = as_cells(cells)
    _refuse_coarser(ids, resolution, "ancestor")
    unused_digits = np.uint64((1 << digit_shift(resolution)) - 1)
    return (ids & ~_RESOLUTION_MASK) | np.uint64(resolution << 52) | unused_digits


def descendant_range(
    cells: npt.ArrayLike, resolution: int = CUSTOMER_RESOLUTION
) -> tuple[CellArray, CellArray]:
    """Lowest and highest id, both inclusive, that logical descendants at a resolution can have.

    Among valid ids of that resolution exactly the descendants lie between the two, so that SQL
    can ask ``cell BETWEEN low AND high`` of a btree.

    Raises
    ------
    CellError
        ``finer_than_asked`` when a cell is finer than ``resolution``.
    """
    check_resolution(resolution)
    ids = as_cells(cells)
    own = resolutions(ids)
    if np.any(own > resolution):
        worst = int(np.argmax(own))
        raise CellError(
            "finer_than_asked",
            f"cell {int(ids[worst]):x} has resolution {int(own[worst])}: no descendants at "
            f"resolution {resolution}",
            index=worst,
        )
    open_digits = _digit_mask(own, resolution)
    stem = (ids & ~_RESOLUTION_MASK & ~open_digits) | np.uint64(resolution << 52)
    # Digit 6 in every open place: 0b110 repeated is two thirds of 0b111… bit by bit.
    highest = open_digits & np.uint64(0o666666666666666)
    return stem, stem | highest


def joined_ranges(
    cells: npt.ArrayLike, resolution: int = CUSTOMER_RESOLUTION
) -> tuple[CellArray, CellArray]:
    """As few ranges of ids as the descendants of disjoint cells have; see `descendant_range`.

    Cells that follow one another on H3's curve, as most of a compact set do, share a range.

    Raises
    ------
    CellError
        ``finer_than_asked`` when a cell is finer than ``resolution``.
    """
    low, high = descendant_range(np.sort(as_cells(cells)), resolution)
    order = np.argsort(low)
    low, high = low[order], high[order]
    begins = np.ones(len(low), dtype=np.bool_)
    begins[1:] = low[1:] != _next_id(high[:-1], resolution)
    return low[begins], high[np.roll(begins, -1)]


def _next_id(ids: CellArray, resolution: int) -> CellArray:
    """Return the id after each, were no cell a pentagon: those lack a child and make a gap."""
    unused = np.uint64(3 * (15 - resolution))
    following = (ids >> unused) + np.uint64(1)
    for digit in range(resolution):
        place = np.uint64(3 * digit)
        is_past_last = (following >> place) & np.uint64(7) == np.uint64(7)
        following[is_past_last] += np.uint64(1) << place
    return (following << unused) | (ids & ((np.uint64(1) << unused) - np.uint64(1)))


def descendants(cells: npt.ArrayLike, resolution: int) -> CellArray:
    """Every logical descendant of every cell at a resolution, sorted, each once if cells are.

    Seven per level and hexagon; a pentagon has no child of digit 1.
    """
    check_resolution(resolution)
    ids = np.sort(as_cells(cells))
    own = resolutions(ids)
    parts = []
    for coarse in np.unique(own):
        part = ids[own == coarse]
        for level in range(int(coarse), resolution):
            part = _children(part, level + 1)
        parts.append(part)
    return np.sort(np.concatenate(parts)) if parts else ids


def are_pentagons(cells: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which cells are pentagons: on one of twelve base cells with every digit 0."""
    ids = as_cells(cells)
    base = (ids >> _BASE_CELL_SHIFT) & np.uint64(127)
    used = ids & _digit_mask(np.zeros(len(ids), dtype=np.int64), FINEST_RESOLUTION)
    used &= ~_low_bits(resolutions(ids))
    return np.asarray(np.isin(base, PENTAGON_BASE_CELLS) & (used == 0))


def base_cells() -> CellArray:
    """The 122 cells of resolution 0, sorted."""
    no_digits = np.uint64((1 << 59) | ((1 << 45) - 1))
    return no_digits | (np.arange(122, dtype=np.uint64) << _BASE_CELL_SHIFT)


def n_cells_on_earth(resolution: int) -> int:
    """How many cells a resolution has, 12 of them pentagons."""
    check_resolution(resolution)
    return int(2 + 120 * 7**resolution)


def distinct(cells: CellArray) -> CellArray:
    """The ids of an array of any shape, sorted, each once.

    Sorting beats the hash table of ``np.unique`` tenfold on ids, which are many and repeat little.
    """
    ids = np.sort(cells, axis=None)
    return ids[np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])]


def check_resolution(resolution: int) -> None:
    """Refuse a resolution that H3 does not have (``unknown_resolution``)."""
    if not 0 <= resolution <= FINEST_RESOLUTION:
        raise CellError(
            "unknown_resolution",
            f"resolution {resolution} is not between 0 and {FINEST_RESOLUTION}",
            resolution=resolution,
        )


def digit_shift(resolution: int) -> int:
    """Bit position of the digit a resolution adds; below it lie the digits of finer ones."""
    return 3 * (FINEST_RESOLUTION - resolution)


def _children(cells: CellArray, resolution: int) -> CellArray:
    shift = np.uint64(digit_shift(resolution))
    stem = (cells & ~_RESOLUTION_MASK & ~(np.uint64(7) << shift)) | np.uint64(resolution << 52)
    children = stem[:, None] | (np.arange(7, dtype=np.uint64) << shift)
    keep = np.ones(children.shape, dtype=np.bool_)
    keep[are_pentagons(cells), 1] = False
    return children[keep]


def _low_bits(own: IntArray) -> CellArray:
    """The bits of the digits finer than each resolution, all set."""
    shifts = (3 * (FINEST_RESOLUTION - own)).astype(np.uint64)
    return (np.uint64(1) << shifts) - np.uint64(1)


def _digit_mask(own: IntArray, resolution: int) -> CellArray:
    """The bits of the digits from each cell's own resolution (excluded) to another (included)."""
    finer_still = np.uint64((1 << digit_shift(resolution)) - 1)
    return _low_bits(own) & ~finer_still


def _refuse_coarser(ids: CellArray, resolution: int, wanted: str) -> None:
    own = resolutions(ids)
    if np.any(own < resolution):
        worst = int(np.argmin(own))
        raise CellError(
            "coarser_than_asked",
            f"cell {int(ids[worst]):x} has resolution {int(own[worst])}: no {wanted} at "
            f"resolution {resolution}",
            index=worst,
        )
