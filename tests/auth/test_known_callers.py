"""Callers are remembered for seconds, and forgotten at once when access changes."""

import time

import httpx
import pytest

from app.auth import create_key
from app.auth.caller import LOCAL_CALLER
from app.auth.known_callers import KEPT_S, MOST_KEPT, KnownCallers
from app.db.session import Database
from app.settings import Settings
from tests.jobs.processes import server


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> KnownCallers:
    known = KnownCallers(clock)
    known.is_listening = True
    return known


def test_a_caller_is_known_for_some_seconds(known: KnownCallers, clock: Clock) -> None:
    known.keep("key", LOCAL_CALLER, known.state)

    assert known.find("key") == (LOCAL_CALLER, True)
    assert known.find("other") == (None, False)
    clock.now = KEPT_S
    assert known.find("key") == (None, False)


def test_a_caller_is_not_known_beyond_the_end_of_its_key(known: KnownCallers, clock: Clock) -> None:
    known.keep("key", LOCAL_CALLER, known.state, lasts_s=1.5)

    clock.now = 1.6
    assert known.find("key") == (None, False)


def test_that_a_key_is_not_valid_is_known_too(known: KnownCallers) -> None:
    known.keep("key", None, known.state)

    assert known.find("key") == (None, True)


def test_what_was_looked_up_while_access_changed_is_not_kept(known: KnownCallers) -> None:
    before = known.state
    known.forget()

    known.keep("key", LOCAL_CALLER, before)

    assert known.find("key") == (None, False)


def test_nothing_is_kept_while_nobody_listens(known: KnownCallers) -> None:
    known.is_listening = False

    known.keep("key", LOCAL_CALLER, known.state)

    assert known.find("key") == (None, False)


def test_a_flood_of_invented_keys_does_not_fill_the_memory(known: KnownCallers) -> None:
    for number in range(MOST_KEPT + 5):
        known.keep(str(number), None, known.state)

    assert len(known._known) <= MOST_KEPT


async def test_a_key_revoked_at_one_process_ends_at_the_other_at_once(
    settings: Settings, database: Database
) -> None:
    async with database.writing() as session:
        admin, other = [await create_key(session, name, "admin") for name in ("a", "b")]
    as_admin = {"Authorization": f"Bearer {admin}"}
    as_other = {"Authorization": f"Bearer {other}"}
    with (
        server(settings, BAILIWICK_AUTH="on") as (_, first),
        server(settings, BAILIWICK_AUTH="on") as (_, second),
        httpx.Client() as client,
    ):
        for _ in range(3):
            assert client.get(f"{second}/v1/layers", headers=as_other).status_code == 200

        prefix = other.split("_")[1]
        client.delete(f"{first}/v1/api-keys/{prefix}", headers=as_admin).raise_for_status()

        # The word is on its way when the revocation is committed; the memory would last 5 s.
        give_up = time.monotonic() + 1
        while client.get(f"{second}/v1/layers", headers=as_other).status_code == 200:
            assert time.monotonic() < give_up
        assert client.get(f"{second}/v1/layers", headers=as_other).status_code == 401
