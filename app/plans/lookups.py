"""What a plan request names in the database: reps, and territories of other plans."""

from typing import Any

import numpy as np
from sqlalchemy import func, select, text

from app.db.session import AnySession
from app.db.tables import Plan, Rep, Territory
from app.errors import Fault, InvalidInput
from app.plans.repository import load_alignment
from app.plans.request import MEASURES, PlanRequest, territory_number

TOTALS = text("""
    -- What the customers of a layer carry, inside the region where one is given.
    SELECT count(*) AS customers, sum(work_minutes) AS work_minutes,
        sum(potential) AS potential, sum(revenue) AS revenue
    FROM customer
    WHERE layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
        AND (CAST(:region AS text) IS NULL
             OR ST_Covers(ST_SetSRID(ST_GeomFromGeoJSON(:region), 4326), geom))
""")


async def resolve(session: AnySession, request: PlanRequest) -> dict[str, Any]:
    """Return the reps and the locked territories of a request, as `build_task` reads them.

    Raises
    ------
    InvalidInput
        When one is not there; the fault names it.
    """
    return {
        "reps": await _reps(session, request),
        "locked": await _locked(session, request),
    }


async def totals(session: AnySession, customer_filter: str, region: str | None) -> dict[str, float]:
    """Return the number of a layer's customers and the sums of what they carry."""
    parameters = {"filter": customer_filter, "region": region}
    row = (await session.execute(TOTALS, parameters)).one()
    return {name: float(getattr(row, name) or 0) for name in MEASURES}


async def _reps(session: AnySession, request: PlanRequest) -> list[dict[str, Any]]:
    if request.rep_ids is None:
        return []
    rows = await session.execute(
        select(
            Rep.id, Rep.capacity_minutes,
            func.ST_X(Rep.home).label("lon"), func.ST_Y(Rep.home).label("lat"),
        ).where(Rep.id.in_(request.rep_ids))
    )  # fmt: skip
    found = {row.id: row for row in rows}
    needs_home = request.homes != "ignore" or request.lock_homes
    faults = []
    for index, rep_id in enumerate(request.rep_ids):
        row = found.get(rep_id)
        if row is None:
            faults.append(Fault("unknown", f"there is no rep {rep_id}", f"/rep_ids/{index}"))
        elif needs_home and row.lon is None:
            faults.append(Fault("no-home", f"rep {rep_id} has no home", f"/rep_ids/{index}"))
    if faults:
        raise InvalidInput("The reps cannot be planned for.", faults)
    return [
        {
            "id": rep_id,
            "capacity_minutes": float(found[rep_id].capacity_minutes),
            "home": None if found[rep_id].lon is None else [found[rep_id].lon, found[rep_id].lat],
        }
        for rep_id in request.rep_ids
    ]


async def _locked(session: AnySession, request: PlanRequest) -> dict[str, list[int]]:
    """Cells, rising, and the number of the territory of each."""
    wish = request.locked_territories
    if wish is None:
        return {"cells": [], "territories": []}
    if await session.get(Plan, wish.plan_id) is None:
        fault = Fault("unknown", f"there is no plan {wish.plan_id}", "/locked_territories/plan_id")
        raise InvalidInput("The locked territories are of no plan.", [fault])
    rows = await session.execute(
        select(Territory.code, Territory.ordinal).where(Territory.plan_id == wish.plan_id)
    )
    ordinals = {territory_number(code): ordinal for code, ordinal in rows}
    faults = [
        Fault("unknown", f"plan {wish.plan_id} has no {code}", f"/locked_territories/codes/{index}")
        for index, code in enumerate(wish.codes)
        if territory_number(code) not in ordinals
    ]
    if faults:
        raise InvalidInput("A locked territory is not in its plan.", faults)
    cells, owners = await load_alignment(session, wish.plan_id)
    number_of = np.full(int(owners.max()) + 1, -1)
    for number in map(territory_number, wish.codes):
        number_of[ordinals[number]] = number
    territories = number_of[owners]
    is_locked = territories >= 0
    return {
        "cells": cells[is_locked].tolist(),
        "territories": territories[is_locked].tolist(),
    }
