"""The page of a night as one HTML file, drawn in a child process.

Reads from its folder what `app.schedules.page_job` wrote; writes `page.html`.
"""

from pathlib import Path
from typing import Any

import orjson

from app.plans.report import read_areas
from app.plans.report_folder import OUTLINES_FILE
from app.reports import Area, BarPicture, MapPicture, Report, Section, Table, render_html
from app.schedules.page_files import AFTER, BEFORE, MOVES_FILE, PAGE_FILE, REPORT_FILE

SAYS = {
    "nothing": "Nothing was done",
    "proposed": "A plan was proposed",
    "published": "A plan came into force",
    "no_plan": "There was no plan to look after",
    "reviewed": "A review, nothing was changed",
}
MOST_BARS = 60


def main(folder: Path) -> None:
    """Write the page."""
    document = orjson.loads((folder / REPORT_FILE).read_bytes())
    moves = orjson.loads((folder / MOVES_FILE).read_bytes())
    before, after = (_areas(folder / OUTLINES_FILE.format(name)) for name in (BEFORE, AFTER))
    page = make_page(document, moves, before, after)
    (folder / PAGE_FILE).write_text(render_html(page), encoding="utf-8")


def make_page(
    document: dict[str, Any],
    moves: list[dict[str, Any]],
    before: tuple[Area, ...],
    after: tuple[Area, ...],
) -> Report:
    """Return what the page of a night says.

    Parameters
    ----------
    document
        The report of the night, with the names of its schedule and layer.
    moves
        Of the plan that came of it, as `app.plans.rebalance_store.list_moves` returns them.
    before, after
        Territories of the plan in force and of the one that came of the night.
    """
    sections = [
        *_maps(document, before, after),
        *_moves(moves),
        *_standing(document["standing"]),
        *_policies(document["policies"]),
        *_review(document.get("review")),
    ]
    return Report(
        title=f"{document['schedule']}, {document['local_date']}",
        subtitle=f"{SAYS[document['decision']]} on {document['layer']}",
        facts=(
            ("Decision", document["decision"]),
            ("Why", document["reason"]),
            ("Plan in force", _number(document["plan_id"])),
            ("New plan", _number(document["new_plan_id"])),
        ),
        sections=tuple(sections),
    )


def _areas(path: Path) -> tuple[Area, ...]:
    return read_areas(path) if path.exists() else ()


def _number(value: int | None) -> str:
    return "none" if value is None else str(value)


def _maps(
    document: dict[str, Any], before: tuple[Area, ...], after: tuple[Area, ...]
) -> list[Section]:
    pictures = []
    if before:
        words = f"Map of the {len(before)} territories of the plan in force that night."
        pictures.append(MapPicture(f"Before: plan {document['plan_id']}", words, before))
    if after:
        words = f"Map of the {len(after)} territories of the plan that came of it."
        pictures.append(MapPicture(f"After: plan {document['new_plan_id']}", words, after))
    if not pictures:
        return []
    said = () if after else ("Nothing moved: the map after is the map before.",)
    return [Section("Before and after", said, pictures=tuple(pictures), shows_first=True)]


def _moves(moves: list[dict[str, Any]]) -> list[Section]:
    if not moves:
        return []
    rows = tuple(
        (f"{move['from_code']} → {move['to_code']}", f"{move['customers']:,}",
         f"{move['work_minutes'] / 60:,.0f}", move["text"].partition(": ")[2])
        for move in moves
    )  # fmt: skip
    head = ("Move", "Customers", "Hours of work", "Why, and what else would be")
    weights = tuple(float(move["work_minutes"]) for move in moves)
    table = Table("What moves", head, rows, (True, False, False, True), weights)
    return [Section("What moves, and why", tables=(table,))]


def _standing(standing: dict[str, Any] | None) -> list[Section]:
    if standing is None:
        return []
    rows = standing["territories"]
    table = Table(
        "Territories as they stood that night",
        ("Territory", "Customers", "Hours of work", "Hours wanted", "Imbalance of work"),
        tuple(
            (row["code"], f"{row['customers']:,}", f"{row['work_minutes'] / 60:,.0f}",
             f"{row['target_work_minutes'] / 60:,.0f}",
             f"{row['imbalance']['work_minutes']:+.1%}")
            for row in rows
        ),
        (True, False, False, False, False),
        tuple(abs(row["imbalance"]["work_minutes"]) for row in rows),
    )  # fmt: skip
    worst = sorted(rows, key=lambda row: -abs(row["imbalance"]["work_minutes"]))[:MOST_BARS]
    worst.sort(key=lambda row: row["imbalance"]["work_minutes"])
    chart = BarPicture(
        "Imbalance of work against the trigger",
        "Chart of the same numbers as the table.",
        tuple(row["code"] for row in worst),
        tuple(row["imbalance"]["work_minutes"] for row in worst),
        standing["triggers"].get("work_minutes"),
    )
    said = (f"{standing['uncovered_customers']:,} customers are in no territory.",)
    return [Section("How the plan stood", said, pictures=(chart,), tables=(table,))]


