"""A hundred thousand customers, fences, a plan in force and rollups, for tests of statements.

And what tests of statements ask of them: which ones were sent, and how the database runs them.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import sql
from sqlalchemy import event, text

from app.activity import fold
from app.db.cluster import OWNER_ROLE
from app.db.glance import Glance
from app.db.prepared import Prepared
from app.db.session import Database
from app.settings import Settings
from tests.search.crowd import add_customers, analyze, clear
from tests.tiles.ground import add_plan, patch, quarters

HERE = (121.47, 31.23)
N = 100_000
FENCES = text("""
    INSERT INTO geofence (name, geom)
    SELECT 'F' || x || '/' || y, ST_Multi(ST_MakeEnvelope(x, y, x + 0.01, y + 0.01, 4326))
    FROM generate_series(110, 130, 0.2) AS x, generate_series(22, 40, 0.25) AS y
    UNION ALL
    SELECT 'Here', ST_Multi(ST_Expand(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), 0.01))
""")
LARGE = re.compile(
    r"Seq Scan on (customer|activity_cell|measure_snapshot|audit_event|geofence|geofence_cell"
    r"|plan_cell_\d+)\b"
)
# Setting a session up is not a statement that can be explained.
EXPLAINABLE = re.compile(r"\s*(--[^\n]*\s*)*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
CELL_FENCES = text("""
    WITH made AS (
        INSERT INTO geofence (name, kind, geom, group_name)
        SELECT 'Cells ' || n, 'cells', ST_Multi(ST_MakeEnvelope(112, 23, 112.01, 23.01, 4326)), 'g'
        FROM generate_series(1, 300) AS n RETURNING id
    ), fence AS (SELECT array_agg(id) AS ids FROM made)
    INSERT INTO geofence_cell
    SELECT DISTINCT cell_parent(cell, 8), ids[1 + customer.id % 300] FROM customer, fence
    WHERE customer.id % 5 = 0
""")
Sent = list[tuple[str, Any]]
OPEN = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class PreparedPlan:
    """How the database runs a statement that it keeps, in a mode in which it may do so."""

    name: str
    mode: str
    plan: str


@asynccontextmanager
async def crowded_ground(settings: Settings, **columns: Any) -> AsyncIterator[Database]:
    """Fill the database and give it; a column of `customer` is one value or one per customer."""
    clear(settings)
    database = Database.of(settings, has_timeout=False)
    rng = np.random.default_rng(0)
    # Some of them where the tiles are.
    around = np.where(rng.random(N) < 0.02, 0.01, 9.0)
    lon = HERE[0] + around * rng.uniform(-1, 1, N)
    lat = HERE[1] + around * rng.uniform(-1, 1, N)
    await add_customers(database, lon, lat, **columns)
    cells = patch(*HERE, 2, 7)
    await add_plan(database, cells, quarters(cells))
    async with database.writing() as session:
        await session.execute(FENCES, dict(zip(("lon", "lat"), HERE, strict=True)))
        await session.execute(CELL_FENCES)
    await fold(database)
    analyze(settings)
    yield database
    await database.close()
    # Others empty the tables row by row.
    clear(settings)


@contextmanager
def statements_sent(database: Database) -> Iterator[Sent]:
    """Note what the sessions of a database send until the block ends."""
    sent: Sent = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if EXPLAINABLE.match(statement):
            sent.append((statement, values))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def explained(database: Database, sent: Sent) -> list[str]:
    """The plan of each statement, as the application's own role and session would run it."""
    async with database.reading() as session:
        connection = await session.connection()
        plans = []
        for statement, values in sent:
            lines = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
            plans.append("\n".join(line for (line,) in lines))
    return plans


def read_whole(plan: str) -> list[str]:
    """The large tables that a plan reads from end to end."""
    return LARGE.findall(plan)


@contextmanager
def prepared_plans() -> Iterator[list[PreparedPlan]]:
    """Note how the database runs what glances send it until the block ends.

    Asked on the connection that has just sent it, of the statement that the server keeps there:
    a look-alike with its values written out is planned for these values, and as it is never kept,
    never for any.
    """
    found: list[PreparedPlan] = []
    send = Glance.all

    async def note(glance: Glance, statement: Prepared, **given: Any) -> list[tuple[Any, ...]]:
        rows = await send(glance, statement, **given)
        found.extend(await _explained_as_kept(glance, statement, given))
        return rows

    Glance.all = note  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Glance.all = send  # type: ignore[method-assign]


async def _explained_as_kept(
    glance: Glance, statement: Prepared, given: dict[str, Any]
) -> list[PreparedPlan]:
    connection = glance._connection
    # As the driver numbers values: in the order in which they are first named.
    names = list(dict.fromkeys(OPEN.findall(statement.text)))
    numbered = OPEN.sub(lambda name: f"${names.index(name[1]) + 1}", statement.text)
    kept = await connection.execute(
        "SELECT name, current_setting('plan_cache_mode'), current_user FROM pg_prepared_statements "
        "WHERE statement = %s ORDER BY prepare_time DESC LIMIT 1",
        [numbered.replace("%%", "%")],
        prepare=False,
    )
    ((name, mode, role),) = await kept.fetchall()
    # Whoever owns the tables would not be held to what the application's role may do.
    assert role != OWNER_ROLE
    # Left to the database, it is planned for its values at first, and for any values after that if
    # this seems no worse.
    may_be = ["force_custom_plan", "force_generic_plan"] if mode == "auto" else [mode]
    values = statement.values(given)
    executed = sql.SQL("EXPLAIN EXECUTE {}").format(sql.Identifier(name))
    if names:
        given_here = sql.SQL(", ").join(sql.Literal(values[each]) for each in names)
        executed += sql.SQL("({})").format(given_here)
    found = []
    for each in may_be:
        await connection.execute(f"SET plan_cache_mode = {each}".encode())
        lines = await (await connection.execute(executed, prepare=False)).fetchall()
        found.append(PreparedPlan(name, each, "\n".join(line for (line,) in lines)))
    await connection.execute(f"SET plan_cache_mode = {mode}".encode())
    return found
