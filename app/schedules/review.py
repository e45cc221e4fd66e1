"""The dated boundary review: what changed over a quarter, growth, output per head, proposals."""

from dataclasses import asdict
from datetime import date
from statistics import median
from typing import Any

from app.db.session import AnySession
from app.policies import Seen, change_between, month_before

MONTHS = 3


async def review(
    session: AnySession, layer_id: int, on: date, time_zone: str, seen: Seen
) -> dict[str, Any]:
    """Return the review of a layer on a local date.

    `change` compares the last month that is over with the one three months before it; `growth` is
    that of customers over a year; `output_per_head` is revenue per full-time head in the last two
    full quarters, with what it is apart from the median.
    """
    month = month_before(on, 1)
    change = await change_between(session, layer_id, month, month_before(on, 1 + MONTHS), time_zone)
    told = asdict(change)
    return {
        "change": {**told, "month": month.isoformat(), "month_before": str(told["month_before"])},
        "growth": _growth(seen),
        "output_per_head": _output(seen),
    }


def _growth(seen: Seen) -> dict[str, Any]:
    facts = seen.facts
    rows = [
        {
            "code": territory.code,
            "customers": territory.residents,
            "customers_before": territory.residents_before,
            "growth": (
                territory.residents / territory.residents_before - 1
                if territory.residents is not None and territory.residents_before
                else None
            ),
        }
        for territory in facts.territories
    ]
    return {
        "month_before": facts.base_month.isoformat(),
        "reason": facts.missing.get("growth"),
        "territories": rows,
    }


def _output(seen: Seen) -> dict[str, Any]:
    facts = seen.facts
    known = [
        (territory.code, territory.revenue, territory.owner.heads)
        for territory in facts.territories
        if territory.revenue is not None
        and territory.owner is not None
        and territory.owner.heads > 0
    ]
    middles = [
        median([revenue[nth] / heads for _, revenue, heads in known]) if known else None
        for nth in (0, 1)
    ]
    return {
        "quarters": [quarter.isoformat() for quarter in facts.quarters],
        "median": middles,
        "reason": facts.missing.get("efficiency_gap"),
        "territories": [
            {
                "code": code,
                "output": [revenue[nth] / heads for nth in (0, 1)],
                "gap": [
                    revenue[nth] / heads / middle - 1 if middle else None
                    for nth, middle in enumerate(middles)
                ],
            }
            for code, revenue, heads in known
        ],
    }
