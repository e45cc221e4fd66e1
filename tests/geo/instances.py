"""Cell sets and alignments the tests are made of."""

import csv
import gzip
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from geo.cells import CellArray, IntArray, cell_from_point, points_from_cells, resolutions
from geo.sphere import unit_vectors

# For properties tried on generated instances. Time is no property of a shared machine.
law = settings(deadline=None, max_examples=30)

# Ordinary ground, both sides of the antimeridian at Fiji and Chukotka, both poles.
NOTABLE_PLACES = [
    (116.4, 39.9),
    (-0.1, 51.5),
    (179.99, -17.0),
    (-179.9, 66.0),
    (12.0, 89.9),
    (-60.0, -89.95),
    (0.0, 0.0),
]
PENTAGONS_4 = sorted(int(cell) for cell in h3.get_pentagons(4))


def disk(lon: float, lat: float, resolution: int, k: int) -> CellArray:
    """Sorted cells within k steps of the one containing a point."""
    return disk_around(cell_from_point(lon, lat, resolution), k)


def disk_around(cell: int, k: int) -> CellArray:
    return np.sort(np.asarray(h3.grid_disk(cell, k), dtype=np.uint64))


def nearest_seed(cells: CellArray, k: int, seed: int) -> IntArray:
    """An alignment into k roughly round territories."""
    points = unit_vectors(*points_from_cells(cells))
    seeds = np.random.default_rng(seed).choice(len(cells), size=min(k, len(cells)), replace=False)
    return np.argmax(points @ points[seeds].T, axis=1)


def read_rows(path: Path) -> list[dict[str, str]]:
    """A compressed CSV of the shared data; skips the test where it is absent."""
    if not path.exists():
        pytest.skip(f"needs {path}")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> npt.NDArray[np.float64]:
    return np.array([float(row[name]) for row in rows])


@st.composite
def cells_anywhere(
    draw: st.DrawFn, finest: int = 15, coarsest: int = 0, max_size: int = 30
) -> CellArray:
    """Distinct sorted cells of one resolution from all over the globe, pentagons among them."""
    resolution = draw(st.integers(coarsest, finest))
    points = draw(
        st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=max_size)
    )
    found = {cell_from_point(lon, lat, resolution) for lon, lat in points}
    found |= set(draw(st.lists(st.sampled_from(h3.get_pentagons(resolution).tolist()), max_size=3)))
    return np.array(sorted(found), dtype=np.uint64)


@st.composite
def neighbourhoods(draw: st.DrawFn) -> CellArray:
    """A disk of cells at a notable place or round a pentagon, some of its cells left out."""
    centre = draw(
        st.one_of(
            st.sampled_from(PENTAGONS_4),
            st.builds(
                lambda place, resolution: cell_from_point(*place, resolution),
                st.sampled_from(NOTABLE_PLACES),
                st.integers(3, 9),
            ),
        )
    )
    cells = disk_around(centre, draw(st.integers(1, 5)))
    kept = np.random.default_rng(draw(st.integers(0, 999))).random(len(cells))
    chosen = cells[kept < draw(st.sampled_from([0.5, 0.8, 1.0]))]
    return chosen if len(chosen) else cells


@st.composite
def mixed_neighbourhoods(draw: st.DrawFn, deepest: int = 3) -> CellArray:
    """A neighbourhood with some of its cells split, and some of theirs, and a few left out."""
    cells = draw(neighbourhoods())[:61]
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    share = draw(st.sampled_from([0.05, 0.2, 0.5]))
    for _ in range(draw(st.integers(1, deepest))):
        finest = resolutions(cells) == resolutions(cells).max()
        chosen = finest & (generator.random(len(cells)) < share)
        chosen[generator.choice(np.flatnonzero(finest))] = True
        cells = split(cells, chosen)
    kept = generator.random(len(cells)) < draw(st.sampled_from([0.9, 1.0]))
    return cells[kept] if kept.any() else cells


def split(cells: CellArray, chosen: npt.NDArray[np.bool_]) -> CellArray:
    """The cells with the chosen ones replaced by their children, sorted."""
    children = [h3.cell_to_children(cell) for cell in cells[chosen].tolist()]
    return np.sort(np.concatenate([cells[~chosen], *children]).astype(np.uint64))


def finest_owners(cells: CellArray) -> tuple[dict[int, int], int]:
    """The unit of every descendant of a mixed set at its finest resolution, by h3 alone."""
    finest = int(resolutions(cells).max())
    owners = {
        int(fine): unit
        for unit, cell in enumerate(cells.tolist())
        for fine in h3.cell_to_children(cell, finest)
    }
    return owners, finest
