"""The command line: `bailiwick --help`."""

import sys

import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import DataError, IntegrityError

from app.cli import data, database, keys, life, plans, policies, processes
from app.cli.demo import demo
from app.cli.design import design
from app.cli.doctor import doctor
from app.cli.front import front
from app.cli.rebalance import rebalance
from app.cli.what_if import what_if
from app.errors import ServiceError, SetupError

app = typer.Typer(
    name="bailiwick",
    help="Territory design on H3 cells and PostGIS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database.commands, name="db")
app.add_typer(keys.commands, name="keys")
app.add_typer(life.commands, name="plans")
app.add_typer(policies.commands, name="policies")
app.command()(demo)
app.command()(doctor)
app.command()(processes.serve)
app.command()(processes.worker)
app.command("import")(data.import_file)
app.command()(design)
app.command()(plans.publish)
app.command()(front)
app.command()(rebalance)
app.command("what-if")(what_if)
app.command()(processes.openapi)


def main() -> None:
    """Run the command line; expected errors are said in a few lines, with exit status 1 or 2."""
    try:
        app()
    except ServiceError as error:
        console = Console(stderr=True)
        console.print(
            f"[bold red]{error.title}:[/] {error.detail}", highlight=False, soft_wrap=True
        )
        for fault in error.faults:
            place = fault.pointer or (f"row {fault.row}" if fault.row else fault.code)
            console.print(f"  {place}: {fault.detail}", highlight=False, markup=False)
        sys.exit(2 if isinstance(error, SetupError) else 1)
    except ValidationError as error:
        console = Console(stderr=True)
        console.print("[bold red]Invalid input[/]")
        for item in error.errors():
            place = ".".join(map(str, item["loc"]))
            console.print(f"  {place}: {item['msg']}", highlight=False, markup=False)
        sys.exit(2)
    except PermissionError as error:
        place = error.filename or "a file of Bailiwick's"
        hint = "run this as the user it belongs to"
        Console(stderr=True).print(f"{place} cannot be reached: {hint}.", markup=False)
        sys.exit(2)
    except (IntegrityError, DataError) as error:
        # The driver's own words name the constraint; the statement would not help anyone.
        reason = str(error.orig).strip().splitlines()[-1]
        Console(stderr=True).print(f"The database refuses this: {reason}", markup=False)
        sys.exit(1)
