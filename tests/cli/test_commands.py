"""Commands as people and scripts see them: what they print, and their exit status."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import app.cli
import app.cli.session
from app.db.access import Access
from app.db.session import Database
from app.settings import Settings
from tests.auth.world import make_world

GOOD = "external_id,name,lon,lat\nc1,One,121.47,31.23\nc2,Two,121.48,31.24\n"
BAD_ROW = "c3,Three,500,31.2\n"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Bailiwick = Callable[..., Said]


@pytest.fixture
def bailiwick(
    settings: Settings,
    empty_database: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Bailiwick:
    """Run `bailiwick …` in this process, on the database of the tests."""
    monkeypatch.setenv("BAILIWICK_HOME", str(settings.home))
    monkeypatch.setenv("BAILIWICK_AUTH", "off")
    monkeypatch.setenv("COLUMNS", "200")
    # It would keep a standard error that is closed after the test.
    monkeypatch.setattr(app.cli.session, "configure_logs", lambda _: None)

    def run(*words: str) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["bailiwick", *words])
        with pytest.raises(SystemExit) as end:
            app.cli.main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    return run


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_made_listed_and_revoked(bailiwick: Bailiwick) -> None:
    made = bailiwick("keys", "create", "Ann", "--role", "planner", "--days", "30")
    (key,) = json.loads(bailiwick("keys", "list", "--json").out)
    revoked = bailiwick("keys", "revoke", key["prefix"])
    table = bailiwick("keys", "list").out
    (after,) = json.loads(bailiwick("keys", "list", "--json").out)

    assert made.out.split("_")[1] == key["prefix"]
    assert (key["name"], key["role"], key["revoked_at"]) == ("Ann", "planner", None)
    assert revoked.out == f"The key {key['prefix']} is revoked.\n"
    assert "Ann" in table
    assert made.out.strip() not in table
    assert after["revoked_at"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["Ann", "--role", "rep"], "needs --rep-id"),
        (["Ann", "--role", "admin", "--rep-id", "1"], "sees everything"),
        (["Ann", "--role", "rep", "--rep-id", "1"], "There is no rep 1"),
        ([" "], "needs a name"),
    ],
)
def test_a_key_that_would_not_work_is_not_made(
    bailiwick: Bailiwick, words: list[str], reason: str
) -> None:
    said = bailiwick("keys", "create", *words)

    assert said.status == 1
    assert reason in said.err
    assert json.loads(bailiwick("keys", "list", "--json").out) == []


def test_a_key_that_is_not_there_cannot_be_revoked(bailiwick: Bailiwick) -> None:
    said = bailiwick("keys", "revoke", "nothing")

    assert said.status == 1
    assert "Traceback" not in said.err


def test_a_database_without_tables_is_said_in_a_line(
    bailiwick: Bailiwick, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Access.of(settings).owner_url.set(database="postgres")
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", empty.render_as_string(hide_password=False))

    said = bailiwick("keys", "list")

    assert said.status == 2
    assert "bailiwick db upgrade" in said.err
    assert "Traceback" not in said.err


# --- the database --------------------------------------------------------------------------------


def test_up_and_upgrade_may_be_said_again(bailiwick: Bailiwick) -> None:
    up, upgraded = bailiwick("db", "up"), bailiwick("db", "upgrade")

    assert "PostgreSQL runs (pid" in up.out
    assert upgraded.out.startswith("The database is at revision")


def test_the_status_tells_people_and_scripts_alike_that_the_cluster_runs(
    bailiwick: Bailiwick, settings: Settings
) -> None:
    said, as_json = bailiwick("db", "status"), bailiwick("db", "status", "--json")

    found = json.loads(as_json.out)
    assert said.status == as_json.status == 0
    assert f"runs (pid {found['pid']})" in said.out
    assert found["is_made"]
    assert found["is_running"]


def test_a_cluster_that_was_never_made_is_no_error_to_stop(
    bailiwick: Bailiwick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BAILIWICK_HOME", str(tmp_path))

    status, down = bailiwick("db", "status"), bailiwick("db", "down")

    assert (status.status, down.status) == (1, 0)
    assert "was never made" in status.out
    assert down.out == "PostgreSQL was not running.\n"


def test_a_server_of_its_own_is_not_ours_to_start(
    bailiwick: Bailiwick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://db.invalid/bailiwick")

    said = bailiwick("db", "up")

    assert said.status == 2
    assert "there is no private cluster" in said.err


def test_a_setting_that_is_wrong_stops_every_command(
    bailiwick: Bailiwick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_POOL_SIZE", "many")

    said = bailiwick("plans")

    assert said.status == 2
    assert "pool_size" in said.err.lower()


# --- imports -------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    def write(content: str) -> str:
        (tmp_path / "customers.csv").write_text(content)
        return str(tmp_path / "customers.csv")

    return write


def test_refused_rows_are_listed_with_their_reason(
    bailiwick: Bailiwick, file: Callable[[str], str]
) -> None:
    said = bailiwick("import", "customers", file(GOOD + BAD_ROW))

    assert said.status == 0
    assert "lon" in said.err
    assert "GET /v1/imports/1/errors" in said.err


def test_a_file_of_which_nothing_can_be_used_is_a_failure(
    bailiwick: Bailiwick, file: Callable[[str], str]
) -> None:
    said = bailiwick("import", "customers", file(GOOD.splitlines()[0] + "\n" + BAD_ROW))

    assert said.status == 1


def test_columns_of_other_names_are_mapped(
    bailiwick: Bailiwick, file: Callable[[str], str]
) -> None:
    header, rows = GOOD.split("\n", 1)
    given = file(header.replace("external_id", "key").replace("name", "first,last") + "\n"
                 + rows.replace("One", "Ann,One").replace("Two", "Ann,Two"))  # fmt: skip

    said = bailiwick(
        "import", "customers", given, "--map", "external_id=key", "--map", "name=first,last",
        "--dry-run", "--json",
    )  # fmt: skip

    assert said.status == 0, said.err
    assert json.loads(said.out)["rejected"] == 0


@pytest.mark.parametrize("pair", ["external_id", "=key", "external_id="])
def test_a_mapping_of_another_form_is_refused(
    bailiwick: Bailiwick, file: Callable[[str], str], pair: str
) -> None:
    said = bailiwick("import", "customers", file(GOOD), "--map", pair)

    assert said.status == 1
    assert f"{pair!r} is not a mapping." in said.err
    assert "--map: write FIELD=COLUMN" in said.err


# --- plans ---------------------------------------------------------------------------------------


def test_a_plan_is_taken_through_its_life(bailiwick: Bailiwick, settings: Settings) -> None:
    asyncio.run(_make_world(settings))

    def view(*words: str) -> dict[str, Any]:
        said = bailiwick("plans", *words, "--json")
        assert said.status == 0, said.err
        document: dict[str, Any] = json.loads(said.out)
        return document

    copy = view("copy", "1", "--name", "What if")
    number = str(copy["id"])
    assert (copy["name"], copy["state"], copy["parent_id"]) == ("What if", "draft", 1)
    assert bailiwick("plans", "propose", number, "--note", "for Monday").out == (
        f"Plan {number} is proposed.\n"
    )
    assert view("reject", number, "not yet")["state"] == "draft"
    assert view("propose", number)["state"] == "proposed"
    assert view("approve", number)["state"] == "approved"
    assert view("publish", number, "--accept-changes")["plan_id"] == copy["id"]
    assert "is in force from" in bailiwick("plans", "rollback", "1").out
    assert view("show", number)["state"] == "superseded"
    assert view("archive", number)["state"] == "archived"
    refused = bailiwick("plans", "publish", number)
    assert (refused.status, "is archived" in refused.err) == (1, True)
    assert bailiwick("plans", "rollback", "1", "--from", "tomorrow").status == 2
    listed = bailiwick("plans", "--layer", "sales")
    assert listed.out == bailiwick("plans", "list", "--layer", "sales").out
    assert "What if" in listed.out


async def _make_world(settings: Settings) -> None:
    database = Database.of(settings)
    await make_world(database)
    await database.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["plans"], "There is no layer 'all'."),
        (["rebalance", "--dry-run"], "There is no layer 'all'."),
        (["what-if", "--add"], "There is no layer 'all'."),
        (["what-if", "7", "--remove", "T01"], "There is no plan 7."),
        (["publish", "7"], "7"),
        (["plans", "list"], "There is no layer 'all'."),
        (["plans", "show", "7"], "There is no plan 7."),
        (["plans", "propose", "7"], "There is no plan 7."),
        (["plans", "rollback", "7"], "There is no plan 7."),
        (["plans", "copy", "7"], "There is no plan 7."),
        (["front", "7"], "7"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(
    bailiwick: Bailiwick, words: list[str], reason: str
) -> None:
    said = bailiwick(*words)

    assert said.status == 1
    assert reason in said.err
    assert "Traceback" not in said.err
