"""Customers over HTTP: made, changed, listed, refused."""

import math
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as checking
from hypothesis import strategies as st
from sqlalchemy import text

from app.activity import refresh_work
from app.db.session import Database
from app.settings import Settings, WorkSettings
from geo.bbox import BoundingBox
from geo.cells import cell_from_point, cell_to_text
from tests.conftest import ANY_VERSION
from tests.ground import BEIJING, SHANGHAI, TOKYO, put_in_force

FULL = {
    "name": "Jinhai Trading 金海",
    "lon": 121.4737,
    "lat": 31.2304,
    "class": "A",
    "segment": "retail",
    "tags": ["key", "harbour"],
    "status": "lead",
    "potential": 120000.5,
    "revenue": 7,
    "visits_per_year": 20,
    "service_minutes": 50,
    "last_visit_at": "2026-03-01T08:00:00+08:00",
    "attributes": {"floor": 3, "vip": True, "note": "x", "none": None},
}


async def _put(
    client: httpx.AsyncClient, external_id: str, expected: int = 201, **members: Any
) -> dict[str, Any]:
    body = {"name": external_id, "lon": 121.47, "lat": 31.23, **members}
    answer = await client.put(f"/v1/customers/by-external-id/{external_id}", json=body)
    assert answer.status_code == expected, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def _listed(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = (await client.get(f"/v1/customers?{query}")).raise_for_status()
    return [item["external_id"] for item in answer.json()["items"]]


async def test_a_created_customer_reads_back_as_given(client: httpx.AsyncClient) -> None:
    created = await client.post("/v1/customers", json={**FULL, "external_id": "YD-1"})

    assert created.status_code == 201
    read = (await client.get(created.headers["Location"])).json()
    assert read == created.json()
    expected = {**FULL, "external_id": "YD-1", "last_visit_at": "2026-03-01T00:00:00Z"}
    assert {name: read[name] for name in expected} == expected
    assert read["version"] == 1


async def test_the_cell_is_that_of_the_place_at_resolution_12(client: httpx.AsyncClient) -> None:
    customer = await _put(client, "c", lon=-70.5, lat=-33.25)

    assert customer["cell"] == cell_to_text(cell_from_point(-70.5, -33.25, 12))


async def test_an_external_id_is_taken_once(client: httpx.AsyncClient) -> None:
    await _put(client, "c")

    answer = await client.post("/v1/customers", json={**FULL, "external_id": "c"})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/external_id"
    assert (await client.get("/v1/customers")).json()["items"][0]["name"] == "c"


async def test_repeating_an_upsert_changes_nothing(client: httpx.AsyncClient) -> None:
    first = await client.put("/v1/customers/by-external-id/c", json=FULL)
    second = await client.put("/v1/customers/by-external-id/c", json=FULL)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Other"),
        ("lat", 31.2305),
        ("class", "B"),
        ("segment", ""),
        ("tags", ["harbour", "key"]),
        ("status", "active"),
        ("potential", 0),
        ("revenue", 7.5),
        ("visits_per_year", None),
        ("service_minutes", None),
        ("last_visit_at", None),
        ("attributes", {}),
    ],
)
async def test_an_upsert_that_changes_one_member_raises_the_version(
    client: httpx.AsyncClient, name: str, value: Any
) -> None:
    before = await _put(client, "c", **FULL)

    after = await _put(client, "c", 200, **{**FULL, name: value})

    assert after["version"] == 2
    assert after[name] == value
    assert after["id"] == before["id"]
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


async def test_a_moved_customer_gets_the_cell_of_its_new_place(client: httpx.AsyncClient) -> None:
    await _put(client, "c")

    after = await _put(client, "c", 200, lon=10, lat=50)

    assert after["cell"] == cell_to_text(cell_from_point(10, 50, 12))


async def test_a_deleted_customer_is_gone_and_gone_again_is_not_found(
    client: httpx.AsyncClient,
) -> None:
    address = f"/v1/customers/{(await _put(client, 'c'))['id']}"

    assert (await client.delete(address, headers=ANY_VERSION)).status_code == 204
    assert (await client.get(address)).status_code == 404
    assert (await client.delete(address, headers=ANY_VERSION)).status_code == 404


