"""Backups: whole or absent. Restores: all of it, or the old data untouched."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from typer.testing import CliRunner

from app.cli.database import commands
from app.db.access import Access
from app.db.archive import Archive, Damaged, seal
from app.db.backup import BackupFailed, back_up
from app.db.cluster import Cluster
from app.db.migrate import newest_revision
from app.db.programs import Programs
from app.db.restore import RestoreFailed, restore
from app.errors import Conflict, InvalidInput, ServiceError, SetupError
from app.main import create_app
from app.settings import Settings
from tests.auth.world import World, make_world
from tests.conftest import ANY_VERSION, Drain
from tests.db.databases import (
    NewDatabase,
    contents,
    definitions,
    environment_of,
    new_database,
    owner,
    programs_of_path,
    sequences,
    urls_of,
)
from tests.jobs.processes import server, worker
from tests.plans.conftest import customers, design_plan

__all__ = ["customers", "design_plan", "new_database"]

REP = "INSERT INTO rep (external_id, name) VALUES (%s, 'somebody')"
NOT_ASKED = ("/events", "{tileset}.json", "{y}.mvt")
TILES = ("territories", "customers", "cells", "heat")
HERE = {"lon": 113, "lat": 30.5}
PARAMETERS: dict[str, dict[str, Any]] = {
    "/v1/heatmap": {"resolution": 5},
    "/v1/territories/at": HERE,
    "/v1/territories/white-space": {"layer": 1},
    "/v1/territories/white-space/count": {"layer": 1},
    "/v1/geofences/at": HERE,
    "/v1/search/nearest": HERE,
    "/v1/search/radius": {**HERE, "radius_m": 5000},
}
TRACE_ID = re.compile(rb'"trace_id":"\w+"')
LEFT_RUN = b"""
    INSERT INTO run (kind, state, parameters, requested_by, attempts, heartbeat_at)
    VALUES ('import', 'running', '{"upload_id": 0, "kind": "customers"}', 'x', 1,
        now() - interval '1 day')
"""
HALF_OF_THE_DATA = """
if [[ "$*" == *--section=data* ]]; then
    "$REAL" "$@" > "$0.whole"
    head -c $(( $(stat -c %s "$0.whole") / 2 )) "$0.whole"
    echo $$ > "$0.unfinished"; mv "$0.unfinished" "$0.pid"
    exec >&-
    exec sleep 60
fi
exec "$REAL" "$@"
"""


# Everything is dropped and made anew by then, and no row is back yet.
WAIT_IN_THE_MIDDLE = """
if [[ "$*" == *--section=data* ]]; then
    touch "$0.waits"
    for _ in {1..600}; do [[ -e "$0.goes_on" ]] && break; sleep 0.05; done
