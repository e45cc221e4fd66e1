"""Addresses, headers and bodies as a whole that are refused."""

import gzip
import json
from collections.abc import Iterator

from tests.inputs.bombs import CUSTOMERS, DEPTH, FENCES, JSON, LAYERS, LOOKUPS, PLANS, REPS, Bomb

RIGHT = b'{"external_id": "B", "name": "B", "lon": 1, "lat": 1}'
PATCH = {"Content-Type": "application/merge-patch+json", "If-Match": "*"}
BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 10) for n in range(12))
    + b"]><l>&m;</l>"
)


def get(name: str, target: str, pointer: str | None = None, *statuses: int) -> Bomb:
    """Return a bomb that is an address only."""
    return Bomb(name, target, bytes, statuses or (422,), pointer, "GET", {})


def _queries() -> Iterator[Bomb]:
    for radius in ("0", "-1", "nan", "inf", "1e999", "500000.1", "1e9", "", "five"):
        query = f"lon=1&lat=1&radius_m={radius}"
        yield get(f"radius {radius}", f"/v1/search/radius?{query}", "/query/radius_m")
    for query, wrong in PLACES.items():
        for path in ("search/nearest?", "search/radius?radius_m=9&", "territories/at?",
                     "geofences/at?"):  # fmt: skip
            yield get(f"{query} at {path}", f"/v1/{path}{query}", f"/query/{wrong}")
    for box in BOXES:
        yield get(f"bbox {box[:16]}", f"/v1/customers?bbox={box}", "/query/bbox")
    for cursor in ("x", "%00", "e30", "a" * 101, "%F0%9F%98%80"):
        target = f"/v1/customers?cursor={cursor}"
        yield get(f"cursor {cursor[:9]}", target, "/query/cursor", 400, 422)
    for limit in ("0", "-1", "1001", "1000000000", "1e3", "nan"):
        yield get(f"limit {limit}", f"/v1/customers?limit={limit}", "/query/limit")


PLACES = {
    "lon=31.2&lat=121.5": "lat", "lon=nan&lat=1": "lon", "lon=1&lat=inf": "lat",
    "lon=181&lat=1": "lon", "lon=1": "lat",
}  # fmt: skip
BOXES = (
    "", "1,2,3", "a,b,c,d", "nan,0,1,1", "0,0,1,1e999", "0,1,1,0", "0,0,0,91", "31,121,32,122",
    ",".join(["1"] * 90),
)  # fmt: skip
SEGMENTS = "&".join(f"segment={n}" for n in range(60))
ADDRESSES = [
    *_queries(),
    get("an unknown parameter", "/v1/customers?colour=red", "/query/colour", 400),
    get("U+0000 as a segment", "/v1/customers?segment=%00", "/query/segment/0"),
    get("60 segments", f"/v1/customers?{SEGMENTS}", "/query/segment"),
    get("an id beyond 64 bits", f"/v1/customers/{2**63}", "/path/customer_id"),
    *(
        get(f"an id of 5,000 digits at {path}", path.format("9" * 5000), None, 404)
        for path in (
            "/v1/customers/{}", "/v1/plans/{}", "/v1/reps/{}", "/v1/runs/{}/events",
            "/v1/geofences/{}", "/v1/tiles/customers/{}/0/0",
        )
    ),
    get("bytes that are no text in a path", "/v1/customers/by-external-id/%ff%fe", None, 400),
    get("bytes that are no text in a query", "/v1/customers?external_id=%ff", None, 400),
    get("an id that is none", "/v1/customers/1%00", "/path/customer_id", 404, 422),
    get("an address of 9 KB", "/v1/customers?external_id=" + "a" * 9000, None, 414),
    get("an address of 64 KB", "/v1/customers?external_id=" + "a" * 65_500, None, 414, 431),
    get("a path of 9 KB", "/v1/customers/by-external-id/" + "a" * 9000, None, 414),
    get("a tile outside", "/v1/tiles/customers/3/9/0", None, 404, 422),
    Bomb("U+0000 in a path", "/v1/customers/by-external-id/a%00b", lambda: RIGHT, (422,),
         "/path/external_id", "PUT"),
]  # fmt: skip


def pieces(megabytes: int) -> Iterator[bytes]:
    """Yield so many blanks."""
    for _ in range(megabytes):
        yield b" " * 2**20


def _much(part: bytes) -> bytes:
    """Return as many parts as a body may hold."""
    return part * ((8 * 2**20 - 100) // len(part))


def _members() -> bytes:
    return b'{%s"z": 0}' % b"".join(b'"%x":0,' % n for n in range(650_000))


def _media_types() -> Iterator[Bomb]:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                 "application/octet-stream", "x" * 5000):  # fmt: skip
        headers = {"Content-Type": kind}
        yield Bomb(f"JSON as {kind[:40]}", CUSTOMERS, lambda: RIGHT, REFUSED, headers=headers)
    yield Bomb("JSON as nothing", CUSTOMERS, lambda: RIGHT, REFUSED, headers={})
    xml = {"Content-Type": "application/xml"}
    yield Bomb("XML with entities", CUSTOMERS, lambda: BILLION_LAUGHS, REFUSED, headers=xml)
    yield Bomb("XML called JSON", CUSTOMERS, lambda: BILLION_LAUGHS, (400,))
    zipped = {**JSON, "Content-Encoding": "gzip"}
    yield Bomb(
        "a gzip bomb", CUSTOMERS, lambda: gzip.compress(b" " * 2**25), REFUSED, headers=zipped
    )
    yield Bomb("UTF-16", CUSTOMERS, lambda: RIGHT.decode().encode("utf-16"), (400,))


