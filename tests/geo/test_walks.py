import numpy as np
import pytest

from geo.cell_ids import ancestors, base_cells, descendants
from geo.cells import edge_vertices, neighbour_rings
from geo.sphere import unit_vectors


@pytest.mark.parametrize("resolution", [0, 1, 2, 3])
def test_three_finer_edges_run_along_every_edge_on_earth_and_between_its_ends(resolution):
    coarse, fine = (descendants(base_cells(), level) for level in (resolution, resolution + 1))
    coarse_rings, rings = neighbour_rings(coarse), neighbour_rings(fine)
    parents = ancestors(fine, resolution)
    across = np.zeros_like(rings)
    across[rings != 0] = ancestors(rings[rings != 0], resolution)
    cell, position = np.nonzero((across != 0) & (across != parents[:, None]))
    own, other = parents[cell], across[cell, position]
    row = np.searchsorted(coarse, own)
    place = np.argmax(coarse_rings[row] == other[:, None], axis=1)

    assert np.all(coarse_rings[row, place] == other)
    n_finer = np.bincount(row * 6 + place, minlength=6 * len(coarse)).reshape(-1, 6)
    assert np.all(n_finer == np.where(coarse_rings != 0, 3, 0))

    n_neighbours = np.where(rings[cell, 5] == 0, 5, 6)
    before = across[cell, (position - 1) % n_neighbours]
    starts = (before != own) & (before != other)
    assert starts.sum() * 3 == len(cell)
    fine_lines, _ = edge_vertices(fine[cell[starts]], position[starts])
    coarse_lines, _ = edge_vertices(own[starts], place[starts])
    gaps = unit_vectors(*fine_lines[:, 0].T) - unit_vectors(*coarse_lines[:, 0].T)
    assert np.abs(gaps).max() < 1e-14
