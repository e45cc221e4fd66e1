"""A backup of the whole database in one file, made while everything goes on."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import make_conninfo

from app.db.access import Access
from app.db.archive import Archive, seal
from app.db.programs import Programs, environment, last_words
from app.errors import Conflict, InvalidInput, ServiceError, SetupError

UNFINISHED = ".unfinished"
WORDS = (
    "--format=custom",
    # Enough: twice the effort makes the file a tenth smaller.
    "--compress=3",
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--schema=public",
    "--schema=jobs",
    "--schema=ogc",
    "--no-password",
    # A restore or an upgrade that goes on has the tables for itself.
    "--lock-wait-timeout=60s",
)


class BackupFailed(ServiceError):
    """The backup could not be written; nothing is left of it."""

    title = "The backup failed"
    code = "backup-failed"


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup."""

    file: Path
    size_bytes: int
    revision: str
    seconds: float


def back_up(access: Access, programs: Programs, file: Path, *, replaces: bool = False) -> Backup:
    """Write the database as it is at this moment to `file`, readable by its owner only.

    The file appears when it is whole and has been read through once.

    Raises
    ------
    Conflict
        When the file exists and may not be replaced.
    SetupError
        When the server does not answer, has no tables of ours, or is newer than the programs.
    BackupFailed
        When it cannot be written, as on a full disk.
    """
    began = time.monotonic()
    if file.exists() and not (replaces and file.is_file()):
        hint = "--force replaces it" if file.is_file() else "name a file"
        raise Conflict(f"{file} exists already: {hint}.")
    programs.must_serve(server_version(access))
    with _beside(file) as (unfinished, target):
        _dump(access, programs, target)
        seal(target)
        archive = Archive(unfinished, programs)
        try:
            archive.check()
        except InvalidInput as error:
            raise SetupError(
                f"There is nothing of ours to back up ({error.detail}). Run: bailiwick db upgrade"
            ) from None
        revision = archive.revision
        os.fsync(target.fileno())
        _put(unfinished, file, replaces)
    _sync_folder(file.absolute().parent)
    return Backup(file, file.stat().st_size, revision, time.monotonic() - began)


def server_version(access: Access) -> int:
    """Return the major version of the server.

    Raises
    ------
    SetupError
        When it does not let us in, with the driver's reason.
    """
    words = {"connect_timeout": "10", "password": access.owner_url.password}
    conninfo = make_conninfo(access.owner_conninfo_without_password, **words)
    try:
        with psycopg.connect(conninfo) as connection:
            return connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise SetupError(f"The database does not let us in: {reason}") from None


def _dump(access: Access, programs: Programs, target: IO[bytes]) -> None:
    command = programs.command(
        "pg_dump", *WORDS, f"--dbname={access.owner_conninfo_without_password}"
    )
    # Through our own descriptor: the cluster's system user need not reach the folder.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=target, stderr=subprocess.PIPE,
        env=environment(access),
    )  # fmt: skip
    if done.returncode != 0:
        raise BackupFailed(f"pg_dump ended by {done.returncode}: {last_words(done.stderr)}")


@contextmanager
def _beside(file: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Give a new file in the folder of `file`; it is gone afterwards, unless it was moved."""
    try:
        descriptor, name = tempfile.mkstemp(UNFINISHED, f".{file.name}.", file.absolute().parent)
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error.strerror}.") from None
    try:
        with open(descriptor, "w+b") as target:
            yield Path(name), target
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        Path(name).unlink(missing_ok=True)


def _put(unfinished: Path, file: Path, replaces: bool) -> None:
    if replaces:
        unfinished.rename(file)
        return
    try:
        # Unlike a rename, refuses what somebody else has put there meanwhile.
        os.link(unfinished, file)
    except FileExistsError:
        raise Conflict(f"{file} exists already: --force replaces it.") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
