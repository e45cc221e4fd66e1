"""`bailiwick import`: files into the database."""

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.table import Table

from app.cli.session import AT_TERMINAL, console, notes, print_json, wait_for, with_database
from app.db.session import Database
from app.errors import Fault, InvalidInput
from app.imports.faults import list_faults
from app.imports.schemas import ImportFaultView, read_request
from app.imports.service import submit_file
from app.settings import Settings

FAULTS_SHOWN = 20


def import_file(
    kind: Annotated[Literal["customers", "reps"], typer.Argument()],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    column: Annotated[
        list[str], typer.Option("--map", help="FIELD=COLUMN or FIELD=COLUMN1,COLUMN2")
    ] = [],  # noqa: B006 (typer copies it)
    on_error: Annotated[Literal["abort", "skip"], typer.Option(help="At a bad row")] = "skip",
    dry_run: Annotated[bool, typer.Option(help="Report, store nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Import customers or reps from CSV or GeoJSON."""
    given = {"kind": kind, "on_error": on_error, "dry_run": str(dry_run)}
    request = read_request({**given, "mapping": orjson.dumps(_mapping(column)).decode()})

    async def action(settings: Settings, database: Database) -> tuple[int, dict[str, Any]]:
        async with database.writing(AT_TERMINAL) as session:
            run = await submit_file(session, settings, request, file, file.name, AT_TERMINAL.actor)
        return run.id, await wait_for(settings, database, run.id, is_quiet=as_json)

    run_id, result = with_database(action)
    if as_json:
        print_json({"run_id": run_id, **result})
        return
    console.print(result["message"], highlight=False)
    if result["rejected"]:
        _show_faults(run_id)
    if result["rejected"] == result["rows"] > 0:
        raise typer.Exit(1)


def _show_faults(run_id: int) -> None:
    """Print the first refused rows, and where to read the others."""

    async def action(settings: Settings, database: Database) -> list[ImportFaultView]:
        async with database.reading() as session:
            faults = await list_faults(session, run_id, 0, FAULTS_SHOWN)
            return [ImportFaultView.of(fault) for fault in faults]

    table = Table("row", "field", "reason")
    for fault in with_database(action):
        table.add_row(str(fault.row or "file"), fault.field or "", fault.detail)
    notes.print(table)
    notes.print(f"All of them: GET /v1/imports/{run_id}/errors", highlight=False)


def _mapping(pairs: list[str]) -> dict[str, str | list[str]]:
    mapping: dict[str, str | list[str]] = {}
    for pair in pairs:
        field, separator, columns = pair.partition("=")
        if not separator or not field or not columns:
            fault = Fault("mapping", "write FIELD=COLUMN or FIELD=COLUMN1,COLUMN2", "--map")
            raise InvalidInput(f"{pair!r} is not a mapping.", [fault])
        names = columns.split(",")
        mapping[field] = names[0] if len(names) == 1 else names
    return mapping
