"""Cells and points laid on tiles, against shapely laying them one by one."""

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.cells import ancestors, cells_from_points, cells_to_text, points_from_cells
from geo.outlines import cell_outlines
from geo.tile_shapes import cells_on_tile, on_tile, points_on_tile
from geo.tiles import tile_at, tile_bounds
from tests.geo.instances import law

EXTENT, MARGIN = 4096, 64
seeds = st.integers(0, 2**32 - 1)
places = st.tuples(st.floats(-180, 180), st.floats(-89.9, 89.9)) | st.sampled_from(
    [(180.0, 0.0), (179.99, -17.0), (-179.9, 66.0), (12.0, 89.9), (0.0, 0.0), (-60.0, -89.95)]
)


def test_of_no_cells_no_shape_is_drawn() -> None:
    shapes, shown = cells_on_tile((3, 1, 1), EXTENT, MARGIN, np.empty(0, dtype=np.uint64))
    assert (len(shapes), len(shown)) == (0, 0)


@given(places, st.integers(0, 14), st.integers(0, 9), seeds)
@law
def test_cells_are_drawn_as_their_outlines_lie_on_the_map(
    place: tuple[float, float], z: int, resolution: int, seed: int
) -> None:
    """The twin: outlines as shapes in degrees, cut to the tile and laid on it one by one."""
    rng = np.random.default_rng(seed)
    tile = tile_at(*place, z)
    spread = 200.0 / 2**z
    lon = (place[0] + rng.uniform(-spread, spread, 40) + 180) % 360 - 180
    lat = np.clip(place[1] + rng.uniform(-spread, spread, 40), -90, 90)
    cells = np.unique(
        cells_from_points(np.append(lon, place[0]), np.append(lat, place[1]), resolution)
    )

    shapes, shown = cells_on_tile(tile, EXTENT, MARGIN, cells)

    corners = shapely.get_coordinates(shapes)
    assert (corners == np.rint(corners)).all()
    assert ((corners >= -MARGIN) & (corners <= EXTENT + MARGIN)).all()
    # By the specification an outer ring has a positive area by the surveyor's formula.
    assert shapely.is_ccw(shapely.get_exterior_ring(shapely.get_parts(shapes))).all()
    square = shapely.box(-MARGIN, -MARGIN, EXTENT + MARGIN, EXTENT + MARGIN)
    expected = {
        name: shapely.transform(
            outline, lambda points: on_tile(tile, EXTENT, points[:, 0], points[:, 1], 89.9999)
        ).intersection(square)
        for name, outline in zip(cells_to_text(cells), cell_outlines(cells), strict=True)
    }
    found = dict(zip(cells_to_text(cells[shown]), shapes, strict=True))
    for name, shape in expected.items():
        # Rounding moves a border by less than a unit.
        slack = shape.length + 4
        drawn_shape = shapely.make_valid(found.get(name, shapely.Polygon()))
        assert drawn_shape.symmetric_difference(shape).area <= slack
    assert found.keys() <= expected.keys()


@given(places, st.integers(0, 12), seeds)
@law
def test_a_centre_is_in_one_tile_of_a_zoom_at_its_place(
    place: tuple[float, float], z: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    lon = (place[0] + rng.normal(0, 100.0 / 2**z, 30) + 180) % 360 - 180
    lat = np.clip(place[1] + rng.normal(0, 100.0 / 2**z, 30), -90, 90)
    cells = np.unique(ancestors(cells_from_points(lon, lat, 12), 7))
    tiles = {tile_at(*point, z) for point in zip(*points_from_cells(cells), strict=True)}
    held = np.zeros(len(cells), dtype=np.int64)
    for tile in tiles:
        at, is_here = points_on_tile(tile, EXTENT, cells)
        held += is_here
        bounds = tile_bounds(*tile)
        lon, lat = points_from_cells(cells[is_here])
        east = (lon - bounds.west) / (bounds.east - bounds.west) * EXTENT
        assert np.abs(at[:, 0] - east).max(initial=0) <= 0.5 + 1e-6
        is_on_map = np.abs(lat) < 85
        assert ((at[is_on_map, 1] >= 0) & (at[is_on_map, 1] <= EXTENT)).all()
    assert held.tolist() == [1] * len(cells)
