"""Months, known by their first day, and quarters, known by their last month."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

ONE_DAY = timedelta(days=1)


def month_of(day: date) -> date:
    """Return the month of a day."""
    return day.replace(day=1)


def earlier(month: date, months: int) -> date:
    """Return the month so many months before another."""
    number = month.year * 12 + month.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def month_before(day: date, months: int) -> date:
    """Return the month so many months before that of a day."""
    return earlier(month_of(day), months)


def last_day(month: date) -> date:
    """Return the last day of a month."""
    return month.replace(day=monthrange(month.year, month.month)[1])


def full_quarter(on: date) -> date:
    """Return the last month of the last quarter that is over, or ends, on a day."""
    # Whoever looks on the last day of a month has seen all of it.
    seen = month_of(on) if on == last_day(month_of(on)) else earlier(month_of(on), 1)
    return earlier(seen, seen.month % 3)


def month_ends(first: date, last: date) -> Iterator[date]:
    """Yield the last days of months between two days, both included."""
    end = last_day(month_of(first))
    while end <= last:
        yield end
        end = last_day(month_of(end + ONE_DAY))


def month_name(month: date) -> str:
    """Return a month as in 2026-03."""
    return f"{month:%Y-%m}"


def quarter_name(last_month: date) -> str:
    """Return a quarter as in 2026-Q1."""
    return f"{last_month.year}-Q{last_month.month // 3}"
