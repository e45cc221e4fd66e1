"""Requests that must be refused: name, where to, what, and what the answer has to say.

The threats are those of OWASP's API list and of parsers seen to fall over; a body is made when its
turn comes, so that the table stays small in memory.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

JSON = {"Content-Type": "application/json"}
DEPTH = 100_000


@dataclass(frozen=True)
class Bomb:
    """A request that is refused with one of `statuses`, naming `pointer` where there is one."""

    name: str
    target: str
    make: Callable[[], bytes | Iterable[bytes]] = bytes
    statuses: tuple[int, ...] = (422,)
    pointer: str | None = None
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    # Why it does harm still: such a row is shown in the report of each test run.
    unmet: str | None = None


# Bodies that are right but for the place of %s, with the pointer to it.
CUSTOMERS, REPS, LAYERS, FENCES, PLANS, LOOKUPS = (
    "/v1/customers", "/v1/reps", "/v1/layers", "/v1/geofences", "/v1/plans",
    "/v1/territories/at:batch",
)  # fmt: skip
FENCE_LOOKUPS, CIRCLES, CATCHMENTS = (
    "/v1/geofences/at:batch", "/v1/geofences:service-circles", "/v1/geofences:catchments",
)  # fmt: skip
AROUND, NEAREST = "/v1/search/radius:batch", "/v1/search/nearest:batch"
PERSON = '"external_id": "B", "name": "B"'
RING = "[[[0, 0], [1, 0], [1, 1], [0, 0]]]"
NUMBERS_AT: list[tuple[str, str, str]] = [
    (CUSTOMERS, f'{{{PERSON}, "lon": %s, "lat": 1}}', "/lon"),
    (CUSTOMERS, f'{{{PERSON}, "lon": 1, "lat": %s}}', "/lat"),
    (CUSTOMERS, f'{{{PERSON}, "lon": 1, "lat": 1, "potential": %s}}', "/potential"),
    (CUSTOMERS, f'{{{PERSON}, "lon": 1, "lat": 1, "visits_per_year": %s}}', "/visits_per_year"),
    (REPS, f'{{{PERSON}, "home_lon": %s, "home_lat": 1}}', "/home_lon"),
    (REPS, f'{{{PERSON}, "fte": %s}}', "/fte"),
    (REPS, f'{{{PERSON}, "manager_id": %s}}', "/manager_id"),
    (LAYERS, '{"name": "b", "customer_filter": {"class": [%s]}}', "/customer_filter/class/0"),
    (LOOKUPS, '{"points": [{"lon": %s, "lat": 1}]}', "/points/0/lon"),
    (PLANS, '{"layer_id": 1, "n_territories": %s}', "/n_territories"),
    (PLANS, '{"layer_id": 1, "n_territories": 1, "tolerances": {"work_minutes": %s}}',
     "/tolerances/work_minutes"),
    (PLANS, '{"layer_id": 1, "n_territories": 1, "region": {"type": "Polygon", "coordinates":'
     " [[[%s, 0], [1, 0], [1, 1], [0, 0]]]}}", "/region/coordinates/0/0"),
    (FENCES, '{"name": "b", "geometry": {"type": "Polygon", "coordinates":'
     " [[[%s, 0], [1, 0], [1, 1], [0, 0]]]}}", "/geometry/coordinates/0/0"),
    (FENCES, '{"name": "b", "kind": "circle", "lon": %s, "lat": 1, "radius_m": 1}', "/lon"),
    (FENCES, '{"name": "b", "kind": "circle", "lon": 1, "lat": 1, "radius_m": %s}', "/radius_m"),
    (FENCE_LOOKUPS, '{"points": [{"lon": 1, "lat": %s}]}', "/points/0/lat"),
    (CIRCLES, '{"group": "b", "radius_m": 1, "anchors": [{"name": "b", "lon": %s, "lat": 1}]}',
     "/anchors/0/lon"),
    (CATCHMENTS, '{"group": "b", "max_distance_m": %s, "anchors":'
     ' [{"name": "b", "lon": 1, "lat": 1}]}', "/max_distance_m"),
    (AROUND, '{"points": [{"lon": %s, "lat": 1}], "radius_m": 1}', "/points/0/lon"),
    (AROUND, '{"points": [{"lon": 1, "lat": 1}], "radius_m": %s}', "/radius_m"),
    (NEAREST, '{"points": [{"lon": 1, "lat": %s}]}', "/points/0/lat"),
    (NEAREST, '{"points": [{"lon": 1, "lat": 1}], "k": %s}', "/k"),
]  # fmt: skip
NUMBERS = (
    "NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400, "0x10", "1_0",
    '"nan"', '"Infinity"', '"-inf"', '"1e999"', '""', "[]", "{}",
)  # fmt: skip
# Python takes them for 0 and 1.
TRUTHS = ("true", "false")
OF_PLACES = ("/lon", "/lat", "/home_lon", "/home_lat", "/radius_m", "/potential", "/manager_id")
TRUTHS_AT = [row for row in NUMBERS_AT if row[2].endswith(OF_PLACES)]
TEXTS_AT: list[tuple[str, str, str]] = [
    (CUSTOMERS, '{"external_id": %s, "name": "B", "lon": 1, "lat": 1}', "/external_id"),
    (CUSTOMERS, '{"external_id": "B", "name": %s, "lon": 1, "lat": 1}', "/name"),
    (CUSTOMERS, f'{{{PERSON}, "lon": 1, "lat": 1, "segment": %s}}', "/segment"),
    (CUSTOMERS, f'{{{PERSON}, "lon": 1, "lat": 1, "tags": [%s]}}', "/tags/0"),
    (REPS, '{"external_id": "B", "name": %s}', "/name"),
    (REPS, f'{{{PERSON}, "skills": [%s]}}', "/skills/0"),
    (LAYERS, '{"name": %s}', "/name"),
    (LAYERS, '{"name": "b", "title": %s}', "/title"),
    (LAYERS, '{"name": "b", "customer_filter": {"segment": [%s]}}', "/customer_filter/segment/0"),
    (FENCES, f'{{"name": %s, "geometry": {{"type": "Polygon", "coordinates": {RING}}}}}', "/name"),
    (PLANS, '{"layer_id": 1, "n_territories": 1, "name": %s}', "/name"),
]  # fmt: skip
TEXTS: dict[str, Callable[[], str]] = {
    "U+0000": lambda: r'"a\u0000b"',
    "a lone high surrogate": lambda: r'"\ud800"',
    "a lone low surrogate": lambda: r'"a\udfffb"',
    "1 MB": lambda: '"' + "n" * 2**20 + '"',
    "a number": lambda: "7",
}


def _numbers() -> Iterator[Bomb]:
    rows = [*product(NUMBERS_AT, NUMBERS), *product(TRUTHS_AT, TRUTHS)]
    for (target, body, pointer), number in rows:
        yield Bomb(
            f"{number[:12]} at {target}{pointer}",
            target,
            lambda body=body, number=number: (body % number).encode(),  # type: ignore[misc]
            (400, 422),
            pointer,
        )


def _texts() -> Iterator[Bomb]:
    for target, body, pointer in TEXTS_AT:
        for name, make in TEXTS.items():
            yield Bomb(
                f"{name} at {target}{pointer}",
                target,
                lambda body=body, make=make: (body % make()).encode(),  # type: ignore[misc]
                (400, 422),
                pointer,
            )
        yield Bomb(
            f"bytes that are not UTF-8 at {target}{pointer}",
            target,
            lambda body=body: (body % '"\xff"').encode("latin-1"),  # type: ignore[misc]
            (400,),
        )


def _structures() -> Iterator[Bomb]:
    nests = {
        "arrays": (b"[" * DEPTH, b"]" * DEPTH),
        "objects": (b'{"a":' * DEPTH + b"1", b"}" * DEPTH),
        "arrays never closed": (b"[" * DEPTH, b""),
    }
    frames = {
        CUSTOMERS: b'{"external_id": "B", "name": "B", "lon": 1, "lat": 1, "attributes": %s}',
        REPS: b'{"external_id": "B", "name": %s}',
        LAYERS: b'{"name": "b", "customer_filter": %s}',
        FENCES: b'{"name": "b", "geometry": %s}',
        PLANS: b'{"layer_id": 1, "n_territories": 1, "region": %s}',
        LOOKUPS: b'{"points": %s}',
    }
    for target, frame in frames.items():
        for name, (start, end) in nests.items():
            yield Bomb(
                f"100,000 nested {name} in {target}",
                target,
                lambda f=frame, b=start + end: f % b,
                (400,),
            )  # type: ignore[misc]
        yield Bomb(f"100,000 nested arrays as {target}", target, lambda: b"[" * DEPTH, (400,))
        yield Bomb(f"nothing at {target}", target, bytes, (400, 422))
        yield Bomb(f"an array at {target}", target, lambda: b"[]", (422,))
        yield Bomb(
            f"a member more at {target}", target, lambda: b'{"nonsense": 1}', (422,), "/nonsense"
        )
        yield Bomb(f"two documents at {target}", target, lambda: b"{}{}", (400,))
        yield Bomb(f"a comment at {target}", target, lambda: b"{/**/}", (400,))  # fmt: skip
    collections = '{"type": "GeometryCollection", "geometries": [' * 40_000 + "]}" * 40_000
    for target, frame in ((FENCES, frames[FENCES]), (PLANS, frames[PLANS])):
        yield Bomb(f"40,000 nested collections at {target}", target,
                   lambda f=frame: f % collections.encode(), (400, 422))  # type: ignore[misc]  # fmt: skip


VALUES: list[Bomb] = [*_numbers(), *_texts(), *_structures()]
