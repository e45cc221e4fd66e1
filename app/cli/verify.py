"""`bailiwick plans verify`."""

from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli.session import AT_TERMINAL, console, print_json, wait_for, with_database
from app.db.session import Database
from app.errors import NotFound
from app.plans.plan_runs import request_run
from app.plans.verify_job import KIND
from app.plans.verify_schemas import Verification
from app.settings import Settings


def verify(
    plan_id: Annotated[int, typer.Argument(min=1, max=2**62, help="The plan to make again")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Make a plan again from its manifest and its input: 0 if it is identical, 1 if not."""

    async def action(settings: Settings, database: Database) -> dict[str, Any]:
        async with database.writing(AT_TERMINAL) as session:
            run = await request_run(session, KIND, plan_id, AT_TERMINAL.actor)
        return await wait_for(settings, database, run.id, is_quiet=as_json)

    try:
        found = Verification.model_validate(with_database(action))
    except NotFound as error:
        raise typer.BadParameter(error.detail) from None
    if as_json:
        print_json(found.model_dump())
    else:
        _show(found)
    if not found.identical:
        raise typer.Exit(1)


def _show(found: Verification) -> None:
    table = Table("check", "", "what was found")
    for check in found.checks:
        style = None if check.ok else "red"
        table.add_row(check.name, "ok" if check.ok else "not so", check.detail, style=style)
    console.print(table)
    said = "is identical to" if found.identical else "is not, or not known to be,"
    console.print(
        f"Plan {found.plan_id} {said} what its manifest and its input come to.", highlight=False
    )
