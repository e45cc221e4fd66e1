"""Every address of `/ogc` × every role, and nobody: the application's matrix leaves them out."""

import httpx
import pytest
from fastapi.routing import APIRoute

from app.ogc.endpoints import routes
from tests.auth.clients import ClientAs
from tests.auth.world import World

TILES = "tiles/WebMercatorQuad"
ADDRESSES = {
    "/ogc": "/ogc",
    "/ogc/": "/ogc/",
    "/ogc/conformance": "/ogc/conformance",
    "/ogc/api": "/ogc/api",
    "/ogc/collections": "/ogc/collections",
    "/ogc/tileMatrixSets": "/ogc/tileMatrixSets",
    "/ogc/tileMatrixSets/{scheme}": "/ogc/tileMatrixSets/WebMercatorQuad",
}
OF_COLLECTION = {
    "/ogc/collections/{collection_id}": "",
    "/ogc/collections/{collection_id}/items": "/items",
    "/ogc/collections/{collection_id}/items/{item_id}": "/items/1",
    "/ogc/collections/{collection_id}/tiles": "/tiles",
    "/ogc/collections/{collection_id}/tiles/{scheme}": f"/{TILES}",
    "/ogc/collections/{collection_id}/tiles/{scheme}/{tile_matrix}/{tile_row}/{tile_col}": (
        f"/{TILES}/0/0/0"
    ),
}
SEES_ALL, SEES_SUMS, LIMITED = ("admin", "planner"), ("viewer",), ("manager", "rep")


def _all_addresses(collection: str) -> list[str]:
    of_collection = [f"/ogc/collections/{collection}{rest}" for rest in OF_COLLECTION.values()]
    return [*ADDRESSES.values(), *of_collection]


async def _statuses(client: httpx.AsyncClient, addresses: list[str]) -> dict[str, int]:
    return {address: (await client.get(address)).status_code for address in addresses}


def test_every_route_is_in_the_matrix() -> None:
    paths = {route.path for route in routes.routes if isinstance(route, APIRoute)}

    assert paths == {*ADDRESSES, *OF_COLLECTION}


@pytest.mark.parametrize("collection", ["customers", "territories", "geofences"])
async def test_nobody_is_let_in_without_a_credential(client_as: ClientAs, collection: str) -> None:
    nobody = await client_as(None)
    addresses = [*_all_addresses(collection), "/ogc/collections/customers/items?filter=(("]

    assert set((await _statuses(nobody, addresses)).values()) == {401}


@pytest.mark.parametrize("role", LIMITED)
@pytest.mark.parametrize("collection", ["customers", "territories", "geofences"])
async def test_callers_of_a_scope_are_refused_everywhere(
    world: World, client_as: ClientAs, role: str, collection: str
) -> None:
    limited = await client_as(role, world.reps[role])
    addresses = [*_all_addresses(collection), f"/ogc/collections/{collection}/items?filter=x"]

    assert set((await _statuses(limited, addresses)).values()) == {403}


@pytest.mark.parametrize("role", SEES_ALL)
@pytest.mark.parametrize("collection", ["customers", "territories", "geofences"])
async def test_who_sees_single_customers_sees_everything(
    world: World, client_as: ClientAs, role: str, collection: str
) -> None:
    client = await client_as(role)

    assert set((await _statuses(client, _all_addresses(collection))).values()) == {200}


@pytest.mark.parametrize("role", SEES_SUMS)
async def test_a_viewer_sees_territories_and_geofences_only(
    world: World, client_as: ClientAs, role: str
) -> None:
    client = await client_as(role)

    for collection in ("territories", "geofences"):
        assert set((await _statuses(client, _all_addresses(collection))).values()) == {200}
    hidden = [f"/ogc/collections/customers{rest}" for rest in OF_COLLECTION.values()]
    assert set((await _statuses(client, hidden)).values()) == {403}
    listed = (await client.get("/ogc/collections")).json()["collections"]
    assert [collection["id"] for collection in listed] == ["territories", "geofences"]
    assert "customers" not in str((await client.get("/ogc/api")).json()["paths"].keys())
    assert "customers" not in (await client.get("/ogc/collections/none")).json()["detail"]


async def test_a_key_without_the_scope_read_reads_nothing(client_as: ClientAs) -> None:
    watcher = await client_as("admin", scopes=("metrics",))

    assert (await watcher.get("/ogc/collections")).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_changed(client_as: ClientAs, method: str) -> None:
    admin = await client_as("admin")
    answer = await admin.request(method, "/ogc/collections/geofences/items/1")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json()["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize(
    "address",
    [
        "/ogc/collections/customers/queryables",
        "/ogc/collections/ogc.customers/items",
        "/ogc/collections/public.customer/items",
        "/ogc/collections/customer/items",
        f"/ogc/collections/customers/{TILES}/map.html",
        "/ogc/functions",
        "/ogc/healthz",
        "/ogc/rawcatalog",
        "/ogc/docs",
    ],
)
async def test_what_tipg_has_besides_is_not_here(client_as: ClientAs, address: str) -> None:
    admin = await client_as("admin")
    answer = await admin.get(address)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_small_territories_show_no_sums(world: World, client_as: ClientAs) -> None:
    client = await client_as("viewer")
    features = (await client.get("/ogc/collections/territories/items")).json()["features"]

    sums = ("customers", "work_minutes", "potential", "revenue", "work_imbalance")
    assert [feature["properties"]["code"] for feature in features] == ["T01", "T02"]
    assert {feature["properties"][name] for feature in features for name in sums} == {None}