REFUSED = (400, 415, 422)


def _large_bodies() -> Iterator[Bomb]:
    for target in (CUSTOMERS, FENCES, PLANS, LOOKUPS):
        yield Bomb(f"20 MB without a length at {target}", target, lambda: pieces(20), (413,))
        yield Bomb(f"20 MB with their length at {target}", target, lambda: b" " * 20 * 2**20,
                   (413,))  # fmt: skip
    for name, part in {
        "empty lists": b"[],", "empty objects": b"{},", "numbers": b"0,", "texts": b'"",',
        "points": b'{"lon":1,"lat":1},', "wrong points": b'{"lon":"x"},',
    }.items():  # fmt: skip
        yield Bomb(f"8 MB of {name}", LOOKUPS, lambda p=part: b'{"points": [%s0]}' % _much(p),  # type: ignore[misc]
                   (400, 413, 422))  # fmt: skip
    yield Bomb("8 MB of unknown members", CUSTOMERS, _members, (400, 413, 422))  # fmt: skip
    yield Bomb("10,000 wrong points", LOOKUPS, lambda: _points(10_000, {"lon": "x"}))  # fmt: skip
    yield Bomb("10,001 points", LOOKUPS, lambda: _points(10_001, {"lon": 1, "lat": 1}),
               pointer="/points")  # fmt: skip


def _points(number: int, point: dict[str, object]) -> bytes:
    return json.dumps({"points": [point] * number}).encode()


def _deep(depth: int) -> bytes:
    return b'{"external_id": "B", "attributes": %s}' % (b"[" * (depth - 1) + b"]" * (depth - 1))


TWINS = {
    CUSTOMERS: b'{"external_id": "B", "name": "A", "name": "B", "lon": 1, "lat": 1}',
    f"{CUSTOMERS}?": b'{"external_id": "B", "name": "A", "n\\u0061me": "B", "lon": 1, "lat": 1}',
    REPS: b'{"external_id": "B", "name": "B", "fte": 1, "fte": 1}',
    LAYERS: b'{"name": "b", "customer_filter": {"class": ["A"], "class": ["B"]}}',
    FENCES: b'{"name": "b", "geometry": {"type": "Point", "type": "Polygon"}}',
    PLANS: b'{"layer_id": 1, "layer_id": 2, "n_territories": 1}',
    LOOKUPS: b'{"points": [{"lon": 1, "lat": 1, "lon": 2}]}',
}
BODIES = [
    *(Bomb(f"a member twice at {target}", target, lambda b=body: b, (400,))  # type: ignore[misc]
      for target, body in TWINS.items()),
    Bomb("a member twice in 8 MB", FENCES,
         lambda: b'{"name": "%s", "name": ""}' % (b"n" * 8_000_000), (400,)),
    Bomb("65 levels", CUSTOMERS, lambda: _deep(65), (400,)),
    Bomb("64 levels of nonsense", CUSTOMERS, lambda: _deep(64), (422,)),
    *_media_types(),
    *_large_bodies(),
    Bomb("a patch that is a list", "/v1/customers/1", lambda: b"[]", method="PATCH", headers=PATCH),
    Bomb("a patch nested 100,000 deep", "/v1/customers/1",
         lambda: b'{"attributes":' * DEPTH + b"1" + b"}" * DEPTH, (400,), None, "PATCH", PATCH),
    Bomb("a key of 256 characters", CUSTOMERS, lambda: RIGHT, (400,), "/header/Idempotency-Key",
         headers={**JSON, "Idempotency-Key": "k" * 256}),
    Bomb("swapped", CUSTOMERS,
         lambda: b'{"external_id": "B", "name": "B", "lon": 31, "lat": 121}'),
]  # fmt: skip

# Beyond what the connection takes, so that it answers in its own words.
IDS = "&".join(f"territory_id={n}" for n in range(100_000))
HEADS = [
    get("100,000 ids", f"/v1/customers?{IDS}"),
    Bomb("a header of 1 MB", "/v1/customers", method="GET", headers={"X": "x" * 2**20}),
    Bomb("20,000 headers", "/v1/customers", method="GET",
         headers={f"X{n}": "x" for n in range(20_000)}),
    Bomb("a credential of 1 MB", "/v1/customers", method="GET",
         headers={"Authorization": "Bearer " + "x" * 2**20}),
]  # fmt: skip
