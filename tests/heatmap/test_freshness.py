"""How soon an edit shows in the heat: within five seconds of its answer, a worker folding."""

import asyncio
import time

import httpx

from app.settings import Settings
from tests.conftest import ANY_VERSION
from tests.jobs.processes import process

WITHIN_S = 5.0
BODY = {
    "external_id": "C1", "name": "Riverside Clinic", "lon": 121.49, "lat": 31.24, "revenue": 100,
}  # fmt: skip
HEAT = "/v1/heatmap?bbox=121,31,122,32&resolution=9&measure=revenue&format=cells"


async def heat(client: httpx.AsyncClient, revenue: float, within_s: float) -> None:
    """Wait until the heat holds a revenue, for so long at most."""
    asked = time.monotonic()
    while True:
        cells = (await client.get(HEAT)).raise_for_status().json()["cells"]
        took_s = time.monotonic() - asked
        assert took_s < within_s, f"the heat was {cells} after {took_s:.1f} s"
        if [value for _, value in cells] == [revenue]:
            return
        await asyncio.sleep(0.05)


async def test_an_edit_over_http_shows_in_the_heat_within_five_seconds(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    customer = (await client.post("/v1/customers", json=BODY)).json()
    with process(settings, "app", "worker"):
        # The worker has begun when it has folded what was there before it.
        await heat(client, 100, within_s=60)
        for revenue in (250, 0, 375):
            answer = await client.patch(
                f"/v1/customers/{customer['id']}", json={"revenue": revenue}, headers=ANY_VERSION
            )
            assert answer.status_code == 200, answer.text

            await heat(client, revenue, WITHIN_S)
