"""When something is due: cron expressions in local time, at most once on a local date."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from app.errors import Fault, InvalidInput

# Without seconds, which cron expressions of six have.
N_FIELDS = 5
# What is due less often than that is not caught up later than so.
LOOKS_BACK = timedelta(days=400)
# Most are due daily, and to go through a year of days takes milliseconds.
LOOKS_BACK_FIRST = timedelta(days=3)


def read_cron(cron: str, pointer: str) -> None:
    """Refuse what is no cron expression for one time of the day.

    Raises
    ------
    InvalidInput
        The fault says why.
    """
    fields = cron.split()
    try:
        CronSim(cron, datetime.now(UTC))
    except CronSimError as error:
        raise InvalidInput(
            "The time cannot be read.", [Fault("not-cron", f"{cron!r}: {error}", pointer)]
        ) from None
    if len(fields) != N_FIELDS or not all(field.isdecimal() for field in fields[:2]):
        detail = "minute and hour must be numbers: it is done once on a date"
        raise InvalidInput(
            "It would be due several times a day.", [Fault("often", detail, pointer)]
        )


def read_zone(name: str, pointer: str) -> ZoneInfo:
    """Return a time zone.

    Raises
    ------
    InvalidInput
        When there is none of this name.
    """
    if name not in available_timezones():
        detail = f"{name!r} is no time zone; Asia/Shanghai is one"
        raise InvalidInput("The time zone is not known.", [Fault("unknown", detail, pointer)])
    return ZoneInfo(name)


def last_due(cron: str, zone: ZoneInfo, after: datetime, now: datetime) -> datetime | None:
    """Return the last instant after one and up to another at which an expression is due."""
    for back in (LOOKS_BACK_FIRST, LOOKS_BACK):
        found = None
        for instant in CronSim(cron, max(after, now - back).astimezone(zone)):
            if instant > now:
                break
            # Where clocks go back a second time of the same name can come first.
            if instant > after:
                found = instant
        if found is not None or after >= now - back:
            return found
    return None


def next_due(cron: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the first instant after one at which an expression is due; None: never again."""
    return next(CronSim(cron, now.astimezone(zone)), None)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the date in a zone."""
    return instant.astimezone(zone).date()
