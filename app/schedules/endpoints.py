"""Schedules over HTTP."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Path, Query, Response
from sqlalchemy import func, select

from app.auth import Planner, Reading, Writing
from app.db.tables import Run, Schedule
from app.errors import Conflict, Fault
from app.http.etags import (
    IfMatch,
    IfNoneMatch,
    entity_tag,
    is_known,
    require_match,
    tagged,
)
from app.http.merge_patch import Patch, patch_document, patched, refuse_identity
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans.report_endpoints import CONTENT_POLICY, NOT_CHANGED
from app.schedules import repository
from app.schedules.due import local_date as date_in
from app.schedules.due import next_due, read_zone
from app.schedules.firing import begin_night
from app.schedules.page_files import MEDIA_TYPE, find_page
from app.schedules.schemas import (
    NewSchedule,
    NextDue,
    NightReport,
    NightView,
    ScheduleBody,
    ScheduleView,
)

routes = router("schedules")

ScheduleId = Annotated[int, Path(ge=1, lt=2**63)]
LocalDate = Annotated[date, Path(description="In the time zone of the schedule")]


@routes.post("/schedules", status_code=201)
async def create_schedule(
    body: NewSchedule, session: Writing, caller: Planner, response: Response
) -> ScheduleView:
    """Have the plan in force on a layer looked after at a local time, once on a date.

    The rebalance runs when a territory is beyond its trigger; else nothing is done. What it comes
    to is proposed, or comes into force by itself within `publish_within`.
    """
    schedule = await repository.create_schedule(session, body)
    response.headers["Location"] = f"/v1/schedules/{schedule.id}"
    response.headers["ETag"] = entity_tag(schedule)
    return schedule


@routes.get("/schedules")
async def list_schedules(
    session: Reading,
    caller: Planner,
    page: PagingParameters,
    layer_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Page[ScheduleView]:
    """List schedules."""
    found = await repository.list_schedules(session, layer_id, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([item.id for item in found]))


@routes.get("/schedules/{schedule_id:int}", response_model=ScheduleView)
async def get_schedule(
    schedule_id: ScheduleId,
    session: Reading,
    caller: Planner,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Response | ScheduleView:
    """Return a schedule."""
    schedule = await repository.get_schedule(session, schedule_id)
    return tagged(response, schedule, if_none_match) or schedule


@routes.patch(
    "/schedules/{schedule_id:int}",
    openapi_extra=patch_document(ScheduleBody, {"enabled": False}),
)
async def change_schedule(
    schedule_id: ScheduleId,
    patch: Patch,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> ScheduleView:
    """Change some members of a schedule (JSON Merge Patch); its layer and kind stay."""
    stored = await repository.get_schedule(session, schedule_id, is_locked=True)
    require_match(if_match, entity_tag(stored))
    refuse_identity(patch, "id", "layer_id", "kind")
    names = set(ScheduleBody.model_fields)
    body = patched(ScheduleBody(**stored.model_dump(include=names)), patch)
    changed = await repository.change_schedule(session, stored, body)
    response.headers["ETag"] = entity_tag(changed)
    return changed


@routes.delete("/schedules/{schedule_id:int}", status_code=204)
async def delete_schedule(
    schedule_id: ScheduleId, session: Writing, caller: Planner, if_match: IfMatch = None
) -> None:
    """Delete a schedule and its reports; plans that came of it stay."""
    stored = await repository.get_schedule(session, schedule_id, is_locked=True)
    require_match(if_match, entity_tag(stored))
    await repository.delete_schedule(session, schedule_id)


@routes.post("/schedules/{schedule_id}:run", status_code=202)
async def run_schedule(
    schedule_id: ScheduleId, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Do now what is due today; follow the run in the Location header.

    There is one run for each local date, so it is not done again at its time; 409 when it was done
    or is under way. One that failed is done anew.
    """
    schedule = await repository.get_schedule(session, schedule_id, is_locked=True)
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    today = date_in(now, read_zone(schedule.timezone, "/timezone"))
    stored = await session.get_one(Schedule, schedule_id)
    run_id = await begin_night(session, stored, today, now, may_repeat=True)
    if run_id is None:
        href = f"/v1/schedules/{schedule_id}/nights/{today}"
        raise Conflict(f"It was done for {today}, or is under way.", [Fault("done", href)])
    response.headers["Location"] = f"/v1/runs/{run_id}"
    return RunView.of(await session.get_one(Run, run_id))


@routes.get("/schedules/{schedule_id}/next")
async def get_next_due(schedule_id: ScheduleId, session: Reading, caller: Planner) -> NextDue:
    """Return when a schedule is due next."""
    schedule = await repository.get_schedule(session, schedule_id)
    if not schedule.enabled:
        return NextDue(due_at=None)
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    zone = read_zone(schedule.timezone, "/timezone")
    return NextDue(due_at=next_due(schedule.cron, zone, now))


@routes.get("/schedules/{schedule_id}/nights")
async def list_nights(
    schedule_id: ScheduleId,
    session: Reading,
    caller: Planner,
    before: Annotated[date | None, Query(description="Only earlier local dates")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[NightView]:
    """List the local dates on which a schedule was due, the latest first."""
    found = await repository.list_nights(session, schedule_id, before, limit)
    return Page(items=found, links=[])


@routes.get("/schedules/{schedule_id}/nights/{local_date}")
async def get_night(
    schedule_id: ScheduleId, local_date: LocalDate, session: Reading, caller: Planner
) -> NightReport:
    """Return the report of a night: how the plan stood, what was decided, and why."""
    return await repository.get_night(session, schedule_id, local_date)


@routes.get(
    "/schedules/{schedule_id}/nights/{local_date}/report.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **NOT_CHANGED},
)
async def get_night_page(
    schedule_id: ScheduleId,
    local_date: LocalDate,
    session: Reading,
    caller: Planner,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the report of a night as one HTML file, with the map before and after.

    404 with the run that makes it until it is made, some seconds after the night.
    """
    night_id = await repository.night_id(session, schedule_id, local_date)
    data = await find_page(session, night_id)
    etag = entity_tag(data)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if is_known(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Security-Policy"] = CONTENT_POLICY
    return Response(data, media_type=MEDIA_TYPE, headers=headers)