def _policies(policies: dict[str, Any]) -> list[Section]:
    if not policies:
        return []
    fired = tuple(alert["sentence"] for alert in policies["fired"])
    over = tuple(alert["sentence"] for alert in policies["resolved"])
    unknown = tuple(f"{item['kind']}: {item['reason']}" for item in policies["unknown"])
    listed = [("New", fired), ("Over", over), ("Not known", unknown)]
    lists = tuple((name, items) for name, items in listed if items)
    said = (f"{len(fired)} new, {policies['n_lasting']} that last, {len(over)} over.",)
    return [Section("What policies found", said, lists=lists)]


def _review(review: dict[str, Any] | None) -> list[Section]:
    if review is None:
        return []
    change, growth, output = review["change"], review["growth"], review["output_per_head"]
    sections = []
    if change["reason"] is not None:
        sections.append(Section("Change of heat", (f"Not known: {change['reason']}.",)))
    else:
        period = f"from {change['month_before'][:7]} to {change['month'][:7]}"
        sections.append(
            Section(f"Change of heat {period}", tables=(_by_ground(change), _by_place(change)))
        )
    rows = tuple(
        (row["code"], _count(row["customers_before"]), _count(row["customers"]),
         _percent(row["growth"]))
        for row in growth["territories"]
    )  # fmt: skip
    since = growth["month_before"][:7]
    table = Table(
        f"Customers since {since}", ("Territory", "Then", "Now", "Growth"), rows,
        (True, False, False, False),
    )  # fmt: skip
    said = () if growth["reason"] is None else (f"Not known: {growth['reason']}.",)
    sections.append(Section("Growth over a year", said, tables=(table,)))
    gaps = tuple(
        (row["code"], *(f"{value:,.0f}" for value in row["output"]), *map(_percent, row["gap"]))
        for row in output["territories"]
    )
    names = [quarter[:7] for quarter in output["quarters"]]
    head = ("Territory", *(f"Quarter to {name}" for name in names), "Gap then", "Gap last")
    table = Table("Revenue per head, apart from the median", head, gaps, (True, *[False] * 4))
    said = () if output["reason"] is None else (f"Not known: {output['reason']}.",)
    sections.append(Section("Efficiency gap", said, tables=(table,)))
    proposed = tuple(alert["sentence"] for alert in review["proposals"])
    lists = (("What policies propose", proposed),) if proposed else ()
    words = () if proposed else ("No policy proposes anything.",)
    sections.append(Section("Proposals", words, lists=lists))
    return sections


def _by_ground(change: dict[str, Any]) -> Table:
    rows = tuple(
        (row["code"], _count(row["customers_before"]), _count(row["customers"]),
         f"{row['work_minutes_before'] / 60:,.0f}", f"{row['work_minutes'] / 60:,.0f}",
         _percent(_part(row["work_minutes"], row["work_minutes_before"])))
        for row in change["territories"]
    )  # fmt: skip
    head = ("Territory", "Customers then", "Customers", "Hours then", "Hours", "Change of work")
    return Table("By territory", head, rows, (True, *[False] * 5))


def _by_place(change: dict[str, Any]) -> Table:
    rows = tuple(
        (row["cell"], f"{row['lat']:.3f}, {row['lon']:.3f}", _count(row["customers_before"]),
         _count(row["customers"]),
         f"{(row['work_minutes'] - row['work_minutes_before']) / 60:+,.0f}")
        for row in change["places"]
    )  # fmt: skip
    head = ("H3 cell", "Latitude, longitude", "Customers then", "Customers", "Hours more")
    return Table("Where work changed most", head, rows, (True, True, False, False, False))


def _part(now: float, before: float) -> float | None:
    return now / before - 1 if before else None


def _count(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:+.1%}"
