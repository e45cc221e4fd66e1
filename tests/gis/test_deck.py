"""deck.gl opens the TileJSON and the cells of heat as they are, from a page of another origin."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, sync_playwright

from tests.e2e.test_page import CHROMIUM, FLAGS
from tests.gis.conftest import FENCES, Guarded

DECK = Path(__file__).parent / "deck"
SIZE = {"width": 800, "height": 600}
READY_WITHIN_MS = 60_000
WORKERS = ("@loaders.gl/mvt/dist/mvt-worker.js", "maplibre-gl/dist/maplibre-gl-worker.mjs")


class Files(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page_folder(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page, served from the origin that the service lets ask, and from one that it does not."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copy(DECK / "index.html", folder)
    modules = DECK / "node_modules"
    for worker in WORKERS:
        shutil.copy(modules / worker, folder)
    subprocess.run(
        [
            modules / ".bin/esbuild", DECK / "page.js", "--bundle", "--format=esm",
            f"--outfile={folder / 'page.js'}", "--log-level=warning",
        ],
        # Node comes with the locked tools.
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True, timeout=120,
    )  # fmt: skip
    port = int(guarded.origin.rpartition(":")[2])
    with ThreadingHTTPServer(("127.0.0.1", port), partial(Files, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def draw(browser: Browser, guarded: Guarded, page_folder: Path) -> Any:
    """Return what a page saw that draws one thing; pages speak to nobody but the two servers."""
    pictures = Path(os.environ.get("GIS_PICTURES", page_folder))

    def opened(name: str, origin: str = guarded.origin) -> dict[str, Any]:
        page = browser.new_page(viewport={"width": SIZE["width"], "height": SIZE["height"]})
        said: list[str] = []
        asked: set[str] = set()

        def note(message: ConsoleMessage) -> None:
            if message.type == "error":
                said.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.add(request.url.split("?")[0]))
        query = urlencode({"base": guarded.url, "key": guarded.key, "draw": name})
        page.goto(f"{origin}/index.html?{query}")
        page.wait_for_function(
            "window.seen?.isReady || window.seen?.faults.length > 0", timeout=READY_WITHIN_MS
        )
        page.screenshot(path=pictures / f"deck-{name}.png")
        seen: dict[str, Any] = page.evaluate("window.seen")
        page.close()
        ours = (origin, guarded.url, "blob:", "data:")
        assert [address for address in asked if not address.startswith(ours)] == []
        return seen | {"said": said}

    return opened


def test_deck_draws_every_territory_from_the_tilejson(draw: Any) -> None:
    seen = draw("territories")

    assert (seen["faults"], seen["said"]) == ([], [])
    assert {feature["code"] for feature in seen["drawn"]} == {f"T{n:02}" for n in range(1, 25)}


@pytest.mark.parametrize(
    ("tileset", "property_"), [("cells", "territory_id"), ("heat", "value"), ("customers", "n")]
)
def test_deck_draws_the_other_tilesets_too(draw: Any, tileset: str, property_: str) -> None:
    seen = draw(tileset)

    assert (seen["faults"], seen["said"]) == ([], [])
    assert len(seen["drawn"]) > 100
    assert all(property_ in feature for feature in seen["drawn"])


def test_deck_draws_the_geofences(draw: Any) -> None:
    seen = draw("geofences")

    assert (seen["faults"], seen["said"]) == ([], [])
    assert {feature["name"] for feature in seen["drawn"]} == {fence["name"] for fence in FENCES}


def test_deck_draws_the_cells_of_the_heat_map(draw: Any, guarded: Guarded) -> None:
    known = guarded.get("/v1/heatmap", format="cells", resolution=5, bbox="116,28,124,34").json()[
        "cells"
    ]

    seen = draw("h3")

    assert (seen["faults"], seen["said"]) == ([], [])
    assert sorted(seen["drawn"]) == sorted(known)


def test_deck_draws_over_the_style_in_maplibre(draw: Any) -> None:
    seen = draw("style")

    assert (seen["faults"], seen["said"]) == ([], [])
    drawn = {layer for layer, _ in seen["drawn"]}
    assert {"territories-fill", "territories-line", "geofences-fill"} <= drawn
    assert any(layer.startswith("customers-sum-") for layer in drawn)
    assert seen["above"] > 100


def test_a_page_of_an_origin_that_is_not_named_draws_nothing(draw: Any, guarded: Guarded) -> None:
    seen = draw("territories", guarded.origin.replace("127.0.0.1", "localhost"))

    assert seen["drawn"] == []
    assert any("blocked by CORS policy" in text for text in seen["said"])
