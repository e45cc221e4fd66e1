"""The documents of OGC API that describe what is here; `base` is the absolute address of `/ogc`."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import morecantile

from app.ogc.views import View

Document = dict[str, Any]
# West, south, east and north in degrees, where there is anything.
Extent = tuple[float, float, float, float] | None

WORLD = (-180.0, -90.0, 180.0, 90.0)

JSON, GEOJSON = "application/json", "application/geo+json"
MVT = "application/vnd.mapbox-vector-tile"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
SCHEME_URI = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
SCHEME = "WebMercatorQuad"
TITLE = "Bailiwick"
# Neither Part 3 (filters, queryables) nor CQL2, nor any encoding as HTML.
CONFORMS_TO = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/landingPage",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
)
TILING_SCHEME = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"
TILESETS_VECTOR = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"


def link(href: str, rel: str, media_type: str, title: str, **more: Any) -> Document:
    """Return a link."""
    return {"href": href, "rel": rel, "type": media_type, "title": title, **more}


def landing(base: str) -> Document:
    """Return the landing page."""
    return {
        "title": TITLE,
        "description": "Territories in force, geofences and customers, to look at in a GIS",
        "links": [
            link(base, "self", JSON, "This document"),
            link(f"{base}/api", "service-desc", OPENAPI, "The API, as OpenAPI 3.0"),
            link(f"{base}/conformance", "conformance", JSON, "What this API conforms to"),
            link(f"{base}/collections", "data", JSON, "The collections"),
            link(f"{base}/tileMatrixSets", f"{TILING_SCHEME}s", JSON, "The tiling schemes"),
        ],
    }


def collections(base: str, extents: Iterable[tuple[View, Extent]]) -> Document:
    """Return the list of collections, each with its extent."""
    return {
        "links": [link(f"{base}/collections", "self", JSON, "This document")],
        "collections": [collection(base, view, extent) for view, extent in extents],
    }


def collection(base: str, view: View, extent: Extent) -> Document:
    """Return what describes one collection; without features they may be anywhere."""
    address = f"{base}/collections/{view.id}"
    return {
        "id": view.id,
        "title": view.title,
        "description": view.description,
        "itemType": "feature",
        "crs": [CRS84],
        "extent": {"spatial": {"bbox": [extent or WORLD], "crs": CRS84}},
        "links": [
            link(address, "self", JSON, "This document"),
            link(f"{address}/items", "items", GEOJSON, f"{view.title}, as GeoJSON"),
            link(f"{address}/tiles", TILESETS_VECTOR, JSON, f"{view.title}, as vector tiles"),
        ],
    }


def tilesets(base: str, view: View) -> Document:
    """Return the list of the tilesets of a collection."""
    return {
        "links": [link(f"{base}/collections/{view.id}/tiles", "self", JSON, "This document")],
        "tilesets": [tileset(base, view)],
    }


def tileset(base: str, view: View) -> Document:
    """Return what describes the tiles of a collection."""
    address = f"{base}/collections/{view.id}/tiles/{SCHEME}"
    template = f"{address}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    return {
        "title": f"{view.title} in {SCHEME}",
        "dataType": "vector",
        "crs": WEB_MERCATOR,
        "tileMatrixSetURI": SCHEME_URI,
        "links": [
            link(address, "self", JSON, "This document"),
            link(f"{base}/tileMatrixSets/{SCHEME}", TILING_SCHEME, JSON, "The tiling scheme"),
            link(template, "item", MVT, "The tiles", templated=True),
        ],
    }


def tile_matrix_sets(base: str) -> Document:
    """Return the list of tiling schemes."""
    address = f"{base}/tileMatrixSets/{SCHEME}"
    return {
        "tileMatrixSets": [
            {
                "id": SCHEME,
                "title": "Google Maps Compatible for the World",
                "uri": SCHEME_URI,
                "links": [link(address, "self", JSON, "The tiling scheme")],
            }
        ]
    }


@cache
def tile_matrix_set() -> Document:
    """Return the tiling scheme, to the zoom at which our tiles end."""
    document: Document = scheme().model_dump(exclude_none=True, mode="json", by_alias=True)
    return document


@cache
def scheme() -> morecantile.TileMatrixSet:
    """Return the arithmetic of the tiling scheme."""
    found: morecantile.TileMatrixSet = morecantile.tms.get(SCHEME)
    return found
