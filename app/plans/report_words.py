"""What a report says of a plan: where it is, how it is balanced, and what is proven of it."""

from datetime import datetime
from typing import Any

from app.reports import Area, BarPicture, MapPicture, Section, Table, details_of

Facts = dict[str, Any]

NAMES = {
    "work_minutes": "work", "customers": "customers", "potential": "potential",
    "revenue": "revenue",
}  # fmt: skip
OBJECTIVES = {
    "moment_of_inertia": "moment of inertia (compact, customers near the middle)",
    "total_distance": "total distance to the centres",
    "cut_edges": "number of cut edges (short borders)",
}
NOBODY = "—"
# Wishes that are worth naming when they are there.
WISHES = {
    "shares": "shares", "rep_ids": "reps", "centres": "centres", "locks": "locks",
    "locked_territories": "locked territories", "keep_together": "groups",
    "barriers": "barriers", "discouraged": "discouraged borders", "bridges": "bridges",
    "max_radius_km": "largest radius", "region": "region",
}  # fmt: skip


def facts_of(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return what the plan is, when and by which parameters it was made."""
    plan, parameters = facts["plan"], facts["plan"]["parameters"]
    made = datetime.fromisoformat(plan["created_at"]).strftime("%Y-%m-%d %H:%M UTC")
    given = facts["manifest"].get("input", {})
    wishes = [name for field, name in WISHES.items() if parameters.get(field)]
    levels = ", ".join(map(str, plan["resolutions"]))
    rows = [
        ("Plan", f"{plan['id']} ({plan['origin']})"),
        ("State", plan["state"]),
        ("Layer", facts["layer"]["title"]),
        ("Made at", made),
        ("Territories", number(plan["n_territories"])),
        ("Cells", f"{number(plan['n_cells'])} of H3 resolution {levels}"),
        ("Customers of the input", number(given.get("customers", 0))),
        ("Work of the input", f"{hours(given.get('work_minutes', 0.0))} h a year"),
        ("Tolerances", ", ".join(
            f"{NAMES[name]} {share(plan['tolerances'][name])}" for name in balanced(plan)
        )),
        ("Made small", OBJECTIVES.get(parameters.get("objective", ""), NOBODY)),
        ("Seed", str(parameters.get("seed", NOBODY))),
        ("Further wishes", ", ".join(wishes) or "none"),
    ]  # fmt: skip
    return tuple(rows)


def map_sections(plan: Facts, areas: tuple[Area, ...]) -> tuple[Section, ...]:
    """Return the map of territories, what ground is in none, and details of crowded places."""
    first, last = (areas[0].code, areas[-1].code) if areas else ("", "")
    picture = MapPicture(
        title="Territories with their codes",
        alt=f"Map of {len(areas)} territories with codes {first} to {last}. Neighbours differ in "
        "colour; what each holds is in the balance table.",
        areas=areas,
    )
    whole = Section("Territories", _white_space(plan), pictures=(picture,), shows_first=True)
    details = (Section(detail.title, pictures=(detail,)) for detail in details_of(picture))
    return (whole, *details)


def _white_space(plan: Facts) -> tuple[str, ...]:
    """Say which pieces of ground with customers are in no territory."""
    left_out = [piece for piece in plan["components"] if piece["left_out"] and piece["customers"]]
    if not left_out:
        return ()
    customers = sum(piece["customers"] for piece in left_out)
    return (
        f"White space: {number(customers)} customers in {len(left_out)} pieces of ground are in no "
        "territory, because no territory can be made there: "
        + "; ".join(
            f"{number(piece['customers'])} at {piece['place'][0]:.3f}, {piece['place'][1]:.3f} "
            f"({piece['reason']})"
            for piece in left_out[:5]
        )
        + ("; …" if len(left_out) > 5 else "")
        + ".",
    )


def balance_section(facts: Facts) -> Section:
    """Return the balance table and a chart of each measure that is balanced."""
    plan = facts["plan"]
    rows, measures = plan["balance"], balanced(plan)
    worst = {name: plan["max_imbalance"].get(name, 0.0) for name in measures}
    said = []
    for name in measures:
        limit = plan["tolerances"][name]
        held = "within" if worst[name] <= limit * (1 + 1e-9) else "beyond"
        n_out = sum(abs(row["imbalance"].get(name, 0.0)) > limit * (1 + 1e-9) for row in rows)
        said.append(
            f"{NAMES[name].capitalize()}: the territory farthest from its target is "
            f"{share(worst[name], 2)} off, {held} the tolerance of {share(limit)}; "
            f"{n_out} of {len(rows)} territories are beyond it."
        )
    said += [f"Not held: {violation['message']}." for violation in plan["violations"]]
    return Section(
        "Balance",
        paragraphs=tuple(said),
        pictures=tuple(_bars(plan, name) for name in measures[:1]),
        tables=(balance_table(facts),),
    )


def _bars(plan: Facts, measure: str) -> BarPicture:
    limit = plan["tolerances"][measure]
    rows = sorted(plan["balance"], key=lambda row: (row["imbalance"][measure], row["code"]))
    values = tuple(row["imbalance"][measure] for row in rows)
    name = NAMES[measure]
    return BarPicture(
        title=f"Imbalance of {name} by territory, in the order of its size; dashed: the tolerance",
        alt=f"Bar chart of the imbalance of {name} of {len(rows)} territories, from "
        f"{share(values[0], 2)} ({rows[0]['code']}) to {share(values[-1], 2)} "
        f"({rows[-1]['code']}), against a tolerance of {share(limit)}. The balance table has each.",
        labels=tuple(row["code"] for row in rows),
        values=values,
        limit=limit,
    )


def balanced(plan: Facts) -> list[str]:
    """Return the measures that are balanced, the primary first."""
    return [name for name in NAMES if name in plan["tolerances"]]


def balance_table(facts: Facts) -> Table:
    """Return a row for each territory."""
    plan = facts["plan"]
    measures = balanced(plan)
    names = [f"{NAMES[name].capitalize()} off by" for name in measures]
    head = ("Territory", "Rep", "Customers", "Work, h", "Target, h", *names, "Potential",
            "Radius, km")  # fmt: skip
    rows = []
    for row, rep in zip(plan["balance"], facts["reps"], strict=True):
        rows.append(
            (
                row["code"], rep["name"] if rep else NOBODY, number(row["customers"]),
                hours(row["work_minutes"]), hours(row["target_work_minutes"]),
                *(share(row["imbalance"][name], 2, signed=True) for name in measures),
                number(row["potential"]),
                NOBODY if row["radius_km"] is None else f"{row['radius_km']:,.1f}",
            )
        )  # fmt: skip
    return Table(
        caption="Balance of each territory; work in hours a year",
        head=head,
        rows=tuple(rows),
        is_text=(True, True, *[False] * (len(head) - 2)),
        weights=tuple(abs(row["imbalance"][measures[0]]) for row in plan["balance"]),
    )


def certificate_section(plan: Facts, proof: Facts | None) -> Section:
    """Return what is proven of the plan in plain words, and what is not."""
    if proof is None:
        return Section(
            "What is proven",
            ("This plan has no certificate: what it says of itself was not written down so that "
             "others can check it.",),
        )  # fmt: skip
    objective = proof["objective"]
    gap = objective["gap"]
    name = OBJECTIVES.get(objective["name"], objective["name"]).split(" (")[0]
    if objective["bound"] is None:
        how_good = f"How near the {name} is to the least possible is open: no bound is claimed."
    elif gap is None:
        how_good = f"A lower bound of the {name} is known, but it is nothing to compare with."
    else:
        how_good = (
            f"With these centres and the work each territory ended with, no plan at all can have a "
            f"{name} more than {share(gap / (1 + gap), 2)} below that of this one: its gap to the "
            f"proven bound is {share(gap, 2)}."
        )
    opening = (
        f"Each of the {len(proof['territories'])} territories is one connected piece, its sums "
        "were added up anew, and the numbers in the balance table follow from them. " + how_good
    )
    check = (
        f"Anyone can check this without trusting this report: GET /v1/plans/{plan['id']}"
        "/certificate gives the certificate, and the program bailiwick-check checks it."
    )
    lists = [("Proven", tuple(proof["proven"])), ("Not proven", tuple(proof["not_proven"]))]
    return Section("What is proven", (opening, check), lists=tuple(lists))


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with separators."""
    return NOBODY if value is None else f"{value:,.{decimals}f}"


def hours(minutes: float | None) -> str:
    """Return minutes as hours."""
    return NOBODY if minutes is None else f"{minutes / 60:,.0f}"


def share(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """Return a fraction in percent; a true minus sign, which is as wide as a plus."""
    said = f"{100 * value:{'+' if signed else ''}.{decimals}f} %"
    return said.replace("-", "−")
