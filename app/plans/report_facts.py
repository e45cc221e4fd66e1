"""What a report tells of a plan, read from the database in one snapshot."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
from sqlalchemy import func, select

from app.db.scope import EVERYTHING
from app.db.session import AnySession
from app.db.tables import Layer, Plan, PlanCertificate, Rep, Territory
from app.plans.diff import compare
from app.plans.front_store import plan_in_force
from app.plans.report_folder import (
    CERTIFICATE_FILE,
    DEMAND_FILE,
    FACTS_FILE,
    IN_FORCE,
    OUTLINES_FILE,
    PLAN,
)
from app.plans.repository import get_plan, load_alignment
from app.plans.schemas import PlanView
from app.plans.snapshot import unpack_demand
from app.plans.source_store import load_source


async def write_facts(session: AnySession, folder: Path, plan_id: int) -> None:
    """Write all that `app.plans.report` makes a report of.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    plan = await get_plan(session, EVERYTHING, plan_id, fewest=1)
    layer = await session.get_one(Layer, plan.layer_id)
    row = await session.get_one(Plan, plan_id)
    before = await plan_in_force(session, plan.layer_id)
    facts: dict[str, Any] = {
        "plan": plan.model_dump(mode="json"),
        "layer": {"name": layer.name, "title": layer.title},
        "manifest": row.manifest,
        "reps": await _reps(session, plan),
        "revenue": await _revenue(session, plan_id),
        "in_force": None if before is None else {"id": before.id, "name": before.name},
        "diff": None,
    }
    await write_outlines(session, folder, PLAN, plan_id)
    if before is not None and before.id != plan_id:
        found = await compare(session, EVERYTHING, before.id, plan_id)
        facts["diff"] = found.view.model_dump(mode="json", by_alias=True)
        await write_outlines(session, folder, IN_FORCE, before.id)
    facts["has_demand"] = await _write_demand(session, folder, plan_id)
    proof = select(PlanCertificate.document).where(PlanCertificate.plan_id == plan_id)
    certificate = await session.scalar(proof)
    if certificate is not None:
        (folder / CERTIFICATE_FILE).write_bytes(certificate)
    (folder / FACTS_FILE).write_bytes(orjson.dumps(facts))


async def _reps(session: AnySession, plan: PlanView) -> list[dict[str, Any] | None]:
    """Return the rep of each territory: its owner now, else the one it was designed for."""
    meant = plan.parameters.get("rep_ids") or [None] * len(plan.balance)
    ids = [
        None if row.rep is None and wanted is None else (row.rep.id if row.rep else wanted)
        for row, wanted in zip(plan.balance, meant, strict=False)
    ]
    found = await session.execute(
        select(
            Rep.id, Rep.name, Rep.hours_per_day, Rep.field_share, Rep.capacity_minutes,
            func.ST_X(Rep.home).label("lon"), func.ST_Y(Rep.home).label("lat"),
        ).where(Rep.id.in_({number for number in ids if number is not None}))
    )  # fmt: skip
    by_id = {
        row.id: {
            "id": row.id,
            "name": row.name,
            "day_minutes": 60 * row.hours_per_day * row.field_share,
            "capacity_minutes": float(row.capacity_minutes),
            "home": None if row.lon is None else [row.lon, row.lat],
        }
        for row in found
    }
    # Who a plan was designed for may have been deleted since.
    return [None if number is None else by_id.get(number) for number in ids]


async def _revenue(session: AnySession, plan_id: int) -> list[float]:
    rows = await session.scalars(
        select(Territory.scores).where(Territory.plan_id == plan_id).order_by(Territory.ordinal)
    )
    return [float(scores["activity"].get("revenue", 0.0)) for scores in rows]


async def write_outlines(session: AnySession, folder: Path, name: str, plan_id: int) -> None:
    """Write territories as one block of bytes with offsets, and how each is drawn."""
    rows = (
        await session.execute(
            select(
                Territory.code, Territory.colour,
                func.ST_AsBinary(Territory.outline).label("outline"),
                func.ST_X(Territory.label_point).label("lon"),
                func.ST_Y(Territory.label_point).label("lat"),
            ).where(Territory.plan_id == plan_id).order_by(Territory.ordinal)
        )
    ).all()  # fmt: skip
    blocks = [bytes(row.outline) for row in rows]
    np.savez(
        folder / OUTLINES_FILE.format(name),
        codes=np.array([row.code for row in rows]),
        colours=np.array([row.colour for row in rows], dtype=np.int32),
        label_points=np.array([(row.lon, row.lat) for row in rows]),
        outlines=np.frombuffer(b"".join(blocks), np.uint8),
        ends=np.cumsum([len(block) for block in blocks]),
    )


async def _write_demand(session: AnySession, folder: Path, plan_id: int) -> bool:
    """Write the customers the plan was made from beside its cells; tell whether they were kept."""
    source = await load_source(session, plan_id)
    if source is None:
        return False
    try:
        demand = unpack_demand(source.demand)
    except ValueError:
        return False
    cells, ordinals = await load_alignment(session, plan_id)
    np.savez(
        folder / DEMAND_FILE,
        cells12=demand.cells12, activity=demand.activity, cells=cells, ordinals=ordinals,
    )  # fmt: skip
    return True
