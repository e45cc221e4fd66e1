"""`bailiwick rebalance`."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from app.cli.plans import LayerName, known, show_drift
from app.cli.session import AT_TERMINAL, console, print_json, wait_for, with_database
from app.db.scope import EVERYTHING
from app.db.session import AnySession, Database
from app.errors import NotFound
from app.layers.repository import find_layer
from app.plans import rebalance_store
from app.plans.drift import measure_drift
from app.plans.rebalance_request import MoveBudget, RebalanceRequest
from app.plans.rebalance_schemas import MoveView, RebalanceView
from app.plans.schemas import DriftView
from app.settings import Settings

# Of the moves, for people; all are in the JSON of the API.
SHOWN = 20


def rebalance(
    plan_id: Annotated[
        int | None,
        typer.Argument(min=1, max=2**62, help="The plan to change; by default that in force"),
    ] = None,
    layer: LayerName = "all",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report drift of the plan in force, move nothing")
    ] = False,
    customers: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the customers that may move")
    ] = None,
    work: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the work that may move")
    ] = None,
    revenue: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the revenue that may move")
    ] = None,
    cells_per_territory: Annotated[
        int | None, typer.Option(min=0, help="Cells that may leave or join one territory")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A request as JSON, for all there is to say")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Bring a plan back into its tolerances with little moved, as a draft."""
    if dry_run:
        _report_drift(layer, plan_id, as_json)
        return
    request = _request(file)
    given = {
        "customers": customers, "work_minutes": work, "revenue": revenue,
        "cells_per_territory": cells_per_territory,
    }  # fmt: skip
    named = {name: value for name, value in given.items() if value is not None}
    budget = MoveBudget(**{**request.budget.model_dump(), **named})
    request = request.model_copy(update={"budget": budget})

    async def action(
        settings: Settings, database: Database
    ) -> tuple[RebalanceView, list[MoveView]]:
        async with database.writing(AT_TERMINAL) as session:
            wanted = plan_id or await in_force(session, layer)
            run = await rebalance_store.request_rebalance(
                session, wanted, request, AT_TERMINAL.actor
            )
        result = await wait_for(settings, database, run.id, is_quiet=as_json)
        async with database.reading() as session:
            found = await rebalance_store.get_rebalance(session, EVERYTHING, result["rebalance_id"])
            new = found.new_plan_id
            moves = (
                []
                if new is None
                else await rebalance_store.list_moves(session, EVERYTHING, new, None, 0, SHOWN)
            )
        return found, moves

    found, moves = with_database(action)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found, moves)


def _report_drift(layer: str, plan_id: int | None, as_json: bool) -> None:
    async def action(settings: Settings, database: Database) -> DriftView:
        async with database.reading() as session:
            wanted = plan_id or await in_force(session, layer)
            return await measure_drift(session, EVERYTHING, wanted)

    drift = with_database(action)
    if as_json:
        print_json(drift.model_dump(mode="json"))
    else:
        show_drift(drift)


async def in_force(session: AnySession, layer: str) -> int:
    """Return the plan in force on a layer.

    Raises
    ------
    NotFound
        When there is none.
    """
    found = known(await find_layer(session, layer), layer)
    if found.plan_in_force is None:
        raise NotFound(f"No plan is in force on the layer {layer!r}.")
    return found.plan_in_force.plan_id


def _request(file: Path | None) -> RebalanceRequest:
    if file is None:
        return RebalanceRequest()
    try:
        return RebalanceRequest.model_validate(orjson.loads(file.read_bytes()))
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        raise typer.BadParameter(f"{file}: {error}") from error


def _show(found: RebalanceView, moves: list[MoveView]) -> None:
    table = Table(
        "", "plan", "price", "imbalance of work", "work moved", "customers moved", "budget"
    )
    for option in found.options:
        table.add_row(
            "→" if option.is_picked else "", option.origin,
            "" if option.price is None else f"{option.price:g}",
            f"{option.max_imbalance['work_minutes']:.2%}",
            f"{option.moved['work_minutes']:.2%}", f"{option.moved['customers']:.2%}",
            "within" if option.is_within_budget else "beyond",
        )  # fmt: skip
    console.print(table)
    console.print(escape(found.reason))
    for move in moves:
        console.print(f"  {move.customers} customers, {escape(move.text)}", highlight=False)
    if found.new_plan_id is None:
        console.print("No plan was made.")
    else:
        console.print(f"Plan {found.new_plan_id} is a draft: bailiwick publish {found.new_plan_id}")
