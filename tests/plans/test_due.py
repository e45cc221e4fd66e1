"""When schedules are due: once on each local date, whatever clocks do."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from app.errors import InvalidInput
from app.schedules.due import last_due, local_date, next_due, read_cron, read_zone

# Clocks that change by an hour, half an hour, two; at midnight, or over the date line.
ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "America/Adak", "America/Asuncion",
    "America/Bogota", "America/Caracas", "America/Chicago", "America/Godthab", "America/Halifax",
    "America/Havana", "America/Los_Angeles", "America/New_York", "America/Santiago",
    "America/Sao_Paulo", "America/Scoresbysund", "America/St_Johns", "Antarctica/Troll",
    "Asia/Amman", "Asia/Beirut", "Asia/Damascus", "Asia/Gaza", "Asia/Jerusalem", "Asia/Kolkata",
    "Asia/Pyongyang", "Asia/Shanghai", "Asia/Tehran", "Atlantic/Azores", "Australia/Adelaide",
    "Australia/Lord_Howe", "Australia/Sydney", "Europe/Dublin", "Europe/Istanbul",
    "Europe/London", "Europe/Moscow", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham",
    "Pacific/Easter", "Pacific/Kiritimati", "UTC",
)  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["0 0 * * *", "30 2 * * *", "59 23 * * *"])
def test_every_local_date_is_due_once(zone: str, cron: str) -> None:
    here = ZoneInfo(zone)
    begin, end = datetime(2011, 9, 1, tzinfo=UTC), datetime(2012, 5, 1, tzinfo=UTC)
    hours = [begin + timedelta(hours=n) for n in range((end - begin) // timedelta(hours=1))]
    # A worker looks all the time: also right after whatever is due.
    due = takewhile(lambda instant: instant < end, CronSim(cron, begin.astimezone(here)))
    looks = [*hours[::11], *(instant.astimezone(UTC) + timedelta(seconds=10) for instant in due)]
    begun = Counter[date]()
    for now in sorted(looks):
        due_at = last_due(cron, here, begin, now)
        if due_at is not None and local_date(due_at, here) not in begun:
            begun[local_date(due_at, here)] += 1

    dates = {hour.astimezone(here).date() for hour in hours}
    wanted = {each for each in dates if min(begun) <= each <= max(begun)}
    assert set(begun) == wanted
    assert set(begun.values()) == {1}
    assert len(dates) - len(wanted) <= 2


def test_of_several_missed_nights_the_last_is_caught_up() -> None:
    here = ZoneInfo("Asia/Shanghai")
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)

    found = last_due("0 2 * * *", here, since, datetime(2026, 3, 9, 12, tzinfo=UTC))

    assert found is not None
    assert found.isoformat() == "2026-03-09T02:00:00+08:00"
    assert last_due("0 2 * * *", here, since, since + timedelta(hours=2)) is None


def test_the_time_that_clocks_leap_over_is_due_right_after() -> None:
    found = next_due("30 2 * * *", ZoneInfo("Europe/Berlin"), datetime(2026, 3, 29, tzinfo=UTC))

    assert found is not None
    assert found.isoformat() == "2026-03-29T03:00:00+02:00"


@pytest.mark.parametrize(
    "cron", ["", "x", "* * * * *", "0 */2 * * *", "0 2", "61 2 * * *", "0 25 * * *", "0 1,2 * * *"]
)
def test_what_is_no_time_of_day_is_refused(cron: str) -> None:
    with pytest.raises(InvalidInput):
        read_cron(cron, "/cron")


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "CEST"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        read_zone(name, "/timezone")
