"""The map page in a real browser; any console error fails."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.e2e.deployment import REPOSITORY, Deployment

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
TIMEOUT_MS = 60_000
READY = 'html[data-map-ready="true"]'


@pytest.fixture(scope="module")
def planned(deployment: Deployment) -> Deployment:
    """A deployment with sample data and a plan in force; the documents' test may have made it."""
    if not deployment.get("/v1/customers", limit=1).json()["items"]:
        for kind in ("customers", "reps"):
            done = deployment.command("import", kind, f"sample_data/yangtze_{kind}.csv")
            assert done.returncode == 0, done.stderr
    layers = deployment.get("/v1/layers").json()["items"]
    if not any(layer["plan_in_force"] for layer in layers):
        done = deployment.command("design", "--territories", "24", "--publish")
        assert done.returncode == 0, done.stderr
    return deployment


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, planned: Deployment) -> Iterator[Page]:
    """The page with its map drawn; it may speak to nobody but the deployment."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(TIMEOUT_MS)
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # The software renderer reports slow reads as warnings of the driver.
        if message.type == "error":
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((planned.url, "blob:", "data:"))
            else faults.append(f"asked {request.url}")
        ),
    )
    page.goto(planned.url)
    page.wait_for_selector(READY, state="attached")
    yield page
    page.close()
    assert faults == []


def settle(page: Page) -> None:
    """Wait until the map has drawn what the last click asked for."""
    page.wait_for_timeout(300)
    page.wait_for_selector(READY, state="attached")


def plan_in_force(deployment: Deployment) -> dict[str, Any]:
    """Return the plan that the page shows first."""
    layers = deployment.get("/v1/layers").json()["items"]
    layer = next(layer for layer in layers if layer["plan_in_force"])
    plan: dict[str, Any] = deployment.get(f"/v1/plans/{layer['plan_in_force']['plan_id']}").json()
    return plan


def test_the_page_shows_the_plan_in_force_with_its_balance(page: Page, planned: Deployment) -> None:
    plan = plan_in_force(planned)

    rows = page.get_by_test_id("balance-table").locator("tbody tr")
    assert rows.count() == plan["n_territories"]
    for row in plan["balance"]:
        assert (
            f"{row['customers']:,.0f}"
            in page.get_by_test_id(f"balance-row-{row['code']}").inner_text()
        )
    assert str(plan["n_territories"]) in page.get_by_test_id("summary").inner_text()


def test_a_click_on_a_row_shows_the_territory(page: Page, planned: Deployment) -> None:
    row = plan_in_force(planned)["balance"][3]

    page.get_by_test_id(f"balance-row-{row['code']}").click()
    settle(page)

    details = page.get_by_test_id("details").inner_text()
    assert row["code"] in details
    assert row["rep"]["name"] in details


def test_a_click_on_the_map_shows_what_is_there(page: Page, planned: Deployment) -> None:
    box = page.get_by_test_id("map").bounding_box()
    assert box is not None

    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    settle(page)

    assert page.get_by_test_id("details").is_visible()


def test_the_heat_switch_draws_hexagons_with_a_legend(page: Page) -> None:
    page.get_by_test_id("heat-switch").click()
    settle(page)

    assert page.get_by_test_id("heat-legend").is_visible()
    assert "heat=customers" in page.url


def test_the_plan_picker_offers_the_plans_of_the_layer(page: Page, planned: Deployment) -> None:
    plan = plan_in_force(planned)

    page.get_by_test_id("plan-picker-button").click()

    assert page.get_by_test_id(f"plan-option-{plan['id']}").is_visible()


def test_a_link_opens_what_it_was_copied_from(
    browser: Browser, page: Page, planned: Deployment
) -> None:
    page.get_by_test_id("heat-switch").click()
    settle(page)

    other = browser.new_page()
    other.goto(page.url)
    other.wait_for_selector(READY, state="attached", timeout=TIMEOUT_MS)

    assert other.get_by_test_id("heat-legend").is_visible()
    other.close()


MAPLIBRE = REPOSITORY / "web/node_modules/maplibre-gl/dist"
STYLE_PAGE = """
<!doctype html><title>Style</title><div id="map" style="width: 800px; height: 600px"></div>
<script type="module">
  import * as maplibregl from "/maplibre/maplibre-gl.mjs";
  maplibregl.setWorkerUrl("/maplibre/maplibre-gl-worker.mjs");
  const map = new maplibregl.Map({ container: "map", style: "/v1/tiles/style.json?QUERY" });
  map.on("error", (event) => console.error(event.error?.message ?? "error"));
  map.on("idle", () => {
    const found = map.queryRenderedFeatures({ layers: ["territories-fill"] });
    window.codes = [...new Set(found.map((feature) => feature.properties.code))];
  });
</script>
"""


def test_the_style_opens_in_maplibre_as_it_is(browser: Browser, planned: Deployment) -> None:
    if not MAPLIBRE.is_dir():
        pytest.skip("needs the packages of web/ (make setup)")
    plan = plan_in_force(planned)
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    document = STYLE_PAGE.replace("QUERY", f"plan_id={plan['id']}")
    page.route(
        "**/style-page", lambda route: route.fulfill(body=document, content_type="text/html")
    )
    page.route(
        "**/maplibre/*",
        lambda route: route.fulfill(
            path=MAPLIBRE / route.request.url.rpartition("/")[2], content_type="text/javascript"
        ),
    )

    page.goto(f"{planned.url}/style-page")
    page.wait_for_function("window.codes?.length > 0")

    codes = page.evaluate("window.codes")
    page.close()
    assert faults == []
    assert set(codes) <= {row["code"] for row in plan["balance"]}
    assert len(codes) > plan["n_territories"] / 2
