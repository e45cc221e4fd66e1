"""One deployment with sample data, behind keys, that GIS programs open (`make gis`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.deployment import Deployment, deploy, free_port

HERE = Path(__file__).parent
# Sample data, a design, and programs that draw in software.
AT_MOST_S = 650
FENCES: list[dict[str, Any]] = [
    {"name": "Harbour", "kind": "circle", "lon": 121.8, "lat": 31.35, "radius_m": 9000},
    {
        "name": "Old town",
        "kind": "polygon",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[121.2, 31.0], [121.5, 31.0], [121.5, 31.3], [121.2, 31.0]]],
        },
    },
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.gis)
            item.add_marker(pytest.mark.timeout(AT_MOST_S))


@dataclass(frozen=True)
class Guarded(Deployment):
    """A server that asks for a key, and lets pages of one other origin ask."""

    key: str = ""
    origin: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "BAILIWICK_AUTH": "on",
            "BAILIWICK_CORS_ORIGINS": self.origin,
        }

    def everything(self, path: str) -> list[dict[str, Any]]:
        """Return the items of all pages of a list."""
        found: list[dict[str, Any]] = []
        address: str | None = path
        while address:
            page = self.client.get(f"{self.url}{address}").json()
            found += page["items"]
            address = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        return found


@pytest.fixture(scope="session")
def guarded() -> Iterator[Guarded]:
    """Twenty thousand customers, a plan of 24 territories in force, two geofences."""
    with deploy() as open_to_all:
        for words in (
            ("import", "customers", "sample_data/yangtze_customers.csv"),
            ("import", "reps", "sample_data/yangtze_reps.csv"),
            ("design", "--territories", "24", "--publish"),
        ):
            done = open_to_all.command(*words)
            assert done.returncode == 0, done.stderr
        for fence in FENCES:
            assert open_to_all.post("/v1/geofences", fence).is_success
        made = open_to_all.command("keys", "create", "GIS", "--role", "planner", "--scope", "read")
        key = made.stdout.split()[-1]
        client = httpx.Client(timeout=60, headers={"Authorization": f"Bearer {key}"})
        origin = f"http://127.0.0.1:{free_port()}"
        guarded = Guarded(open_to_all.folder, free_port(), client, key, origin)
        with client, guarded.process("serve"):
            guarded.wait_until_ready()
            yield guarded
