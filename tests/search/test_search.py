"""Search by distance against a brute-force twin on the ellipsoid."""

from typing import Any

import httpx
import numpy as np
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from sqlalchemy import Select, text

from app.db import scope as scopes
from app.db.session import Database
from app.db.spatial import geography
from app.db.tables import Customer
from app.search.repository import nearest
from app.search.schemas import FoundCustomers
from app.settings import Settings
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


async def explain(database: Database, statement: Select[Any]) -> str:
    """The plan of a statement, as the application's own role and session would run it."""
    compiled = statement.compile(database.engine.sync_engine)
    async with database.reading() as session:
        connection = await session.connection()
        lines = await connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.construct_params())
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
        explained = await explain(database, nearest(here, conditions, 50))
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
