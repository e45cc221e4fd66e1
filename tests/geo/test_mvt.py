"""Tiles written from arrays, read back by somebody else's decoder."""

import mapbox_vector_tile
import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo import mvt
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


def read(tile: bytes) -> list[dict[str, object]]:
    layer = mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True})["l"]
    assert (layer["extent"], layer["version"]) == (EXTENT, 2)
    features: list[dict[str, object]] = layer["features"]
    return features


@given(seeds, st.integers(1, 300))
@law
def test_what_is_written_of_points_is_read_again(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    at = rng.integers(-(2**14), 2**14, (n, 2))
    numbers = rng.integers(0, 2 ** rng.integers(1, 60), n)
    amounts = rng.choice([0.0, -1.5, 1e300, rng.random()], n)
    names = ["", "a", "ü" * 200]
    owner = rng.integers(0, 3, n)
    is_told = rng.random(n) < 0.5

    tile = mvt.layer("l", EXTENT, mvt.points(at), {
        "number": mvt.counts(numbers), "amount": mvt.doubles(amounts, is_told),
        "name": mvt.texts(names, owner), "told": mvt.counts(numbers, is_told),
    })  # fmt: skip

    found = read(tile)
    assert [f["geometry"]["coordinates"] for f in found] == at.tolist()  # type: ignore[index]
    for i, feature in enumerate(found):
        expected = {"number": int(numbers[i]), "name": names[owner[i]]}
        if is_told[i]:
            expected |= {"amount": float(amounts[i]), "told": int(numbers[i])}
        assert feature["properties"] == expected


def test_a_layer_without_features_is_no_tile() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert (
        mvt.layer("l", EXTENT, mvt.points(nothing.reshape(0, 2)), {"n": mvt.counts(nothing)}) == b""
    )
    shapes, shown = cells_on_tile((3, 1, 1), EXTENT, MARGIN, np.empty(0, dtype=np.uint64))
    assert (len(shapes.offsets), len(shown)) == (1, 0)


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
    drawn = (
        read(mvt.layer("l", EXTENT, shapes, {"cell": mvt.cells(cells[shown])}))
        if len(shown)
        else []
    )

    square = shapely.box(-MARGIN, -MARGIN, EXTENT + MARGIN, EXTENT + MARGIN)
    expected = {
        name: shapely.transform(
            outline, lambda points: on_tile(tile, EXTENT, points[:, 0], points[:, 1], 89.9999)
        ).intersection(square)
        for name, outline in zip(cells_to_text(cells), cell_outlines(cells), strict=True)
    }
    found = {f["properties"]["cell"]: shapely.geometry.shape(f["geometry"]) for f in drawn}  # type: ignore[index]
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
