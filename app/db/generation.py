"""How often data changed: what ETags are made of when an answer costs more than to ask for it.

The generation of a table is a number that grows with each committed statement that changed a row of
it (migration 0009). What is in force also changes by time alone, when a range of a publication, an
owner or a named account begins or ends; `MOMENT` is the last instant at which one did.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import text

from app.db.prepared import Prepared
from app.db.session import AnyReader, Database, WriteSession, rows

Generations = Mapping[str, int]

MOMENT = "moment"
# The local day that overdue visits are counted at.
HEAT_DAY = "heat_day"
# A backup holds old numbers: a restore makes all of them new by this one.
RESTORED = "restored"

# What decides which territories are in force, whose they are, and who may see them.
PLANNING = (
    "customer_override", "layer", "plan", "publication", "rep", "territory", "territory_owner",
    MOMENT,
)  # fmt: skip

READ = Prepared(
    text("""
    -- Folded and unfolded changes in one snapshot: a fold is seen whole or not at all.
    SELECT subject, sum(n)::bigint AS n FROM (
        SELECT subject, folded AS n FROM data_generation
        UNION ALL
        SELECT subject, count(*) FROM data_change GROUP BY subject
    ) AS counted GROUP BY subject
    UNION ALL
    -- With the same rows, the same bounds passed mean the same ranges in force.
    SELECT 'moment', (extract(epoch FROM greatest(
        (SELECT max(lower(during)) FROM publication WHERE lower(during) <= now()),
        (SELECT max(upper(during)) FROM publication WHERE upper(during) <= now()),
        (SELECT max(lower(during)) FROM territory_owner WHERE lower(during) <= now()),
        (SELECT max(upper(during)) FROM territory_owner WHERE upper(during) <= now()),
        (SELECT max(lower(during)) FROM customer_override WHERE lower(during) <= now()),
        (SELECT max(upper(during)) FROM customer_override WHERE upper(during) <= now())
    )) * 1000000)::bigint
    UNION ALL
    -- At local midnight visits become overdue, though no customer changed.
    SELECT 'heat_day', (SELECT day - date '2000-01-01' FROM heat_state)::bigint
""")
)

FOLD = text("""
    -- What is taken from one table is added to the other: no reader sees it twice.
    WITH taken AS (DELETE FROM data_change RETURNING subject)
    INSERT INTO data_generation AS known (subject, folded)
    SELECT subject, count(*) FROM taken GROUP BY subject ORDER BY subject
    ON CONFLICT (subject) DO UPDATE SET folded = known.folded + excluded.folded
""")

RENEW = text("""
    INSERT INTO data_generation (subject, folded) VALUES ('restored', :now)
    ON CONFLICT (subject) DO UPDATE SET folded = excluded.folded
""")


async def read_generations(reader: AnyReader) -> Generations:
    """Return the generation of every table that ever changed, as the session's snapshot sees it."""
    return _numbers(await rows(reader, READ))


def _numbers(found: Iterable[Any]) -> Generations:
    # An empty moment is that of a database in which nothing is dated.
    return {name: n or 0 for name, n in found}


def generation_key(generations: Generations, subjects: Iterable[str]) -> str:
    """Return a text that is the same exactly while none of the subjects changed."""
    wanted = (*sorted(subjects), RESTORED)
    return ",".join(str(generations.get(name, 0)) for name in wanted)


async def fold_changes(session: WriteSession) -> None:
    """Count the changes noted so far, so that reading them stays cheap."""
    await session.execute(FOLD)


def renewal() -> dict[str, Any]:
    """Return the value that `RENEW` takes: later restores give higher numbers."""
    return {"now": time.time_ns() // 1_000_000}


class GenerationReader:
    """Reads generations for many requests at once.

    A request is given what a statement read that began after the request came, so it sees every
    change that was acknowledged before. One statement runs at a time; all that come meanwhile share
    the next one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: asyncio.Task[Generations] | None = None
        self._next: asyncio.Task[Generations] | None = None

    async def read(self) -> Generations:
        """Return the generations as they are now."""
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._running))
        # A request that is given up must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _read_after(self, before: asyncio.Task[Generations] | None) -> Generations:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        async with self._database.glancing_aside() as connection:
            return _numbers(await connection.all(READ))
