"""Circles and cells: what they hold, how they are changed, and what is refused."""

from pathlib import Path
from typing import Any

import h3
import httpx
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyproj import Geod
from sqlalchemy import text

from app.db.session import Database
from tests.conftest import ANY_VERSION
from tests.published_predicates import published_predicates

WGS84 = Geod(ellps="WGS84")
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
CIRCLE = {"name": "C", "kind": "circle", "lon": 121.5, "lat": 31.2, "radius_m": 5000}
CELL = "872830828ffffff"


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


async def made(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/v1/geofences", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def ids_at(client: httpx.AsyncClient, places: list[tuple[float, float]]) -> list[list[int]]:
    """The fences at places, asked one by one and all at once: the two must agree."""
    points = [{"lon": lon, "lat": lat} for lon, lat in places]
    answer = await client.post("/v1/geofences/at:batch", json={"points": points})
    assert answer.status_code == 200, answer.text
    batch: list[list[int]] = answer.json()["items"]
    for place, found in zip(points, batch, strict=True):
        single = await client.get("/v1/geofences/at", params={**place, "limit": 1000})
        assert [item["id"] for item in single.json()["items"]] == found, place
    return batch


async def forget(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("DELETE FROM geofence"))


longitudes = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.999, 0.0]))
latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 89.99, -89.95, 0.0]))
few_examples = hypothesis_settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(
    lon=longitudes,
    lat=latitudes,
    radius_m=st.sampled_from([1.0, 800.0, 30_000.0, 500_000.0]),
    seed=st.integers(0, 2**32 - 1),
)
@few_examples
async def test_a_circle_holds_what_is_no_farther_than_its_radius(
    client: httpx.AsyncClient,
    database: Database,
    lon: float,
    lat: float,
    radius_m: float,
    seed: int,
) -> None:
    await forget(database)
    rng = np.random.default_rng(seed)
    distance = radius_m * np.array([0, 0.3, 0.9995, 0.99999, 1.00001, 1.0005, 1.5, 2.5])
    start = np.full(8, lon), np.full(8, lat)
    lons, lats, _ = WGS84.fwd(*start, rng.uniform(0, 360, 8), distance)
    circle = await made(client, {**CIRCLE, "lon": lon, "lat": lat, "radius_m": radius_m})

    found = await ids_at(client, list(zip(lons.tolist(), lats.tolist(), strict=True)))

    assert found == [[circle["id"]]] * 4 + [[]] * 4


@given(seed=st.integers(0, 2**32 - 1), lon=longitudes, lat=latitudes)
@few_examples
async def test_cells_hold_the_points_whose_ancestor_is_in_the_set(
    client: httpx.AsyncClient, database: Database, seed: int, lon: float, lat: float
) -> None:
    await forget(database)
    rng = np.random.default_rng(seed)
    start = np.full(30, lon), np.full(30, lat)
    lons, lats, _ = WGS84.fwd(*start, rng.uniform(0, 360, 30), rng.uniform(0, 40_000, 30))
    fine = [h3.latlng_to_cell(y, x, 12) for x, y in zip(lons, lats, strict=True)]
    sets = [
        {h3.cell_to_parent(cell, int(rng.integers(3, 13))) for cell in rng.choice(fine, 6)}
        for _ in range(3)
    ]
    ids = []
    for cells in sets:
        body = {"name": "cells", "kind": "cells", "cells": sorted(cells)}
        ids.append((await made(client, body))["id"])

    found = await ids_at(client, list(zip(lons.tolist(), lats.tolist(), strict=True)))

    ancestors = [{h3.cell_to_parent(cell, r) for r in range(13)} for cell in fine]
    assert found == [
        [number for number, cells in zip(ids, sets, strict=True) if cells & own]
        for own in ancestors
    ]


async def test_a_point_on_an_edge_of_the_map_is_held_from_both_sides(
    client: httpx.AsyncClient,
) -> None:
    west = await made(client, {"name": "w", "geometry": polygon(
        [[170, -5], [180, -5], [180, 5], [170, 5], [170, -5]])})  # fmt: skip
    north = await made(client, {"name": "n", "geometry": polygon(
        [[10, 80], [20, 80], [20, 90], [10, 90], [10, 80]])})  # fmt: skip

    found = await ids_at(client, [(180, 0), (-180, 0), (-179.9, 0), (-100, 90), (-100, 89.9)])

    assert found == [[west["id"]], [west["id"]], [], [north["id"]], []]


async def test_borders_vertices_and_holes_are_held_as_the_validation_suite_says(
    client: httpx.AsyncClient, database: Database, shared_data: Path
) -> None:
    cases = published_predicates(shared_data)
    for case in cases:
        await forget(database)
        await made(client, {"name": "x", "geometry": shapely.geometry.mapping(case.area)})
        held_by = await ids_at(client, list(case.points))
        assert case.agrees_with([bool(ids) for ids in held_by]), case.case
    assert sum(case.is_of_all for case in cases) >= 30
    assert len(cases) - sum(case.is_of_all for case in cases) >= 30


