"""Where a private cluster keeps its data and its socket, and as whom it runs.

PostgreSQL refuses to run as root, and a unix socket path may have 107 bytes only; both decide the
places below.
"""

import hashlib
import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.errors import SetupError

SYSTEM_BASE = Path("/var/lib/bailiwick")
BINARIES = Path("/usr/lib/postgresql")
# sizeof(sockaddr_un.sun_path) is 108 on Linux, one byte is the closing NUL.
LONGEST_SOCKET_PATH = 107
SOCKET_NAME = ".s.PGSQL.5432"
SYSTEM_USER = "postgres"
INSTALL_HINT = "apt-get install -y --no-install-recommends postgresql-postgis"


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of one private cluster and the system user that owns them."""

    base: Path
    data: Path
    socket: Path
    binaries: Path
    user: str | None
    is_relocated: bool

    @property
    def log(self) -> Path:
        """The file PostgreSQL logs to."""
        return self.base / "postgres.log"

    def command(self, *words: str | Path) -> list[str]:
        """Return `words` as a command run by the cluster's system user."""
        line = [str(word) for word in words]
        if self.user is None:
            return line
        drop = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        return [*drop, "--reset-env", "env", "-C", "/", f"HOME={self.base}", *line]


def find_places(home: Path) -> Places:
    """Return the places of the private cluster that belongs to `home`.

    Raises
    ------
    SetupError
        When PostgreSQL with PostGIS is not installed; names the command that installs it.
    """
    home = home.absolute()
    user = SYSTEM_USER if os.geteuid() == 0 else None
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    base, is_relocated = home / "postgres", False
    if user is not None and not _can_traverse(home, user):
        if (base / "data").exists():
            raise SetupError(
                f"{base} holds a database that the system user {user} cannot reach any more. "
                f"Let it through again: chmod o+x {home} and the folders above."
            )
        base, is_relocated = SYSTEM_BASE / digest, True
    return Places(
        base=base,
        data=base / "data",
        socket=_socket_folder(base, digest),
        binaries=_find_binaries(),
        user=user,
        is_relocated=is_relocated,
    )


def _socket_folder(base: Path, digest: str) -> Path:
    folder = base / "run"
    # PostgreSQL and its clients read a comma as the next of several folders.
    is_plain = not set(str(folder)) & set(",\"'\\")
    if is_plain and len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
        return folder
    if os.geteuid() == 0:
        return SYSTEM_BASE / digest / "run"
    return Path(tempfile.gettempdir()) / f"bailiwick-{os.geteuid()}-{digest}"


def _can_traverse(folder: Path, user: str) -> bool:
    """Tell whether `user` may walk down to `folder`, as far as it exists yet."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return True  # PostgreSQL is missing altogether; `_find_binaries` says so.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    for path in (existing, *existing.parents):
        state = path.stat()
        owned, grouped = state.st_uid == account.pw_uid, state.st_gid == account.pw_gid
        bit = 0o100 if owned else 0o010 if grouped else 0o001
        if not state.st_mode & bit:
            return False
    return True


def _find_binaries() -> Path:
    """Return the binary folder of the newest PostgreSQL that has PostGIS."""
    found = [
        folder / "bin"
        for folder in BINARIES.glob("*")
        if (folder / "bin/postgres").exists() and _has_postgis(folder.name)
    ]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    elsewhere = shutil.which("pg_config")
    raise SetupError(
        "PostgreSQL with PostGIS is not installed"
        + (" (PostgreSQL is, PostGIS is not)" if elsewhere or list(BINARIES.glob("*")) else "")
        + f". Install it with:\n\n    {INSTALL_HINT}\n\n"
        + "or point BAILIWICK_DATABASE_URL to a PostGIS server."
    )


def _has_postgis(version: str) -> bool:
    return Path(f"/usr/share/postgresql/{version}/extension/postgis.control").exists()
