"""Fences out of a FeatureCollection: all or nothing, each fault with its feature."""

from typing import Any

import h3
import httpx
import pytest

PATH = "/v1/geofences:import"
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def polygon(ring: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


def point(lon: Any, lat: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def collection(*features: Any, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


async def fences(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get("/v1/geofences")).json()["items"]
    return items


async def test_polygons_and_circles_are_imported_with_their_properties(
    client: httpx.AsyncClient,
) -> None:
    body = collection(
        feature(polygon(SQUARE), name="a", external_id="E1", group="own", colour="red", gates=2),
        feature(point(121.5, 31.2), name="b", radius_m=500),
    )

    answer = await client.post(f"{PATH}?group=given", json=body)

    assert answer.json() == {"created": 2, "changed": 0, "unchanged": 0, "repaired": []}
    square, circle = await fences(client)
    assert (square["kind"], square["group"], square["external_id"]) == ("polygon", "own", "E1")
    assert square["attributes"] == {"colour": "red", "gates": 2}
    assert (circle["kind"], circle["group"], circle["radius_m"]) == ("circle", "given", 500)


async def test_a_known_external_id_is_overwritten_and_a_repetition_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    cells = {"name": "old", "kind": "cells", "cells": ["872830828ffffff"], "external_id": "E1"}
    await client.post("/v1/geofences", json=cells)
    body = collection(
        feature(polygon(SQUARE), name="new", external_id="E1"),
        feature(polygon(SQUARE), name="more", external_id="E2"),
    )

    first = (await client.post(PATH, json=body)).json()
    again = (await client.post(PATH, json=body)).json()

    assert (first["created"], first["changed"], first["unchanged"]) == (1, 1, 0)
    assert (again["created"], again["changed"], again["unchanged"]) == (0, 0, 2)
    assert [(item["name"], item["kind"], item["version"]) for item in await fences(client)] == [
        ("new", "polygon", 2), ("more", "polygon", 1)
    ]  # fmt: skip
    lat, lon = h3.cell_to_latlng("872830828ffffff")
    held = await client.get(f"/v1/geofences/at?lon={lon}&lat={lat}")
    assert held.json()["items"] == []


async def test_repairs_are_told_with_their_feature(client: httpx.AsyncClient) -> None:
    body = collection(feature(polygon(SQUARE), name="a"), feature(polygon(BOW_TIE), name="b"))
    refused = await client.post(PATH, json=body)
    repaired = await client.post(f"{PATH}?repair=true", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/features/1/geometry/coordinates"
    assert repaired.json()["created"] == 2
    assert repaired.json()["repaired"][0]["pointer"] == "/features/1/geometry/coordinates"


CRS = {"type": "name", "properties": {"name": "EPSG:31467"}}
NESTED: dict[str, Any] = {"type": "GeometryCollection", "geometries": []}
for _ in range(20):
    NESTED = {"type": "GeometryCollection", "geometries": [NESTED]}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (collection(), "/features"),
        (collection(*[feature(polygon(SQUARE), name="x")] * 10_001), "/features"),
        (collection({"type": "Polygon"}), "/features/0"),
        (collection(feature(None, name="x")), "/features/0/geometry"),
        (collection(feature(polygon(SQUARE))), "/features/0/properties/name"),
        (collection(feature(polygon(SQUARE), name="x", a={})), "/features/0/properties/a"),
        (collection(feature(polygon(BOW_TIE), name="x")), "/features/0/geometry/coordinates"),
        (collection(feature(NESTED, name="x")), "/features/0/geometry/type"),
        (collection(feature(point(1, 1), name="x")), "/features/0/properties/radius_m"),
        (collection(feature(point(1, 1), name="x", radius_m=-1)),
         "/features/0/properties/radius_m"),
        (collection(feature(point(31, 121), name="x", radius_m=1)),
         "/features/0/geometry/coordinates"),
        (collection(feature(point("x", 1), name="x", radius_m=1)),
         "/features/0/geometry/coordinates"),
        (collection(feature({"type": "Point", "coordinates": 7}, name="x")),
         "/features/0/geometry/coordinates"),
        (collection(feature(polygon(SQUARE), name="x"), crs=CRS), "/features/0/geometry/crs"),
        (collection(*[feature(polygon(SQUARE), name="x", external_id="E")] * 2),
         "/features/1/properties/external_id"),
    ],
)  # fmt: skip
async def test_one_wrong_feature_refuses_all_and_is_named(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text[:300]
    found = [fault["pointer"] for fault in answer.json()["errors"]]
    assert any(place.startswith(pointer) for place in found), answer.text[:500]
    assert await fences(client) == []
