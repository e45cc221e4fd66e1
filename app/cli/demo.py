"""`bailiwick demo`: everything at once, on a private database with sample data."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from sqlalchemy import select

from app.cli.session import console, wait_for
from app.db.access import Access
from app.db.cluster import Cluster
from app.db.migrate import upgrade
from app.db.session import Acting, Database
from app.db.tables import Customer, Publication, Rep
from app.errors import SetupError
from app.imports.schemas import ImportKind, ImportRequest
from app.imports.service import submit_file
from app.jobs.child_main import die_with
from app.layers.repository import create_layer, find_layer
from app.layers.schemas import NewLayer
from app.plans.approval import FREELY
from app.plans.publishing import publish
from app.plans.request import PlanRequest
from app.plans.service import request_design
from app.settings import Settings, is_loopback, load_settings

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
N_TERRITORIES = 24
# No promise, only the end of patience: a process that fails ends the wait at once.
READY_WITHIN_S = 180
BY_DEMO = Acting(actor="demo")


def demo(
    port: Annotated[int | None, typer.Option(help="Port of the map")] = None,
) -> None:
    """Start everything with sample data and say where to look; Ctrl-C stops it all."""
    given = {} if port is None else {"port": port}
    settings = load_settings(auth="off", log_level="warning", log_format="console", **given)
    if not is_loopback(settings.host):
        raise SetupError(
            f"The demo lets everybody in, so it listens on loopback only, not on {settings.host}."
        )
    _refuse_taken_port(settings)
    # Both said outright: a shell starts background jobs with SIGINT ignored, and Python keeps that.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: _interrupt())
    with _database(settings):
        access = Access.of(settings)
        upgrade(access.owner_url, access.url.username)
        with _process(settings, "worker") as worker, _process(settings, "serve") as server:
            try:
                _wait_until_ready(settings, worker, server)
                asyncio.run(_fill(settings))
                _say_where(settings)
                _watch(worker, server)
            except KeyboardInterrupt:
                console.print("\nStopping …")


def _watch(*processes: subprocess.Popen[bytes]) -> None:
    """Wait until Ctrl-C; a process that ends by itself ends the whole."""
    while True:
        _refuse_ended(processes)
        time.sleep(1)


def _refuse_ended(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is not None:
            raise SetupError(f"A process ended by itself, with status {process.returncode}.")


def _interrupt() -> None:
    raise KeyboardInterrupt


def _refuse_taken_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError:
            raise SetupError(
                f"Port {settings.port} is taken. Choose another: BAILIWICK_PORT=8001 make run"
            ) from None


@contextmanager
def _database(settings: Settings) -> Iterator[None]:
    """Have the private cluster up, and down again if it was down before."""
    if settings.database_url is not None:
        yield
        return
    cluster = Cluster(settings.home)
    was_running = cluster.status().is_running
    console.print("Starting PostgreSQL …")
    status = cluster.up()
    if status.is_relocated:
        console.print(f"The database is in {status.data.parent}", soft_wrap=True)
    try:
        yield
    finally:
        if not was_running:
            cluster.down()


@contextmanager
def _process(settings: Settings, command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of ours beside this one, in its own session: Ctrl-C is for us to pass on."""
    environment = os.environ | {
        "BAILIWICK_HOME": str(settings.home.absolute()),
        "BAILIWICK_AUTH": "off",
        "BAILIWICK_PORT": str(settings.port),
        "BAILIWICK_LOG_LEVEL": settings.log_level,
    }
    parent = os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", command],
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: die_with(parent),
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(settings: Settings, *processes: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up:
        _refuse_ended(processes)
        try:
            if httpx.get(f"{_address(settings)}/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SetupError(f"The service was not ready within {READY_WITHIN_S} s; see its log above.")


async def _fill(settings: Settings) -> None:
    """Import the sample data and publish a plan, each unless it is there already."""
    database = Database.of(settings, has_timeout=False)
    try:
        await _import(settings, database, "customers", Customer.id)
        await _import(settings, database, "reps", Rep.id)
        async with database.reading() as session:
            is_published = await session.scalar(select(Publication.id).limit(1)) is not None
        if not is_published:
            console.print(f"Designing {N_TERRITORIES} territories …")
            await _design(settings, database)
    finally:
        await database.close()


async def _import(settings: Settings, database: Database, kind: ImportKind, row_id: Any) -> None:
    """Import a sample file into its table, unless the table holds something."""
    async with database.reading() as session:
        if await session.scalar(select(row_id).limit(1)) is not None:
            return
    console.print(f"Importing {kind} …")
    path = SAMPLE_DATA / f"yangtze_{kind}.csv"
    request = ImportRequest(kind=kind, on_error="abort")
    async with database.writing(BY_DEMO) as session:
        run = await submit_file(session, settings, request, path, path.name, "demo")
    await wait_for(settings, database, run.id, is_quiet=False)


async def _design(settings: Settings, database: Database) -> None:
    async with database.writing(BY_DEMO) as session:
        layer = await find_layer(session, "all")
        if layer is None:
            layer = await create_layer(session, NewLayer(name="all", title="All customers"))
        request = PlanRequest(layer_id=layer.id, n_territories=N_TERRITORIES, name="First plan")
        run = await request_design(session, request, "demo")
    result = await wait_for(settings, database, run.id, is_quiet=False)
    async with database.writing(BY_DEMO) as session:
        await publish(session, result["plan_id"], None, True, "demo", FREELY)


def _address(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port}"


def _say_where(settings: Settings) -> None:
    address = _address(settings)
    console.print(f"\n[bold]The map:[/] {address}/\n\nTry:", highlight=False)
    for path in (
        "/v1/search/radius?lon=121.47&lat=31.23&radius_m=3000&limit=5",
        "/v1/territories/at?lon=121.47&lat=31.23",
        "/v1/plans?limit=1",
    ):
        typer.echo(f'  curl "{address}{path}"')
    console.print("\nCtrl-C stops everything; the data stays.", highlight=False)
