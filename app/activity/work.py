"""The work of every customer, from the customers around it."""

import asyncio

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text

from app import workload
from app.db.session import Database, driver_connection
from app.db.tables import Customer
from app.settings import WorkSettings
from geo.neighbours import mean_neighbour_distance_m

APPLY = text("""
    UPDATE customer SET work_minutes = fresh_work.work_minutes
    FROM fresh_work
    WHERE customer.id = fresh_work.id AND customer.work_minutes <> fresh_work.work_minutes
""")


async def refresh_work(database: Database, settings: WorkSettings) -> int:
    """Estimate the work of all customers anew; return how many changed.

    Travel depends on neighbours, so an import changes the work of customers it does not hold. The
    version of a customer stays: its work is derived, nobody edited it.
    """
    async with database.reading() as session:
        rows = (
            await session.execute(
                select(
                    Customer.id,
                    text("ST_X(geom)"),
                    text("ST_Y(geom)"),
                    Customer.class_,
                    Customer.status,
                    Customer.visits_per_year,
                    Customer.service_minutes,
                )
            )
        ).all()
    if not rows:
        return 0
    ids, lon, lat, classes, statuses, visits, service = zip(*rows, strict=True)
    minutes = await asyncio.to_thread(
        _estimate,
        settings,
        np.array(lon, dtype=np.float64),
        np.array(lat, dtype=np.float64),
        classes,
        np.array(statuses) == "inactive",
        np.array(visits, dtype=np.float64),
        np.array(service, dtype=np.float64),
    )
    async with database.writing() as session:
        connection = await driver_connection(session)
        await session.execute(
            text("CREATE TEMP TABLE fresh_work (id bigint, work_minutes float8) ON COMMIT DROP")
        )
        async with (
            connection.cursor() as cursor,
            cursor.copy("COPY fresh_work FROM STDIN (FORMAT text)") as copy,
        ):
            await copy.write(
                "".join(f"{i}\t{m!r}\n" for i, m in zip(ids, minutes.tolist(), strict=True))
            )
        await session.execute(text("ANALYZE fresh_work"))
        changed: int = (await session.execute(APPLY)).rowcount  # type: ignore[attr-defined]
    return changed


def _estimate(
    settings: WorkSettings,
    lon: workload.Floats,
    lat: workload.Floats,
    classes: tuple[str, ...],
    is_inactive: NDArray[np.bool_],
    visit_overrides: workload.Floats,
    service_overrides: workload.Floats,
) -> workload.Floats:
    """Return work minutes; inactive customers have none and are nobody's neighbours."""
    visits = workload.visits_per_year(settings, classes, visit_overrides, is_inactive)
    distance_m = np.zeros(len(lon))
    served = ~is_inactive
    distance_m[served] = mean_neighbour_distance_m(
        lon[served], lat[served], settings.neighbours, visits[served]
    )
    return workload.work_minutes(settings, classes, visits, service_overrides, distance_m)
