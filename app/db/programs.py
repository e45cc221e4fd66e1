"""PostgreSQL's own programs: where they are, of which version, and as whom they run."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.db.access import Access
from app.db.places import BINARIES, Places, find_places
from app.errors import SetupError
from app.settings import Settings

CLIENT_HINT = "apt-get install -y --no-install-recommends postgresql-client"


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of programs of one version; `places` when they belong to a private cluster."""

    folder: Path
    version: int
    places: Places | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Programs":
        """Return the programs of the private cluster, or those on the path for another server.

        Raises
        ------
        SetupError
            When there are none; names the command that installs them.
        """
        if settings.database_url is None:
            places = find_places(settings.home)
            return cls(places.binaries, _version(places.binaries / "pg_dump"), places)
        found = [
            cls(folder, _version(folder / "pg_dump"))
            for folder in (*_on_path(), *(folder / "bin" for folder in BINARIES.glob("*")))
            if (folder / "pg_dump").exists() and (folder / "pg_restore").exists()
        ]
        if not found:
            raise SetupError(
                "pg_dump and pg_restore are not installed. Install those of the server's version "
                f"or newer:\n\n    {CLIENT_HINT}"
            )
        return max(found, key=lambda programs: programs.version)

    def must_serve(self, server_version: int) -> None:
        """Refuse a server that is newer than the programs.

        Raises
        ------
        SetupError
            With both versions: PostgreSQL's programs read servers of their own age and older.
        """
        if self.version < server_version:
            raise SetupError(
                f"The server is PostgreSQL {server_version} and {self.folder / 'pg_dump'} is of "
                f"version {self.version}. Install postgresql-client-{server_version} or newer."
            )

    def command(self, program: str, *words: str | Path) -> list[str]:
        """Return the command line of a program, run by the cluster's system user."""
        line = [str(self.folder / program), *map(str, words)]
        return line if self.places is None else self.places.command(*line)


def environment(access: Access) -> dict[str, str]:
    """Return the surroundings in which a program may connect as the owner."""
    password = access.owner_url.password
    return dict(os.environ) if password is None else {**os.environ, "PGPASSWORD": str(password)}


def last_words(text: bytes) -> str:
    """Return what a program said last, short enough for a message."""
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-3:])[:500] or "it said nothing"


def _on_path() -> Sequence[Path]:
    found = shutil.which("pg_dump")
    return () if found is None else (Path(found).parent,)


def _version(program: Path) -> int:
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    match = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if match is None:
        raise SetupError(f"{program} does not say its version: {last_words(done.stderr.encode())}")
    return int(match[1])
