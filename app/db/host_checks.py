"""What `bailiwick doctor` looks at on this machine: room, the private cluster, files it needs."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from app.db.checks import Finding, State
from app.db.cluster import ADMIN_ROLE, DATABASE, Cluster
from app.db.programs import last_words

LITTLE_BYTES, VERY_LITTLE_BYTES = 5 * 2**30, 2**29


def disk(name: str, folder: Path) -> Finding:
    """There is room on the disk of a folder."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    seen = f"{free / 2**30:.1f} GB free in {existing}"
    if free < LITTLE_BYTES:
        state: State = "failed" if free < VERY_LITTLE_BYTES else "warning"
        return Finding(f"disk-{name}", state, seen, "make room, or move it to a larger disk")
    return Finding(f"disk-{name}", "ok", seen)


def disks(home: Path, cluster: Cluster | None) -> list[Finding]:
    """There is room where we write."""
    found = [disk("home", home.absolute()), disk("temporary", Path(tempfile.gettempdir()))]
    return found if cluster is None else [*found, disk("data", cluster.places.data)]


def running(cluster: Cluster) -> Finding:
    """The private cluster runs."""
    status = cluster.status()
    if not status.is_running:
        seen = "is not running" if status.is_made else "was never made"
        return Finding("cluster", "failed", seen, "run: bailiwick db up")
    return Finding("cluster", "ok", f"runs (pid {status.pid}), data in {status.data}")


def page(folder: Path) -> Finding:
    """The map page has been built."""
    if not (folder / "index.html").is_file():
        return Finding("page", "warning", f"there is none in {folder}", "run: make setup")
    return Finding("page", "ok", f"built, in {folder}")


def kernels(home: Path) -> Finding:
    """The solver need not be compiled first."""
    folder = home.absolute() / "numba-cache"
    n_files = sum(1 for path in folder.rglob("*.nbc")) if folder.is_dir() else 0
    if n_files == 0:
        return Finding(
            "kernels", "warning", f"none compiled in {folder}",
            "nothing, if the first design may take a minute longer",
        )  # fmt: skip
    return Finding("kernels", "ok", f"{n_files} compiled")


def damage(cluster: Cluster) -> Finding:
    """Every table and index can be read and is in order, says pg_amcheck."""
    done = subprocess.run(
        cluster.places.command(
            cluster.places.binaries / "pg_amcheck", "--install-missing", "--heapallindexed",
            f"--host={cluster.places.socket}", f"--username={ADMIN_ROLE}", DATABASE,
        ),
        capture_output=True,
    )  # fmt: skip
    if done.returncode != 0:
        seen = last_words(done.stdout + done.stderr)
        return Finding("damage", "failed", seen, "restore a backup on another disk")
    return Finding("damage", "ok", "pg_amcheck has found none")
