"""The product on real data: every US store, and the Yangtze delta, through real processes."""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from shapely.geometry import mapping, shape

from geo.tiles import tile_at, tile_bounds
from tests.e2e.deployment import Deployment, deploy
from tests.plans.checks import cell_of, cells_by_territory, is_contiguous

OUTSIDE = {
    "Alaska", "Hawaii", "Puerto Rico", "Guam", "American Samoa", "United States Virgin Islands",
    "Commonwealth of the Northern Mariana Islands",
}  # fmt: skip
N_TERRITORIES = 60


@pytest.fixture(scope="module")
def stores(shared_data: Path) -> list[dict[str, str]]:
    with gzip.open(shared_data / "us_stores" / "stores.csv.gz", "rt") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def america(
    shared_data: Path, stores: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, dict[str, Any]]]:
    """All stores imported, 60 territories of the contiguous states designed and published."""
    folder = tmp_path_factory.mktemp("america")
    unpacked = folder / "stores.csv"
    unpacked.write_bytes(gzip.decompress((shared_data / "us_stores/stores.csv.gz").read_bytes()))
    region = folder / "contiguous.geojson"
    region.write_text(json.dumps(contiguous_states(shared_data)))
    with deploy() as deployment:
        done = deployment.command(
            "import", "customers", str(unpacked), "--json",
            "--map", "external_id=brand,store_id", "--map", "name=brand,city",
            "--map", "segment=brand",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["created"] == len(stores)
        done = deployment.command(
            "design", "--territories", str(N_TERRITORIES), "--region", str(region), "--publish",
            "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield deployment, json.loads(done.stdout)


def contiguous_states(shared_data: Path) -> dict[str, Any]:
    with gzip.open(shared_data / "boundaries" / "us_states.geojson.gz", "rt") as file:
        states = json.load(file)["features"]
    inside = [shape(s["geometry"]) for s in states if s["properties"]["name"] not in OUTSIDE]
    return dict(mapping(shapely.union_all(inside)))


def test_sixty_territories_of_the_states_are_balanced(
    america: tuple[Deployment, dict[str, Any]],
) -> None:
    _, plan = america

    assert plan["n_territories"] == N_TERRITORIES
    assert plan["max_imbalance"]["work_minutes"] <= 0.05
    assert plan["is_feasible"]


def test_every_territory_of_the_states_is_connected(
    america: tuple[Deployment, dict[str, Any]],
) -> None:
    deployment, plan = america

    grouped = cells_by_territory(deployment.get(f"/v1/plans/{plan['id']}/cells").json())

    assert len(grouped) == N_TERRITORIES
    assert all(is_contiguous(cells) for cells in grouped.values())
    assert sum(map(len, grouped.values())) == plan["n_cells"]


def test_islands_are_reported_and_never_joined(
    america: tuple[Deployment, dict[str, Any]],
) -> None:
    _, plan = america
    kept = [piece for piece in plan["components"] if not piece["left_out"]]
    left_out = [piece for piece in plan["components"] if piece["left_out"]]

    assert sum(piece["n_territories"] for piece in kept) == N_TERRITORIES
    assert all(piece["reason"] for piece in left_out)
    assert sum(piece["work_share"] for piece in left_out) < 0.01


def test_every_store_lies_where_lookup_cells_list_and_tiles_say(
    america: tuple[Deployment, dict[str, Any]], stores: list[dict[str, str]]
) -> None:
    deployment, plan = america
    cells = dict(deployment.get(f"/v1/plans/{plan['id']}/cells").json()["cells"])
    places = {f"{s['brand']}-{s['store_id']}": (float(s["lon"]), float(s["lat"])) for s in stores}
    by_cell = {
        name: cells.get(cell_of(lon, lat, plan["resolutions"][0]))
        for name, (lon, lat) in places.items()
    }

    assert lookup_codes(deployment, places) == by_cell
    assert listed_codes(deployment, plan, places) == by_cell
    assert by_cell.items() >= tile_codes(deployment, plan, places).items()


def lookup_codes(
    deployment: Deployment, places: dict[str, tuple[float, float]]
) -> dict[str, str | None]:
    names, codes = list(places), []
    for start in range(0, len(names), 10_000):
        points = [
            {"lon": places[name][0], "lat": places[name][1]}
            for name in names[start : start + 10_000]
        ]
        answer = deployment.post("/v1/territories/at:batch", {"points": points})
        assert answer.status_code == 200, answer.text
        codes += [
            found[0]["territory"]["code"] if found else None for found in answer.json()["items"]
        ]
    return dict(zip(names, codes, strict=True))


def listed_codes(
    deployment: Deployment, plan: dict[str, Any], places: dict[str, tuple[float, float]]
) -> dict[str, str | None]:
    codes: dict[str, str | None] = dict.fromkeys(places)
    for row in plan["balance"]:
        href: str | None = f"/v1/customers?territory_id={row['territory_id']}&limit=1000"
        while href:
            page = deployment.get(href).json()
            codes |= {item["external_id"]: row["code"] for item in page["items"]}
            href = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    return codes


def tile_codes(
    deployment: Deployment, plan: dict[str, Any], places: dict[str, tuple[float, float]]
) -> dict[str, str]:
    """Return the territory that customers' tiles at zoom 12 say, for a sample of the stores."""
    sample = list(places.values())[::60]
    addresses = {tile_at(lon, lat, 12) for lon, lat in sample}
    codes = {}
    for z, x, y in addresses:
        answer = deployment.get(f"/v1/tiles/customers/{z}/{x}/{y}.mvt", plan_id=plan["id"])
        layer = mapbox_vector_tile.decode(answer.content)["customers"]
        for feature in layer["features"]:
            properties = feature["properties"]
            if "code" in properties:
                codes[properties["external_id"]] = properties["code"]
    assert len(codes) > len(sample) / 2
    return codes


def test_outlines_deviate_by_less_than_a_finest_cell_edge(
    america: tuple[Deployment, dict[str, Any]], stores: list[dict[str, str]]
) -> None:
    deployment, plan = america
    features = deployment.get(f"/v1/plans/{plan['id']}/territories").json()["features"]
    outlines = {f["properties"]["code"]: shape(f["geometry"]) for f in features}
    cells = dict(deployment.get(f"/v1/plans/{plan['id']}/cells").json()["cells"])
    # The mean edge of a resolution-6 cell is 3.7 km; in degrees of latitude, the stricter ones.
    edge_deg = 3.725 / 111.0
    places: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for store in stores:
        lon, lat = float(store["lon"]), float(store["lat"])
        code = cells.get(cell_of(lon, lat, plan["resolutions"][0]))
        if code is not None:
            places[code].append((lon, lat))

    assert plan["resolutions"] == [6]
    for code, inside in places.items():
        assert shapely.distance(outlines[code], shapely.points(inside)).max() < edge_deg


def test_territory_tiles_are_small_and_hold_the_outline(
    america: tuple[Deployment, dict[str, Any]],
) -> None:
    deployment, plan = america
    for z in (2, 4, 6, 8, 10):
        _, x, y = tile_at(-87.6, 41.85, z)
        answer = deployment.get(f"/v1/tiles/territories/{z}/{x}/{y}.mvt", plan_id=plan["id"])
        assert 0 < len(answer.content) <= 500_000
        layer = mapbox_vector_tile.decode(answer.content)["territories"]
        assert {"code", "colour", "customers"} <= set(layer["features"][0]["properties"])


def test_customer_tiles_of_low_zooms_count_every_store(
    america: tuple[Deployment, dict[str, Any]], stores: list[dict[str, str]]
) -> None:
    deployment, plan = america
    places = np.array([(float(s["lon"]), float(s["lat"])) for s in stores])
    addresses = {tile_at(lon, lat, 4) for lon, lat in places}
    counted = 0
    for z, x, y in addresses:
        assert tile_bounds(z, x, y)
        answer = deployment.get(f"/v1/tiles/customers/{z}/{x}/{y}.mvt", plan_id=plan["id"])
        assert len(answer.content) <= 500_000
        layer = mapbox_vector_tile.decode(answer.content)["customers"]
        counted += sum(feature["properties"]["n"] for feature in layer["features"])
    assert counted == len(stores)


def test_the_yangtze_delta_has_24_connected_territories(deployment: Deployment) -> None:
    if not deployment.get("/v1/customers", limit=1).json()["items"]:
        done = deployment.command("import", "customers", "sample_data/yangtze_customers.csv")
        assert done.returncode == 0, done.stderr

    done = deployment.command("design", "--territories", "24", "--json")

    plan = json.loads(done.stdout)
    assert plan["n_territories"] == 24
    assert plan["max_imbalance"]["work_minutes"] <= 0.05
    grouped = cells_by_territory(deployment.get(f"/v1/plans/{plan['id']}/cells").json())
    assert all(is_contiguous(cells) for cells in grouped.values())
    left_out = [piece for piece in plan["components"] if piece["left_out"]]
    assert all("not connected" in piece["reason"] for piece in left_out)
