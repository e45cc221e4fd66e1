"""`bailiwick design`: a plan request from options, from a file, or from both."""

from typing import Annotated, Any

import typer

from app.cli import wishes
from app.cli.plans import AsJson, known, show_plan
from app.cli.session import AT_TERMINAL, print_json, wait_for, with_database
from app.db.scope import EVERYTHING
from app.db.session import AnySession, Database, WriteSession
from app.layers.repository import create_layer, find_layer
from app.layers.schemas import NewLayer
from app.plans import publishing, repository, service
from app.plans.approval import ApprovalRule
from app.plans.request import PlanRequest
from app.plans.schemas import PlanView
from app.reps.repository import find_rep_ids
from app.settings import Settings

Document = dict[str, Any]
Texts = list[str]
NUMBERS = ("n_territories", "shares", "rep_ids")


def design(
    territories: Annotated[int | None, typer.Option(min=1, help="How many")] = None,
    capacity: Annotated[
        float | None, typer.Option(help="Minutes of work one carries; instead of how many")
    ] = None,
    shares: Annotated[
        str | None, typer.Option(help="Part of the work of T01, T02, …: 0.5,0.3,0.2")
    ] = None,
    reps: Annotated[
        str | None, typer.Option(help="Whose T01, T02, … are: ids or external ids, or a file")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Name of the layer; by default all")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the plan")] = None,
    tolerance: Annotated[
        Texts, typer.Option(help="Allowed imbalance: 0.05 of work, or measure=0.1, measure=none")
    ] = [],  # noqa: B006 (Typer reads the default and hands out copies)
    customer_tolerance: Annotated[
        float | None, typer.Option(help="The same as --tolerance customers=…")
    ] = None,
    weight: Annotated[Texts, typer.Option(help="Weight of a tolerance: measure=2")] = [],  # noqa: B006
    limit: Annotated[Texts, typer.Option(help="Hard limits: measure=min..max")] = [],  # noqa: B006
    objective: Annotated[
        str | None, typer.Option(help="moment_of_inertia, total_distance or cut_edges")
    ] = None,
    homes: Annotated[
        str | None, typer.Option(help="Homes of the reps as centres: ignore, preferred, fixed")
    ] = None,
    lock_homes: Annotated[
        bool | None, typer.Option("--lock-homes/--no-lock-homes", help="Homes in own territories")
    ] = None,
    centre: Annotated[Texts, typer.Option(help="T01=lon,lat or T01=lon,lat,pull")] = [],  # noqa: B006
    lock: Annotated[Texts, typer.Option(help="Cells of a territory: T01=cell,cell")] = [],  # noqa: B006
    lock_territories: Annotated[
        str | None, typer.Option(help="Territories of another plan as they are: 7:T01,T02")
    ] = None,
    keep_together: Annotated[
        Texts, typer.Option(help="Cells in one territory: cell,cell or a GeoJSON file")
    ] = [],  # noqa: B006
    barrier: Annotated[Texts, typer.Option(help="GeoJSON file none reaches across")] = [],  # noqa: B006
    discourage: Annotated[
        Texts, typer.Option(help="GeoJSON file they should not reach across: file[:strength]")
    ] = [],  # noqa: B006
    bridge: Annotated[Texts, typer.Option(help="name=lon,lat:lon,lat")] = [],  # noqa: B006
    max_radius_km: Annotated[
        float | None, typer.Option(help="Farthest a customer may be from the centre")
    ] = None,
    split_heavy_cells: Annotated[
        bool | None, typer.Option(help="Whether heavy cells give way to their children")
    ] = None,
    resolution: Annotated[int | None, typer.Option(min=0, max=12, help="H3 resolution")] = None,
    region: Annotated[str | None, typer.Option(help="GeoJSON file of a polygon to divide")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    request: Annotated[
        str | None, typer.Option(help="JSON file as for POST /v1/plans; options override it")
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish it at once")] = False,
    as_json: AsJson = False,
) -> None:
    """Design a plan; the layer `all` is made when it is missing."""
    asked: Document = {} if request is None else wishes.document(request)
    plain = {
        "n_territories": territories, "capacity_minutes": capacity, "name": name,
        "objective": objective, "homes": homes, "lock_homes": lock_homes,
        "max_radius_km": max_radius_km, "split_heavy_cells": split_heavy_cells,
        "resolution": resolution, "seed": seed,
        "shares": shares and wishes.numbers(shares),
        "locked_territories": lock_territories and wishes.locked_territories(lock_territories),
        "region": region and wishes.geometry(region),
        "centres": [wishes.centre(text) for text in centre],
        "locks": [wishes.lock(text) for text in lock],
        "keep_together": wishes.flattened(wishes.groups, keep_together),
        "barriers": wishes.flattened(wishes.barriers, barrier),
        "discouraged": wishes.flattened(wishes.discouraged, discourage),
        "bridges": [wishes.bridge(text) for text in bridge],
    }  # fmt: skip
    if capacity is not None:
        # It says how many there are; what the file says of that is overridden.
        asked = {field: value for field, value in asked.items() if field not in NUMBERS}
    elif territories or shares or reps:
        asked.pop("capacity_minutes", None)
    asked |= {field: value for field, value in plain.items() if value not in (None, [])}
    tolerances = dict(map(wishes.by_measure, tolerance))
    if customer_tolerance is not None:
        tolerances["customers"] = customer_tolerance
    _merge(asked, "tolerances", tolerances)
    _merge(asked, "weights", dict(map(wishes.by_measure, weight)))
    _merge(asked, "limits", dict(map(wishes.limit, limit)))
    _design(asked, reps, layer, publish, as_json)


def _merge(asked: Document, field: str, given: Document) -> None:
    """Put members that options gave over those of the file."""
    if given:
        asked[field] = {**(asked.get(field) or {}), **given}


def _design(
    asked: Document, reps: str | None, layer: str | None, publish: bool, as_json: bool
) -> None:
    async def action(settings: Settings, database: Database) -> PlanView:
        async with database.writing(AT_TERMINAL) as session:
            if layer is not None or "layer_id" not in asked:
                asked["layer_id"] = await _layer_id(session, layer or "all")
            if reps is not None:
                asked["rep_ids"] = await _rep_ids(session, reps)
            run = await service.request_design(session, PlanRequest(**asked), AT_TERMINAL.actor)
        result = await wait_for(settings, database, run.id, is_quiet=as_json)
        if publish:
            async with database.writing(AT_TERMINAL) as session:
                await publishing.publish(
                    session, result["plan_id"], None, True, AT_TERMINAL.actor,
                    ApprovalRule.of(settings),
                )  # fmt: skip
        async with database.reading() as session:
            return await repository.get_plan(session, EVERYTHING, result["plan_id"], fewest=1)

    plan = with_database(action)
    if as_json:
        print_json(plan.model_dump(mode="json"))
    else:
        show_plan(plan)


async def _layer_id(session: WriteSession, name: str) -> int:
    found = await find_layer(session, name)
    if found is None and name == "all":
        found = await create_layer(session, NewLayer(name="all", title="All customers"))
    return known(found, name).id


async def _rep_ids(session: AnySession, text: str) -> list[int]:
    """Return the ids of reps: numbers are ids, other words external ids."""
    named = wishes.words(text)
    external = [word for word in named if not word.isdigit()]
    ids = dict(zip(external, await find_rep_ids(session, external), strict=True))
    return [ids[word] if word in ids else int(word) for word in named]
