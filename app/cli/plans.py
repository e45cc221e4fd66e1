"""`bailiwick plans` and `publish`, and what commands show of plans."""

from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli.session import AT_TERMINAL, console, print_json, with_database
from app.db.scope import EVERYTHING
from app.db.session import Database
from app.errors import NotFound
from app.layers.repository import find_layer
from app.layers.schemas import LayerView
from app.plans import publishing, repository
from app.plans.approval import ApprovalRule
from app.plans.schemas import DriftView, PlanView
from app.settings import Settings

LayerName = Annotated[str, typer.Option("--layer", help="Name of the layer")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]


def list_plans(layer: LayerName = "all", as_json: AsJson = False) -> None:
    """List the plans of a layer, newest first."""

    async def action(settings: Settings, database: Database) -> list[Any]:
        async with database.reading() as session:
            found = known(await find_layer(session, layer), layer)
            return await repository.list_plans(session, EVERYTHING, found.id, 0, 100, fewest=1)

    plans = with_database(action)
    if as_json:
        print_json([plan.model_dump(mode="json") for plan in plans])
        return
    table = Table("plan", "name", "state", "territories", "cells", "imbalance of work", "made")
    for plan in plans:
        table.add_row(
            str(plan.id), plan.name, plan.state, str(plan.n_territories), str(plan.n_cells),
            f"{plan.max_imbalance['work_minutes']:.1%}", f"{plan.created_at:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    console.print(table)


def publish(
    plan_id: Annotated[int, typer.Argument(min=1, max=2**62, help="The plan to bring into force")],
    as_json: AsJson = False,
) -> None:
    """Bring a plan into force now."""

    async def action(settings: Settings, database: Database) -> Any:
        async with database.writing(AT_TERMINAL) as session:
            return await publishing.publish(
                session, plan_id, None, True, AT_TERMINAL.actor, ApprovalRule.of(settings)
            )

    publication = with_database(action)
    if as_json:
        print_json(publication.model_dump(mode="json"))
    else:
        console.print(f"Plan {plan_id} is in force; {publication.owners} territories have a rep.")


def known(layer: LayerView | None, name: str) -> LayerView:
    """Return a layer that was looked for by name.

    Raises
    ------
    NotFound
        When there is none.
    """
    if layer is None:
        raise NotFound(f"There is no layer {name!r}.")
    return layer


def show_plan(plan: PlanView) -> None:
    """Print a plan's balance table, what it is made of, and why it does not hold what was asked."""
    table = Table("territory", "rep", "customers", "work, h", "of target", "imbalance")
    for row in plan.balance:
        work = row.work_minutes or 0.0
        share = work / row.target_work_minutes if row.target_work_minutes else 0
        table.add_row(
            row.code, row.rep.name if row.rep else "", f"{row.customers or 0:,.0f}",
            f"{work / 60:,.0f}", f"{share:.1%}",
            f"{row.imbalance['work_minutes']:+.1%}",
        )  # fmt: skip
    console.print(table)
    worst = plan.max_imbalance["work_minutes"]
    console.print(
        f"Plan {plan.id} ({plan.state}): {plan.n_territories} territories of {plan.n_cells:,} "
        f"cells at {_levels(plan.resolutions)}, work within {worst:.1%}."
    )
    capacity = plan.scores.get("sizing", {}).get("utilisation")
    if capacity is not None:
        console.print(f"The work takes {capacity:.0%} of the capacity.", highlight=False)
    for piece in plan.components:
        if piece.left_out and piece.customers:
            lon, lat = piece.place
            console.print(
                f"Left out at {lon}, {lat}: {piece.customers} customers; {piece.reason}.",
                highlight=False,
            )
    for violation in plan.violations:
        console.print(f"{violation.code}: {violation.message}.", highlight=False)
        if violation.relaxation:
            console.print(f"  {_advice(violation.relaxation)}", highlight=False, markup=False)


def _levels(resolutions: list[int]) -> str:
    word = "resolution" if len(resolutions) == 1 else "resolutions"
    return f"{word} {', '.join(map(str, resolutions))}"


def _advice(relaxation: dict[str, Any]) -> str:
    """Say what change of the request would do away with a violation."""
    field = relaxation["field"]
    if relaxation.get("action") == "leave out":
        return f"would hold without {field}"
    if "value" in relaxation:
        return f"would hold with {field} = {relaxation['value']}"
    return f"would hold with {relaxation['n_territories']} entries in {field}"


def show_drift(drift: DriftView) -> None:
    """Print how far each territory is from its target with the customers of today."""
    table = Table("territory", "customers", "work, h", "target, h", "imbalance", "as designed")
    for row in drift.territories:
        table.add_row(
            row.code, f"{row.customers:,}", f"{row.work_minutes / 60:,.0f}",
            f"{row.target_work_minutes / 60:,.0f}", f"{row.imbalance:+.1%}",
            f"{row.imbalance_as_designed:+.1%}", style=None if row.is_within_tolerance else "red",
        )  # fmt: skip
    console.print(table)
    outside = sum(not row.is_within_tolerance for row in drift.territories)
    console.print(
        f"Plan {drift.plan_id}: {outside} of {len(drift.territories)} territories are out of the "
        f"tolerance of {drift.tolerance:.0%}; {drift.uncovered_customers} customers are in none."
    )
