"""Customers by the thousand, straight into the table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import create_engine, text

from app.db.access import Access
from app.db.session import Database
from app.db.tables import Base
from app.settings import Settings
from geo.cells import CUSTOMER_RESOLUTION, cells_from_points

Floats = NDArray[np.float64]

INSERT = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, segment, tags, status, work_minutes,
        potential, revenue, last_visit_at)
    SELECT 'C' || n, 'Customer ' || n, ST_SetSRID(ST_MakePoint(lon, lat), 4326), cell, class,
        segment, string_to_array(tags, ','), status, work_minutes, potential, revenue,
        now() - make_interval(days => CAST(last_visit_days AS integer))
    FROM unnest(CAST(:n AS integer[]), CAST(:lon AS float[]), CAST(:lat AS float[]),
        CAST(:cell AS bigint[]), CAST(:class AS text[]), CAST(:segment AS text[]),
        CAST(:tags AS text[]), CAST(:status AS text[]), CAST(:work_minutes AS float[]),
        CAST(:potential AS float[]), CAST(:revenue AS float[]),
        CAST(:last_visit_days AS integer[])) AS t (n, lon, lat, cell, class, segment, tags, status,
        work_minutes, potential, revenue, last_visit_days)
    ORDER BY cell
""")
DEFAULTS: dict[str, Any] = {
    "class": "C", "segment": "", "tags": "", "status": "active", "work_minutes": 60.0,
    "potential": 0.0, "revenue": 0.0, "last_visit_days": None,
}  # fmt: skip


async def add_customers(database: Database, lon: Floats, lat: Floats, **columns: Any) -> None:
    """Insert customers C0, C1, …; a column is one value or one per customer."""
    values: dict[str, Any] = {"n": list(range(len(lon))), "lon": lon.tolist(), "lat": lat.tolist()}
    values["cell"] = cells_from_points(lon, lat, CUSTOMER_RESOLUTION).astype(np.int64).tolist()
    for name, default in DEFAULTS.items():
        value = columns.get(name, default)
        values[name] = list(value) if isinstance(value, list) else [value] * len(lon)
    async with database.writing() as session:
        # As an import does it: not an event of the audit for each of a hundred thousand.
        await session.execute(text("SET LOCAL bailiwick.bulk TO 'on'"))
        await session.execute(INSERT, values)


def clear(settings: Settings) -> None:
    """Empty every table, for grounds that a whole module shares."""
    engine = create_engine(Access.of(settings).owner_url)
    with engine.begin() as connection:
        partitions = "SELECT relname FROM pg_class WHERE relname ~ '^plan_cell_[0-9]+$'"
        for name in connection.scalars(text(partitions + " AND relkind = 'r'")).all():
            connection.execute(text(f"DROP TABLE {name}"))
        # Of the audit as well, which otherwise nobody may empty.
        connection.execute(text("SET LOCAL bailiwick.erasing TO 'on'"))
        names = ", ".join(Base.metadata.tables)
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        connection.execute(text("ANALYZE"))
    engine.dispose()


def analyze(settings: Settings) -> None:
    """Let the planner know what is in the tables."""
    engine = create_engine(Access.of(settings).owner_url)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()
