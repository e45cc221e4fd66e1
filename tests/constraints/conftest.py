"""A small even ground, and designs on it by the API or the command line within this process."""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

import app.cli
import app.cli.session
from app.db.session import Database
from app.jobs import child_main
from app.main import create_app
from app.settings import Settings
from app.worker import work
from tests.conftest import remove_all_rows
from tests.constraints.ground import REGION, World, fill
from tests.constraints.rows import Answer
from tests.second_process import transport_to


@pytest.fixture(scope="module")
async def world(settings: Settings) -> AsyncIterator[World]:
    """The customers, layers, reps and a first plan, which the tests of a module share."""
    remove_all_rows(settings)
    database = Database.of(settings)
    application = create_app(settings)
    transport = transport_to(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield await fill(database, client)
    await application.state.database.close()
    await database.close()


@pytest.fixture
def in_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in this process: starting a child for each of so many designs takes too long.

    What goes through real children is tested in tests/plans and tests/jobs.
    """

    async def run_here(context: Any, module: str, folder: Path, *_: float) -> None:
        await asyncio.to_thread(importlib.import_module(module).main, folder)

    importlib.import_module("app.plans.solve")
    monkeypatch.setattr("app.plans.job.run_child", run_here)
    for name, module in list(sys.modules.items()):
        if name.startswith("app.plans.") and getattr(module, "report", None) is child_main.report:
            monkeypatch.setattr(module, "report", lambda *_: None)
    monkeypatch.setenv("BAILIWICK_HOME", str(settings.home))
    monkeypatch.setenv("BAILIWICK_AUTH", "off")
    # It would keep a standard error that is closed after the test.
    monkeypatch.setattr(app.cli.session, "configure_logs", lambda _: None)


class Designer:
    """Asks for a plan on the small ground, one way or the other."""

    def __init__(
        self, world: World, settings: Settings, folder: Path, capture: pytest.CaptureFixture[str]
    ) -> None:
        self._world, self._settings = world, settings
        self._folder, self._capture = folder, capture

    async def by_api(self, **change: Any) -> Answer:
        """Ask by `POST /v1/plans`; members that are None are left out."""
        base = {"layer_id": self._world.layers["all"], "region": REGION, "resolution": 6}
        given = {"n_territories": 3, **base, **change}
        body = {name: value for name, value in given.items() if value is not None}
        client = self._world.client
        answer = await client.post("/v1/plans", json=body)
        if answer.status_code != 202:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.status_code == 422, answer.text
            return Answer(said=_said(answer.json()))
        await work(self._settings, once=True)
        run = (await client.get(answer.headers["Location"])).json()
        if run["state"] != "succeeded":
            assert run["state"] == "failed"
            assert "trace_id" not in run["error"], run
            return Answer(said=_said(run["error"]))
        return await self._answer((await client.get(run["result"]["href"])).json())

    async def by_cli(self, *words: str, number: int | None = 3) -> Answer:
        """Ask by `bailiwick design`; `number` is left out when the words say it."""
        region = self._folder / "region.json"
        region.write_bytes(orjson.dumps(REGION))
        base = ["--json"]
        for name, value in (("territories", number), ("region", region), ("resolution", 6)):
            if value is not None and f"--{name}" not in words:
                base += [f"--{name}", str(value)]
        self._capture.readouterr()
        code = await asyncio.to_thread(_main, ["bailiwick", "design", *base, *words])
        out, said = self._capture.readouterr()
        if code != 0:
            assert code in (1, 2)
            assert "Traceback" not in said
            return Answer(said=said)
        return await self._answer(orjson.loads(out))

    async def _answer(self, plan: dict[str, Any]) -> Answer:
        cells = (await self._world.client.get(f"/v1/plans/{plan['id']}/cells")).json()["cells"]
        return Answer(plan=plan, cells=dict(cells), said="")


@pytest.fixture
def designer(
    world: World,
    settings: Settings,
    in_process: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Designer:
    return Designer(world, settings, tmp_path, capsys)


def _said(problem: dict[str, Any]) -> str:
    faults = [f"{fault.get('pointer')} {fault['code']}" for fault in problem["errors"]]
    return "\n".join([problem["detail"], *faults])


def _main(words: list[str]) -> int:
    before, sys.argv = sys.argv, words
    try:
        app.cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0
