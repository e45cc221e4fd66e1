"""GDAL reads `/ogc` and the tilesets, by its command-line tools."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
import shapely
from shapely.geometry import shape

from tests.gis.conftest import FENCES, Guarded

BOX = (121.3, 31.1, 121.6, 31.3)


def gdal(guarded: Guarded, *command: str, key: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a tool of GDAL; with the key of a planner, as docs/gis.md says."""
    headers = {"GDAL_HTTP_HEADERS": f"Authorization: Bearer {guarded.key}"} if key else {}
    environment = {name: value for name, value in os.environ.items() if "GDAL" not in name}
    return subprocess.run(
        command, env=environment | headers | {"CPL_DEBUG": "ON"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def summary(guarded: Guarded, name: str, *more: str) -> tuple[str, list[str]]:
    """Return what `ogrinfo` says of a collection, and the addresses that it asked for."""
    place = f"OAPIF:{guarded.url}/ogc"
    done = gdal(guarded, "ogrinfo", "-ro", "-so", place, name, "-oo", "PAGE_SIZE=10000", *more)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr
    return done.stdout, [unquote(address) for address in re.findall(r"Fetch\((.*)\)", done.stderr)]


def count_of(said: str) -> int:
    (count,) = re.findall(r"Feature Count: (\d+)", said)
    return int(count)


def test_gdal_is_let_in_with_a_key_and_lists_the_collections(guarded: Guarded) -> None:
    place = f"OAPIF:{guarded.url}/ogc"
    without = gdal(guarded, "ogrinfo", "-ro", "-so", place, key=False)
    within = gdal(guarded, "ogrinfo", "-ro", "-so", place)

    assert without.returncode != 0
    assert "HTTP error code : 401" in without.stderr
    assert re.findall(r"^\d: (\w+) \(title: \w+\) \((.+)\)$", within.stdout, re.MULTILINE) == [
        ("customers", "Point"), ("territories", "Multi Polygon"), ("geofences", "Multi Polygon"),
    ]  # fmt: skip


def test_ogr2ogr_copies_every_customer_over_the_pages(guarded: Guarded, tmp_path: Path) -> None:
    copied = tmp_path / "customers.geojson"
    done = gdal(
        guarded, "ogr2ogr", "-f", "GeoJSON", str(copied), f"OAPIF:{guarded.url}/ogc",
        "customers", "-oo", "PAGE_SIZE=1000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    features = orjson.loads(copied.read_bytes())["features"]
    found = {feature["properties"]["external_id"]: feature for feature in features}
    known = {item["external_id"]: item for item in guarded.everything("/v1/customers?limit=1000")}
    assert len(features) == len(found) == 20_000
    assert found.keys() == known.keys()
    for name, feature in found.items():
        said, item = feature["properties"], known[name]
        for word in ("name", "class", "segment", "status", "work_minutes", "potential"):
            assert said[word] == item[word], (name, word)
        assert feature["geometry"]["coordinates"] == pytest.approx([item["lon"], item["lat"]])


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        ("class = 'A'", {"class": "A"}),
        ("class = 'A' AND segment = 'retail'", {"class": "A", "segment": "retail"}),
    ],
)
def test_gdal_lets_the_service_filter(guarded: Guarded, where: str, asked: dict[str, str]) -> None:
    said, addresses = summary(guarded, "customers", "-where", where)

    items = guarded.everything("/v1/customers?limit=1000")
    wanted = [item for item in items if asked.items() <= item.items()]
    assert all(f"&{name}={value}" in addresses[-1] for name, value in asked.items())
    assert count_of(said) == len(wanted) > 0


def test_gdal_lets_the_service_find_the_visits_of_a_time(guarded: Guarded) -> None:
    begin = "2026-10-04T00:00:00Z"
    said, addresses = summary(guarded, "customers", "-where", f"last_visit_at >= '{begin}'")

    items = guarded.everything("/v1/customers?limit=1000")
    # What has no time is found at any time, as the standard says, and GDAL takes it as it comes.
    wanted = [item for item in items if (item["last_visit_at"] or begin) >= begin]
    assert f"&datetime={begin}/.." in addresses[-1]
    assert count_of(said) == len(wanted) > 0


def test_gdal_finds_what_lies_in_a_box(guarded: Guarded) -> None:
    said, addresses = summary(guarded, "customers", "-spat", *map(str, BOX))

    inside = [
        item
        for item in guarded.everything("/v1/customers?limit=1000")
        if BOX[0] <= item["lon"] <= BOX[2] and BOX[1] <= item["lat"] <= BOX[3]
    ]
    assert "bbox=" in addresses[-1]
    assert count_of(said) == len(inside) > 0


def test_gdal_knows_where_the_features_lie(guarded: Guarded) -> None:
    said, _ = summary(guarded, "territories")

    plan = guarded.get("/v1/layers").json()["items"][0]["plan_in_force"]["plan_id"]
    features = guarded.get(f"/v1/plans/{plan}/territories").json()["features"]
    bounds = shapely.total_bounds([shape(feature["geometry"]) for feature in features])
    (extent,) = re.findall(r"Extent: \((.+), (.+)\) - \((.+), (.+)\)", said)
    assert [float(number) for number in extent] == pytest.approx(bounds, abs=1e-5)
    assert count_of(said) == len(features) == 24


def features_of(guarded: Guarded, tileset: str, zoom: int) -> list[dict[str, Any]]:
    """Return what the tiles of a zoom hold, as GDAL reads it by the TileJSON."""
    done = gdal(
        guarded, "ogr2ogr", "-f", "GeoJSONSeq", "/vsistdout/",
        f"MVT:{guarded.url}/v1/tiles/{tileset}/{zoom}", "-oo", "TILE_EXTENSION=mvt",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"Fetch({guarded.url}/v1/tiles/{tileset}.json)" in done.stderr
    return [orjson.loads(line)["properties"] for line in done.stdout.splitlines()]


def test_gdal_reads_the_tilesets_by_their_tilejson(guarded: Guarded) -> None:
    territories = features_of(guarded, "territories", 7)
    customers = features_of(guarded, "customers", 5)
    fences = features_of(guarded, "geofences", 5)
    items = guarded.everything("/v1/customers?limit=1000")
    shown = [item for item in items if item["status"] != "inactive"]

    assert len({feature["code"] for feature in territories}) == 24
    assert sum(int(feature["n"]) for feature in customers) == len(shown) > 19_000
    assert {feature["name"] for feature in fences} == {fence["name"] for fence in FENCES}
