"""Search by distance against a brute-force twin on the ellipsoid."""

from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from sqlalchemy import Select, text

from app.db import scope as scopes
from app.db.session import Database
from app.db.spatial import LEAST_COORDINATE, SPHERE_M, Anchor, anchor_of, geography
from app.db.tables import Customer, Rep, TerritoryOwner
from app.search.repository import nearest
from app.search.schemas import FoundCustomers
from app.settings import Settings
from geo.sphere import unit_vectors
from tests.ground import ALWAYS, BEIJING, PAST, SHANGHAI, put_in_force
from tests.search.crowd import add_customers, analyze

WGS84 = Geod(ellps="WGS84")
Floats = NDArray[np.float64]


async def found(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/search/{path}", params=query)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["numberReturned"] == len(document["features"])
    return [feature["properties"] for feature in document["features"]]


def metres(lon: float, lat: float, lons: Floats, lats: Floats) -> Floats:
    here = np.full(len(lons), lon), np.full(len(lons), lat)
    return np.asarray(WGS84.inv(*here, lons, lats)[2])


async def explain(database: Database, statement: Select[Any], **more: Any) -> str:
    """The plan of a statement, as the application's own role and session would run it."""
    engine = database.engine.sync_engine
    sent = statement.compile(engine).construct_expanded_state(more)
    async with database.reading() as session:
        connection = await session.connection()
        lines = await connection.exec_driver_sql(f"EXPLAIN {sent.statement}", sent.parameters)
        return "\n".join(line for (line,) in lines)


longitudes = st.one_of(
    st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.999, -179.999, 0.0])
)
latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 89.999, -89.999, 0.0]))


