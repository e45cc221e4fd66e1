"""The requirements of OGC API Features Part 1 (17-069r4), as the OGC's own suite looks at them.

`PORTED` names, for each test of that suite's core part, the test here (or of what is refused, in
`test_refusals`) that looks at the same.
"""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from shapely.geometry import shape

from app.ogc.documents import CONFORMS_TO
from app.settings import Settings
from tests.ogc import test_refusals
from tests.ogc.conftest import N_CUSTOMERS

ITEMS = "/ogc/collections/customers/items"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
FEATURES = "test_items_are_a_feature_collection_in_crs84"
PAGE = "test_a_page_says_its_time_links_and_numbers"
OPERATIONS = "test_every_described_operation_answers"
PORTED = {
    "openapiDocumentRetrieval": "test_the_landing_page_leads_to_the_api_definition",
    "apiDefinitionValidation": "test_the_api_definition_is_openapi_3_0",
    "featureOperation": OPERATIONS,
    "validateFeatureResponse": "test_a_feature_has_its_id_and_links",
    "validateFeatureCollectionMetadataOperation": OPERATIONS,
    "validateFeatureCollectionMetadataResponse": "test_a_collection_is_what_the_list_says_of_it",
    "validateFeatureCollectionsMetadataOperation": OPERATIONS,
    "validateFeatureCollectionsMetadataOperationResponse_Links": "test_collections_link_to_items",
    "validateFeatureCollectionsMetadataOperationResponse_Items": "test_collections_link_to_items",
    "validateFeatureCollectionsMetadataOperationResponse_CrsProperty": (
        "test_collections_are_in_crs84"
    ),
    "validateFeatureCollectionsMetadataOperationResponse_Content": "test_collections_are_in_crs84",
    "validateFeaturesOperation": OPERATIONS,
    "validateFeaturesResponse_GeometryInCRS84": FEATURES,
    "validateFeaturesResponse_TypeProperty": FEATURES,
    "validateFeaturesResponse_FeaturesProperty": FEATURES,
    "validateFeaturesResponse_Links": PAGE,
    "validateFeaturesResponse_TimeStamp": PAGE,
    "validateFeaturesResponse_NumberMatched": PAGE,
    "validateFeaturesResponse_NumberReturned": PAGE,
    "boundingBoxParameterDefinition": "test_parameters_are_defined_as_the_standard_says",
    "validateFeaturesWithBoundingBoxOperation": OPERATIONS,
    "validateFeaturesWithBoundingBoxResponse": "test_a_bbox_selects_what_it_holds",
    "validateFeaturesWithBoundingBoxResponse_TypeProperty": FEATURES,
    "validateFeaturesWithBoundingBoxResponse_FeaturesProperty": FEATURES,
    "validateFeaturesWithBoundingBoxResponse_Links": PAGE,
    "validateFeaturesWithBoundingBoxResponse_TimeStamp": PAGE,
    "validateFeaturesWithBoundingBoxResponse_NumberMatched": PAGE,
    "validateFeaturesOperation_QueryParamInvalid": "test_a_wrong_value_is_400",
    "validateFeaturesOperation_QueryParamUnknown": "test_an_unknown_parameter_is_400",
    "limitParameterDefinition": "test_parameters_are_defined_as_the_standard_says",
    "validateFeaturesWithLimitOperation": OPERATIONS,
    "validateFeaturesWithLimitResponse": "test_no_page_has_more_than_its_limit",
    "validateFeaturesWithLimitResponse_GeometryInCRS84": FEATURES,
    "validateFeaturesWithLimitResponse_TypeProperty": FEATURES,
    "validateFeaturesWithLimitResponse_FeaturesProperty": FEATURES,
    "validateFeaturesWithLimitResponse_Links": PAGE,
    "validateFeaturesWithLimitResponse_TimeStamp": PAGE,
    "validateFeaturesWithLimitResponse_NumberMatched": PAGE,
    "timeParameterDefinition": "test_parameters_are_defined_as_the_standard_says",
    "validateFeaturesWithDateTimeOperation": OPERATIONS,
    "validateFeaturesWithDateTimeResponse": "test_a_time_selects_what_it_holds",
    "validateFeaturesWithDateTimeResponse_GeometryInCRS84": FEATURES,
    "validateFeaturesWithDateTimeResponse_TypeProperty": FEATURES,
    "validateFeaturesWithDateTimeResponse_FeaturesProperty": FEATURES,
    "validateFeaturesWithDateTimeResponse_Links": PAGE,
    "validateFeaturesWithDateTimeResponse_TimeStamp": PAGE,
    "validateFeaturesWithDateTimeResponse_NumberMatched": PAGE,
    "validateConformanceOperationAndResponse": "test_conformance_names_what_is_kept_and_no_more",
    "http": OPERATIONS,
    "landingPageRetrieval": "test_the_landing_page_links_to_what_must_be_found",
    "landingPageValidation": "test_the_landing_page_links_to_what_must_be_found",
}
QUERIES = ("", "limit=7", "bbox=100,20,140,50", "datetime=2020-01-01T00:00:00Z/..")


