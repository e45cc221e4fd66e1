"""What plans were made from, in the database: demand shared by its digest, the rest by plan."""

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or

from app.db.session import AnySession, WriteSession
from app.db.tables import PlanInput, PlanSource
from app.plans.snapshot import Source


async def store_source(session: WriteSession, plan_id: int, source: Source) -> None:
    """Keep what a plan was made from; the same demand is kept once for all its plans."""
    one = insert_or(PlanInput).values(
        sha256=source.sha256, n_cells=source.n_cells, data=source.demand
    )
    # Writing to the row that is there keeps housekeeping from removing it meanwhile.
    same = one.on_conflict_do_update(index_elements=["sha256"], set_={"used_at": func.now()})
    await session.execute(same)
    await session.execute(
        insert(PlanSource).values(plan_id=plan_id, input_sha256=source.sha256, given=source.given)
    )


async def load_source(session: AnySession, plan_id: int) -> Source | None:
    """Return what a plan was made from; None for plans of which nothing was kept."""
    row = (
        await session.execute(
            select(PlanInput.sha256, PlanInput.n_cells, PlanInput.data, PlanSource.given)
            .join(PlanSource, PlanSource.input_sha256 == PlanInput.sha256)
            .where(PlanSource.plan_id == plan_id)
        )
    ).one_or_none()
    return None if row is None else Source(row.sha256, row.n_cells, row.data, row.given)
