"""The number that says whether data changed: never too small, never changed by nothing."""

import asyncio

import numpy as np
from sqlalchemy import text

from app.activity import fold
from app.db.generation import (
    PLANNING,
    RENEW,
    GenerationReader,
    generation_key,
    read_generations,
    renewal,
)
from app.db.session import Database
from tests.search.crowd import add_customers


async def key(database: Database, *subjects: str) -> str:
    async with database.reading() as session:
        return generation_key(await read_generations(session), subjects)


async def run(database: Database, statement: str) -> None:
    async with database.writing() as session:
        await session.execute(text(statement))


async def test_a_statement_is_one_change_however_many_rows_it_changes(database: Database) -> None:
    await add_customers(database, np.linspace(0, 1, 500), np.zeros(500))
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM data_change")) == 1
    before = await key(database, "customer")

    await run(database, "UPDATE customer SET potential = 1 WHERE id <= 100")
    changed = await key(database, "customer")
    await run(database, "DELETE FROM customer WHERE id = 1")

    assert len({before, changed, await key(database, "customer")}) == 3


async def test_what_changes_no_row_or_another_table_changes_no_number(database: Database) -> None:
    await add_customers(database, np.zeros(2), np.zeros(2))
    before = await key(database, "customer")

    await run(database, "UPDATE customer SET potential = 1 WHERE id > 99")
    await run(database, "DELETE FROM customer WHERE id > 99")
    await run(database, "INSERT INTO rep (external_id, name) VALUES ('r', 'R')")
    await fold(database)

    assert await key(database, "customer") == before
    async with database.writing() as session:
        await session.execute(text("UPDATE customer SET potential = 2"))
        await session.rollback()
    assert await key(database, "customer") == before


async def test_folding_leaves_the_number_as_it_is(database: Database) -> None:
    for n in range(3):
        await run(database, f"INSERT INTO rep (external_id, name) VALUES ('r{n}', 'R')")
    before = await key(database, "rep")

    await fold(database)

    assert await key(database, "rep") == before == "3,0"
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM data_change")) == 0


async def test_a_fold_of_customers_changes_the_rollup_once(database: Database) -> None:
    await add_customers(database, np.zeros(2), np.zeros(2))
    before = await key(database, "activity_cell")
    await fold(database)
    folded = await key(database, "activity_cell")
    await fold(database)
    assert before != folded == await key(database, "activity_cell")


async def test_a_change_that_commits_late_is_not_overlooked(database: Database) -> None:
    """Its row is older than one already seen: the highest id would not change any more."""
    add = "INSERT INTO rep (external_id, name) VALUES ('{}', 'R')"
    async with database.writing() as slow:
        await slow.execute(text(add.format("slow")))
        await run(database, add.format("quick"))
        before = await key(database, "rep")
        await fold(database)
        assert await key(database, "rep") == before
    assert await key(database, "rep") != before


async def test_the_number_changes_when_a_range_begins_or_ends(database: Database) -> None:
    await run(database, "INSERT INTO layer (name, title) VALUES ('a', 'A')")
    await run(
        database,
        "INSERT INTO plan (layer_id, name, parameters, resolutions, n_territories, n_cells, "
        "alignment, scores, manifest) VALUES (1, 'p', '{}', '{9}', 1, 1, 'x', '{}', '{}')",
    )
    await run(
        database,
        "INSERT INTO publication (layer_id, plan_id, during, published_by) VALUES (1, 1, "
        "tstzrange(now() + interval '0.4 s', now() + interval '0.8 s'), 'me')",
    )
    seen = [await key(database, *PLANNING)]
    for _ in range(2):
        await asyncio.sleep(0.5)
        seen.append(await key(database, *PLANNING))
    assert len(set(seen)) == 3
    assert await key(database, *PLANNING) == seen[-1]


async def test_no_number_from_before_a_restore_comes_again(database: Database) -> None:
    await run(database, "INSERT INTO rep (external_id, name) VALUES ('r', 'R')")
    before = await key(database, "rep")
    async with database.writing() as session:
        await session.execute(RENEW, renewal())
    once = await key(database, "rep")
    await asyncio.sleep(0.002)
    async with database.writing() as session:
        await session.execute(RENEW, renewal())
    assert len({before, once, await key(database, "rep")}) == 3


async def test_a_reader_sees_every_change_that_was_committed_before_it_asked(
    database: Database,
) -> None:
    reader = GenerationReader(database)
    seen = 0

    async def ask() -> None:
        least = seen
        assert (await reader.read()).get("rep", 0) >= least

    for n in range(20):
        crowd = [asyncio.create_task(ask()) for _ in range(10)]
        await run(database, f"INSERT INTO rep (external_id, name) VALUES ('r{n}', 'R')")
        seen = n + 1
        assert (await reader.read())["rep"] == seen
        await asyncio.gather(*crowd)