fi
exec "$REAL" "$@"
"""


def save(settings: Settings, file: Path, **options: bool) -> Any:
    return back_up(Access.of(settings), Programs.of(settings), file, **options)


def bring_back(settings: Settings, file: Path, **options: bool) -> Any:
    return restore(Access.of(settings), Programs.of(settings), file, **options)


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Another private cluster, without tables."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-restored-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        cluster.up()
        yield Settings(home=Path(folder), auth="off", log_level="warning")
        cluster.down()


@pytest.fixture
def filled(new_database: NewDatabase) -> Settings:
    """A database with a thousand reps."""
    made = new_database()
    with owner(made) as connection:
        connection.execute(
            "INSERT INTO rep (external_id, name) SELECT n, 'R' FROM generate_series(1, 1000) AS n"
        )
    return made


async def answers(settings: Settings, world: World) -> dict[str, Any]:
    """Return what every address answers that is made of ids of ours alone."""
    application = create_app(settings)
    transport = httpx.ASGITransport(application)
    found = {}
    paths = [
        path.format_map(world.own)
        for path, methods in application.openapi()["paths"].items()
        if "get" in methods and path.startswith("/v1/") and not path.endswith(NOT_ASKED)
    ]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for path in [*paths, *(f"/v1/tiles/{name}/6/52/26.mvt" for name in TILES)]:
            answer = await client.get(path, params=PARAMETERS.get(path))
            found[path] = (answer.status_code, TRACE_ID.sub(b"", answer.content))
    await application.state.database.close()
    return found


async def test_a_restored_database_equals_the_one_that_was_backed_up(
    client: httpx.AsyncClient, database: Any, customers: int, design_plan: Any, drain: Drain,
    settings: Settings, own_cluster: Settings, tmp_path: Path,
) -> None:  # fmt: skip
    world = await make_world(database)
    layer_id = (await client.post("/v1/layers", json={"name": "designed"})).json()["id"]
    run = await design_plan(layer_id=layer_id, n_territories=3)
    plan = f"/v1/plans/{run['result']['plan_id']}:publish"
    assert (await client.post(plan, json={}, headers=ANY_VERSION)).is_success
    file = {"file": ("new.csv", b"external_id,name,lon,lat\nN1,New,113,30\nN2,Bad,x,y\n")}
    await client.post("/v1/imports", data={"kind": "customers"}, files=file)
    await drain()
    await client.post("/v1/imports", data={"kind": "customers"}, files=file)
    before, asked = contents(settings), await answers(settings, world)

    made = save(settings, tmp_path / "backup")
    done = bring_back(own_cluster, tmp_path / "backup")

    assert contents(own_cluster) == before
    assert sequences(own_cluster) == sequences(settings)
    assert definitions(own_cluster) == definitions(settings)
    assert _rounded(await answers(own_cluster, world)) == _rounded(asked)
    assert sum(status == 200 for status, _ in asked.values()) > 25, asked
    assert before["jobs.procrastinate_jobs"][0] == 1
    empty = {name for name, (count, _) in before.items() if count == 0}
    assert len(empty) < 12, empty
    assert made.revision == done.revision == newest_revision()


def test_a_second_cluster_takes_writes_after_a_restore(
    filled: Settings, new_database: NewDatabase, tmp_path: Path
) -> None:
    save(filled, tmp_path / "backup")
    restored = new_database(revision=None)
    bring_back(restored, tmp_path / "backup")

    with psycopg.connect(Access.of(restored).conninfo, autocommit=True) as connection:
        connection.execute(REP, ("another",))
        # The statement's trigger has written the audit, which the role itself may not.
        assert connection.execute("SELECT max(id) FROM audit_event").fetchone() == (1001,)
        for statement in (
            "INSERT INTO audit_event (actor, action, entity) VALUES ('x', 'y', 'z')",
            "SELECT write_audit('x', 'y', 1, NULL, NULL)",
            "DELETE FROM audit_event",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_backup_is_consistent_while_others_write(
    filled: Settings, new_database: NewDatabase, tmp_path: Path
) -> None:
    is_over = threading.Event()

    def write_pairs() -> None:
        with psycopg.connect(Access.of(filled).conninfo) as connection:
            number = 0
            while not is_over.is_set():
                connection.execute(REP, (f"pair{number}",))
                connection.execute(
                    "INSERT INTO layer (name, title) VALUES (%s, '')", (f"l{number}",)
                )
                connection.commit()
                number += 1

    writer = threading.Thread(target=write_pairs)
    writer.start()
    try:
        for number in range(3):
            save(filled, tmp_path / f"backup{number}")
    finally:
        is_over.set()
        writer.join()

    restored = new_database(revision=None)
    for number in range(3):
        bring_back(restored, tmp_path / f"backup{number}", replaces=True)
        found = contents(restored)
        assert found["public.rep"][0] - 1000 == found["public.layer"][0] > 0
        assert found["public.audit_event"][0] == 1000 + 2 * found["public.layer"][0]


def test_only_its_owner_may_read_a_backup_whatever_the_umask(
    filled: Settings, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        made = save(filled, tmp_path / "backup")
    finally:
        os.umask(before)

    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    assert made.size_bytes == (tmp_path / "backup").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_a_backup_replaces_a_file_only_when_told_to(filled: Settings, tmp_path: Path) -> None:
    (tmp_path / "backup").write_text("something dear")

    with pytest.raises(Conflict, match="--force"):
        save(filled, tmp_path / "backup")
    assert (tmp_path / "backup").read_text() == "something dear"

    save(filled, tmp_path / "backup", replaces=True)
    assert (tmp_path / "backup").read_bytes().startswith(b"PGDMP")


def test_a_backup_of_no_tables_of_ours_leaves_no_file(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match="db upgrade"):
        save(new_database(revision=None), tmp_path / "backup")

    assert list(tmp_path.iterdir()) == []


def test_a_killed_backup_never_looks_finished(filled: Settings, tmp_path: Path) -> None:
    with owner(filled) as connection, connection.transaction():
        # What the backup waits for.
        connection.execute("LOCK TABLE rep IN ACCESS EXCLUSIVE MODE")
        command = [sys.executable, "-m", "app", "db", "backup", str(tmp_path / "backup")]
        running = subprocess.Popen(command, env=environment_of(filled))
        _until(lambda: any(tmp_path.iterdir()))
        running.kill()
        running.wait()

    assert not (tmp_path / "backup").exists()
    assert all(path.name.endswith(".unfinished") for path in tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_leaves_no_part_of_a_backup(filled: Settings, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", small], check=True)
    try:
        with pytest.raises(BackupFailed, match="No space left on device"):
            save(filled, small / "backup")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_restore_replaces_data_only_when_told_to(filled: Settings, tmp_path: Path) -> None:
    save(filled, tmp_path / "backup")
    kept = contents(filled)
    with owner(filled) as connection:
        connection.execute(REP, ("later",))
        connection.execute("SELECT create_plan_partition(7), attach_plan_partition(7)")
    later = contents(filled)

    with pytest.raises(Conflict, match=r"table .*--force"):
        bring_back(filled, tmp_path / "backup")
    assert contents(filled) == later

    bring_back(filled, tmp_path / "backup", replaces=True)
    assert contents(filled) == kept


def test_a_restore_leaves_alone_what_is_not_ours(filled: Settings, tmp_path: Path) -> None:
    save(filled, tmp_path / "backup")
    with owner(filled) as connection:
        connection.execute("CREATE TABLE payroll AS SELECT 1 AS salary")
    before = contents(filled)

    with pytest.raises(Conflict, match="payroll"):
        bring_back(filled, tmp_path / "backup", replaces=True)

    assert contents(filled) == before


def _truncated(backup: bytes, folder: Path) -> bytes:
    return backup[: len(backup) * 2 // 3]


def _altered(backup: bytes, folder: Path) -> bytes:
    middle = len(backup) * 2 // 3
    return backup[:middle] + bytes(byte ^ 0x55 for byte in backup[middle : middle + 40]) + (
        backup[middle + 40 :]
    )  # fmt: skip


@pytest.mark.parametrize("damage", [_truncated, _altered])
def test_a_damaged_backup_is_noticed_before_anything_is_touched(
    filled: Settings, tmp_path: Path, damage: Callable[[bytes, Path], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    save(filled, tmp_path / "backup")
    (tmp_path / "damaged").write_bytes(damage((tmp_path / "backup").read_bytes(), tmp_path))
    before = contents(filled)

    with pytest.raises((Damaged, InvalidInput)):
        bring_back(filled, tmp_path / "damaged", replaces=True)
    assert contents(filled) == before

    # And if it were not noticed before, it would be in time.
    monkeypatch.setattr(Archive, "check", lambda archive: None)
    with pytest.raises(ServiceError):
        bring_back(filled, tmp_path / "damaged", replaces=True)
    assert contents(filled) == before


@pytest.mark.parametrize("content", [b"", b"PGDMP", b"no dump at all " * 1000])
def test_what_is_no_backup_is_refused(filled: Settings, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    before = contents(filled)

    with pytest.raises(InvalidInput, match="is no backup"):
        bring_back(filled, tmp_path / "file", replaces=True)

    assert contents(filled) == before


def test_the_backup_of_another_program_is_refused(
    filled: Settings, new_database: NewDatabase, tmp_path: Path
) -> None:
    other = new_database(revision=None)
    with owner(other) as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
    conninfo = Access.of(other).owner_conninfo_without_password
    with (tmp_path / "dump").open("w+b") as file:
        subprocess.run(["pg_dump", "-Fc", "-d", conninfo], stdout=file, check=True)
        with pytest.raises(InvalidInput, match="not of `bailiwick db backup`"):
            bring_back(filled, tmp_path / "dump", replaces=True)
        seal(file)

    with pytest.raises(InvalidInput, match="not a backup of Bailiwick"):
        bring_back(filled, tmp_path / "dump", replaces=True)


def test_a_file_that_is_not_there_is_a_clear_refusal(filled: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        bring_back(filled, tmp_path / "absent")


def test_the_backup_of_a_newer_version_is_refused(
    filled: Settings, new_database: NewDatabase, tmp_path: Path
) -> None:
    with owner(filled) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    save(filled, tmp_path / "backup")
    fresh = new_database()

    with pytest.raises(InvalidInput, match=r"revision 9999 by a newer version"):
        bring_back(fresh, tmp_path / "backup", replaces=True)

    assert contents(fresh)["public.rep"][0] == 0


def test_the_backup_of_an_older_version_is_upgraded(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    old, fresh = new_database("0004"), new_database()
    with owner(old) as connection:
        connection.execute(REP, ("old",))
    save(old, tmp_path / "backup")

    done = bring_back(fresh, tmp_path / "backup")

    assert (done.made_at_revision, done.revision) == ("0004", newest_revision())
    assert definitions(fresh) == definitions(new_database())
    assert contents(fresh)["public.rep"][0] == 1


def test_a_killed_pg_restore_leaves_the_old_data(
    filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(filled, tmp_path / "backup")
    with owner(filled) as connection:
        connection.execute("DELETE FROM rep WHERE id > 10")
    before = contents(filled)
    folder = programs_of_path(tmp_path / "bin", HALF_OF_THE_DATA)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def kill() -> None:
        _until((folder / "pg_restore.pid").exists)
        # It may have come to its end by itself.
        with suppress(ProcessLookupError):
            os.kill(int((folder / "pg_restore.pid").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises((Damaged, RestoreFailed)):
        bring_back(filled, tmp_path / "backup", replaces=True)
    killer.join()

    assert contents(filled) == before


def test_a_killed_restore_leaves_the_old_data(filled: Settings, tmp_path: Path) -> None:
    save(filled, tmp_path / "backup")
    with owner(filled) as connection:
        connection.execute("DELETE FROM rep WHERE id > 10")
    before = contents(filled)
    # Its output stays open, so the restore waits in the middle of the rows.
    folder = programs_of_path(tmp_path / "bin", HALF_OF_THE_DATA.replace("exec >&-", ""))
    path = f"{folder}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "app", "db", "restore", "--force"]
    running = subprocess.Popen(
        [*command, str(tmp_path / "backup")], env=environment_of(filled, PATH=path)
    )
    _until((folder / "pg_restore.pid").exists)
    running.kill()
    running.wait()
    os.kill(int((folder / "pg_restore.pid").read_text()), signal.SIGKILL)

    assert contents(filled) == before


def test_running_processes_go_on_by_themselves_after_a_restore(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    made = new_database()
    told = {**urls_of(made), "BAILIWICK_STALLED_AFTER_S": "3"}
    with (
        server(made, **told) as (api, address),
        worker(made, **told) as working,
    ):
        with httpx.Client(base_url=address, timeout=20) as client:
            # More than once: the driver prepares what it has seen five times.
            for number in range(8):
                _import(client, f"before{number}")
            with owner(made) as connection:
                # A worker that has died in the middle.
                connection.execute(LEFT_RUN)
                (left,) = connection.execute("SELECT max(id) FROM run").fetchone() or (0,)
                save(made, tmp_path / "backup")
            _import(client, "afterwards")

            bring_back(made, tmp_path / "backup", replaces=True)

            _until(lambda: client.get("/readyz").is_success)
            for _ in range(8):
                items = client.get("/v1/customers", params={"limit": 100}).json()["items"]
                assert {item["external_id"] for item in items} == {f"before{n}" for n in range(8)}
            _import(client, "again")
            run = f"/v1/runs/{left}"
            _until(lambda: client.get(run).json()["state"] in ("succeeded", "failed"))
            # Three when the worker had taken it up before the moment of the backup.
            assert client.get(run).json()["attempts"] in (2, 3)
        assert api.poll() is None
        assert working.poll() is None


def test_while_a_restore_goes_on_requests_are_answered_503_and_afterwards_as_ever(
    filled: Settings, tmp_path: Path
) -> None:
    save(filled, tmp_path / "backup")
    folder = programs_of_path(tmp_path / "bin", WAIT_IN_THE_MIDDLE)
    restoring = environment_of(filled, PATH=f"{folder}:{os.environ['PATH']}")
    command = [sys.executable, "-m", "app", "db", "restore", "--force"]

    with (
        server(filled, **urls_of(filled), BAILIWICK_STATEMENT_TIMEOUT_S="1") as (api, address),
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        before = client.get("/v1/reps")
        with subprocess.Popen([*command, tmp_path / "backup"], env=restoring) as running:
            _until((folder / "pg_restore.waits").exists)
            meanwhile = [
                client.get("/v1/reps"), client.get("/v1/layers"), client.get("/readyz"),
                client.post("/v1/layers", json={"name": "new"}),
            ]  # fmt: skip
            alive = client.get("/livez")
            (folder / "pg_restore.goes_on").touch()
        _until(lambda: client.get("/readyz").is_success)
        afterwards, written = client.get("/v1/reps"), client.post("/v1/layers", json={"name": "x"})
        assert api.poll() is None

    assert running.returncode == 0
    assert [answer.status_code for answer in meanwhile] == [503] * 4
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in meanwhile)
    assert before.status_code == alive.status_code == 200
    assert (afterwards.content, written.status_code) == (before.content, 201)


def _rounded(answers: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """Round away the last digits of sums, which depend on the order of the rows on disk.

    Cut off, they would differ still: 0.7299999999 and 0.7300000001 are one sum.
    """
    longer = re.compile(rb"\d+\.\d{7,}")

    def shorter(number: re.Match[bytes]) -> bytes:
        return repr(round(float(number[0]), 6)).encode()

    return {path: (status, longer.sub(shorter, body)) for path, (status, body) in answers.items()}


def _import(client: httpx.Client, name: str) -> None:
    content = f"external_id,name,lon,lat\n{name},New,113,30\n".encode()
    answer = client.post(
        "/v1/imports", data={"kind": "customers"}, files={"file": ("new.csv", content)}
    )
    run = answer.raise_for_status().headers["Location"]
    _until(lambda: client.get(run).json()["state"] == "succeeded")


def test_programs_that_are_missing_or_too_old_say_what_to_install(
    filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.programs.BINARIES", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="postgresql-client"):
        save(filled, tmp_path / "backup")

    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.4'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(SetupError, match="is of version 13"):
        save(filled, tmp_path / "backup")


def test_the_commands_say_what_they_did_to_people_and_to_scripts(
    filled: Settings, new_database: NewDatabase, tmp_path: Path
) -> None:
    file = str(tmp_path / "backup")
    restored = new_database(revision=None)

    made = orjson.loads(_command(filled, "backup", file, "--json"))
    assert made["size_bytes"] == (tmp_path / "backup").stat().st_size
    assert made["revision"] == newest_revision()
    assert "MB, revision" in _command(filled, "backup", file, "--force")
    assert f"is restored: revision {newest_revision()}" in _command(restored, "restore", file)
    done = orjson.loads(_command(restored, "restore", file, "--force", "--json"))
    assert done["made_at_revision"] == done["revision"] == newest_revision()


def _command(settings: Settings, *words: str) -> str:
    done = CliRunner().invoke(commands, words, env=environment_of(settings))
    assert done.exit_code == 0, done.output
    return done.stdout


def _until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    give_up = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up, "it did not come to that"
        time.sleep(0.05)


def test_a_server_whose_application_owns_the_tables_is_restored_too(
    filled: Settings, new_database: NewDatabase, tmp_path: Path
) -> None:
    save(filled, tmp_path / "backup")
    made = new_database(revision=None)
    assert made.owner_database_url is not None
    alone = Settings(home=made.home, auth="off", database_url=made.owner_database_url)

    bring_back(alone, tmp_path / "backup")

    assert contents(alone) == contents(filled)


def test_a_role_that_may_not_come_in_is_told_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://nobody:secret@/nothing?host={tmp_path}"
    settings = Settings(auth="off", database_url=url)

    with pytest.raises(SetupError, match="does not let us in") as refused:
        save(settings, tmp_path / "backup")

    assert "secret" not in str(refused.value)
