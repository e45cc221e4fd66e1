"""`bailiwick keys`: who may call the API."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from app import auth
from app.auth.keys import ALL_SCOPES, LIMITED_ROLES
from app.cli.session import AT_TERMINAL, console, print_json, with_database
from app.db.session import Database
from app.errors import InvalidInput
from app.settings import Role, Settings

Prefix = Annotated[str, typer.Argument(help="The part between the underscores")]

commands = typer.Typer(help="API keys.", no_args_is_help=True)


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is")],
    role: Annotated[Role, typer.Option()] = "viewer",
    rep_id: Annotated[
        int | None, typer.Option(min=1, max=2**62, help="For the roles rep and manager")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Valid for so many days")
    ] = None,
    scope: Annotated[
        list[str], typer.Option(help="read, write or metrics; by default all that the role may")
    ] = list(ALL_SCOPES),  # noqa: B006 (typer copies it)
) -> None:
    """Make a key and print it; it cannot be shown again."""
    if role in LIMITED_ROLES and rep_id is None:
        raise InvalidInput(f"The role {role} needs --rep-id: it says whose territories are seen.")
    if role not in LIMITED_ROLES and rep_id is not None:
        raise InvalidInput(f"The role {role} sees everything; --rep-id would not limit it.")
    unknown = sorted(set(scope) - set(ALL_SCOPES))
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is no scope: {', '.join(ALL_SCOPES)}.")
    if not name.strip():
        raise InvalidInput("A key needs a name.")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def action(settings: Settings, database: Database) -> str:
        async with database.writing(AT_TERMINAL) as session:
            return await auth.create_key(session, name, role, rep_id, expires_at, scope)

    typer.echo(with_database(action))


@commands.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the keys, without their secrets."""

    async def action(settings: Settings, database: Database) -> list[dict[str, Any]]:
        names = (
            "prefix", "name", "role", "rep_id", "scopes", "created_at", "expires_at", "revoked_at",
            "last_used_at",
        )  # fmt: skip
        async with database.reading() as session:
            keys = await auth.list_keys(session)
            return [{name: getattr(key, name) for name in names} for key in keys]

    found = with_database(action)
    if as_json:
        print_json(found)
        return
    table = Table()
    # The other commands take the whole prefix, however narrow the terminal is.
    table.add_column("prefix", no_wrap=True, min_width=12)
    for column in ("name", "role", "rep", "may", "created", "expires", "revoked", "used"):
        table.add_column(column)
    for key in found:
        shown = {**key, "scopes": ", ".join(key["scopes"])}
        table.add_row(*("" if value is None else str(value)[:19] for value in shown.values()))
    console.print(table)


@commands.command()
def rotate(
    prefix: Prefix,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="The old key works for so long still")
    ] = 24,
) -> None:
    """Replace a key: print a new one for the same caller; the old one ends after the overlap."""

    async def action(settings: Settings, database: Database) -> str:
        async with database.writing(AT_TERMINAL) as session:
            return await auth.rotate_key(session, prefix, timedelta(hours=overlap_hours))

    typer.echo(with_database(action))


@commands.command()
def revoke(prefix: Prefix) -> None:
    """Make a key invalid from now on."""

    async def action(settings: Settings, database: Database) -> None:
        async with database.writing(AT_TERMINAL) as session:
            await auth.revoke_key(session, prefix)

    with_database(action)
    console.print(f"The key {prefix} is revoked.")
