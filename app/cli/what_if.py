"""`bailiwick what-if`."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from app.cli.plans import LayerName
from app.cli.rebalance import in_force
from app.cli.session import AT_TERMINAL, console, print_json, wait_for, with_database
from app.db.session import Database
from app.plans import what_if_service
from app.plans.what_if_request import WhatIfRequest
from app.plans.what_if_schemas import BalanceRow, Load, RemovedRow, WhatIfResult
from app.settings import Settings

# Of moves, for people; more are in the JSON.
SHOWN = 20


def what_if(
    plan_id: Annotated[
        int | None,
        typer.Argument(min=1, max=2**62, help="The plan to change; by default that in force"),
    ] = None,
    layer: LayerName = "all",
    rep_leaves: Annotated[
        list[int] | None, typer.Option(min=1, max=2**62, help="A rep, by id, who leaves")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="A territory, by code, that disappears")
    ] = None,
    add: Annotated[int, typer.Option("--add", count=True, help="A territory more")] = 0,
    file: Annotated[
        Path | None, typer.Option(help="A request as JSON, for all there is to say")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Say what would be if reps, territories or customers changed; nothing is changed."""
    changes: list[dict[str, Any]] = [
        *({"kind": "rep_leaves", "rep_id": rep_id} for rep_id in rep_leaves or []),
        *({"kind": "territory_removed", "territory": code} for code in remove or []),
        *({"kind": "territory_added"} for _ in range(add)),
    ]
    request = _request(file, changes)

    async def action(settings: Settings, database: Database) -> dict[str, Any]:
        async with database.writing(AT_TERMINAL) as session:
            wanted = plan_id or await in_force(session, layer)
            actor = AT_TERMINAL.actor
            run = await what_if_service.request_what_if(session, wanted, request, actor)
        return await wait_for(settings, database, run.id, is_quiet=as_json)

    result = with_database(action)
    if as_json:
        print_json(result)
    else:
        _show(WhatIfResult.model_validate(result))


def _request(file: Path | None, changes: list[dict[str, Any]]) -> WhatIfRequest:
    """Return the request of a file with the changes of the options behind its own."""
    if file is None:
        if not changes:
            raise typer.BadParameter("say what changes: --rep-leaves, --remove, --add or --file")
        return WhatIfRequest.model_validate({"changes": changes})
    try:
        document = orjson.loads(file.read_bytes())
        if changes and isinstance(document, dict):
            document["changes"] = [*document.get("changes", []), *changes]
        return WhatIfRequest.model_validate(document)
    except (OSError, orjson.JSONDecodeError, TypeError, ValidationError) as error:
        raise typer.BadParameter(f"{file}: {error}") from error


def _show(found: WhatIfResult) -> None:
    table = Table(
        "territory",
        "rep",
        "customers",
        "work, h",
        "of target",
        "travel, km",
        title="before → after",
    )
    for row in found.balance:
        table.add_row(
            row.code, escape(row.rep.name) if row.rep else "", *_both(row),
            style=None if row.before and row.after else "bold",
        )  # fmt: skip
    console.print(table)
    if found.balance_left_out:
        console.print(f"{found.balance_left_out} territories that change less are left out.")
    for removed in found.removed:
        console.print(_succession(removed), highlight=False, markup=False)
    for added in found.added:
        how = "takes over" if added.takes_over else "begins with a part of"
        near = "" if added.distance_km is None else f", {added.distance_km:.1f} km from the place"
        console.print(f"{added.code} {how} {added.made_of}{near}.", highlight=False)
    shown = [move for move in found.moves if move.customers >= 1][:SHOWN]
    for move in shown:
        console.print(f"  {move.customers:,.0f} customers, {escape(move.text)}", highlight=False)
    hidden = len(found.moves) - len(shown) + found.moves_left_out
    if hidden:
        console.print(f"  and {hidden} smaller moves", highlight=False)
    _show_cost(found)


def _show_cost(found: WhatIfResult) -> None:
    if found.moved is not None:
        console.print(
            f"{found.affected.number:,} customers come to somebody else; "
            f"{found.moved.work_minutes.share:.1%} of the work and {found.moved.revenue.share:.1%} "
            "of the revenue change hands.",
            highlight=False,
        )
    named = found.named_without_territory.customers
    if named:
        console.print(f"{named:,.0f} named accounts have no territory any more.", highlight=False)
    travel, objective = found.cost.travel_km, found.cost.objective
    if travel.before is not None and travel.after is not None:
        console.print(
            f"From home to a customer: {travel.before:.1f} km before, {travel.after:.1f} km after.",
            highlight=False,
        )
    if objective.before and objective.after is not None:
        name = objective.name.replace("_", " ")
        change = objective.after / objective.before - 1
        console.print(f"The {name} changes by {change:+.1%}.", highlight=False)
    console.print(escape(found.reason))
    console.print("Nothing was changed.")


def _both(row: BalanceRow) -> list[str]:
    """Return each number before and after."""
    sides = row.before, row.after
    return [
        " → ".join(_shown(side, name) for side in sides)
        for name in ("customers", "work_minutes", "level", "travel_km")
    ]


def _shown(load: Load | None, name: str) -> str:
    value = None if load is None else getattr(load, name)
    if value is None:
        return "–"
    if name == "level":
        return f"{value:.1%}"
    return f"{value / 60:,.0f}" if name == "work_minutes" else f"{value:,.0f}"


def _succession(removed: RemovedRow) -> str:
    who = f"{removed.code} ({removed.rep.name})" if removed.rep else removed.code
    if removed.period:
        days = f"{removed.period.from_} to {removed.period.to}, {removed.period.days} days"
        who = f"{who} from {days}"
    heirs = [
        f"{heir.code} {heir.share:.0%}" + (f" (then at {heir.level:.1%})" if heir.level else "")
        for heir in removed.successors
    ]
    return f"{who} is taken over by {', '.join(heirs) or 'nobody'}."
