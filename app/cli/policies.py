"""`bailiwick policies`: what is watched for, what fires now, what would have fired."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from app.activity import local_date
from app.cli.plans import AsJson, LayerName, known
from app.cli.session import AT_TERMINAL, console, print_json, with_database
from app.db.session import Database
from app.layers.repository import find_layer
from app.policies import repository, service
from app.policies.schemas import BacktestRequest, BacktestView, EvaluationView, PolicyView
from app.settings import Settings

commands = typer.Typer(help="Policies that watch territories.", no_args_is_help=True)

MOST_LISTED = 10_000
ONE_YEAR = timedelta(days=365)
WRITTEN = ["%Y-%m-%d"]


@commands.command("list")
def list_all(layer: LayerName = "all", as_json: AsJson = False) -> None:
    """List the policies of a layer, its own and the general ones."""

    async def action(settings: Settings, database: Database) -> list[PolicyView]:
        async with database.reading() as session:
            found = known(await find_layer(session, layer), layer)
            return await repository.list_policies(
                session, found.id, with_archived=False, after=0, limit=MOST_LISTED
            )

    policies = with_database(action)
    if as_json:
        print_json([policy.model_dump(mode="json") for policy in policies])
        return
    table = Table("policy", "name", "kind", "parameters", "proposes", "of layer", "version", "on")
    for policy in policies:
        parameters = policy.parameters.model_dump()
        table.add_row(
            str(policy.id), policy.name, policy.kind,
            ", ".join(f"{name} {value}" for name, value in parameters.items()), policy.proposal,
            "all" if policy.layer_id is None else str(policy.layer_id), str(policy.version),
            "yes" if policy.enabled else "no",
        )  # fmt: skip
    console.print(table)


@commands.command()
def evaluate(layer: LayerName = "all", as_json: AsJson = False) -> None:
    """Evaluate the policies of a layer now, and store what fires."""

    async def action(settings: Settings, database: Database) -> EvaluationView:
        today, zone = local_date(settings.work), settings.work.time_zone
        async with database.reading() as reader:
            found = known(await find_layer(reader, layer), layer)
            seen, outcome = await service.look(reader, found.id, today, zone)
        async with database.writing(AT_TERMINAL) as session:
            return await service.remember(session, found.id, seen, outcome)

    found = with_database(action)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for alert in found.fired:
        _say(f"fired {alert.id}: {alert.sentence}")
    for alert in found.resolved:
        _say(f"resolved {alert.id}: {alert.sentence} Now {alert.resolution}.")
    for item in found.unknown:
        _say(f"policy {item.policy_id} ({item.kind}): not known, {item.reason}.")
    _say(
        f"{len(found.fired)} alerts fired, {len(found.resolved)} resolved, "
        f"{found.n_lasting} were there before and stay."
    )


@commands.command()
def backtest(
    policy_id: Annotated[int, typer.Argument(min=1, max=2**62, help="The policy to try")],
    first: Annotated[
        datetime | None, typer.Option("--from", formats=WRITTEN, help="By default a year ago")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=WRITTEN, help="By default today")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Name of the layer, for a policy of all layers")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a policy would have found at the ends of past months; store nothing."""

    async def action(settings: Settings, database: Database) -> BacktestView:
        today = local_date(settings.work)
        until = today if last is None else last.date()
        since = until - ONE_YEAR if first is None else first.date()
        async with database.reading() as session:
            name = layer
            policy = await repository.get_policy(session, policy_id)
            if name is None and policy.layer_id is None:
                name = "all"
            layer_id = None if name is None else known(await find_layer(session, name), name).id
            asked = BacktestRequest(from_=since, to=until, layer_id=layer_id)
            return await service.backtest(session, policy_id, asked, today, settings.work.time_zone)

    found = with_database(action)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for month in found.months:
        _say(f"{month.on}: {_summary(month)}")
        for firing in month.fired:
            _say(f"  {'new ' if firing.is_new else ''}{firing.sentence}")


def _summary(month: Any) -> str:
    if month.unknown is not None:
        return f"not known, {month.unknown}"
    said = f"{len(month.fired)} territories of plan {month.plan_id}"
    return "; ".join([said, *month.caveats])


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