@pytest.mark.parametrize("external_id", ["a b", "金海-1", "a%b", "a?b#c", "a+b", ".."])
async def test_external_ids_may_hold_any_text_that_fits_in_an_address(
    client: httpx.AsyncClient, external_id: str
) -> None:
    from urllib.parse import quote

    address = f"/v1/customers/by-external-id/{quote(external_id, safe='').replace('.', '%2E')}"
    answer = await client.put(address, json=FULL)

    assert answer.status_code == 201
    assert answer.json()["external_id"] == external_id


# What is refused


@pytest.mark.parametrize(("lon", "lat"), [(31.23, 121.47), (-33.0, -151.0)])
async def test_exchanged_coordinates_are_recognised(
    client: httpx.AsyncClient, lon: float, lat: float
) -> None:
    answer = await client.post(
        "/v1/customers", json={"external_id": "c", "name": "N", "lon": lon, "lat": lat}
    )

    assert answer.status_code == 422
    assert "swapped" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("lon_lat", [(200, 91), (181, 0), (-120, -90.1), (400, 120)])
async def test_places_off_the_earth_are_refused_without_a_wrong_hint(
    client: httpx.AsyncClient, lon_lat: tuple[float, float]
) -> None:
    body = {"external_id": "c", "name": "N", "lon": lon_lat[0], "lat": lon_lat[1]}

    answer = await client.post("/v1/customers", json=body)

    assert answer.status_code == 422
    assert "swapped" not in answer.text


@pytest.mark.parametrize(
    "members",
    [
        {"name": "a\x00b"},
        {"segment": "a\x00b"},
        {"tags": ["a\x00b"]},
        {"attributes": {"a\x00b": 1}},
        {"attributes": {"a": "a\x00b"}},
    ],
)
async def test_a_text_that_postgresql_cannot_hold_is_refused(
    client: httpx.AsyncClient, members: dict[str, Any]
) -> None:
    body = {"external_id": "c", "name": "N", "lon": 0, "lat": 0, **members}

    assert (await client.post("/v1/customers", json=body)).status_code == 422


async def test_an_external_id_with_nul_is_refused_in_body_and_address(
    client: httpx.AsyncClient,
) -> None:
    in_body = await client.post("/v1/customers", json={**FULL, "external_id": "a\x00b"})
    in_address = await client.put("/v1/customers/by-external-id/a%00b", json=FULL)

    assert (in_body.status_code, in_address.status_code) == (422, 422)


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1e3", "x"])
async def test_an_id_that_cannot_be_one_is_refused(client: httpx.AsyncClient, number: str) -> None:
    assert (await client.get(f"/v1/customers/{number}")).status_code in (404, 422)


# Lists


async def test_lists_are_filtered_by_every_member_given(client: httpx.AsyncClient) -> None:
    await _put(client, "1", **{"class": "A"}, segment="retail", tags=["x", "y"], status="lead")
    await _put(client, "2", **{"class": "B"}, segment="retail", tags=["y"])
    await _put(client, "3", **{"class": "C"}, segment="education", tags=["x"], status="inactive")

    assert await _listed(client, "") == ["1", "2", "3"]
    assert await _listed(client, "class=A&class=C") == ["1", "3"]
    assert await _listed(client, "segment=retail") == ["1", "2"]
    assert await _listed(client, "tag=x") == ["1", "3"]
    assert await _listed(client, "tag=x&tag=y") == ["1"]
    assert await _listed(client, "status=active&status=lead") == ["1", "2"]
    assert await _listed(client, "external_id=2") == ["2"]
    assert await _listed(client, "class=A&segment=education") == []


