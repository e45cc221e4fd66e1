"""`bailiwick front`."""

from typing import Annotated

import typer
from rich.table import Table

from app.cli.session import AT_TERMINAL, console, print_json, wait_for, with_database
from app.db.scope import EVERYTHING
from app.db.session import Database
from app.plans import front_store
from app.plans.front_schemas import FrontPoint, FrontView
from app.settings import Settings


def front(
    plan_id: Annotated[int, typer.Argument(min=1, max=2**62, help="The plan to vary")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Make plans that trade balance, compactness and disruption against each other."""

    async def action(settings: Settings, database: Database) -> FrontView:
        async with database.writing(AT_TERMINAL) as session:
            run = await front_store.request_front(session, plan_id, AT_TERMINAL.actor)
        await wait_for(settings, database, run.id, is_quiet=as_json)
        async with database.reading() as session:
            return await front_store.get_front(session, EVERYTHING, plan_id)

    found = with_database(action)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)


def _show(front: FrontView) -> None:
    table = Table(
        "plan", "name", "imbalance of work", front.objective, "changed", "work moved", "state"
    )
    for point in front.points:
        table.add_row(
            str(point.plan_id), point.name, f"{point.imbalance['work_minutes']:.2%}",
            "" if point.objective_ratio is None else f"{point.objective_ratio:.1%}",
            f"{point.territories_changed} of {point.n_territories}",
            "" if point.disruption is None else f"{point.disruption.work_minutes:.1%}",
            _state(point), style="dim" if point.is_dominated else None,
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{front.n_designed} designs, {front.n_dominated} left out because another is better in "
        f"everything; {front.objective} relative to plan {front.plan_id}."
    )
    if not front.is_demand_of_plan:
        console.print("The customers have changed since the plan was made.")


def _state(point: FrontPoint) -> str:
    marks = {"plan": "asked about", "incumbent": "in force"}
    kind = f", {marks[point.kind]}" if point.kind in marks else ""
    return f"{point.state}{kind}{', dominated' if point.is_dominated else ''}"
