"""`bailiwick db`: the private PostGIS and the tables in it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.session import console, print_json
from app.db.access import Access
from app.db.backup import back_up
from app.db.cluster import Cluster, ClusterStatus
from app.db.migrate import upgrade as upgrade_database
from app.db.programs import Programs
from app.db.restore import restore as restore_backup
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
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it")],
    is_forced: Annotated[bool, typer.Option("--force", help="Replace the file")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Write the whole database into one file, while everything goes on."""
    settings = load_settings()
    made = back_up(Access.of(settings), Programs.of(settings), file, replaces=is_forced)
    if as_json:
        print_json({**asdict(made), "file": str(made.file), "seconds": round(made.seconds, 3)})
        return
    console.print(
        f"{made.file}: {made.size_bytes / 2**20:.1f} MB, revision {made.revision}, "
        f"{made.seconds:.1f} s",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


@commands.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `bailiwick db backup`")],
    is_forced: Annotated[
        bool, typer.Option("--force", help="Replace the data that is there")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Bring a backup back, all of it or nothing; then upgrade it."""
    settings = load_settings()
    done = restore_backup(Access.of(settings), Programs.of(settings), file, replaces=is_forced)
    if as_json:
        print_json({**asdict(done), "file": str(done.file), "seconds": round(done.seconds, 3)})
        return
    newer = f", upgraded to {done.revision}" if done.revision != done.made_at_revision else ""
    console.print(
        f"{done.file} is restored: revision {done.made_at_revision}{newer}, {done.seconds:.1f} s",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


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
