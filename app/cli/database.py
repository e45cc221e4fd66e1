"""`bailiwick db`: the private PostGIS and the tables in it."""

from typing import Annotated

import typer

from app.cli.session import console, print_json
from app.db.access import Access
from app.db.cluster import Cluster, ClusterStatus
from app.db.migrate import upgrade as upgrade_database
from app.errors import SetupError
from app.settings import Settings, load_settings

commands = typer.Typer(help="The private PostGIS and its tables.", no_args_is_help=True)


@commands.command()
def up() -> None:
    """Make the private cluster if there is none, and start it."""
    status = _cluster(load_settings()).up()
    console.print(f"PostgreSQL runs (pid {status.pid}), socket in {status.socket}", soft_wrap=True)
    _say_where(status)


@commands.command()
def down() -> None:
    """Stop the private cluster."""
    was_running = _cluster(load_settings()).down()
    console.print("PostgreSQL has stopped." if was_running else "PostgreSQL was not running.")


@commands.command()
def status(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Tell whether the private cluster runs; the exit status is 1 when it does not."""
    found = _cluster(load_settings()).status()
    if as_json:
        print_json(
            {
                "is_made": found.is_made,
                "is_running": found.is_running,
                "pid": found.pid,
                "data": str(found.data),
                "socket": str(found.socket),
            }
        )
    else:
        state = f"runs (pid {found.pid})" if found.is_running else "is not running"
        made = "" if found.is_made else " and was never made"
        console.print(f"PostgreSQL {state}{made}; data in {found.data}", soft_wrap=True)
    raise typer.Exit(0 if found.is_running else 1)


@commands.command()
def upgrade() -> None:
    """Bring the tables to the newest revision."""
    access = Access.of(load_settings())
    revision = upgrade_database(access.owner_url, access.url.username)
    console.print(f"The database is at revision {revision}.")


def _cluster(settings: Settings) -> Cluster:
    if settings.database_url is not None:
        raise SetupError(
            "BAILIWICK_DATABASE_URL names a server of its own: there is no private cluster to run."
        )
    return Cluster(settings.home)


def _say_where(status: ClusterStatus) -> None:
    if status.is_relocated:
        console.print(
            f"The home folder is closed to the postgres user: data is in {status.data}",
            soft_wrap=True,
        )
