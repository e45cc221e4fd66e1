"""The fairness sheet of a report: what each rep has, and how evenly it is shared out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.plans.fairness import evenness
from app.plans.report_words import NOBODY, hours, number, share
from app.reports import Section, Table

STEM = (
    "Travel is the stem: from the rep's home to the customers and back, for each day in the field "
    "(days = work over the minutes of a day in the field, rounded up), with the road factor and "
    "speeds of the workload model. It is computed on this plan and is no part of work; travel "
    "from one customer to the next is part of work and is not told apart from it."
)
NO_STEM = "Travel is left out: it takes the home of each rep and the input of the plan."
MEASURES = (
    "Range: largest less smallest. Variation: standard deviation over mean. Gini: 0 where all have "
    "the same, near 1 where one has all."
)


@dataclass(slots=True)
class _Person:
    """A rep, or a territory that stands for one."""

    name: str
    codes: list[str] = field(default_factory=list)
    work: float = 0.0
    potential: float = 0.0
    revenue: float = 0.0
    customers: float = 0.0
    travel: float | None = 0.0
    capacity: float | None = None


def fairness_section(facts: dict[str, Any], travel: Sequence[float | None]) -> Section:
    """Return what each rep has of everything that can be unfair."""
    people, opening = _people(facts, travel)
    knows_travel = bool(people) and all(person.travel is not None for person in people)
    knows_some = any(person.travel is not None for person in people)
    said = [*opening, STEM if knows_some else NO_STEM, MEASURES]
    if knows_some and not knows_travel:
        said.insert(-1, "Of reps without a home travel is not known; so is its evenness.")
    tables = (_sheet(people), _measures(people, knows_travel)) if people else ()
    return Section("Fairness sheet", tuple(said), tables=tables)


def _people(
    facts: dict[str, Any], travel: Sequence[float | None]
) -> tuple[list[_Person], list[str]]:
    rows, reps = facts["plan"]["balance"], facts["reps"]
    has_reps = any(rep is not None for rep in reps)
    found: dict[Any, _Person] = {}
    n_without = 0
    for row, rep, revenue, stem in zip(rows, reps, facts["revenue"], travel, strict=True):
        if has_reps and rep is None:
            n_without += 1
            continue
        key = row["code"] if rep is None else rep["id"]
        person = found.setdefault(key, _Person(row["code"] if rep is None else rep["name"]))
        person.codes.append(row["code"])
        person.work += row["work_minutes"]
        person.potential += row["potential"]
        person.customers += row["customers"]
        person.revenue += revenue
        person.capacity = None if rep is None else rep["capacity_minutes"]
        is_known = person.travel is not None and stem is not None
        person.travel = (person.travel or 0.0) + (stem or 0.0) if is_known else None
    opening = []
    if not has_reps:
        opening.append("No territory has a rep: each territory is counted as one person.")
    elif n_without:
        opening.append(f"{n_without} territories without a rep are left out.")
    return list(found.values()), opening


def _sheet(people: list[_Person]) -> Table:
    rows = tuple(
        (
            person.name, _codes(person.codes), number(person.customers), hours(person.work),
            share(person.work / person.capacity, 0) if person.capacity else NOBODY,
            hours(person.travel), number(person.potential), number(person.revenue),
        )
        for person in people
    )  # fmt: skip
    mean = sum(person.work for person in people) / len(people)
    return Table(
        "What each rep has; work and travel in hours a year",
        ("Rep", "Territories", "Customers", "Work", "Of capacity", "Travel", "Potential",
         "Revenue"),
        rows,
        (True, True, *[False] * 6),
        tuple(abs(person.work - mean) for person in people),
    )  # fmt: skip


def _codes(codes: list[str]) -> str:
    return ", ".join(codes[:4]) + (f" and {len(codes) - 4} more" if len(codes) > 4 else "")


def _measures(people: list[_Person], knows_travel: bool) -> Table:
    amounts = {
        "Work, h": [person.work / 60 for person in people],
        "Customers": [person.customers for person in people],
        "Potential": [person.potential for person in people],
        "Revenue": [person.revenue for person in people],
    }
    if knows_travel:
        amounts["Travel, h"] = [(person.travel or 0.0) / 60 for person in people]
    rows = []
    for name, values in amounts.items():
        found = evenness(values)
        rows.append(
            (
                name, number(found.mean), number(found.smallest), number(found.largest),
                number(found.range), NOBODY if found.ratio is None else f"{found.ratio:.2f}",
                f"{found.variation:.3f}", f"{found.gini:.3f}",
            )
        )  # fmt: skip
    return Table(
        f"How evenly it is shared out among {len(people)}",
        ("", "Mean", "Smallest", "Largest", "Range", "Largest / smallest", "Variation", "Gini"),
        tuple(rows),
        (True, *[False] * 7),
    )