async def test_the_batch_answers_in_the_order_given_and_for_a_group_alone(
    client: httpx.AsyncClient,
) -> None:
    square = await made(client, {"name": "s", "group": "a", "geometry": polygon(SQUARE)})
    circle = await made(client, {**CIRCLE, "group": "b", "lon": 0.5, "lat": 0.5})
    points = [{"lon": lon, "lat": 0.5} for lon in (0.5, 9, 0.1)]

    everything = await client.post("/v1/geofences/at:batch", json={"points": points})
    of_group = await client.post("/v1/geofences/at:batch", json={"points": points, "group": "b"})
    single = await client.get("/v1/geofences/at?lon=0.5&lat=0.5&group=a")

    both = [square["id"], circle["id"]]
    assert everything.json() == {"items": [both, [], [square["id"]]]}
    assert of_group.json() == {"items": [[circle["id"]], [], []]}
    assert [item["id"] for item in single.json()["items"]] == [square["id"]]


async def test_a_circle_is_drawn_at_its_radius_and_kept_for_tiles(
    client: httpx.AsyncClient, database: Database
) -> None:
    circle = await made(client, CIRCLE)

    ring = shapely.get_coordinates(shapely.geometry.shape(circle["geometry"]))
    centre = np.full(len(ring), 121.5), np.full(len(ring), 31.2)
    _, _, distance = WGS84.inv(*centre, *ring.T)
    assert np.abs(distance - 5000).max() < 0.05
    async with database.reading() as session:
        srid, area = (
            await session.execute(
                text("SELECT ST_SRID(tile_outline), ST_Area(tile_outline) FROM geofence")
            )
        ).one()
    assert srid == 3857
    assert area == pytest.approx(np.pi * 5000**2 / np.cos(np.radians(31.2)) ** 2, rel=0.01)


async def test_ground_beyond_the_mercator_map_is_on_no_tile(
    client: httpx.AsyncClient, database: Database
) -> None:
    await made(client, {**CIRCLE, "lat": 89.9})
    async with database.reading() as session:
        assert await session.scalar(text("SELECT ST_IsEmpty(tile_outline) FROM geofence"))


async def test_cells_inside_others_are_left_out_and_the_outline_is_drawn(
    client: httpx.AsyncClient,
) -> None:
    inner = h3.cell_to_center_child(CELL, 9)
    other = h3.cell_to_center_child(h3.latlng_to_cell(10, 10, 8), 12)
    body = {"name": "x", "kind": "cells", "cells": [inner, CELL.upper(), CELL, other]}

    fence = await made(client, body)

    assert fence["cells"] == sorted([CELL, other])
    outline = shapely.geometry.shape(fence["geometry"])
    lat, lon = h3.cell_to_latlng(CELL)
    assert outline.covers(shapely.Point(lon, lat))
    assert len(outline.geoms) == 2


async def test_cells_are_filled_from_a_geometry(client: httpx.AsyncClient) -> None:
    body = {"name": "x", "kind": "cells", "geometry": polygon(SQUARE), "resolution": 6}
    fence = await made(client, body)
    shape = h3.LatLngPoly([(lat, lon) for lon, lat in SQUARE[:-1]])
    assert set(fence["cells"]) == set(h3.polygon_to_cells(shape, 6))


async def test_a_fence_is_changed_member_by_member(client: httpx.AsyncClient) -> None:
    circle = await made(client, {**CIRCLE, "attributes": {"a": 1, "b": 2}})
    path = f"/v1/geofences/{circle['id']}"
    patch = {"radius_m": 100, "group": "g", "attributes": {"a": None}}

    changed = await client.patch(path, json=patch, headers=ANY_VERSION)

    assert changed.status_code == 200, changed.text
    after = changed.json()
    assert after == (await client.get(path)).json()
    assert (after["radius_m"], after["group"], after["attributes"]) == (100, "g", {"b": 2})
    assert (after["lon"], after["lat"], after["name"], after["version"]) == (121.5, 31.2, "C", 2)
    assert await ids_at(client, [(121.5, 31.2), (121.5, 31.21)]) == [[circle["id"]], []]
    for wrong in ({"kind": "polygon"}, {"geometry": polygon(SQUARE)}, {"lat": None}, {"lon": 999}):
        refused = await client.patch(path, json=wrong, headers=ANY_VERSION)
        assert refused.status_code == 422, wrong


