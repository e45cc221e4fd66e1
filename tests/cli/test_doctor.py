"""The doctor: each check is right about a sound service, and notices when its thing is broken."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psycopg
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.doctor import examine
from app.db import checks, host_checks
from app.db.access import Access
from app.db.checks import Finding
from app.db.cluster import Cluster
from app.db.data_checks import DATA_CHECKS
from app.db.session import Database
from app.settings import Settings
from geo.cells import cell_from_point
from tests.db.databases import NewDatabase, admin, new_database, owner
from tests.ground import put_in_force
from tests.jobs.processes import environment

__all__ = ["new_database"]

CELL = int(cell_from_point(121.47, 31.23, 12))
SOUND = (
    f"""INSERT INTO customer (external_id, name, geom, cell)
        VALUES ('c', 'C', ST_SetSRID(ST_MakePoint(121.47, 31.23), 4326), {CELL})""",
    """INSERT INTO api_key (name, prefix, sha256, role) VALUES ('k', 'p', 'x', 'admin')""",
    """INSERT INTO jobs.procrastinate_workers DEFAULT VALUES""",
)
NO_TEMPORARY = """
    DO $$ BEGIN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM bailiwick', current_database());
    END $$
"""
STALE = """
    INSERT INTO heat_state (is_stale) VALUES (true) ON CONFLICT (id) DO UPDATE SET is_stale = true
"""
IN_PLAN = "DELETE FROM plan_cell WHERE cell = (SELECT min(cell) FROM plan_cell)"
RUN = "INSERT INTO run (kind, parameters, requested_by, {}) VALUES ('import', '{{}}', 'x', {})"
TEMPORARY_TO_OGC = """
    DO $$ BEGIN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO bailiwick_ogc', current_database());
    END $$
