"""Questions that are refused: 400 with the parameter, as the standard wants it."""

import httpx
import pytest

ITEMS = "/ogc/collections/customers/items"
WRONG = (
    "limit=0", "limit=-1", "limit=10001", "limit=x", "limit=1.5", "limit=", "limit=1e3",
    f"limit={2**70}", "after=-1", "after=x", f"after={2**63}",
    "bbox=", "bbox=1,2,3", "bbox=1,2,3,4,5", "bbox=a,b,c,d", "bbox=1,2,3,4,5,6,7",
    "bbox=nan,0,1,1", "bbox=0,0,inf,1", "bbox=0,0,1,1e999", "bbox=0,1,1,0", "bbox=0,0,0,91",
    "bbox=31,121,32,122", "bbox=181,0,182,1", "bbox=0,0,nan,1,1,1", "bbox=0,0,x,1,1,1",
    "bbox=0,0,1,1,,1", "bbox=" + ",".join("1" * 200),
    "datetime=", "datetime=x", "datetime=2025-01-01", "datetime=2025-01-01T00:00:00",
    "datetime=../..", "datetime=/", "datetime=..", "datetime=2025-13-01T00:00:00Z",
    "datetime=2025-01-02T00:00:00Z/2025-01-01T00:00:00Z", "datetime=0",
    "datetime=2025-01-01T00:00:00Z/../..", "datetime=9999-12-31T23:59:59Z/..",
    "datetime=2025-01-01T00:00:00Z/2026-01-01T00:00:00Z/2027-01-01T00:00:00Z",
    "f=html", "f=csv", "f=", "f=geojsonseq", "name=%00", "name=a%0Ab", "name=" + "a" * 301,
)  # fmt: skip


@pytest.mark.parametrize("query", WRONG)
async def test_a_wrong_value_is_400(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{ITEMS}?{query}")

    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["trace_id"]
    assert [fault["pointer"] for fault in problem["errors"]] == [f"/query/{query.split('=')[0]}"]
    assert len(answer.content) < 2000


async def test_swapped_corners_are_told(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{ITEMS}?bbox=31,121,32,122")

    assert "west,south,east,north" in answer.json()["detail"]


UNKNOWN = (
    "colour=red", "offset=10", "sortby=name", "ids=1,2", "properties=name", "geom-column=geom",
    "datetime-column=x", "bbox-only=true", "simplify=0.1", "crs=x", "bbox-crs=x", "token=x",
    "last_visit_at=x", "potential=1", "id=1", "geom=x", "Limit=1", "BBOX=1,2,3,4", "code=T01",
)  # fmt: skip


@pytest.mark.parametrize("query", UNKNOWN)
async def test_an_unknown_parameter_is_400(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{ITEMS}?{query}")

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/unknown-parameter"


@pytest.mark.parametrize(
    "address",
    ["", "/conformance", "/api", "/collections", "/collections/customers", "/tileMatrixSets",
     "/tileMatrixSets/WebMercatorQuad", "/collections/customers/items/1",
     "/collections/customers/tiles", "/collections/customers/tiles/WebMercatorQuad",
     "/collections/customers/tiles/WebMercatorQuad/0/0/0"],
)  # fmt: skip
async def test_every_address_knows_its_parameters(client: httpx.AsyncClient, address: str) -> None:
    for query, kind in (
        ("limit=1", "unknown-parameter"), ("name=x", "unknown-parameter"),
        ("filter=x", "not-supported"), ("f=html", "malformed-request"),
    ):  # fmt: skip
        answer = await client.get(f"/ogc{address}?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["type"] == f"/problems/{kind}"


async def test_a_parameter_given_twice_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{ITEMS}?limit=1&limit=2")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/query/limit"