async def test_a_new_name_leaves_the_geometry_to_the_last_digit(
    client: httpx.AsyncClient, database: Database
) -> None:
    ring = [[0.123456789012, 0], [1, 0], [1, 1], [0.123456789012, 0]]
    fence = await made(client, {"name": "a", "geometry": polygon(ring)})
    path = f"/v1/geofences/{fence['id']}"

    await client.patch(path, json={"name": "b"}, headers=ANY_VERSION)

    async with database.reading() as session:
        assert await session.scalar(text("SELECT ST_XMin(geom) FROM geofence")) == ring[0][0]
    square = {"geometry": polygon(SQUARE)}
    redrawn = await client.patch(path, json=square, headers=ANY_VERSION)
    assert shapely.geometry.shape(redrawn.json()["geometry"]).area == 1


async def test_the_cells_of_a_fence_are_replaced(client: httpx.AsyncClient) -> None:
    fence = await made(client, {"name": "x", "kind": "cells", "cells": [CELL]})
    path = f"/v1/geofences/{fence['id']}"
    other = h3.cell_to_parent(h3.latlng_to_cell(10, 10, 12), 8)
    changed = await client.patch(path, json={"cells": [other]}, headers=ANY_VERSION)
    assert changed.json()["cells"] == [other]
    lat, lon = h3.cell_to_latlng(CELL)
    assert await ids_at(client, [(lon, lat), (10, 10)]) == [[], [fence["id"]]]


async def test_lists_are_filtered_by_kind_group_and_box(client: httpx.AsyncClient) -> None:
    await made(client, {"name": "square", "geometry": polygon(SQUARE), "external_id": "E"})
    await made(client, {**CIRCLE, "name": "circle", "group": "g"})
    await made(client, {**CIRCLE, "name": "far", "group": "g", "lon": -170})
    await made(client, {"name": "cells", "kind": "cells", "cells": [CELL], "group": "g"})

    async def names(query: str) -> list[str]:
        answer = await client.get(f"/v1/geofences?{query}")
        return [item["name"] for item in answer.json()["items"]]

    assert await names("kind=circle") == ["circle", "far"]
    assert await names("kind=circle&kind=polygon") == ["square", "circle", "far"]
    assert await names("group=g&kind=cells") == ["cells"]
    assert await names("bbox=0.5,0.5,2,2") == ["square"]
    assert await names("bbox=121,31,-169,32") == ["circle", "far"]
    assert await names("external_id=E") == ["square"]


@pytest.mark.parametrize(
    ("box", "names"),
    [
        ("-180,-5,-170,5", ["east", "west", "line"]),
        ("170,-5,180,5", ["east", "west", "line"]),
        ("-180,-5,-180,5", ["east", "west", "line"]),
        ("180,0,180,0", ["east", "west"]),
        ("-179,-5,-170,5", ["west", "line"]),
        ("-180,-20,-170,-15", []),
        ("-180,-5,180,5", ["east", "west", "line"]),
        ("175,-5,-175,5", ["east", "west", "line"]),
        ("100,80,110,90", ["pole"]),
        ("100,90,100,90", ["pole"]),
        ("100,80,110,89", []),
    ],
)
async def test_boxes_at_the_edge_of_the_map_find_what_is_on_its_other_side(
    client: httpx.AsyncClient, box: str, names: list[str]
) -> None:
    sides = {"east": (170, 180, -3, 3), "west": (-180, -170, -2, 2), "line": (-180, -170, 3, 4),
             "pole": (0, 10, 88, 90)}  # fmt: skip
    for name, (west, east, south, north) in sides.items():
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        await made(client, {"name": name, "geometry": polygon(ring)})
    listed = await client.get(f"/v1/geofences?bbox={box}")
    assert [item["name"] for item in listed.json()["items"]] == names


async def test_a_group_is_deleted_at_once(client: httpx.AsyncClient) -> None:
    await made(client, {**CIRCLE, "group": "g"})
    await made(client, {"name": "x", "kind": "cells", "cells": [CELL], "group": "g"})
    await made(client, CIRCLE)

    gone = await client.delete("/v1/geofences?group=g")

    assert gone.json() == {"deleted": 2}
    assert len((await client.get("/v1/geofences")).json()["items"]) == 1
    assert (await client.delete("/v1/geofences?group=g")).status_code == 404
    assert (await client.delete("/v1/geofences")).status_code == 422


async def test_an_external_id_is_taken_once(client: httpx.AsyncClient) -> None:
    await made(client, {**CIRCLE, "external_id": "E"})
    again = await client.post("/v1/geofences", json={**CIRCLE, "external_id": "E"})
    assert again.status_code == 409
    assert again.json()["errors"][0]["pointer"] == "/external_id"


