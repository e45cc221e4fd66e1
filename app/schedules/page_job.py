"""The run that draws the page of a night from what the night has stored."""

import orjson
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import undefer

from app.db.scope import EVERYTHING
from app.db.tables import Artifact, Layer, Schedule, ScheduleNight
from app.errors import NotFound
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.rebalance_store import list_moves
from app.plans.report_facts import write_outlines
from app.schedules.page_files import (
    AFTER,
    BEFORE,
    MEDIA_TYPE,
    MOVES_FILE,
    PAGE_FILE,
    REPORT_FILE,
    page_name,
)

MOST_MOVES = 200


async def run_page(context: RunContext) -> None:
    """Draw the page of a night; one drawn before is replaced."""
    night_id = int(context.parameters["night_id"])
    async with work_folder() as folder:
        async with context.database.reading() as session:
            whole = [undefer(ScheduleNight.report)]
            night = await session.get(ScheduleNight, night_id, options=whole)
            if night is None or night.report is None:
                raise NotFound("There is no such night any more.")
            schedule = await session.get_one(Schedule, night.schedule_id)
            layer = await session.get_one(Layer, schedule.layer_id)
            document = {**night.report, "schedule": schedule.name, "layer": layer.title}
            moves = []
            if night.report["plan_id"] is not None:
                await write_outlines(session, folder, BEFORE, night.report["plan_id"])
            if night.new_plan_id is not None:
                await write_outlines(session, folder, AFTER, night.new_plan_id)
                found = await list_moves(
                    session, EVERYTHING, night.new_plan_id, None, 0, MOST_MOVES
                )
                moves = [move.model_dump(mode="json", exclude={"cells"}) for move in found]
        (folder / REPORT_FILE).write_bytes(orjson.dumps(document))
        (folder / MOVES_FILE).write_bytes(orjson.dumps(moves))
        await run_child(context, "app.schedules.page", folder, 0.1, 0.95)
        data = (folder / PAGE_FILE).read_bytes()
    async with context.writing() as session:
        if await session.scalar(select(ScheduleNight.id).where(ScheduleNight.id == night_id)):
            name = page_name(night_id)
            await session.execute(delete(Artifact).where(Artifact.name == name))
            await session.execute(
                insert(Artifact).values(
                    run_id=context.run_id, name=name, media_type=MEDIA_TYPE, data=data
                )
            )
        await context.succeed(session, {"night_id": night_id, "size_bytes": len(data)})
