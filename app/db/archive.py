"""One file made by pg_dump in its custom format: what is in it, and its SQL."""

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

from app.db.programs import Programs, last_words
from app.errors import InvalidInput, ServiceError

Section = Literal["pre-data", "data", "post-data"]

# Whoever has these has a database of ours; each has been there since the first revision.
OUR_TABLES = frozenset({"alembic_version", "customer", "layer", "plan", "plan_cell", "run"})
# Extensions and the schema `public` are the server's: on a managed one they cannot be made anew.
NOT_RESTORED = (
    " EXTENSION ",
    " COMMENT - EXTENSION ",
    " SCHEMA - public ",
    " COMMENT - SCHEMA public ",
    " TABLE DATA public spatial_ref_sys ",
)
# Stands behind what pg_dump wrote, which has check sums for rows alone and reads over what follows.
SEAL = b"\nbailiwick-backup sha256 "
SEAL_BYTES = len(SEAL) + 64 + 1
# The end of a block of rows, as COPY writes it.
END_OF_ROWS = b"\\.\n"
PIECE_BYTES = 2**20


class Damaged(ServiceError):
    """A backup that cannot be read to its end."""

    title = "The backup is damaged"
    code = "damaged-backup"


@dataclass(frozen=True)
class Archive:
    """A file and the programs to read it with."""

    path: Path
    programs: Programs

    @cached_property
    def entries(self) -> list[str]:
        """The lines of the table of contents.

        Raises
        ------
        InvalidInput
            When the file is none of `bailiwick db backup`.
        Damaged
            When a part is missing or altered.
        """
        self._check_seal()
        try:
            listing = self._read("--list")
        except Damaged as error:
            raise InvalidInput(f"{self.path} is no backup: {error.detail}") from None
        entries = [line for line in listing.decode().splitlines() if line[:1].isdecimal()]
        missing = OUR_TABLES - self._tables(entries)
        if missing:
            raise InvalidInput(
                f"{self.path} is not a backup of Bailiwick: it has no table {min(missing)}."
            )
        return entries

    @property
    def tables(self) -> frozenset[str]:
        """The tables of the schema `public`."""
        return self._tables(self.entries)

    @cached_property
    def revision(self) -> str:
        """The revision of the tables.

        Raises
        ------
        InvalidInput
            When the file does not say it.
        """
        assert self.entries
        rows = self._read("--data-only", "--table=alembic_version", "--file=-")
        found = re.search(rb"^COPY public\.alembic_version .*;\n(\w+)\n\\\.$", rows, re.MULTILINE)
        if found is None:
            raise InvalidInput(f"{self.path} does not say the revision of its tables.")
        return found[1].decode()

    def check(self) -> None:
        """Read everything once, to the end.

        Raises
        ------
        InvalidInput
            When it is no backup of ours.
        Damaged
            When a part is missing or altered.
        """
        assert self.revision
        self._read("--file=/dev/null")

    @contextmanager
    def sql(self, section: Section) -> Iterator[IO[bytes]]:
        """Give the SQL of one section that makes our part of the database.

        Raises
        ------
        Damaged
            At the end, when the file could not be read to its end: what was given is not whole.
        """
        with self._wanted_entries() as (name, descriptor), tempfile.TemporaryFile() as said:
            words = ("--no-owner", "--no-privileges", f"--section={section}", f"--use-list={name}")
            with self.path.open("rb") as source:
                process = subprocess.Popen(
                    self.programs.command("pg_restore", *words, "--file=-"),
                    stdin=source, stdout=subprocess.PIPE, stderr=said, pass_fds=(descriptor,),
                )  # fmt: skip
            assert process.stdout is not None
            try:
                yield process.stdout
                code = process.wait()
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            if code != 0:
                said.seek(0)
                raise Damaged(f"{self.path}: pg_restore ended by {code}: {last_words(said.read())}")

    @contextmanager
    def _wanted_entries(self) -> Iterator[tuple[str, int]]:
        """Give a list of what is restored, as a file that the cluster's user may read too."""
        wanted = [line for line in self.entries if not _is_foreign(line)]
        descriptor = os.memfd_create("entries")
        try:
            os.fchmod(descriptor, 0o444)
            with open(descriptor, "w", closefd=False) as file:
                file.write("\n".join(wanted) + "\n")
            yield f"/proc/self/fd/{descriptor}", descriptor
        finally:
            os.close(descriptor)

    def _check_seal(self) -> None:
        with self._open() as file:
            size = max(0, os.fstat(file.fileno()).st_size - SEAL_BYTES)
            found = digest_of(file, size)
            seal = file.read(SEAL_BYTES + 1)
        if not seal.startswith(SEAL):
            raise InvalidInput(
                f"{self.path} is no backup: cut off, or not of `bailiwick db backup`."
            )
        if seal != SEAL + found.encode() + b"\n":
            raise Damaged(f"{self.path} is not what was written: its check sum is another.")

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be read: {error.strerror}.") from None

    def _read(self, *words: str) -> bytes:
        with self._open() as source:
            done = subprocess.run(
                self.programs.command("pg_restore", *words), stdin=source, capture_output=True
            )
        if done.returncode != 0:
            raise Damaged(f"pg_restore says: {last_words(done.stderr)}")
        return done.stdout

    @staticmethod
    def _tables(entries: Sequence[str]) -> frozenset[str]:
        found = (re.match(r"\d+; \d+ \d+ TABLE public (\S+) ", line) for line in entries)
        return frozenset(match[1] for match in found if match)


def seal(file: IO[bytes]) -> None:
    """Write the check sum of what is in a file behind it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    digest = digest_of(file, size)
    file.seek(size)
    file.write(SEAL + digest.encode() + b"\n")
    file.flush()


def digest_of(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 of the next `size` bytes."""
    digest = hashlib.sha256()
    while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


def _is_foreign(entry: str) -> bool:
    return any(part in entry for part in NOT_RESTORED)
