"""What processes may leave behind in the system: children, folders, sessions, locks."""

from pathlib import Path

from tests.faults.harness import Site

SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND application_name LIKE 'bailiwick%'
"""
# A pool may keep sessions while its process lives, but idle ones.
AT_WORK = f"{SESSIONS} AND state <> 'idle'"
ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


def open_transactions(site: Site) -> int:
    return int(site.value(AT_WORK))


def sessions(site: Site) -> int:
    """Return how many sessions there are, which go with the processes that opened them."""
    return int(site.value(SESSIONS))


def advisory_locks(site: Site) -> int:
    return int(site.value(ADVISORY))


def computing_children(site: Site) -> list[int]:
    """Return the children that compute in a folder of this site, found by their command line."""
    mark = str(site.folder).encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"app.jobs.child_main" in words and any(mark in word for word in words):
            found.append(int(path.parent.name))
    return found


def work_folders(site: Site) -> list[Path]:
    """Return the temporary folders of computations that are left."""
    return sorted(site.folder.glob("*/tmp/bailiwick-work-*"))