async def test_a_list_holds_the_customers_of_a_territory(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    for name, (lon, lat) in (("s", SHANGHAI), ("b", BEIJING), ("t", TOKYO)):
        await _put(client, name, lon=lon, lat=lat)
    await _put(client, "closed", lon=SHANGHAI[0], lat=SHANGHAI[1], status="inactive")

    assert await _listed(client, f"territory_id={plan.territories['T01']}") == ["s"]
    assert await _listed(client, f"territory_id={plan.territories['T02']}") == ["b"]
    assert await _listed(client, "territory_id=999") == []


async def test_a_bbox_across_180_degrees_holds_both_sides(client: httpx.AsyncClient) -> None:
    for name, lon in (("fiji", 178.4), ("samoa", -171.8), ("peru", -77.0), ("line", 180.0)):
        await _put(client, name, lon=lon, lat=-15)

    assert await _listed(client, "bbox=170,-20,-170,-10") == ["fiji", "samoa", "line"]
    assert await _listed(client, "bbox=-170,-20,170,-10") == ["peru"]


# To a ten-millionth of a metre: the products of numbers like 1e-228 vanish in any geometry library.
PLACES = st.tuples(
    st.floats(-180, 180).map(lambda lon: round(lon, 12)),
    st.floats(-90, 90).map(lambda lat: round(lat, 12)),
)


@given(
    places=st.lists(PLACES, min_size=1, max_size=8),
    corners=st.tuples(PLACES, PLACES),
    nudge=st.sampled_from([0.0, 1e-9, -1e-9, 1e-6, -1e-6]),
)
@example(places=[(0.0, 0.0)], corners=((0.0, 90.0), (1.0, 0.0)), nudge=-1e-9)
@example(places=[(1.0, 90.0), (0.0, 0.0)], corners=((0.0, 0.0), (0.0, 90.0)), nudge=0.0)
@example(places=[(0.0, -90.0), (-180.0, 0.0)], corners=((170.0, -90.0), (180.0, 0.0)), nudge=0.0)
@checking(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_bbox_holds_exactly_what_lies_in_it(
    client: httpx.AsyncClient,
    database: Database,
    places: list[tuple[float, float]],
    corners: tuple[tuple[float, float], tuple[float, float]],
    nudge: float,
) -> None:
    (west, south), (east, north) = corners
    # Customers on the very edge and a hair beside it show rounding.
    places = [*places, (west, south), (min(max(west + nudge, -180.0), 180.0), south)]
    box = BoundingBox(west, min(south, north), east, max(south, north))
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer"))
        await session.execute(
            text(
                "INSERT INTO customer (external_id, name, geom, cell) "
                "SELECT n, 'C', ST_SetSRID(ST_MakePoint(lon, lat), 4326), 1 "
                "FROM unnest(CAST(:lons AS float8[]), CAST(:lats AS float8[])) "
                "WITH ORDINALITY AS t (lon, lat, n)"
            ),
            {"lons": [lon for lon, _ in places], "lats": [lat for _, lat in places]},
        )

    query = ",".join(repr(value) for value in box.as_tuple())
    listed = {int(name) for name in await _listed(client, f"bbox={query}")}

    lon, lat = np.array(places).T
    assert listed == set((np.flatnonzero(box.contains(lon, lat)) + 1).tolist())


@pytest.mark.parametrize("bbox", ["1,2,3", "a,b,c,d", "0,10,1,5", "0,0,200,1", "nan,0,1,1", ""])
async def test_a_bbox_that_is_none_is_refused(client: httpx.AsyncClient, bbox: str) -> None:
    answer = await client.get("/v1/customers", params={"bbox": bbox})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/bbox"


async def test_a_list_may_be_asked_for_as_places(client: httpx.AsyncClient) -> None:
    for name in ("1", "2", "3"):
        await _put(client, name, **{"class": "B"})

    answer = await client.get("/v1/customers?format=geojson&limit=2")

    assert answer.headers["Content-Type"] == "application/geo+json"
    document = answer.json()
    assert document["type"] == "FeatureCollection"
    assert [feature["id"] for feature in document["features"]] == [1, 2]
    assert document["features"][0]["geometry"] == {"type": "Point", "coordinates": [121.47, 31.23]}
    properties = document["features"][0]["properties"]
    assert properties["class"] == "B"
    assert "lon" not in properties
    following = next(link["href"] for link in document["links"] if link["rel"] == "next")
    assert [f["id"] for f in (await client.get(following)).json()["features"]] == [3]


# Work


async def test_a_customer_alone_has_no_travel_to_neighbours(client: httpx.AsyncClient) -> None:
    customer = await _put(client, "c", **{"class": "A"})

    # 36 visits × (45 on site + 5 administration + 3 parking and walking)
    assert customer["work_minutes"] == 36 * (45 + 5 + 3)


async def test_work_counts_the_way_to_the_nearest_customers(client: httpx.AsyncClient) -> None:
    # One degree of latitude: 111.195 km on the sphere, as docs/workload.md measures. Of the two
    # neighbours the A customer (36 visits) weighs three times the B customer (12 visits).
    await _put(client, "near", lon=0, lat=0.01, **{"class": "A"})
    await _put(client, "far", lon=0, lat=0.02, **{"class": "B"})
    await _put(client, "closed", lon=0, lat=0, status="inactive", **{"class": "S"})

    customer = await _put(client, "c", lon=0, lat=0, **{"class": "C"})

    distance_km = (36 * 1.11195 + 12 * 2.22390) / 48
    travel = 60 * 1.3 * distance_km / 40 + 3
    assert customer["work_minutes"] == pytest.approx(4 * (20 + 5 + travel), abs=0.01)


async def test_a_customer_may_stand_beside_another_where_longitudes_meet(
    client: httpx.AsyncClient,
) -> None:
    for name, lon, lat in [
        ("east", 180, 10), ("west", -180, 10), ("a digit off", -180 + 1e-10, 10),
        ("pole", 0, 90), ("same pole", 120, 90), ("equator", 20, 0), ("beside", 20, 1e-13),
    ]:  # fmt: skip
        customer = await _put(client, name, lon=lon, lat=lat, **{"class": "A"})
        assert math.isfinite(customer["work_minutes"])


@pytest.mark.parametrize(
    ("members", "visits", "service"),
    [
        ({"class": "A", "visits_per_year": 10}, 10, 45),
        ({"class": "A", "service_minutes": 12.5}, 36, 12.5),
        ({"class": "A", "visits_per_year": 0}, 0, 45),
        ({"class": "D"}, 0, 0),
        ({"class": "S", "status": "inactive"}, 0, 45),
        ({"class": "S", "status": "lead"}, 130, 45),
    ],
)
async def test_work_takes_a_customer_s_own_numbers_before_those_of_its_class(
    client: httpx.AsyncClient, members: dict[str, Any], visits: float, service: float
) -> None:
    customer = await _put(client, "c", **members)

    assert customer["work_minutes"] == visits * (service + 8)


async def test_a_customer_is_not_its_own_neighbour(client: httpx.AsyncClient) -> None:
    await _put(client, "c", **{"class": "A"})

    moved = await _put(client, "c", 200, lon=10, lat=50, **{"class": "A"})

    assert moved["work_minutes"] == 36 * 53
    assert math.isfinite(moved["work_minutes"])
    assert WorkSettings().neighbours == 4


async def test_the_work_of_a_customer_written_alone_is_what_an_estimate_of_all_gives(
    client: httpx.AsyncClient, database: Database, settings: Settings, tmp_path: Path
) -> None:
    # Far north, where sphere and ellipsoid differ most; no two are equally far from a third.
    places = np.random.default_rng(0).normal((18, 69), (0.1, 0.05), (30, 2)).tolist()
    for potential in (1, 2):
        for number, (lon, lat) in enumerate(places):
            body = {
                "name": "N", "lon": lon, "lat": lat, "class": "SABC"[number % 4],
                "potential": potential,
            }  # fmt: skip
            await client.put(f"/v1/customers/by-external-id/N{number}", json=body)

    # Once all were there, each has been written once more.
    assert await refresh_work(database, settings.work, tmp_path) == 0
