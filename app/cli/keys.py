"""`bailiwick keys`: who may call the API."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from app import auth
from app.cli.session import console, print_json, with_database
from app.db.session import Database
from app.errors import InvalidInput
from app.settings import Settings

commands = typer.Typer(help="API keys.", no_args_is_help=True)

RoleName = Literal["admin", "planner", "manager", "rep", "viewer"]


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is")],
    role: Annotated[RoleName, typer.Option()] = "viewer",
    rep_id: Annotated[
        int | None, typer.Option(min=1, max=2**62, help="For the roles rep and manager")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Valid for so many days")
    ] = None,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    if role in ("rep", "manager") and rep_id is None:
        raise InvalidInput(f"The role {role} needs --rep-id: it says whose territories are seen.")
    if role not in ("rep", "manager") and rep_id is not None:
        raise InvalidInput(f"The role {role} sees everything; --rep-id would not limit it.")
    if not name.strip():
        raise InvalidInput("A key needs a name.")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def action(settings: Settings, database: Database) -> str:
        async with database.writing() as session:
            return await auth.create_key(session, name, role, rep_id, expires_at)

    typer.echo(with_database(action))


@commands.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the keys, without their secrets."""

    async def action(settings: Settings, database: Database) -> list[dict[str, Any]]:
        names = ("prefix", "name", "role", "rep_id", "created_at", "expires_at", "revoked_at")
        async with database.reading() as session:
            keys = await auth.list_keys(session)
            return [{name: getattr(key, name) for name in names} for key in keys]

    found = with_database(action)
    if as_json:
        print_json(found)
        return
    table = Table("prefix", "name", "role", "rep", "created", "expires", "revoked")
    for key in found:
        table.add_row(*("" if value is None else str(value)[:19] for value in key.values()))
    console.print(table)


@commands.command()
def revoke(prefix: Annotated[str, typer.Argument(help="The part between the underscores")]) -> None:
    """Make a key invalid from now on."""

    async def action(settings: Settings, database: Database) -> None:
        async with database.writing() as session:
            await auth.revoke_key(session, prefix)

    with_database(action)
    console.print(f"The key {prefix} is revoked.")
