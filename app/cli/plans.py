"""`bailiwick design`, `plans`, `publish`, `rebalance`."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from app.cli.session import console, print_json, wait_for, with_database
from app.db.scope import EVERYTHING
from app.db.session import Database
from app.errors import Fault, InvalidInput, NotFound
from app.layers.repository import create_layer, find_layer
from app.layers.schemas import LayerView, NewLayer
from app.plans import publishing, repository, service
from app.plans.drift import measure_drift
from app.plans.request import PlanRequest, Tolerances
from app.plans.schemas import DriftView, PlanView
from app.settings import Settings

LayerName = Annotated[str, typer.Option("--layer", help="Name of the layer")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]


def design(
    territories: Annotated[int, typer.Option(min=1, help="How many")],
    layer: LayerName = "all",
    name: Annotated[str | None, typer.Option(help="Name of the plan")] = None,
    tolerance: Annotated[float, typer.Option(help="Allowed imbalance of work")] = 0.05,
    customer_tolerance: Annotated[float, typer.Option(help="The same of customers")] = 0.15,
    resolution: Annotated[int | None, typer.Option(min=0, max=12, help="H3 resolution")] = None,
    region: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="GeoJSON polygon to divide")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    publish: Annotated[bool, typer.Option("--publish", help="Publish it at once")] = False,
    as_json: AsJson = False,
) -> None:
    """Design a plan; the layer `all` is made when it is missing."""
    geometry = None if region is None else read_region(region)

    async def action(settings: Settings, database: Database) -> PlanView:
        async with database.writing() as session:
            found = await find_layer(session, layer)
            if found is None and layer == "all":
                found = await create_layer(session, NewLayer(name="all", title="All customers"))
            request = PlanRequest(
                layer_id=_known(found, layer).id,
                n_territories=territories,
                name=name,
                tolerances=Tolerances(work_minutes=tolerance, customers=customer_tolerance),
                resolution=resolution,
                region=geometry,
                seed=seed,
            )
            run = await service.request_design(session, request, "cli")
        result = await wait_for(settings, database, run.id, is_quiet=as_json)
        if publish:
            async with database.writing() as session:
                await publishing.publish(session, result["plan_id"], None, True, "cli")
        async with database.reading() as session:
            return await repository.get_plan(session, EVERYTHING, result["plan_id"])

    plan = with_database(action)
    if as_json:
        print_json(plan.model_dump(mode="json"))
    else:
        _show_plan(plan)


def list_plans(layer: LayerName = "all", as_json: AsJson = False) -> None:
    """List the plans of a layer, newest first."""

    async def action(settings: Settings, database: Database) -> list[Any]:
        async with database.reading() as session:
            found = _known(await find_layer(session, layer), layer)
            return await repository.list_plans(session, EVERYTHING, found.id, 0, 100)

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
        async with database.writing() as session:
            return await publishing.publish(session, plan_id, None, True, "cli")

    publication = with_database(action)
    if as_json:
        print_json(publication.model_dump(mode="json"))
    else:
        console.print(f"Plan {plan_id} is in force; {publication.owners} territories have a rep.")


def rebalance(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report drift, move nothing")],
    layer: LayerName = "all",
    as_json: AsJson = False,
) -> None:
    """Report how far the plan in force has drifted from balance."""

    async def action(settings: Settings, database: Database) -> DriftView:
        async with database.reading() as session:
            found = _known(await find_layer(session, layer), layer)
            if found.plan_in_force is None:
                raise NotFound(f"No plan is in force on the layer {layer!r}.")
            return await measure_drift(session, EVERYTHING, found.plan_in_force.plan_id)

    drift = with_database(action)
    if as_json:
        print_json(drift.model_dump(mode="json"))
    else:
        _show_drift(drift)


def read_region(path: Path) -> dict[str, Any]:
    """Return the geometry of a GeoJSON file: a geometry, a feature, or a collection of one.

    Raises
    ------
    InvalidInput
        When the file is not such GeoJSON.
    """
    try:
        document = orjson.loads(path.read_bytes())
        if document["type"] == "FeatureCollection":
            (document,) = document["features"]
        if document["type"] == "Feature":
            document = document["geometry"]
        return dict(document)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        fault = Fault("region", f"no GeoJSON with one polygon: {error}", "--region")
        raise InvalidInput(f"{path.name} cannot be read as a region.", [fault]) from None


def _known(layer: LayerView | None, name: str) -> LayerView:
    if layer is None:
        raise NotFound(f"There is no layer {name!r}.")
    return layer


def _show_plan(plan: PlanView) -> None:
    table = Table("territory", "rep", "customers", "work, h", "of target", "imbalance")
    for row in plan.balance:
        share = row.work_minutes / row.target_work_minutes if row.target_work_minutes else 0
        table.add_row(
            row.code, row.rep.name if row.rep else "", f"{row.customers:,.0f}",
            f"{row.work_minutes / 60:,.0f}", f"{share:.1%}",
            f"{row.imbalance['work_minutes']:+.1%}",
        )  # fmt: skip
    console.print(table)
    worst = plan.max_imbalance["work_minutes"]
    console.print(
        f"Plan {plan.id} ({plan.state}): {plan.n_territories} territories of {plan.n_cells:,} "
        f"cells at resolution {plan.resolutions[0]}, work within {worst:.1%}."
    )
    for piece in plan.components:
        if piece.left_out and piece.customers:
            lon, lat = piece.place
            console.print(
                f"Left out at {lon}, {lat}: {piece.customers} customers; {piece.reason}.",
                highlight=False,
            )
    for violation in plan.violations:
        console.print(f"{violation.code}: {violation.message}", highlight=False)


def _show_drift(drift: DriftView) -> None:
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
