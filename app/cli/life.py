"""`bailiwick plans`: plans listed and shown, and the steps of their life."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from app.cli.plans import AsJson, LayerName, list_plans, show_plan
from app.cli.session import AT_TERMINAL, console, print_json, with_database
from app.cli.verify import verify
from app.db.scope import EVERYTHING
from app.db.session import Database, WriteSession
from app.db.tables import Plan
from app.plans import copying, lifecycle, publishing, repository
from app.plans.approval import ApprovalRule
from app.plans.life_schemas import Note, Rejection, RollbackRequest
from app.plans.schemas import PlanView, PublicationView, PublishRequest
from app.settings import Settings

commands = typer.Typer(help="Plans and the steps of their life.")

PlanId = Annotated[int, typer.Argument(min=1, max=2**62, help="The plan")]
NoteText = Annotated[str | None, typer.Option("--note", help="Said along, kept in the events")]
From = Annotated[str | None, typer.Option("--from", help="Instant such as 2026-03-01T00:00:00Z")]
Step = Callable[[WriteSession, Plan, Settings], Awaitable[None]]


@commands.callback(invoke_without_command=True)
def plans(context: typer.Context, layer: LayerName = "all", as_json: AsJson = False) -> None:
    """List the plans of a layer, newest first; or take one through its life."""
    if context.invoked_subcommand is None:
        list_plans(layer, as_json)


commands.command("list")(list_plans)
commands.command()(verify)


@commands.command()
def show(plan_id: PlanId, as_json: AsJson = False) -> None:
    """Show a plan with its balance table."""

    async def action(settings: Settings, database: Database) -> PlanView:
        async with database.reading() as session:
            return await repository.get_plan(session, EVERYTHING, plan_id, fewest=1)

    _show(with_database(action), as_json)


@commands.command()
def propose(plan_id: PlanId, note: NoteText = None, as_json: AsJson = False) -> None:
    """Put a draft before others."""
    said = Note(note=note)

    async def step(session: WriteSession, plan: Plan, settings: Settings) -> None:
        await lifecycle.propose(session, plan, AT_TERMINAL.actor, said.note)

    _take(plan_id, step, as_json)


@commands.command()
def approve(plan_id: PlanId, note: NoteText = None, as_json: AsJson = False) -> None:
    """Agree to a plan that another person made and proposed."""
    said = Note(note=note)

    async def step(session: WriteSession, plan: Plan, settings: Settings) -> None:
        rule = ApprovalRule.of(settings)
        await lifecycle.approve(session, plan, AT_TERMINAL.actor, said.note, rule)

    _take(plan_id, step, as_json)


@commands.command()
def reject(
    plan_id: PlanId,
    reason: Annotated[str, typer.Argument(help="Why it goes back")],
    as_json: AsJson = False,
) -> None:
    """Make a proposed or approved plan a draft again."""
    said = Rejection(reason=reason)

    async def step(session: WriteSession, plan: Plan, settings: Settings) -> None:
        await lifecycle.reject(session, plan, AT_TERMINAL.actor, said.reason)

    _take(plan_id, step, as_json)


@commands.command()
def archive(plan_id: PlanId, note: NoteText = None, as_json: AsJson = False) -> None:
    """Put away a plan that is not in force and not to come."""
    said = Note(note=note)

    async def step(session: WriteSession, plan: Plan, settings: Settings) -> None:
        await lifecycle.archive(session, plan, AT_TERMINAL.actor, said.note)

    _take(plan_id, step, as_json)


@commands.command()
def publish(
    plan_id: PlanId,
    effective_from: From = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Although the customers have changed")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a plan into force, now or from a later instant on."""
    # As text, in which an instant has to name its time zone.
    body = PublishRequest.model_validate(
        {"effective_from": effective_from, "accept_changes": accept_changes}
    )

    async def action(settings: Settings, database: Database) -> PublicationView:
        async with database.writing(AT_TERMINAL) as session:
            return await publishing.publish(
                session, plan_id, body.effective_from, body.assign_reps, AT_TERMINAL.actor,
                ApprovalRule.of(settings), body.accept_changes,
            )  # fmt: skip

    _show_publication(with_database(action), as_json)


@commands.command()
def rollback(plan_id: PlanId, effective_from: From = None, as_json: AsJson = False) -> None:
    """Bring an earlier plan of the layer into force again."""
    body = RollbackRequest.model_validate({"effective_from": effective_from})

    async def action(settings: Settings, database: Database) -> PublicationView:
        async with database.writing(AT_TERMINAL) as session:
            return await publishing.roll_back(
                session, plan_id, body.effective_from, AT_TERMINAL.actor
            )

    _show_publication(with_database(action), as_json)


@commands.command()
def copy(
    plan_id: PlanId,
    name: Annotated[str | None, typer.Option("--name", help="Of the copy")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a draft that is like a plan."""

    async def action(settings: Settings, database: Database) -> PlanView:
        async with database.writing(AT_TERMINAL) as session:
            copy_id = await copying.copy_plan(session, plan_id, name, AT_TERMINAL.actor)
            return await repository.get_plan(session, EVERYTHING, copy_id, fewest=1)

    made = with_database(action)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        console.print(f"Plan {made.id} is a draft like plan {plan_id}.", highlight=False)


def _take(plan_id: int, step: Step, as_json: bool) -> None:
    """Take a step with a plan and say what it is then."""

    async def action(settings: Settings, database: Database) -> PlanView:
        async with database.writing(AT_TERMINAL) as session:
            plan = await publishing.take_turn(session, plan_id)
            await step(session, plan, settings)
            await session.flush()
            return await repository.get_plan(session, EVERYTHING, plan_id, fewest=1)

    plan = with_database(action)
    if as_json:
        print_json(plan.model_dump(mode="json"))
    else:
        console.print(f"Plan {plan.id} is {plan.state}.", highlight=False)


def _show(plan: PlanView, as_json: bool) -> None:
    if as_json:
        print_json(plan.model_dump(mode="json"))
    else:
        show_plan(plan)


def _show_publication(publication: PublicationView, as_json: bool) -> None:
    document: dict[str, Any] = publication.model_dump(mode="json")
    if as_json:
        print_json(document)
    else:
        console.print(
            f"Plan {publication.plan_id} is in force from {document['effective_from']} on; "
            f"{publication.owners} territories have a rep.",
            highlight=False,
        )
