"""What is measured: each case asks over HTTP, and most compare with something else."""

import json
from dataclasses import dataclass

import numpy as np

from app.db.customer_filter import CustomerFilter
from app.db.scope import EVERYTHING
from app.http.paging import encode_cursor
from app.search.repository import find_customers
from app.territories.repository import find_at
from bench.services import crowd
from bench.services.load import Ask
from bench.services.statements import Reading
from geo.bbox import BoundingBox
from geo.tiles import tile_at

RADIUS_M = 3000
FOUND = 50
N_CENTRES = 40
WANTED = CustomerFilter(classes=("B",), not_visited_days=30)
# Shanghai and around; all of China; the world.
CITY = BoundingBox(121.2, 31.0, 121.8, 31.45)
COUNTRY = BoundingBox(73.0, 18.0, 135.0, 54.0)
WORLD = BoundingBox(-180.0, -85.0, 180.0, 85.0)
VIEWS = {"city": (CITY, 8), "country": (COUNTRY, 4), "world": (WORLD, 2)}
N_POINTS = 10_000
OF_TIPG = ("customers", "territories", "geofences")
DEEP = 900_000


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    `readings` are the same questions asked of the repository, whose SQL pgbench runs; `naive` are
    statements that answer them without what the product has prepared; `peers` ask the same of
    tipg, through our own door at /ogc. Without a key it is an admin who asks.
    """

    name: str
    asks: list[Ask]
    clients: int = 8
    readings: tuple[Reading, ...] = ()
    naive: tuple[str, ...] = ()
    peers: tuple[Ask, ...] = ()
    key: str | None = None


def searches() -> list[Case]:
    """Radius and nearest, among many customers and among few."""
    found = []
    for kind, centres in (
        ("dense", crowd.dense_centres(N_CENTRES)),
        ("sparse", crowd.sparse_centres(N_CENTRES)),
    ):
        paths = [
            f"/v1/search/radius?lon={lon}&lat={lat}&radius_m={RADIUS_M}&class=B"
            f"&not_visited_days=30&limit={FOUND}"
            for lon, lat in centres
        ]
        found.append(
            Case(
                f"radius 3 km, class B, not visited for 30 days, {kind}",
                [Ask(path) for path in paths],
                readings=tuple(_radius(lon, lat) for lon, lat in centres),
                naive=tuple(_naive_radius(lon, lat) for lon, lat in centres),
            )
        )
    nearest = [
        Ask(f"/v1/search/nearest?lon={lon}&lat={lat}&k=10")
        for lon, lat in crowd.sparse_centres(N_CENTRES)
    ]
    polygons = [
        Ask("/v1/search/polygon?limit=100", "POST", json.dumps(_around(lon, lat, 0.03)).encode())
        for lon, lat in crowd.dense_centres(N_CENTRES)
    ]
    pages = [
        Case("customers, page 1", [Ask("/v1/customers?limit=100")]),
        Case(
            f"customers, page behind row {DEEP:,}",
            [Ask(f"/v1/customers?limit=100&cursor={encode_cursor(DEEP)}")],
        ),
    ]
    return [*found, Case("nearest 10", nearest), Case("polygon of 6 km", polygons), *pages]


def lookups(rng: np.random.Generator) -> list[Case]:
    """The territory of one place, and of ten thousand at once."""
    lon, lat = rng.uniform(100, 120, N_POINTS), rng.uniform(23, 40, N_POINTS)
    single = [
        Ask(f"/v1/territories/at?lon={x:.5f}&lat={y:.5f}")
        for x, y in zip(lon[:200], lat[:200], strict=True)
    ]
    points = [{"lon": x, "lat": y} for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    many = Ask("/v1/territories/at:batch", "POST", json.dumps({"points": points}).encode())
    fenced = Ask("/v1/geofences/at:batch", "POST", json.dumps({"points": points}).encode())
    asked = tuple(_lookup(x, y) for x, y in zip(lon[:40].tolist(), lat[:40].tolist(), strict=True))
    return [
        Case("territory of a place", single, readings=asked),
        Case("territories of 10,000 places", [many], clients=1),
        Case("geofences of 10,000 places", [fenced], clients=1),
        Case("white space, number", [Ask("/v1/territories/white-space/count?layer=1")], clients=1),
    ]


def heats() -> list[Case]:
    """The heat of a city, a country and the world."""
    return [
        Case(
            f"heat of the {name}, resolution {resolution}",
            [
                Ask(
                    f"/v1/heatmap?resolution={resolution}&measure=customers&format=cells"
                    f"&bbox={','.join(map(str, box.as_tuple()))}"
                )
            ],
            clients=2,
            naive=(_naive_heat(box, resolution),),
        )
        for name, (box, resolution) in VIEWS.items()
    ]


def of_a_manager(key: str) -> list[Case]:
    """What a manager of all territories asks, who sees nothing beyond them."""
    (lon, lat), *_ = crowd.dense_centres(1)
    z, x, y = tile_at(lon, lat, 6)
    paths = {
        f"heat of the {name}, resolution {resolution}": (
            f"/v1/heatmap?resolution={resolution}&measure=customers&format=cells"
            f"&bbox={','.join(map(str, box.as_tuple()))}"
        )
        for name, (box, resolution) in VIEWS.items()
    }
    paths["tile of heat, zoom 6"] = f"/v1/tiles/heat/{z}/{x}/{y}.mvt"
    paths["nearest 10"] = f"/v1/search/nearest?lon={lon}&lat={lat}&k=10"
    return [Case(f"of a manager: {name}", [Ask(paths[name])], 2, key=key) for name in paths]


def tiles(tilesets: dict[str, str]) -> list[Case]:
    """Each tile layer at three zooms, around the largest cities; values are further parameters."""
    found = []
    for tileset, query in tilesets.items():
        for zoom in (4, 9, 13):
            places = crowd.dense_centres(N_CENTRES)
            addresses = {tile_at(lon, lat, zoom) for lon, lat in places}
            asks = [
                Ask(f"/v1/tiles/{tileset}/{z}/{x}/{y}.mvt{query}") for z, x, y in sorted(addresses)
            ]
            peers = [
                Ask(f"/ogc/collections/{tileset}/tiles/WebMercatorQuad/{z}/{y}/{x}")
                for z, x, y in sorted(addresses)
                if tileset in OF_TIPG
            ]
            name = f"tiles of {tileset}, zoom {zoom}"
            found.append(Case(name, asks, clients=2, peers=tuple(peers)))
    return found


def _radius(lon: float, lat: float) -> Reading:
    return lambda glance: find_customers(
        glance, EVERYTHING, lon, lat, RADIUS_M, WANTED, FOUND, b"[]"
    )


def _lookup(lon: float, lat: float) -> Reading:
    return lambda glance: find_at(glance, EVERYTHING, lon, lat, None, None)


def _naive_radius(lon: float, lat: float) -> str:
    here = f"ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326)::geography"
    return (
        "SELECT id, external_id, name FROM customer "
        f"WHERE ST_Distance(geog, {here}) <= {RADIUS_M} AND class = 'B' "
        "AND (last_visit_at IS NULL OR last_visit_at < now() - interval '30 days') "
        f"ORDER BY ST_Distance(geog, {here}) LIMIT {FOUND}"
    )


def _naive_heat(box: BoundingBox, resolution: int) -> str:
    west, south, east, north = box.as_tuple()
    return (
        f"SELECT cell_parent(cell, {resolution}) AS heat, count(*) FROM customer "
        f"WHERE geom && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4326) "
        "AND status <> 'inactive' GROUP BY 1"
    )


def _around(lon: float, lat: float, half: float) -> dict[str, object]:
    ring = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    corners = [[round(lon + dx, 6), round(lat + dy, 6)] for dx, dy in ring]
    geometry = {"type": "Polygon", "coordinates": [corners]}
    return {"geometry": geometry, "class": ["B"]}