async def test_a_bow_tie_is_refused_with_its_place_and_repaired_on_request(
    client: httpx.AsyncClient,
) -> None:
    body = {"name": "x", "geometry": polygon(BOW_TIE)}

    refused = await client.post("/v1/geofences", json=body)
    repaired = await made(client, {**body, "repair": True})

    (fault,) = refused.json()["errors"]
    assert fault["code"] == "self-intersection"
    assert "longitude 0.5, latitude 0.5" in fault["detail"]
    (repair,) = repaired["repaired"]
    assert repair == {
        "code": fault["code"], "detail": fault["detail"], "pointer": fault["pointer"]
    }  # fmt: skip
    shape = shapely.geometry.shape(repaired["geometry"])
    assert shape.is_valid
    assert shape.area == pytest.approx(0.5)
    read = await client.get(f"/v1/geofences/{repaired['id']}")
    assert read.json()["repaired"] == []


async def test_overlapping_parts_are_joined_on_request(client: httpx.AsyncClient) -> None:
    other = [[x + 0.5, y] for x, y in SQUARE]
    geometry = {"type": "MultiPolygon", "coordinates": [[SQUARE], [other]]}
    fence = await made(client, {"name": "x", "geometry": geometry, "repair": True})
    assert shapely.geometry.shape(fence["geometry"]).area == pytest.approx(1.5)
    assert len(fence["repaired"]) == 1


CELLS = {"name": "X", "kind": "cells"}
WORLD = polygon([[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**CIRCLE, "radius_m": 0}, "/radius_m"),
        ({**CIRCLE, "radius_m": -1}, "/radius_m"),
        ({**CIRCLE, "radius_m": 500_001}, "/radius_m"),
        ({**CIRCLE, "radius_m": None}, "/radius_m"),
        ({**CIRCLE, "radius_m": "nan"}, "/radius_m"),
        ({**CIRCLE, "lon": 31.2, "lat": 121.5}, "/lat"),
        ({**CIRCLE, "lon": 181}, "/lon"),
        ({**CIRCLE, "geometry": WORLD}, "/geometry"),
        ({**CIRCLE, "kind": "service_circle"}, "/kind"),
        ({**CIRCLE, "kind": "square"}, "/kind"),
        ({**CIRCLE, "group": ""}, "/group"),
        ({"name": "X", "kind": "circle"}, "/lon"),
        ({"name": "X", "kind": "polygon"}, "/geometry"),
        ({"name": "X", "geometry": WORLD, "radius_m": 5}, "/radius_m"),
        (CELLS, "/cells"),
        ({**CELLS, "cells": []}, "/cells"),
        ({**CELLS, "cells": ["872830828ffffff", "nonsense"]}, "/cells/1"),
        ({**CELLS, "cells": ["872830828fffff0"]}, "/cells/0"),
        ({**CELLS, "cells": [h3.latlng_to_cell(1, 1, 13)]}, "/cells/0"),
        ({**CELLS, "cells": [7]}, "/cells/0"),
        ({**CELLS, "cells": [CELL] * 50_001}, "/cells"),
        ({**CELLS, "geometry": WORLD}, "/resolution"),
        ({**CELLS, "geometry": WORLD, "resolution": 9}, "/resolution"),
        ({**CELLS, "geometry": WORLD, "resolution": 13}, "/resolution"),
        ({**CELLS, "geometry": WORLD, "resolution": 0, "cells": [CELL]}, "/cells"),
        ({**CELLS, "geometry": polygon([[0, 0], [1e-5, 0], [0, 1e-5], [0, 0]]),
          "resolution": 3}, "/resolution"),
    ],
)  # fmt: skip
async def test_what_tells_no_ground_is_refused_where_it_is_wrong(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/geofences", json=body)
    assert answer.status_code == 422, answer.text
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]], answer.text
    assert len(answer.content) < 5000
    assert (await client.get("/v1/geofences")).json()["items"] == []


async def test_swapped_coordinates_of_a_centre_are_named_as_such(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/geofences", json={**CIRCLE, "lon": 31.2, "lat": 121.5})
    assert "swapping" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("points", "pointer"),
    [
        ([], "/points"),
        ([{"lon": 31, "lat": 121}], "/points/0/lat"),
        ([{"lon": 1, "lat": 1}] * 10_001, "/points"),
        ([{"lon": 1, "lat": 1}, {"lon": 1}], "/points/1/lat"),
    ],
)
async def test_a_batch_of_no_places_is_refused(
    client: httpx.AsyncClient, points: list[Any], pointer: str
) -> None:
    answer = await client.post("/v1/geofences/at:batch", json={"points": points})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_swapped_pair_among_ten_thousand_places_is_named_as_such(
    client: httpx.AsyncClient,
) -> None:
    points = [{"lon": 121.4, "lat": 31.2}] * 9_999 + [{"lon": 31.2, "lat": 121.4}]
    answer = await client.post("/v1/geofences/at:batch", json={"points": points})
    (fault,) = answer.json()["errors"]
    assert answer.status_code == 422
    assert fault["pointer"] == "/points/9999/lat"
    assert "lon and lat look swapped" in fault["detail"]
