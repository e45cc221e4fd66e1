"""The rows of `plan_cell`: the alignments of plans that are proposed or published, unpacked."""

import numpy as np
from sqlalchemy import delete, func, select, text

from app.db.session import WriteSession, driver_connection
from app.db.tables import Plan, PlanCell, Territory
from app.plans.repository import load_alignment


async def store_cells(session: WriteSession, plan: Plan) -> None:
    """Fill the plan's partition of `plan_cell`, unless it is filled."""
    known = select(func.to_regclass(f"public.plan_cell_{plan.id}"))
    if await session.scalar(known) is None:
        await session.execute(text("SELECT create_plan_partition(:plan)"), {"plan": plan.id})
        # The name holds a number of ours; identifiers cannot be bound.
        await _copy_cells(session, plan, f"plan_cell_{plan.id:d}")
        await session.execute(text("SELECT attach_plan_partition(:plan)"), {"plan": plan.id})
        return
    filled = select(PlanCell.cell).where(PlanCell.plan_id == plan.id).limit(1)
    if await session.scalar(filled) is None:
        # What was made for the plan when it was proposed or published before, and emptied since.
        await _copy_cells(session, plan, "plan_cell")


async def forget_cells(session: WriteSession, plan_id: int) -> None:
    """Empty the plan's partition: the plan is a draft again, and may change.

    The table stays: to drop it would shut out the readers of all plans.
    """
    await session.execute(delete(PlanCell).where(PlanCell.plan_id == plan_id))


async def _copy_cells(session: WriteSession, plan: Plan, table: str) -> None:
    cells, ordinals = await load_alignment(session, plan.id)
    ids = await session.scalars(
        select(Territory.id).where(Territory.plan_id == plan.id).order_by(Territory.ordinal)
    )
    owners = np.array(list(ids), dtype=np.int64)[ordinals]
    connection = await driver_connection(session)
    rows = zip(cells.tolist(), owners.tolist(), strict=True)
    statement = f"COPY {table} (plan_id, cell, territory_id) FROM STDIN"
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write("".join(f"{plan.id}\t{cell}\t{owner}\n" for cell, owner in rows))