@st.composite
def crowds(draw: st.DrawFn) -> tuple[float, float, Floats, Floats]:
    """A place, customers within about 500 km of it in any direction, and some anywhere."""
    lon, lat = draw(longitudes), draw(latitudes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_near, n_far = draw(st.integers(0, 60)), draw(st.integers(0, 5))
    reach = draw(st.sampled_from([50.0, 5_000.0, 500_000.0]))
    azimuth, distance = rng.uniform(0, 360, n_near), reach * np.sqrt(rng.uniform(0, 1, n_near))
    start = np.full(n_near, lon), np.full(n_near, lat)
    near_lon, near_lat, _ = WGS84.fwd(*start, azimuth, distance)
    lons = np.concatenate([near_lon, rng.uniform(-180, 180, n_far)])
    lats = np.concatenate([near_lat, rng.uniform(-90, 90, n_far)])
    return lon, lat, np.clip(lons, -180, 180), np.clip(lats, -90, 90)


@given(crowd=crowds(), radius_m=st.floats(1, 500_000), n=st.integers(1, 80))
@hypothesis_settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_search_finds_what_brute_force_finds(
    client: httpx.AsyncClient,
    database: Database,
    crowd: tuple[float, float, Floats, Floats],
    radius_m: float,
    n: int,
) -> None:
    lon, lat, lons, lats = crowd
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer"))
    await add_customers(database, lons, lats)
    distance = metres(lon, lat, lons, lats)
    # Who lies on the very rim is a matter of rounding.
    radius_m = radius_m if np.all(np.abs(distance - radius_m) > 1e-3) else radius_m + 1

    within = await found(client, "radius", lon=lon, lat=lat, radius_m=radius_m, limit=1000)
    first = await found(client, "nearest", lon=lon, lat=lat, k=n)

    inside = {f"C{i}" for i in np.flatnonzero(distance <= radius_m)}
    assert {customer["external_id"] for customer in within} == inside
    for answer, length in ((within, len(inside)), (first, min(n, len(lons)))):
        expected = np.sort(distance)[:length]
        assert np.allclose([c["distance_m"] for c in answer], expected, rtol=0, atol=0.051)
        at = [distance[int(c["external_id"][1:])] for c in answer]
        assert np.allclose(at, expected, rtol=0, atol=1e-6)


async def test_the_nearest_are_found_where_sphere_and_ellipsoid_disagree(
    client: httpx.AsyncClient, database: Database
) -> None:
    """A ring around the equator: the nearest lie north, but the index gives those in the east."""
    azimuth = np.tile(np.linspace(0, 90, 300), 2)
    distance = 100_000 + 100 * np.arange(600) / 600
    lons, lats, _ = WGS84.fwd(np.zeros(600), np.zeros(600), azimuth, distance)
    await add_customers(database, np.array(lons), np.array(lats))

    answer = await found(client, "nearest", lon=0, lat=0, k=20)

    assert [c["external_id"] for c in answer] == [f"C{i}" for i in range(20)]


# A customer, a place, and how far apart they are: where single precision is fine and angles are
# compared with a tolerance, the index of PostGIS gives wrong orders.
ALMOST_THERE = [
    ((180.0, 10.0), (-180.0, 10.0), 0.0),
    ((-180.0, 10.0), (180.0, 10.0), 0.0),
    ((180.0, 10.0), (180.0 - 1e-12, 10.0), 0.0),
    ((-180.0, 10.0), (-180.0 + 1e-10, 10.0), 0.0),
    ((-180.0 + 1e-7, 10.0), (180.0 - 1e-7, 10.0), 0.0),
    ((0.0, 51.5), (1e-13, 51.5), 0.0),
    ((90.0, 23.8), (90.0 + 1e-12, 23.8), 0.0),
    ((36.8, 0.0), (36.8, 1e-13), 0.0),
    ((0.0, 90.0), (50.0, 90.0), 0.0),
    ((0.0, 90.0), (0.0, 90.0 - 1e-12), 0.0),
    ((37.0, -90.0), (0.0, -90.0 + 1e-13), 0.0),
    ((0.0, 51.5), (0.001, 51.5), 69.4),
    ((180.0, 10.0), (-179.999, 10.0), 109.6),
]


@pytest.mark.parametrize(("stored", "asked", "metres_apart"), ALMOST_THERE)
async def test_a_customer_is_found_from_where_it_is_however_that_is_written(
    client: httpx.AsyncClient,
    database: Database,
    stored: tuple[float, float],
    asked: tuple[float, float],
    metres_apart: float,
) -> None:
    await add_customers(database, np.array([stored[0]]), np.array([stored[1]]))
    lon, lat = asked

    near = await found(client, "radius", lon=lon, lat=lat, radius_m=200)
    first = await found(client, "nearest", lon=lon, lat=lat)
    points = [{"lon": 121.4, "lat": 31.2}, {"lon": lon, "lat": lat}]
    batch = await client.post("/v1/search/nearest:batch", json={"points": points})

    assert [customer["distance_m"] for customer in near] == [metres_apart]
    assert first == near
    assert batch.status_code == 200, batch.text
    assert [len(item["features"]) for item in batch.json()["items"]] == [1, 1]
    assert batch.json()["items"][1]["features"][0]["properties"] == near[0]


def test_the_index_is_asked_from_the_place_itself_or_from_beside_it() -> None:
    assert anchor_of(*SHANGHAI) == Anchor(*SHANGHAI, shift_m=0)
    for lon, lat in [(0.0, 51.5), (-180.0, 10.0), (12.0, 90.0), (90.0, 0.0), (-90.0001, -0.001)]:
        anchor = anchor_of(lon, lat)
        here, beside = unit_vectors(np.array([lon, anchor.lon]), np.array([lat, anchor.lat]))
        assert np.abs(beside).min() >= LEAST_COORDINATE
        assert 0 < anchor.shift_m < 300
        assert np.isclose(np.linalg.norm(beside - here) * SPHERE_M, anchor.shift_m, rtol=1e-6)


def crowd_of_islands() -> tuple[Floats, Floats]:
    """Three hundred customers within a few kilometres, in three groups."""
    rng = np.random.default_rng(3)
    centres = np.repeat([[121.4, 31.2], [121.6, 31.0], [120.6, 31.3]], 100, axis=0)
    places = centres + rng.normal(0, 0.02, centres.shape)
    return places[:, 0], places[:, 1]


async def test_the_nearest_of_a_far_crowd_are_exact_alone_and_in_a_batch(
    client: httpx.AsyncClient, database: Database
) -> None:
    lons, lats = crowd_of_islands()
    await add_customers(database, lons, lats)
    places = [(-58.6, -31.2), (2.3, 48.8), (-180.0, -90.0), (121.4, 31.2), (0.0, 0.0)]

    points = [{"lon": lon, "lat": lat} for lon, lat in places]
    batch = await client.post("/v1/search/nearest:batch", json={"points": points, "k": 3})

    assert batch.status_code == 200, batch.text
    for (lon, lat), item in zip(places, batch.json()["items"], strict=True):
        distance = metres(lon, lat, lons, lats)
        expected = [f"C{i}" for i in np.argsort(distance, kind="stable")[:3]]
        alone = await found(client, "nearest", lon=lon, lat=lat, k=3)
        together = [feature["properties"] for feature in item["features"]]
        assert [customer["external_id"] for customer in alone] == expected
        assert together == alone


async def test_every_filter_narrows_the_search(
    client: httpx.AsyncClient, database: Database
) -> None:
    lons, lats = np.linspace(121.40, 121.44, 5), np.full(5, 31.2)
    await add_customers(
        database,
        lons,
        lats,
        segment=["retail", "education", "retail", "retail", "retail"],
        tags=["key,new", "key", "new", "key,new", "key,new"],
        status=["active", "active", "active", "inactive", "lead"],
        last_visit_days=[None, 5, 40, 40, 5],
        **{"class": ["A", "A", "B", "A", "C"]},
    )

    async def ids(**query: Any) -> list[str]:
        answer = await found(client, "radius", lon=121.4, lat=31.2, radius_m=10_000, **query)
        return [customer["external_id"] for customer in answer]

    assert await ids() == ["C0", "C1", "C2", "C3", "C4"]
    assert await ids(limit=2) == ["C0", "C1"]
    assert await ids(**{"class": ["A", "C"]}) == ["C0", "C1", "C3", "C4"]
    assert await ids(segment="education") == ["C1"]
    assert await ids(tag=["key", "new"]) == ["C0", "C3", "C4"]
    assert await ids(status=["active", "lead"]) == ["C0", "C1", "C2", "C4"]
    assert await ids(not_visited_days=30) == ["C0", "C2", "C3"]
    assert await ids(territory_id=1) == []
    assert await found(client, "nearest", lon=121.4, lat=31.2, k=1, segment="education")


async def test_the_answer_is_the_documented_geojson(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add_customers(
        database, np.array([121.4]), np.array([31.2]), tags="key,new", last_visit_days=3
    )
    path = "/v1/search/radius?lon=121.4&lat=31.2&radius_m=5&tag=key&tag=new"

    answer = await client.get(path)

    assert answer.headers["content-type"] == "application/geo+json"
    document = FoundCustomers.model_validate_json(answer.content)
    assert set(answer.json()) == {"type", "features", "numberReturned", "links"}
    assert document.links[0].href == path
    feature = document.features[0]
    assert feature.geometry is not None
    assert feature.properties is not None
    assert tuple(feature.geometry.coordinates) == (121.4, 31.2)
    assert feature.properties.tags == ["key", "new"]
    assert feature.properties.distance_m == 0


async def test_an_empty_search_is_an_empty_collection(client: httpx.AsyncClient) -> None:
    assert await found(client, "radius", lon=0, lat=0, radius_m=1) == []
    assert await found(client, "nearest", lon=0, lat=90) == []


async def test_search_reads_the_index_in_the_order_of_distance(
    settings: Settings, database: Database
) -> None:
    rng = np.random.default_rng(1)
    await add_customers(database, rng.normal(121.4, 1.5, 20_000), rng.normal(31.2, 1.5, 20_000))
    analyze(settings)
    here = geography(121.4, 31.2)
    scope = scopes.customers(scopes.EVERYTHING)
    for conditions in ([scope, Customer.geog.ST_DWithin(here, 3000)], [scope]):
        explained = await explain(database, nearest(here, here, conditions, 50))
        assert "Index Scan using ix_customer_geog" in explained, explained
        assert "Order By: (geog <->" in explained
        assert "Seq Scan" not in explained
        assert "Sort" not in explained


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"radius_m": 0}, "/query/radius_m"),
    ({"radius_m": -5}, "/query/radius_m"),
    ({"radius_m": 500_001}, "/query/radius_m"),
    ({"radius_m": "nan"}, "/query/radius_m"),
    ({"radius_m": "inf"}, "/query/radius_m"),
    ({"radius_m": "far"}, "/query/radius_m"),
    ({"lon": "nan"}, "/query/lon"),
    ({"limit": 0}, "/query/limit"),
    ({"limit": 1001}, "/query/limit"),
    ({"class": "Z"}, "/query/class/0"),
    ({"segment": "\x00"}, "/query/segment/0"),
    ({"status": "gone"}, "/query/status/0"),
    ({"not_visited_days": -1}, "/query/not_visited_days"),
    ({"territory_id": 2**63}, "/query/territory_id"),
]