"""

# What is broken by whom, the check that notices it, and what it says.
BROKEN = [
    ("admin", "DROP EXTENSION btree_gist CASCADE", "versions", "failed", "no btree_gist"),
    ("owner", "UPDATE alembic_version SET version_num = '0001'", "revision", "failed", "0001"),
    ("owner", "DROP TABLE alembic_version", "revision", "failed", "cannot be looked at"),
    ("owner", "REVOKE UPDATE ON rep FROM bailiwick", "role", "failed", "lacks rights on rep"),
    ("owner", "GRANT DELETE ON audit_event TO bailiwick", "role", "failed", "DELETE"),
    (
        "owner", "GRANT EXECUTE ON FUNCTION write_audit TO PUBLIC", "role", "failed",
        "EXECUTE write_audit",
    ),
    (
        "owner", "GRANT EXECUTE ON FUNCTION record_audit TO bailiwick", "role", "failed",
        "EXECUTE record_audit",
    ),
    (
        "owner", "GRANT EXECUTE ON FUNCTION record_audit TO bailiwick_ogc", "ogc", "failed",
        "may call record_audit",
    ),
    (
        "admin", TEMPORARY_TO_OGC, "ogc", "failed", "may make temporary tables",
    ),
    ("owner", "GRANT SELECT ON rep TO bailiwick_ogc", "ogc", "failed", "may use rep"),
    (
        "owner", "GRANT EXECUTE ON FUNCTION drop_plan_partition TO PUBLIC", "ogc", "failed",
        "may call drop_plan_partition",
    ),
    (
        "owner", "REVOKE SELECT ON ogc.territories FROM bailiwick_ogc", "ogc", "failed",
        "may not read territories",
    ),
    ("admin", "ALTER TABLE rep OWNER TO bailiwick", "role", "warning", "owns the tables"),
    (
        "owner", "ALTER TABLE rep ADD CONSTRAINT half CHECK (name <> '') NOT VALID", "validity",
        "failed", "rep.half",
    ),
    (
        "admin", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pk_rep'::regclass",
        "validity", "failed", "pk_rep",
    ),
    (
        "owner", "DELETE FROM jobs.procrastinate_workers", "worker", "warning", "0 alive",
    ),
    ("owner", RUN.format("state", "'queued'"), "worker", "ok", "1 runs queued"),
    (
        "owner", RUN.format("created_at", "now() - interval '1 hour'"), "worker", "warning",
        "the oldest for 3600 s",
    ),
    (
        "owner", RUN.format("state, heartbeat_at", "'running', now() - interval '1 hour'"),
        "heartbeats", "failed", "1 runs without a sign of life",
    ),
    (
        "owner",
        RUN.format(
            "state, finished_at, error", """'failed', now(), '{"type": "/problems/quarantined"}'"""
        ),
        "runs", "warning", "1 failed in a day, 1 of them given up",
    ),
    ("owner", "UPDATE api_key SET revoked_at = now()", "keys", "warning", "no valid key"),
    (
        "owner", "UPDATE api_key SET expires_at = now() + interval '3 days'", "keys", "warning",
        "1 of them expire within 14 days",
    ),
    ("owner", f"UPDATE customer SET cell = {CELL} - 512", "cells", "failed", "1 of 1 customers"),
    ("owner", "UPDATE activity_delta SET work_minutes = 7", "sums", "failed", "1 cells differ"),
    ("owner", "DELETE FROM activity_delta", "sums", "failed", "1 cells differ"),
    ("owner", f"INSERT INTO activity_total VALUES (6, {CELL}, 1, 1, 1, 1)", "sums", "failed",
     "1 cells differ"),
    ("admin", NO_TEMPORARY, "role", "failed", "no temporary tables"),
    ("owner", STALE, "sums", "warning", "made anew"),
    ("owner", IN_PLAN, "plans", "failed", "has 1 of its 2 cells"),
]  # fmt: skip


@pytest.fixture
async def sound(new_database: NewDatabase) -> Settings:
    """A database with one of everything that is looked at, and nothing wrong."""
    made = new_database()
    database = Database.of(made)
    await put_in_force(database)
    await database.close()
    with owner(made) as connection:
        for statement in SOUND:
            connection.execute(statement.encode())
    return made.model_copy(update={"auth": "on"})


def _finding(settings: Settings, name: str) -> Finding:
    (found,) = [found for found in examine(settings, is_deep=False) if found.name == name]
    return found


def test_nothing_is_wrong_with_a_sound_service(sound: Settings) -> None:
    found = {finding.name: finding for finding in examine(sound, is_deep=False)}

    in_database = {"database", *checks.SERVER_CHECKS, *DATA_CHECKS}
    assert in_database <= set(found)
    assert [found[name] for name in in_database if found[name].state != "ok"] == []


@pytest.mark.parametrize(("who", "statement", "name", "state", "seen"), BROKEN)
def test_what_is_broken_is_noticed_and_there_is_something_to_do(
    sound: Settings, who: str, statement: str, name: str, state: str, seen: str
) -> None:
    database = Access.of(sound).url.database or ""
    with owner(sound) if who == "owner" else admin(sound, database) as connection:
        connection.execute(statement.encode())

    found = _finding(sound, name)

    assert (found.state, seen in found.seen) == (state, True), found
    assert bool(found.cure) == (state != "ok")


def test_without_a_role_for_it_ogc_is_said_to_be_off(sound: Settings) -> None:
    found = _finding(sound.model_copy(update={"ogc_database_url": None}), "ogc")

    assert (found.state, "BAILIWICK_OGC_DATABASE_URL" in found.seen) == ("warning", True)


def test_a_superuser_is_no_role_for_the_application(sound: Settings) -> None:
    with admin(sound) as connection:
        connection.execute("ALTER ROLE bailiwick SUPERUSER")
        try:
            found = _finding(sound, "role")
        finally:
            connection.execute("ALTER ROLE bailiwick NOSUPERUSER")

    assert found.state == "failed"
    assert "superuser" in found.seen


def test_a_crowd_of_connections_is_noticed(
    sound: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CROWDED", 0.05)
    crowd = [psycopg.connect(Access.of(sound).conninfo) for _ in range(5)]
    found = _finding(sound, "connections")
    for connection in crowd:
        connection.close()

    assert found.state == "warning"


def test_a_server_that_may_lose_what_is_committed_is_noticed(sound: Settings) -> None:
    with admin(sound) as connection:
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf(), pg_sleep(0.5)")
        try:
            found = _finding(sound, "safety")
        finally:
            connection.execute("ALTER SYSTEM RESET full_page_writes")
            connection.execute("SELECT pg_reload_conf(), pg_sleep(0.5)")

    assert found.state == "failed"
    assert "full_page_writes" in found.seen


@pytest.mark.parametrize(("seconds", "state"), [(5, "warning"), (-60, "failed")])
def test_clocks_that_differ_are_noticed(
    sound: Settings, monkeypatch: pytest.MonkeyPatch, seconds: int, state: str
) -> None:
    monkeypatch.setattr(checks, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))

    assert _finding(sound, "clock").state == state


def test_a_database_that_is_away_is_one_finding_without_a_password(tmp_path: Path) -> None:
    url = f"postgresql://nobody:secret@/nothing?host={tmp_path}"
    found = examine(Settings(home=tmp_path, auth="off", database_url=url), is_deep=False)

    assert [finding.state for finding in found if finding.name == "database"] == ["failed"]
    assert "revision" not in {finding.name for finding in found}
    assert "secret" not in str(found)


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """A home without anything in it."""
    (tmp_path / "home").mkdir()
    return Settings(home=tmp_path / "home", web_folder=tmp_path / "page", auth="off")


def test_a_cluster_that_was_never_made_is_noticed(bare: Settings) -> None:
    found = _finding(bare, "cluster")

    assert (found.state, found.seen) == ("failed", "was never made")


def test_a_page_that_was_not_built_is_noticed(bare: Settings, tmp_path: Path) -> None:
    assert _finding(bare, "page").state == "warning"

    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").touch()
    assert _finding(bare, "page").state == "ok"


def test_kernels_that_are_not_compiled_are_noticed(bare: Settings) -> None:
    assert _finding(bare, "kernels").state == "warning"

    (bare.home / "numba-cache" / "x").mkdir(parents=True)
    (bare.home / "numba-cache" / "x" / "kernel.1.nbc").touch()
    assert _finding(bare, "kernels").state == "ok"


@pytest.mark.parametrize(("limits", "state"), [((2**60, 0), "warning"), ((2**60, 2**60), "failed")])
def test_a_disk_with_little_room_is_noticed(
    bare: Settings, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], state: str
) -> None:
    monkeypatch.setattr(host_checks, "LITTLE_BYTES", limits[0])
    monkeypatch.setattr(host_checks, "VERY_LITTLE_BYTES", limits[1])

    for name in ("disk-home", "disk-temporary", "disk-data"):
        assert _finding(bare, name).state == state


def test_the_command_ends_by_one_when_something_has_failed(sound: Settings) -> None:
    assert sound.database_url is not None
    assert sound.owner_database_url is not None
    given = environment(
        sound,
        BAILIWICK_DATABASE_URL=sound.database_url.get_secret_value(),
        BAILIWICK_OWNER_DATABASE_URL=sound.owner_database_url.get_secret_value(),
    )
    assert CliRunner().invoke(app, ["doctor"], env=given).exit_code == 0

    with owner(sound) as connection:
        connection.execute("DELETE FROM activity_delta")
    done = CliRunner().invoke(app, ["doctor", "--json"], env=given)

    assert done.exit_code == 1
    failed = [found for found in orjson.loads(done.stdout) if found["state"] == "failed"]
    assert [found["name"] for found in failed] == ["sums"]


@pytest.fixture
def damaged() -> Iterator[Cluster]:
    """A private cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-damaged-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        cluster.up()
        yield cluster
        cluster.down()


def test_the_deep_look_finds_a_damaged_index(damaged: Cluster) -> None:
    assert host_checks.damage(damaged).state == "ok"
    home = Settings(home=damaged.home, auth="off")
    with admin(home, "bailiwick") as connection:
        connection.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 5000) AS n")
        connection.execute("CREATE INDEX broken ON t (n)")
        row = connection.execute("SELECT pg_relation_filepath('broken')").fetchone()
        assert row is not None
    damaged.down()
    file = damaged.places.data / row[0]
    with file.open("r+b") as content:
        content.seek(8192 + 4000)
        content.write(b"\x55" * 64)
    damaged.up()

    found = host_checks.damage(damaged)

    assert found.state == "failed"
    assert "broken" in found.seen or "page" in found.seen, found
