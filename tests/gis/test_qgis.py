"""QGIS opens `/ogc`, the tiles and the style as they are (`in_qgis.py` does it there)."""

import os
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import shapely
from shapely.geometry import shape

from app.tiles.style import CLASS_COLOURS, HEAT_COLOURS, TERRITORY_COLOURS, UNCLASSED
from tests.gis.conftest import Guarded

SCRIPT = Path(__file__).parent / "in_qgis.py"
# The Python that Debian's QGIS is built for, whatever environment the tests run in.
PYTHON = "/usr/bin/python3"
COUNTS = {"customers": 20_000, "territories": 24, "geofences": 2}
GEOMETRIES = {"customers": "Point", "territories": "MultiPolygon", "geofences": "MultiPolygon"}
# Rounding at each of two steps: the opacity of the symbol, and of the picture.
ALIKE = 3


@pytest.fixture(scope="module")
def seen(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What QGIS saw; its pictures are kept in `GIS_PICTURES`, to be looked at."""
    home = tmp_path_factory.mktemp("qgis")
    pictures = Path(os.environ.get("GIS_PICTURES", home))
    pictures.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [PYTHON, str(SCRIPT), guarded.url, guarded.key, str(pictures)],
        # A home of its own: neither a profile nor tiles that were kept have a say.
        env={
            "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": "/usr/bin:/bin",
            "QT_QPA_PLATFORM": "offscreen", "LC_ALL": "C.UTF-8",
        },
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def over_white(colour: str, opacity: float) -> tuple[float, ...]:
    parts = bytes.fromhex(colour.removeprefix("#"))
    return tuple(part * opacity + 255 * (1 - opacity) for part in parts)


def drawn(picture: dict[str, int], colour: str, opacity: float) -> bool:
    """Tell whether a colour was laid over white somewhere in a picture."""
    wanted = over_white(colour, opacity)
    return any(
        max(abs(a - b) for a, b in zip(bytes.fromhex(found[1:]), wanted, strict=True)) <= ALIKE
        for found in picture
    )


def drawn_of(picture: dict[str, int], colours: Any, opacity: float) -> set[str]:
    return {colour for colour in colours if drawn(picture, colour, opacity)}


def test_qgis_reads_no_collection_without_a_key(seen: dict[str, Any]) -> None:
    assert seen["without_key"] is False


@pytest.mark.parametrize("name", list(COUNTS))
def test_qgis_reads_every_feature_of_a_collection(seen: dict[str, Any], name: str) -> None:
    layer = seen["features"][name]

    assert layer["is_valid"]
    assert layer["count"] == layer["read"] == COUNTS[name]
    assert layer["geometry"] == GEOMETRIES[name]
    assert len(layer["colours"]) > 1


def test_qgis_knows_the_kinds_of_the_fields(seen: dict[str, Any]) -> None:
    fields = seen["features"]["customers"]["fields"]

    assert fields["name"] == "String"
    assert fields["work_minutes"] == "Real"
    assert fields["last_visit_at"] == "DateTime"


def test_qgis_zooms_to_the_territories_and_not_to_the_world(
    guarded: Guarded, seen: dict[str, Any]
) -> None:
    items = guarded.get("/ogc/collections/territories/items").json()["features"]

    bounds = shapely.total_bounds([shape(item["geometry"]) for item in items])
    assert seen["features"]["territories"]["extent"] == pytest.approx(bounds, abs=1e-5)


def test_qgis_converts_the_style_without_a_warning(seen: dict[str, Any]) -> None:
    style = seen["style"]

    assert style["is_converted"]
    assert style["error"] == ""
    assert style["warnings"] == []
    assert style["layers"] == style["asked"]


def test_qgis_takes_the_style_of_a_tileset_from_its_address(seen: dict[str, Any]) -> None:
    for name, layer in seen["tiles"].items():
        assert layer["is_valid"], name
        assert (layer["error"], layer["is_styled"]) == ("", True), name


@pytest.mark.parametrize(("name", "opacity"), [("territories", 0.55), ("cells", 0.7)])
def test_qgis_draws_neighbouring_territories_in_colours_of_the_style(
    guarded: Guarded, seen: dict[str, Any], name: str, opacity: float
) -> None:
    (source,) = [
        layer["plan_in_force"]["plan_id"] for layer in guarded.get("/v1/layers").json()["items"]
    ]
    features = guarded.get(f"/v1/plans/{source}/territories").json()["features"]
    used = {
        TERRITORY_COLOURS[feature["properties"]["colour"] % len(TERRITORY_COLOURS)]
        for feature in features
    }

    assert len(used) > 2
    assert drawn_of(seen["tiles"][name]["colours"], TERRITORY_COLOURS, opacity) == used


def test_qgis_draws_heat_in_several_steps(seen: dict[str, Any]) -> None:
    colours = drawn_of(seen["tiles"]["heat"]["colours"], HEAT_COLOURS.values(), 0.7)

    assert len(colours) >= 5


def test_qgis_draws_customers_by_class_and_their_sums_in_grey(seen: dict[str, Any]) -> None:
    single, sums = (seen["tiles"][name]["colours"] for name in ("customers", "sums"))

    assert len(drawn_of(single, CLASS_COLOURS.values(), 0.85)) >= 4
    assert drawn(sums, UNCLASSED, 0.85)
    assert not drawn(single, UNCLASSED, 0.85)


def test_qgis_draws_geofences(seen: dict[str, Any]) -> None:
    assert drawn(seen["tiles"]["geofences"]["colours"], "#3366aa", 0.12)


@pytest.mark.parametrize("name", list(COUNTS))
def test_qgis_draws_the_tiles_of_ogc(seen: dict[str, Any], name: str) -> None:
    layer = seen["ogc_tiles"][name]

    assert layer["is_valid"]
    assert len(layer["colours"]) > 1