async def test_a_wrong_value_is_refused_and_named(client: httpx.AsyncClient) -> None:
    for query, pointer in REFUSED:
        given = {"lon": 121.4, "lat": 31.2, "radius_m": 100, **query}
        answer = await client.get("/v1/search/radius", params=given)
        assert answer.status_code == 422, query
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_swapped_coordinates_are_named(client: httpx.AsyncClient) -> None:
    query = {"lon": 31.2, "lat": 121.4, "radius_m": 100}
    answer = await client.get("/v1/search/radius", params=query)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert "swapping longitude and latitude" in fault["detail"]
    assert fault["pointer"] == "/query/lat"


async def test_an_unknown_parameter_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/search/nearest", params={"lon": 0, "lat": 0, "radius_m": 5})
    assert answer.status_code == 400


async def test_a_rep_s_customers_are_those_of_the_territories_they_own_now(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    places = np.array([SHANGHAI, BEIJING, SHANGHAI])
    await add_customers(database, places[:, 0], places[:, 1])
    async with database.writing() as session:
        reps = [Rep(external_id=name, name=name) for name in ("now", "before", "other")]
        session.add_all(reps)
        await session.flush()
        now, before, other = (rep.id for rep in reps)
        own, foreign = plan.territories["T01"], plan.territories["T02"]
        session.add_all(
            [
                TerritoryOwner(territory_id=own, rep_id=now, during=ALWAYS),
                TerritoryOwner(territory_id=foreign, rep_id=before, during=PAST),
            ]
        )

    async def ids(**query: Any) -> list[str]:
        answer = await found(client, "nearest", lon=121, lat=31, **query)
        return sorted(customer["external_id"] for customer in answer)

    assert await ids(rep_id=now) == ["C0", "C2"]
    assert await ids(rep_id=before) == await ids(rep_id=other) == await ids(rep_id=4711) == []
