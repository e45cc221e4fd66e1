"""`bailiwick policies`: what it prints for people and for scripts."""

import asyncio
import json
from datetime import date

from app.db.session import Database
from app.settings import Settings
from tests.cli.test_commands import Bailiwick, bailiwick
from tests.policies.conftest import field_of, places
from tests.search.crowd import add_customers

__all__ = ["bailiwick"]

POLICY = """
    WITH made AS (
        INSERT INTO policy (name, kind, parameters, proposal)
        VALUES ('Fifty', 'max_customers', '{"customers": 50}', 'split')
        RETURNING id, name, parameters, proposal
    )
    INSERT INTO policy_version (policy_id, version, name, parameters, proposal, enabled, made_by)
    SELECT id, 1, name, parameters, proposal, true, 'test' FROM made
"""


def fill(settings: Settings) -> None:
    """A layer of four territories of a hundred customers or so, with a picture of January."""

    async def run() -> None:
        database = Database.of(settings)
        field = await field_of(database, layer="all")
        lon, lat, _ = places(400)
        await add_customers(database, lon, lat)
        await field.keep_month(date(2026, 1, 1))
        await field.run(POLICY)
        await database.close()

    asyncio.run(run())


def test_policies_are_listed_evaluated_and_tried(bailiwick: Bailiwick, settings: Settings) -> None:
    fill(settings)

    listed = bailiwick("policies", "list")
    first = bailiwick("policies", "evaluate")
    second = bailiwick("policies", "evaluate")
    tried = bailiwick("policies", "backtest", "1", "--from", "2025-12-01", "--to", "2026-02-01")

    assert [said.status for said in (listed, first, second, tried)] == [0, 0, 0, 0]
    assert "customers 50" in listed.out
    assert "customers; over 50: split it." in first.out
    assert first.out.count("fired ") == 4
    assert second.out == "0 alerts fired, 0 resolved, 4 were there before and stay.\n"
    assert "2025-12-31: not known, no snapshot for 2025-12" in tried.out
    assert "2026-01-31: 4 territories of plan 1" in tried.out
    assert tried.out.count("  new T0") == 4


def test_scripts_get_json(bailiwick: Bailiwick, settings: Settings) -> None:
    fill(settings)

    listed = json.loads(bailiwick("policies", "list", "--json").out)
    found = json.loads(bailiwick("policies", "evaluate", "--json").out)
    words = ("backtest", "1", "--from", "2026-01-01", "--to", "2026-01-31", "--json")
    tried = json.loads(bailiwick("policies", *words).out)

    assert [policy["kind"] for policy in listed] == ["max_customers"]
    assert [alert["territory_code"] for alert in found["fired"]] == ["T01", "T02", "T03", "T04"]
    assert len(tried["months"][0]["fired"]) == 4


def test_what_is_not_there_is_said(bailiwick: Bailiwick, settings: Settings) -> None:
    fill(settings)

    layer = bailiwick("policies", "evaluate", "--layer", "none")
    policy = bailiwick("policies", "backtest", "9")
    days = bailiwick("policies", "backtest", "1", "--from", "2026-02-01", "--to", "2026-01-01")
    early = bailiwick("policies", "backtest", "1", "--from", "0001-02-01", "--to", "2026-01-01")

    assert [said.status for said in (layer, policy, days, early)] == [1, 1, 1, 2]
    assert "There is no layer 'none'." in layer.err
    assert "There is no policy 9." in policy.err
    assert "The days are the wrong way round." in days.err
    assert "must lie between the years 1900 and 2200" in early.err
