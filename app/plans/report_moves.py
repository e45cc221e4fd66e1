"""What a report says of the change: what moves when the plan follows the one in force."""

from typing import Any

from app.plans.report_words import NOBODY, hours, number, share
from app.reports import Area, MapPicture, Section, Table

HEADING = "What moves"


def moves_section(
    facts: dict[str, Any], areas: tuple[Area, ...], before: tuple[Area, ...]
) -> Section:
    """Return what changes hands against the plan in force, with both maps."""
    plan, in_force, diff = facts["plan"], facts["in_force"], facts["diff"]
    if in_force is None:
        return Section(HEADING, ("No plan is in force on this layer: nothing can be compared.",))
    if diff is None:
        return Section(HEADING, ("This plan is the one in force: nothing moves.",))
    customers, work = diff["customers"], diff["work_minutes"]
    said = (
        f"Against plan {in_force['id']} ({in_force['name']}), which is in force, with the "
        f"customers of today: {number(customers['moved'])} of {number(customers['total'])} "
        f"customers ({share(customers['share'])}) and {hours(work['moved'])} of "
        f"{hours(work['total'])} hours of work ({share(work['share'])}) change territory. "
        "Territories of the two plans are the same when they have the same code.",
    )
    pictures = (
        MapPicture(
            f"In force: plan {in_force['id']}",
            f"Map of the {len(before)} territories of the plan in force.",
            before,
        ),
        MapPicture(
            f"This plan: {plan['id']}", f"Map of the {len(areas)} territories of this plan.", areas
        ),
    )
    tables = [table for table in (_by_rep(diff), _by_pair(diff)) if table.rows]
    return Section(HEADING, said, pictures=pictures, tables=tuple(tables))


def _by_rep(diff: dict[str, Any]) -> Table:
    rows, weights = [], []
    for change in diff["reps"]:
        gained, lost = change["gained"], change["lost"]
        rows.append(
            (
                change["rep"]["name"], number(gained["customers"]), hours(gained["work_minutes"]),
                number(lost["customers"]), hours(lost["work_minutes"]),
                hours(gained["work_minutes"] - lost["work_minutes"]).replace("-", "−"),
            )
        )  # fmt: skip
        weights.append(gained["work_minutes"] + lost["work_minutes"])
    return Table(
        "What each rep gains and loses; work in hours a year",
        ("Rep", "Customers gained", "Work gained", "Customers lost", "Work lost", "Work, net"),
        tuple(rows),
        (True, *[False] * 5),
        tuple(weights),
    )


def _by_pair(diff: dict[str, Any]) -> Table:
    rows = []
    for move in diff["moves"]:
        names = [_side(move["from"]), _side(move["to"])]
        rows.append(
            (
                names[0], names[1], number(move["n_cells"]), number(move["customers"]),
                hours(move["work_minutes"]), number(move["potential"]),
            )
        )  # fmt: skip
    return Table(
        "What goes from one territory to another; work in hours a year",
        ("From", "To", "Cells", "Customers", "Work", "Potential"),
        tuple(rows),
        (True, True, *[False] * 4),
        tuple(move["work_minutes"] for move in diff["moves"]),
    )


def _side(side: dict[str, Any]) -> str:
    if side["code"] is None:
        return f"{NOBODY} (no territory)"
    return f"{side['code']}, {side['rep']['name']}" if side["rep"] else str(side["code"])
