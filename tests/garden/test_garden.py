"""The API against its own description: requests made from it, by callers of each role."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.auth import create_key
from app.db.session import Database
from app.settings import Settings
from tests.auth.world import make_world
from tests.jobs.processes import server

# Many more of them with `make test-faults`.
EXAMPLES = int(os.environ.get("GARDEN_EXAMPLES", "6"))
# Each phase has seconds of its own: the one before would use up those of the last.
SECONDS = int(os.environ.get("GARDEN_SECONDS", "10"))
PHASES = {
    # The last of them with what time is left.
    "examples,coverage,fuzzing": ("Examples", "Coverage"),
    # Requests made from the answers of others: what was created is read, changed and deleted.
    "stateful": ("Stateful",),
}
RULES = Path(__file__).with_name("schemathesis.toml")
UNBOUND = {
    f"BAILIWICK_RATE_{name}": "10000000/minute" for name in ("READ", "WRITE", "HEAVY", "REFUSED")
}


@pytest.mark.parametrize("role", ["admin", "planner", "manager", "rep", "viewer"])
async def test_every_answer_is_as_described_and_none_is_an_error_of_ours(
    settings: Settings, database: Database, tmp_path: Path, role: str
) -> None:
    world = await make_world(database)
    async with database.writing() as session:
        key = await create_key(session, role, role, world.reps.get(role))
    with server(settings, BAILIWICK_AUTH="on", **UNBOUND) as (process, address):
        for phases, names in PHASES.items():
            done = subprocess.run(
                [
                    sys.executable, "-m", "schemathesis.cli", "--config-file", str(RULES),
                    "run", f"{address}/openapi.json",
                    "--header", f"Authorization: Bearer {key}", "--seed", "1", "--no-color",
                    "--generation-deterministic", "--phases", phases,
                    "--max-examples", str(EXAMPLES), "--max-time", str(SECONDS),
                    "--checks", "all", "--exclude-checks", "positive_data_acceptance",
                    "--continue-on-failure",
                ],
                capture_output=True, text=True, cwd=tmp_path, timeout=20 * SECONDS + 80,
            )  # fmt: skip
            assert process.poll() is None
            assert httpx.get(f"{address}/livez").status_code == 200
            assert done.returncode == 0, done.stdout[-60000:]
            for name in names:
                assert f"✅ {name}" in done.stdout, done.stdout[-4000:]
