"""Schedules and their nights in the database."""

from datetime import date
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from app.db.session import AnySession, WriteSession
from app.db.tables import Layer, Run, Schedule, ScheduleNight
from app.errors import Fault, InvalidInput, NotFound
from app.schedules.due import read_cron, read_zone
from app.schedules.schemas import (
    NewSchedule,
    NightReport,
    NightView,
    ScheduleBody,
    ScheduleView,
)

# A change of these begins a new time: what was due before by another is not caught up.
TIMES = ("cron", "timezone", "enabled")


async def create_schedule(session: WriteSession, body: NewSchedule) -> ScheduleView:
    """Insert a schedule.

    Raises
    ------
    InvalidInput
        When there is no such layer, or the time cannot be read.
    """
    _check(body)
    if await session.get(Layer, body.layer_id) is None:
        fault = Fault("unknown", f"there is no layer {body.layer_id}", "/layer_id")
        raise InvalidInput("The layer is not known.", [fault])
    values = body.model_dump(mode="json")
    stored = await session.scalars(insert(Schedule).values(**values).returning(Schedule))
    return _view(stored.one())


async def list_schedules(
    session: AnySession, layer_id: int | None, after: int, limit: int
) -> list[ScheduleView]:
    """Return up to `limit` schedules by id."""
    statement = select(Schedule).where(Schedule.id > after).order_by(Schedule.id).limit(limit)
    if layer_id is not None:
        statement = statement.where(Schedule.layer_id == layer_id)
    return [_view(schedule) for schedule in await session.scalars(statement)]


async def get_schedule(
    session: AnySession, schedule_id: int, *, is_locked: bool = False
) -> ScheduleView:
    """Return one schedule, which nobody else changes while it `is_locked`.

    Raises
    ------
    NotFound
        When there is none.
    """
    statement = select(Schedule).where(Schedule.id == schedule_id)
    if is_locked:
        statement = statement.with_for_update()
    schedule = await session.scalar(statement)
    if schedule is None:
        raise NotFound(f"There is no schedule {schedule_id}.")
    return _view(schedule)


async def change_schedule(
    session: WriteSession, stored: ScheduleView, body: ScheduleBody
) -> ScheduleView:
    """Overwrite a schedule that was locked.

    Raises
    ------
    InvalidInput
        When the time cannot be read.
    """
    _check(body)
    values: dict[str, Any] = body.model_dump(mode="json", include=set(ScheduleBody.model_fields))
    if any(getattr(body, name) != getattr(stored, name) for name in TIMES):
        values["since"] = func.now()
    values |= {"version": Schedule.version + 1, "updated_at": func.now()}
    await session.execute(update(Schedule).where(Schedule.id == stored.id).values(**values))
    changed = await session.get_one(Schedule, stored.id, populate_existing=True)
    return _view(changed)


async def delete_schedule(session: WriteSession, schedule_id: int) -> None:
    """Delete a schedule and what is known of its nights; plans that came of them stay."""
    await session.execute(delete(Schedule).where(Schedule.id == schedule_id))


async def list_nights(
    session: AnySession, schedule_id: int, before: date | None, limit: int
) -> list[NightView]:
    """Return up to `limit` nights of a schedule, the latest first.

    Raises
    ------
    NotFound
        When there is no such schedule.
    """
    await get_schedule(session, schedule_id)
    statement = (
        select(ScheduleNight, Run.state)
        .outerjoin(Run, Run.id == ScheduleNight.run_id)
        .where(ScheduleNight.schedule_id == schedule_id)
        .order_by(ScheduleNight.local_date.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(ScheduleNight.local_date < before)
    rows = await session.execute(statement)
    return [NightView(**_night(row.ScheduleNight, row.state)) for row in rows]


async def get_night(session: AnySession, schedule_id: int, local_date: date) -> NightReport:
    """Return what came of a local date.

    Raises
    ------
    NotFound
        When nothing was done on it.
    """
    statement = (
        select(ScheduleNight, ScheduleNight.report, Run.state, Run.error)
        .outerjoin(Run, Run.id == ScheduleNight.run_id)
        .where(ScheduleNight.schedule_id == schedule_id, ScheduleNight.local_date == local_date)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"Schedule {schedule_id} did nothing on {local_date}.")
    night = _night(row.ScheduleNight, row.state)
    return NightReport(**night, report=row.report, error=row.error)


async def night_id(session: AnySession, schedule_id: int, local_date: date) -> int:
    """Return the number of a night.

    Raises
    ------
    NotFound
        When nothing was done on this local date.
    """
    found = await session.scalar(
        select(ScheduleNight.id).where(
            ScheduleNight.schedule_id == schedule_id, ScheduleNight.local_date == local_date
        )
    )
    if found is None:
        raise NotFound(f"Schedule {schedule_id} did nothing on {local_date}.")
    return found


def _check(body: ScheduleBody) -> None:
    read_cron(body.cron, "/cron")
    read_zone(body.timezone, "/timezone")


def _view(schedule: Schedule) -> ScheduleView:
    return ScheduleView(**{name: getattr(schedule, name) for name in ScheduleView.model_fields})


def _night(night: ScheduleNight, state: str | None) -> dict[str, Any]:
    same = ("local_date", "due_at", "run_id", "decision", "new_plan_id")
    return {**{name: getattr(night, name) for name in same}, "state": state}