async def _document(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def _links(document: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == rel]


async def _pages(client: httpx.AsyncClient, address: str) -> list[dict[str, Any]]:
    pages = []
    while address:
        pages.append(await _document(client, address))
        assert len(pages) <= N_CUSTOMERS + 9
        following = _links(pages[-1], "next")
        address = following[0]["href"] if following else ""
    return pages


def test_every_core_test_of_the_suite_is_ported(shared_data: Path) -> None:
    with (shared_data / "ogc_api_features_tests" / "tests.csv").open() as file:
        names = {row["test"] for row in csv.DictReader(file) if row["part"] == "core"}

    assert names == set(PORTED)
    here = {**vars(test_refusals), **globals()}
    assert all(callable(here.get(name)) for name in PORTED.values())


async def test_the_landing_page_links_to_what_must_be_found(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc")

    for rel in ("self", "service-desc", "conformance", "data"):
        (link,) = _links(document, rel)
        answer = await client.get(link["href"])
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == link["type"]


async def test_the_landing_page_leads_to_the_api_definition(client: httpx.AsyncClient) -> None:
    (link,) = _links(await _document(client, "/ogc/"), "service-desc")

    answer = await client.get(link["href"], headers={"Accept": link["type"]})

    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json;version=3.0"


async def test_the_api_definition_is_openapi_3_0(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc/api")

    assert document["openapi"].startswith("3.0.")
    assert {"info", "paths", "components", "servers"} <= set(document)
    for path, operations in document["paths"].items():
        assert set(operations) == {"get"}
        operation = operations["get"]
        assert {"200", "default"} == set(operation["responses"])
        places = {p["name"] for p in operation["parameters"] if p.get("in") == "path"}
        assert places == {part[1:-1] for part in path.split("/") if part.startswith("{")}


async def test_every_described_operation_answers(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc/api")
    (server,) = document["servers"]
    values = {"featureId": "1", "tileMatrix": "0", "tileRow": "0", "tileCol": "0"}

    for path, operations in document["paths"].items():
        answer = await client.get(server["url"] + path.format(**values))
        assert answer.status_code == 200, path
        (media_type,) = operations["get"]["responses"]["200"]["content"]
        assert answer.headers["Content-Type"] == media_type


async def test_conformance_names_what_is_kept_and_no_more(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc/conformance")

    classes = document["conformsTo"]
    assert classes == list(CONFORMS_TO)
    for part in ("core", "geojson", "oas30"):
        assert f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{part}" in classes
    for left_out in ("cql2", "features-2", "features-3", "html"):
        assert not [name for name in classes if left_out in name]


async def test_parameters_are_defined_as_the_standard_says(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc/api")
    defined = document["components"]["parameters"]
    asked = document["paths"]["/collections/customers/items"]["get"]["parameters"]

    for name in ("bbox", "limit", "datetime"):
        assert {"$ref": f"#/components/parameters/{name}"} in asked
        found = defined[name]
        assert (found["in"], found["required"], found["style"], found["explode"]) == (
            "query", False, "form", False,
        )  # fmt: skip
    corners = defined["bbox"]["schema"]
    assert (corners["type"], corners["minItems"], corners["maxItems"]) == ("array", 4, 6)
    limit = defined["limit"]["schema"]
    assert limit == {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100}
    assert defined["datetime"]["schema"] == {"type": "string"}


async def test_collections_link_to_items(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc/collections")

    assert _links(document, "self")
    for collection in document["collections"]:
        (link,) = _links(collection, "items")
        assert link["type"] == "application/geo+json"
        assert (await client.get(link["href"])).headers["Content-Type"] == link["type"]


async def test_collections_are_in_crs84(client: httpx.AsyncClient) -> None:
    document = await _document(client, "/ogc/collections")

    ids = [collection["id"] for collection in document["collections"]]
    assert ids == ["customers", "territories", "geofences"]
    for collection in document["collections"]:
        assert collection["crs"] == [CRS84]
        assert collection["extent"]["spatial"]["crs"] == CRS84


async def test_the_extent_of_a_collection_is_that_of_its_features(
    client: httpx.AsyncClient,
) -> None:
    for collection in (await _document(client, "/ogc/collections"))["collections"]:
        items = await _document(client, f"/ogc/collections/{collection['id']}/items?limit=10000")
        shapes = [shape(feature["geometry"]) for feature in items["features"]]
        assert len(shapes) > 1
        (extent,) = collection["extent"]["spatial"]["bbox"]
        assert extent == pytest.approx(shapely.total_bounds(shapes), abs=1e-6)


async def test_a_collection_is_what_the_list_says_of_it(client: httpx.AsyncClient) -> None:
    for listed in (await _document(client, "/ogc/collections"))["collections"]:
        assert await _document(client, f"/ogc/collections/{listed['id']}") == listed


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("collection", ["customers", "territories", "geofences"])
async def test_items_are_a_feature_collection_in_crs84(
    client: httpx.AsyncClient, collection: str, query: str
) -> None:
    answer = await client.get(f"/ogc/collections/{collection}/items?{query}")
    document = answer.json()

    assert answer.headers["Content-Type"] == "application/geo+json"
    assert document["type"] == "FeatureCollection"
    assert isinstance(document["features"], list)
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        places = np.array(_positions(feature["geometry"]["coordinates"]))
        assert (np.abs(places) <= [180, 90]).all()


def _positions(coordinates: Any) -> list[list[float]]:
    if isinstance(coordinates[0], int | float):
        return [coordinates]
    return [position for part in coordinates for position in _positions(part)]


async def test_longitude_comes_first(client: httpx.AsyncClient) -> None:
    (feature,) = (await _document(client, f"{ITEMS}?external_id=OWN"))["features"]

    assert feature["geometry"] == {"type": "Point", "coordinates": [121.47, 31.23]}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_page_says_its_time_links_and_numbers(
    client: httpx.AsyncClient, query: str
) -> None:
    document = await _document(client, f"{ITEMS}?{query}")

    (own,) = _links(document, "self")
    assert {**await _document(client, own["href"]), "timeStamp": ""} == {
        **document,
        "timeStamp": "",
    }
    assert all({"href", "rel", "type"} <= set(link) for link in document["links"])
    assert datetime.fromisoformat(document["timeStamp"]).utcoffset() is not None
    assert document["numberReturned"] == len(document["features"])
    pages = await _pages(client, f"{ITEMS}?{query}")
    assert document["numberMatched"] == sum(page["numberReturned"] for page in pages)


async def test_no_page_has_more_than_its_limit(client: httpx.AsyncClient) -> None:
    for limit in (1, 99, 10_000):
        document = await _document(client, f"{ITEMS}?limit={limit}")
        assert document["numberReturned"] == min(limit, N_CUSTOMERS + 2)
        assert bool(_links(document, "next")) == (limit < N_CUSTOMERS + 2)


@pytest.mark.parametrize("limit", [1, 7, 100, 232])
async def test_paging_visits_each_feature_once(client: httpx.AsyncClient, limit: int) -> None:
    pages = await _pages(client, f"{ITEMS}?limit={limit}&status=active")

    ids = [feature["id"] for page in pages for feature in page["features"]]
    assert sorted(set(ids)) == ids
    assert len(ids) == N_CUSTOMERS + 2
    assert {page["numberMatched"] for page in pages} == {N_CUSTOMERS + 2}


async def test_a_feature_that_is_gone_meanwhile_shifts_no_page(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    first = await _document(client, f"{ITEMS}?limit=5")
    (following,) = _links(first, "next")
    expected = (await _document(client, following["href"]))["features"]

    gone = first["features"][-1]["id"]
    assert (await client.delete(f"/v1/customers/{gone}", headers={"If-Match": "*"})).is_success

    assert (await _document(client, following["href"]))["features"] == expected
    name = {"name": "back", "lon": 1, "lat": 1}
    assert (await client.put("/v1/customers/by-external-id/BACK", json=name)).is_success


async def test_a_feature_has_its_id_and_links(client: httpx.AsyncClient) -> None:
    page = await _document(client, f"{ITEMS}?limit=3")

    for listed in page["features"]:
        answer = await client.get(f"{ITEMS}/{listed['id']}")
        feature = answer.json()
        assert answer.headers["Content-Type"] == "application/geo+json"
        assert {name: feature[name] for name in listed} == listed
        assert [link["rel"] for link in feature["links"]] == ["self", "collection"]
        for link in feature["links"]:
            assert (await client.get(link["href"])).headers["Content-Type"] == link["type"]


@pytest.mark.parametrize("item", ["0", "999999", "-1", "x", "1.0", str(2**63), "9" * 400, "1%00"])
async def test_a_feature_that_is_not_there_is_404(client: httpx.AsyncClient, item: str) -> None:
    answer = await client.get(f"{ITEMS}/{item}")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


BOXES = (
    (-180, -90, 180, 90), (0, 0, 60, 40), (170, -80, -170, 80), (100, -10, -100, 10),
    (121.47, 31.23, 121.47, 31.23), (121, 31.23, 122, 31.23), (-180, -90, -180, 90),
)  # fmt: skip


def is_inside(box: tuple[float, ...], lon: float, lat: float) -> bool:
    west, south, east, north = box
    in_width = west <= lon <= east if west <= east else lon >= west or lon <= east
    return in_width and south <= lat <= north


@pytest.mark.parametrize("box", BOXES)
async def test_a_bbox_selects_what_it_holds(
    client: httpx.AsyncClient, box: tuple[float, ...]
) -> None:
    west, south, east, north = box
    everything = (await _document(client, f"{ITEMS}?limit=10000"))["features"]
    found = await _document(client, f"{ITEMS}?limit=10000&bbox={','.join(map(str, box))}")
    high = f"{west},{south},-100,{east},{north},9e3"
    with_heights = await _document(client, f"{ITEMS}?limit=10000&bbox={high}")

    expected = [f["id"] for f in everything if is_inside(box, *f["geometry"]["coordinates"])]
    assert [feature["id"] for feature in found["features"]] == expected
    assert with_heights["features"] == found["features"]


async def test_a_bbox_selects_areas_that_reach_into_it(client: httpx.AsyncClient) -> None:
    fences = "/ogc/collections/geofences/items"

    # The ring (0 0, 1 0, 1 1): the second box lies within its envelope, beyond its slanting side.
    assert (await _document(client, f"{fences}?bbox=0.9,0.1,5,0.2"))["numberMatched"] == 2
    assert (await _document(client, f"{fences}?bbox=0.1,0.5,0.2,0.6"))["numberMatched"] == 0


TIMES = (
    ("2025-06-01T00:00:00Z/..", "2025-06-01T00:00:00+00:00", None),
    ("2025-06-01T00:00:00Z/", "2025-06-01T00:00:00+00:00", None),
    ("../2026-01-01T00:00:00%2B08:00", None, "2025-12-31T16:00:00+00:00"),
    ("/2026-01-01T00:00:00-05:30", None, "2026-01-01T05:30:00+00:00"),
    ("2025-01-01T00:00:00Z/2026-03-01T12:30:00.5Z", "2025-01-01T00:00:00+00:00",
     "2026-03-01T12:30:00.500000+00:00"),
    ("1999-01-01T00:00:00Z", "1999-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"),
)  # fmt: skip


@pytest.mark.parametrize(("interval", "start", "end"), TIMES)
async def test_a_time_selects_what_it_holds(
    client: httpx.AsyncClient, interval: str, start: str | None, end: str | None
) -> None:
    everything = (await _document(client, f"{ITEMS}?limit=10000"))["features"]
    found = await _document(client, f"{ITEMS}?limit=10000&datetime={interval}")

    def is_inside(time: str | None) -> bool:
        # What has no time is found at any (corrigendum of the requirement fc-time-response).
        return time is None or (start or "") <= time <= (end or "9")

    expected = [f["id"] for f in everything if is_inside(f["properties"]["last_visit_at"])]
    assert [feature["id"] for feature in found["features"]] == expected
    assert 0 < len(expected) < len(everything)


async def test_both_ends_of_an_interval_belong_to_it(client: httpx.AsyncClient) -> None:
    everything = (await _document(client, f"{ITEMS}?limit=10000"))["features"]
    with_time = next(f for f in everything if f["properties"]["last_visit_at"])
    time = with_time["properties"]["last_visit_at"].replace("+", "%2B")

    for interval in (time, f"{time}/..", f"../{time}", f"{time}/{time}"):
        found = await _document(client, f"{ITEMS}?limit=10000&datetime={interval}")
        assert with_time in found["features"]


async def test_a_time_is_no_matter_where_features_have_none(client: httpx.AsyncClient) -> None:
    territories = "/ogc/collections/territories/items"
    found = await _document(client, f"{territories}?datetime=1950-01-01T00:00:00Z")

    assert found["numberMatched"] == 2


class Asked(NamedTuple):
    """A question, and by what it is answered in Python."""

    box: tuple[float, float, float, float]
    after: int
    limit: int
    since_days: int | None


QUESTIONS = st.builds(
    Asked,
    box=st.tuples(
        st.integers(-180, 180), st.integers(-90, 0), st.integers(-180, 180), st.integers(0, 90)
    ),
    after=st.integers(0, N_CUSTOMERS + 9),
    limit=st.integers(1, N_CUSTOMERS + 9),
    since_days=st.none() | st.integers(0, 900),
)


@given(asked=QUESTIONS)
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_question_is_answered_as_a_loop_over_all_features_answers_it(
    client: httpx.AsyncClient, asked: Asked
) -> None:
    everything = (await _document(client, f"{ITEMS}?limit=10000"))["features"]
    query = {"bbox": ",".join(map(str, asked.box)), "after": asked.after, "limit": asked.limit}
    since = ""
    if asked.since_days is not None:
        since = (datetime.now(UTC) - timedelta(days=asked.since_days)).isoformat()
        query["datetime"] = f"{since}/.."

    found = await _document(client, f"{ITEMS}?{urlencode(query)}")

    times = {f["id"]: f["properties"]["last_visit_at"] for f in everything}
    expected = [
        feature["id"]
        for feature in everything
        if is_inside(asked.box, *feature["geometry"]["coordinates"])
        and (times[feature["id"]] or "9") >= since
    ]
    assert found["numberMatched"] == len(expected)
    page = [number for number in expected if number > asked.after][: asked.limit]
    assert [feature["id"] for feature in found["features"]] == page


async def test_properties_can_be_asked_for_by_value(client: httpx.AsyncClient) -> None:
    territories = "/ogc/collections/territories/items"
    for address, expected in (
        (f"{ITEMS}?class=C&external_id=FOREIGN", 1),
        (f"{ITEMS}?class=A", 0),
        (f"{territories}?code=T01", 1),
        (f"{territories}?layer_id=1&rep_name=OWN+rep", 1),
        (f"{territories}?layer_id=2", 0),
        ("/ogc/collections/geofences/items?name=two", 1),
    ):
        assert (await _document(client, address))["numberMatched"] == expected, address
