"""`/ogc/api`: what works at `/ogc`, as OpenAPI 3.0.

Written by hand: the framework describes itself in 3.1 only, and the standard asks for 3.0.
"""

from collections.abc import Iterable
from typing import Any

from app import __version__
from app.ogc.documents import GEOJSON, JSON, MVT, OPENAPI, SCHEME, TITLE, Document
from app.ogc.views import NUMBERS, View

PARAMETERS = "#/components/parameters/"
PROBLEM: Document = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "trace_id": {"type": "string"},
    },
}


def describe(base: str, views: Iterable[View], largest: int, usual: int) -> Document:
    """Return the description for somebody who may see `views`; pages hold up to `largest`."""
    paths: Document = {
        "/": _get("The landing page", JSON),
        "/conformance": _get("What this API conforms to", JSON),
        "/api": _get("This document", OPENAPI),
        "/collections": _get("The collections", JSON),
        "/tileMatrixSets": _get("The tiling schemes", JSON),
        f"/tileMatrixSets/{SCHEME}": _get("The tiling scheme", JSON),
    }
    for view in views:
        paths |= _paths_of(view)
    return {
        "openapi": "3.0.3",
        "info": {"title": f"{TITLE} (OGC API)", "version": __version__},
        "servers": [{"url": base}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": PROBLEM},
            "parameters": _parameters(largest, usual),
        },
    }


def _paths_of(view: View) -> Document:
    address = f"/collections/{view.id}"
    kinds = {column.name: column.type for column in view.properties}
    asking = [{"$ref": PARAMETERS + name} for name in ("limit", "after", "bbox", "datetime")]
    asking += [
        _query(name, _kind_of(kinds[name]), f"Only features whose {name} is this")
        for name in view.filterable
    ]
    matrix = [_place(name) for name in ("tileMatrix", "tileRow", "tileCol")]
    tiles = f"{address}/tiles/{SCHEME}"
    return {
        address: _get(view.description or view.title, JSON),
        f"{address}/items": _get(f"{view.title}, in the order of their ids", GEOJSON, asking),
        f"{address}/items/{{featureId}}": _get("One feature", GEOJSON, [_place("featureId")]),
        f"{address}/tiles": _get("Its tilesets", JSON),
        tiles: _get("Its tiles", JSON),
        f"{tiles}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": _get("A tile", MVT, matrix),
    }


def _parameters(largest: int, usual: int) -> Document:
    number: Document = {"type": "integer", "minimum": 1, "maximum": largest, "default": usual}
    corners = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
    return {
        "limit": _query("limit", number, "How many features to return at most"),
        "after": _query("after", {"type": "integer", "minimum": 0}, "Ids above this; see `next`"),
        "bbox": _query(
            "bbox", corners, "west,south,east,north in degrees; west > east crosses 180°"
        ),
        "datetime": _query(
            "datetime", {"type": "string"},
            "A time, or an interval such as 2026-01-01T00:00:00Z/..; what has no time is found too",
        ),
    }  # fmt: skip


def _get(summary: str, media_type: str, parameters: list[Document] | None = None) -> Document:
    schema: Document = {"type": "string", "format": "binary"} if media_type == MVT else {}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {
                "description": summary,
                "content": {media_type: {"schema": schema or {"type": "object"}}},
            },
            "default": {
                "description": "Refused, with the reason",
                "content": {"application/problem+json": problem},
            },
        },
    }
    return {"get": operation}


def _query(name: str, schema: Document, description: str) -> Document:
    return {
        "name": name, "in": "query", "required": False, "schema": schema,
        "description": description, "style": "form", "explode": False,
    }  # fmt: skip


def _place(name: str) -> Document:
    kind = "string" if name == "featureId" else "integer"
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _kind_of(column: str) -> Document:
    return {"type": "integer"} if column in NUMBERS else {"type": "string"}
