"""Following a run: real servers, a real worker, a real child."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, text, update

from app.auth import create_key
from app.db.session import Database
from app.db.tables import Run
from app.errors import TooManyRequests, Unavailable
from app.http.streams import StreamSlots
from app.jobs import events
from app.jobs.queue import enqueue
from app.jobs.runs import RunContext, claim
from app.settings import Settings
from tests.jobs.conftest import Enqueue, run_of
from tests.jobs.processes import process, server


@dataclass(frozen=True)
class Event:
    """One event as a client reads it."""

    id: int
    name: str
    data: dict[str, Any]


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    with server(settings) as (_, address):
        yield address


@pytest.fixture(scope="module")
def other_address(settings: Settings) -> Iterator[str]:
    """A second API process on the same database."""
    with server(settings) as (_, address):
        yield address


@pytest.fixture
def worker(settings: Settings, database: Database) -> Iterator[None]:
    """A worker for the tests that want one: it would take the runs of the others as well."""
    with process(settings, "tests.jobs.creeping_worker"):
        yield


@pytest.fixture
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as http:
        yield http


async def _follow(
    http: httpx.AsyncClient, address: str, run_id: int, after: int | None = None
) -> AsyncIterator[Event]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    url = f"{address}/v1/runs/{run_id}/events"
    async with http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                fields = {}


async def _read(http: httpx.AsyncClient, address: str, run_id: int, **more: Any) -> list[Event]:
    async with aclosing(_follow(http, address, run_id, **more)) as stream:
        return [event async for event in stream]


async def _read_some(
    http: httpx.AsyncClient, address: str, run_id: int, count: int, **more: Any
) -> list[Event]:
    found = []
    async with aclosing(_follow(http, address, run_id, **more)) as stream:
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


async def _always() -> bool:
    return True


async def _creeping(database: Database, seconds: float) -> int:
    async with database.writing() as session:
        return (await enqueue(session, "creep", {"seconds": seconds}, "me")).id


async def _claimed(database: Database, settings: Settings, run_id: int) -> RunContext:
    context = await claim(database, settings, run_id)
    assert context is not None
    return context


async def _stored(database: Database, run_id: int) -> list[int]:
    async with database.reading() as session:
        query = text("SELECT seq FROM run_event WHERE run_id = :id ORDER BY seq")
        return list(await session.scalars(query, {"id": run_id}))


# What a run tells


async def test_every_change_of_a_run_is_numbered(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    context = await _claimed(database, settings, await enqueued())
    context.report("solving", 0.4)
    await context.beat()
    async with context.writing() as session:
        await context.succeed(session, {})

    async with database.reading() as session:
        told = await events.events_after(session, context.run_id, 0)

    assert [(e.seq, e.state, e.phase, e.progress) for e in told] == [
        (1, "queued", "queued", 0.0),
        (2, "running", "started", 0.0),
        (3, "running", "solving", 0.4),
        (4, "succeeded", "done", 1.0),
    ]


async def test_changes_at_the_same_time_get_numbers_without_gaps(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    context = await _claimed(database, settings, await enqueued())

    await asyncio.gather(*(context.beat() for _ in range(20)))

    assert await _stored(database, context.run_id) == list(range(1, 23))


async def test_a_run_that_is_rolled_back_leaves_no_event(database: Database) -> None:
    async def enqueue_and_fail() -> None:
        async with database.writing() as session:
            await enqueue(session, "test", {}, "me")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await enqueue_and_fail()

    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM run_event")) == 0


async def test_events_go_with_their_run(database: Database, enqueued: Enqueue) -> None:
    gone, kept = await enqueued(), await enqueued()

    async with database.writing() as session:
        await session.execute(delete(Run).where(Run.id == gone))

    assert [await _stored(database, run_id) for run_id in (gone, kept)] == [[], [1]]


# Following


async def test_a_run_reports_at_least_every_second_and_ends_with_its_result(
    http: httpx.AsyncClient, database: Database, address: str, worker: None
) -> None:
    run_id = await _creeping(database, 4)
    arrivals, found = [], []

    async with aclosing(_follow(http, address, run_id)) as stream:
        async for event in stream:
            arrivals.append(time.monotonic())
            found.append(event)

    assert [event.id for event in found] == list(range(1, len(found) + 1))
    assert {event.name for event in found[:-1]} == {"progress"}
    running = [i for i, event in enumerate(found) if event.data["state"] == "running"]
    gaps = [arrivals[i + 1] - arrivals[i] for i in running]
    assert max(gaps) < 1.0, gaps
    creeping = [event.data["progress"] for event in found if event.data["phase"] == "creeping"]
    assert creeping == sorted(creeping)
    assert len(set(creeping)) >= 4
    assert (found[-1].name, found[-1].data["state"]) == ("end", "succeeded")
    assert found[-1].data["result"] == {"answer": 42}
    assert found[-1].data == (await http.get(f"{address}/v1/runs/{run_id}")).json()


async def test_who_was_cut_off_goes_on_at_another_process_without_gap_or_repeat(
    http: httpx.AsyncClient, database: Database, address: str, other_address: str, worker: None
) -> None:
    run_id = await _creeping(database, 3)

    first = await _read_some(http, address, run_id, 2)
    second = await _read_some(http, other_address, run_id, 2, after=first[-1].id)
    await asyncio.sleep(1)
    third = await _read(http, address, run_id, after=second[-1].id)

    ids = [event.id for event in (*first, *second, *third)]
    assert ids == await _stored(database, run_id)
    assert [event.name for event in third].count("end") == 1


async def test_no_proxy_is_to_keep_events_back(
    http: httpx.AsyncClient, enqueued: Enqueue, address: str
) -> None:
    async with http.stream("GET", f"{address}/v1/runs/{await enqueued()}/events") as answer:
        # nginx asks for this one, caches for the other.
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"].startswith("text/event-stream")


async def test_a_run_that_is_over_tells_the_rest_and_ends_at_once(
    http: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    enqueued: Enqueue,
    address: str,
) -> None:
    context = await _claimed(database, settings, await enqueued())
    await context.beat()
    await context.end("failed", {"detail": "no", "errors": []})
    started = time.monotonic()

    everything = await _read(http, address, context.run_id)
    rest = await _read(http, address, context.run_id, after=2)

    assert time.monotonic() - started < 1
    assert [event.id for event in everything] == [1, 2, 3, 4]
    assert rest == everything[2:]
    assert (rest[-1].name, rest[-1].data["error"]["detail"]) == ("end", "no")


async def test_who_knows_the_end_is_told_not_to_come_back(
    http: httpx.AsyncClient, enqueued: Enqueue, address: str
) -> None:
    run_id = await enqueued()
    await http.post(f"{address}/v1/runs/{run_id}:cancel")

    url = f"{address}/v1/runs/{run_id}/events"
    answer = await asyncio.wait_for(http.get(url, headers={"Last-Event-ID": "2"}), 5)

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_long_story_comes_whole_and_in_order(
    http: httpx.AsyncClient, database: Database, enqueued: Enqueue, address: str
) -> None:
    run_id, n_events = await enqueued(), 2 * events.ROWS_AT_ONCE
    async with database.writing() as session:
        for number in range(n_events - 2):
            progress = update(Run).where(Run.id == run_id).values(progress=number / n_events)
            await session.execute(progress)
        await session.execute(update(Run).where(Run.id == run_id).values(state="cancelled"))

    found = await _read(http, address, run_id)

    assert [event.id for event in found] == list(range(1, n_events + 1))
    assert found[-1].name == "end"


async def test_a_stream_ends_when_its_run_is_deleted(
    http: httpx.AsyncClient, database: Database, enqueued: Enqueue, address: str
) -> None:
    run_id = await enqueued()
    reading = asyncio.create_task(_read(http, address, run_id))
    await asyncio.sleep(0.5)
    async with database.writing() as session:
        await session.execute(delete(Run).where(Run.id == run_id))

    found = await asyncio.wait_for(reading, 2)

    assert [event.id for event in found] == [1]


async def test_a_stream_outlives_a_database_that_is_away_for_a_moment(
    database: Database,
    settings: Settings,
    enqueued: Enqueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = await enqueued()
    read, n_failures = events._read, 2

    async def fail_twice(*arguments: Any) -> Any:
        nonlocal n_failures
        if n_failures:
            n_failures -= 1
            raise Unavailable("The database does not answer.")
        return await read(*arguments)

    monkeypatch.setattr(events, "_read", fail_twice)

    stopping = events.anyio.Event()
    async with aclosing(events._follow(database, run_id, 0, stopping, _always)) as stream:
        first = await asyncio.wait_for(anext(stream), 5)

    assert (first.id, n_failures) == ("1", 0)


async def test_a_stream_is_closed_after_a_while_so_that_its_key_is_asked_for_again(
    database: Database, enqueued: Enqueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LONGEST_STREAM_S", 0.4)
    stopping = events.anyio.Event()

    told = [e async for e in events._follow(database, await enqueued(), 0, stopping, _always)]

    assert [event.id for event in told] == ["1"]


async def test_a_stream_ends_soon_after_its_key_is_revoked(
    settings: Settings, database: Database, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    async with database.writing() as session:
        key = await create_key(session, "planner", "planner")
    headers = {"Authorization": f"Bearer {key}"}
    with server(settings, BAILIWICK_AUTH="on") as (_, address):
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
            async with client.stream("GET", f"/v1/runs/{run_id}/events") as answer:
                lines = answer.aiter_lines()
                assert await anext(lines) == "id: 1"
                async with database.writing() as session:
                    await session.execute(text("UPDATE api_key SET revoked_at = now()"))
                async with asyncio.timeout(3 * events.ASKED_AGAIN_S):
                    rest = [line async for line in lines]
    assert "event: end" not in rest


def test_one_caller_leaves_event_streams_to_the_others() -> None:
    slots = StreamSlots(8)
    with ExitStack() as open_streams:
        for _ in range(2):
            open_streams.enter_context(slots.taken("one"))
        with pytest.raises(TooManyRequests), slots.taken("one"):
            pass
        for other in ("b", "b", "c", "c", "d", "d"):
            open_streams.enter_context(slots.taken(other))
        with pytest.raises(Unavailable), slots.taken("e"):
            pass
    with slots.taken("one"):
        pass


# Refused


@pytest.mark.parametrize(
    "given", ["", "x", "-1", "1.5", "2", "٣", "0x1", "1 1", "9" * 5000, "99999999999999999999"]
)
async def test_an_id_that_is_no_event_s_is_refused(
    client: httpx.AsyncClient, enqueued: Enqueue, given: str
) -> None:
    run_id = await enqueued()

    answer = await client.get(
        f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": given.encode()}
    )

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == "/header/Last-Event-ID"


async def test_a_run_that_does_not_exist_has_no_events(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/runs/999/events")).status_code == 404


async def test_streams_above_the_limit_are_refused_until_one_ends(
    http: httpx.AsyncClient, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    # A quarter of them is what one caller may have.
    with server(settings, BAILIWICK_MAX_EVENT_STREAMS="8") as (_, address):
        url = f"{address}/v1/runs/{run_id}/events"
        async with http.stream("GET", url) as one, http.stream("GET", url) as two:
            refused = await http.get(url)
            assert (one.status_code, two.status_code) == (200, 200)
            assert refused.status_code == 429
            assert refused.headers["Content-Type"] == "application/problem+json"
            assert refused.headers["Retry-After"]
            # What is refused itself takes no place.
            assert (await http.get(f"{address}/v1/runs/999/events")).status_code == 429
        # The service learns a moment later that its clients are gone.
        await _wait_for_place(http, url)
        for _ in range(3):
            assert (await http.get(f"{address}/v1/runs/999/events")).status_code == 404
        await _wait_for_place(http, url)


async def _wait_for_place(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(5):
        while True:
            async with http.stream("GET", url) as answer:
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.05)


# Connections


async def _states(database: Database) -> set[str]:
    """Return what our connections are doing, this one left out."""
    async with database.reading() as session:
        query = text(
            "SELECT DISTINCT state FROM pg_stat_activity WHERE application_name = 'bailiwick' "
            "AND pid <> pg_backend_pid()"
        )
        return set(await session.scalars(query))


async def test_streams_hold_no_connection_while_they_wait_nor_after_their_client_left(
    http: httpx.AsyncClient, database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    # More streams than the pool has connections, and a request that still gets one.
    with server(settings, BAILIWICK_POOL_SIZE="1") as (_, address):
        readers = [asyncio.create_task(_read(http, address, run_id)) for _ in range(12)]
        await asyncio.sleep(0.7)
        started = time.monotonic()
        for _ in range(5):
            assert (await http.get(f"{address}/v1/runs/{run_id}")).status_code == 200
        assert time.monotonic() - started < 2, "the only connection is taken"

        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for _ in range(20):
            assert (await http.get(f"{address}/v1/runs/{run_id}")).status_code == 200
        await asyncio.sleep(0.2)
        assert await _states(database) <= {"idle"}


# Ends


async def test_a_server_that_is_stopped_ends_its_streams_at_once(
    http: httpx.AsyncClient, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    with server(settings) as (running, address):
        readers = [asyncio.create_task(_read(http, address, run_id)) for _ in range(3)]
        await asyncio.sleep(0.7)
        started = time.monotonic()
        running.send_signal(signal.SIGTERM)

        found = await asyncio.wait_for(asyncio.gather(*readers), 5)
        assert time.monotonic() - started < 1.5
        status = await asyncio.to_thread(running.wait, 5)
        assert time.monotonic() - started < 3

    assert [[event.id for event in events] for events in found] == [[1]] * 3
    assert status in (0, -signal.SIGTERM)


async def test_a_run_with_a_child_is_cancelled_within_a_second(
    http: httpx.AsyncClient, database: Database, address: str, worker: None
) -> None:
    run_id = await _creeping(database, 60)
    took = []
    async with aclosing(_follow(http, address, run_id)) as stream:
        async for event in stream:
            if event.data["phase"] == "creeping" and not took:
                took.append(time.monotonic())
                await http.post(f"{address}/v1/runs/{run_id}:cancel")
        took.append(time.monotonic())

    assert (event.name, event.data["state"]) == ("end", "cancelled")
    run = await run_of(database, run_id)
    assert run.finished_at is not None
    assert took[1] - took[0] < 1.0 + events.POLL_S
