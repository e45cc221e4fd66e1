"""The private cluster: really made, started, killed and started again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from app.db import cluster, places
from app.db.access import Access
from app.db.cluster import ADMIN_ROLE, APPLICATION_ROLE, OWNER_ROLE, Cluster
from app.db.migrate import newest_revision, upgrade
from app.db.session import Database
from app.errors import SetupError
from app.settings import Settings
from tests.conftest import REPOSITORY

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root starts processes as others")

Home = Iterator[Path]


@pytest.fixture
def own_home() -> Home:
    """A folder that the postgres user may walk to, whose cluster is down and gone afterwards."""
    folder = _new_home()
    yield folder
    _remove(folder)


@pytest.fixture(scope="module")
def stopped() -> Iterator[Cluster]:
    """A cluster that was up once, to be copied: `initdb` is what takes time."""
    cluster = Cluster(_new_home())
    cluster.up()
    cluster.down()
    yield cluster
    _remove(cluster.home)


@pytest.fixture
def made(stopped: Cluster, own_home: Path) -> Cluster:
    """A cluster of the test's own, made and not running."""
    _copy(stopped, own_home)
    return Cluster(own_home)


@pytest.fixture(scope="module")
def running(stopped: Cluster) -> Iterator[Cluster]:
    """One cluster for all tests that leave it running."""
    home = _new_home()
    _copy(stopped, home)
    cluster = Cluster(home)
    cluster.up()
    yield cluster
    _remove(home)


def _new_home() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-cluster-"))
    folder.chmod(0o755)
    return folder


def _copy(cluster: Cluster, home: Path) -> None:
    home.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", cluster.places.base, home], check=True)


def _remove(home: Path) -> None:
    home.chmod(0o755)
    cluster = Cluster(home)
    cluster.down()
    _remove_places(cluster)
    shutil.rmtree(home)


def _remove_places(cluster: Cluster) -> None:
    """Remove what a cluster keeps outside of its home."""
    for folder in (cluster.places.base, cluster.places.socket):
        if folder.is_relative_to(places.SYSTEM_BASE):
            own = places.SYSTEM_BASE / folder.relative_to(places.SYSTEM_BASE).parts[0]
            shutil.rmtree(own, ignore_errors=True)
        elif not folder.is_relative_to(cluster.home):
            shutil.rmtree(folder, ignore_errors=True)


def _connect(
    cluster: Cluster, role: str = ADMIN_ROLE, database: str = "bailiwick"
) -> psycopg.Connection:
    return psycopg.connect(
        host=str(cluster.places.socket), user=role, dbname=database, autocommit=True
    )


def _setting(cluster: Cluster, name: str) -> str:
    with _connect(cluster) as connection:
        row = connection.execute(f"SHOW {name}").fetchone()
    assert row is not None
    return str(row[0])


def _crash(cluster: Cluster) -> int:
    """End a server as a power cut would, and wait until its last process is gone."""
    key, memory = (cluster.places.data / "postmaster.pid").read_text().split("\n")[6].split()
    pid = _kill_postmaster(cluster)
    while _is_attached(key, memory):
        time.sleep(0.01)
    return pid


def _kill_postmaster(cluster: Cluster) -> int:
    """Kill the postmaster alone, and wait until it is gone."""
    pid = cluster.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}/cmdline").exists() and _cmdline(pid):
        time.sleep(0.01)
    return pid


def _is_attached(key: str, memory: str) -> bool:
    """Tell whether any process still has a piece of shared memory."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    return any(row[:2] == [key, memory] and row[6] != "0" for row in rows)


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _python(script: str, *words: str | Path, prefix: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_up_twice_leaves_the_first_server_running(running: Cluster) -> None:
    before = running.status()

    after = running.up()

    assert after.is_running
    assert after.pid == before.pid


def test_status_of_nothing_says_so_and_makes_nothing(own_home: Path) -> None:
    status = Cluster(own_home / "absent").status()

    assert not status.is_made
    assert not status.is_running
    assert status.pid is None
    assert not (own_home / "absent").exists()


def test_down_tells_whether_there_was_anything_to_stop_and_keeps_the_data(made: Cluster) -> None:
    made.up()
    with _connect(made) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")

    assert made.down() is True
    assert made.down() is False
    assert made.status().is_made
    assert not made.status().is_running

    made.up()
    with _connect(made) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
    ],
)
def test_data_is_safe_and_nothing_listens_on_tcp(running: Cluster, name: str, value: str) -> None:
    assert _setting(running, name) == value


def test_the_socket_folder_is_open_to_its_owner_only(running: Cluster) -> None:
    assert running.places.socket.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("role", [APPLICATION_ROLE, OWNER_ROLE])
def test_neither_role_of_ours_is_a_superuser(running: Cluster, role: str) -> None:
    with _connect(running) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles "
            "WHERE rolname = %s",
            (role,),
        ).fetchone()

    assert row == (False, False, False, False)


@pytest.mark.parametrize("statement", ["CREATE TABLE intruder (a int)", "CREATE SCHEMA intruder"])
def test_the_application_cannot_create_tables(running: Cluster, statement: str) -> None:
    with _connect(running, APPLICATION_ROLE) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_application_cannot_drop_or_truncate_what_the_owner_made(settings: Settings) -> None:
    with psycopg.connect(Access.of(settings).conninfo, autocommit=True) as connection:
        for statement in ("DROP TABLE rep", "TRUNCATE rep", "ALTER TABLE rep ADD x int"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@needs_root
def test_under_root_the_server_belongs_to_the_postgres_user(running: Cluster) -> None:
    pid = running.status().pid

    assert Path(f"/proc/{pid}").owner() == "postgres"
    assert running.places.data.owner() == "postgres"
    assert not running.status().is_relocated


@needs_root
def test_root_without_ptrace_rights_sees_that_the_server_runs(running: Cluster) -> None:
    # As in a container: the working folder of another user's process is hidden there.
    if shutil.which("capsh") is None:
        pytest.skip("capsh, which drops capabilities, is not installed")
    script = (
        "import sys; from pathlib import Path; from app.db.cluster import Cluster\n"
        "print(Cluster(Path(sys.argv[1])).up().pid)"
    )
    prefix = ("capsh", "--drop=cap_sys_ptrace", "--shell=/usr/bin/env", "--")

    seen = _python(script, running.home, prefix=prefix)

    assert int(seen) == running.status().pid


@needs_root
def test_an_ordinary_user_runs_a_cluster_as_themselves(own_home: Path, stopped: Cluster) -> None:
    _copy(stopped, own_home)
    subprocess.run(["chown", "-R", "nobody:nogroup", own_home], check=True)
    prefix = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    if subprocess.run([*prefix, sys.executable, "-c", "import psycopg"], cwd="/").returncode:
        pytest.skip("this Python cannot be run by nobody")
    script = """
import sys
from pathlib import Path
from app.db.cluster import Cluster
cluster = Cluster(Path(sys.argv[1]))
status = cluster.up()
print(Path(f"/proc/{status.pid}").owner(), status.data.owner(), status.is_relocated)
assert cluster.up().pid == status.pid
assert cluster.down()
"""

    seen = _python(script, own_home, prefix=prefix)

    assert seen.split() == ["nobody", "nobody", "False"]


@needs_root
def test_below_a_private_home_the_data_moves_where_postgres_can_reach_it(own_home: Path) -> None:
    own_home.chmod(0o700)
    cluster = Cluster(own_home / "deep" / "home")

    try:
        status = cluster.up()

        assert status.is_relocated
        assert status.data.parent.parent == places.SYSTEM_BASE
        assert status.socket.is_relative_to(status.data.parent)
        assert cluster.status().is_running
        assert not (cluster.home / "postgres").exists()
    finally:
        cluster.down()
        _remove_places(cluster)


@needs_root
def test_a_private_umask_does_not_shut_the_postgres_user_out(own_home: Path) -> None:
    cluster = Cluster(own_home / "new" / "home")
    before = os.umask(0o077)
    try:
        assert cluster.up().is_running
    finally:
        os.umask(before)
        cluster.down()


def test_a_server_that_was_killed_starts_again_with_its_data(made: Cluster) -> None:
    made.up()
    with _connect(made) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    dead = _crash(made)
    assert not made.status().is_running

    status = made.up()

    assert status.pid != dead
    with _connect(made) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_pid_file_whose_pid_belongs_to_another_process_does_not_stop_the_start(
    made: Cluster,
) -> None:
    made.up()
    dead = _crash(made)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        for path in (
            made.places.data / "postmaster.pid",
            made.places.socket / f"{places.SOCKET_NAME}.lock",
        ):
            path.write_text(path.read_text().replace(str(dead), str(stranger.pid), 1))
        assert not made.status().is_running

        assert made.up().is_running
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_session_of_a_killed_server_that_still_works_keeps_the_next_server_away(
    made: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SESSIONS_END_WITHIN_S", 1)
    # Two servers over the same files would destroy them.
    made.up()
    with _connect(made) as connection, ThreadPoolExecutor(1) as pool:
        session = connection.info.backend_pid
        endless = "SELECT count(*) FROM generate_series(1, 1000000000)"
        answer = pool.submit(connection.execute, endless)
        while not _has_state(session, "R"):
            time.sleep(0.01)
        _kill_postmaster(made)

        with pytest.raises(SetupError, match="shared memory"):
            made.up()

        os.kill(session, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            answer.result()
    while _cmdline(session):
        time.sleep(0.01)
    assert made.up().is_running


def _has_state(pid: int, state: str) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == state


def test_an_empty_pid_file_does_not_stop_the_start(made: Cluster) -> None:
    made.up()
    _crash(made)
    (made.places.data / "postmaster.pid").write_text("")

    assert made.up().is_running


def test_a_too_long_socket_path_is_exchanged_for_a_short_one(
    own_home: Path, stopped: Cluster
) -> None:
    _copy(stopped, own_home / ("long" * 20))
    cluster = Cluster(own_home / ("long" * 20))

    status = cluster.up()

    try:
        assert len(os.fsencode(status.socket / places.SOCKET_NAME)) <= places.LONGEST_SOCKET_PATH
        assert not status.socket.is_relative_to(own_home)
        assert status.data.is_relative_to(own_home)
        with _connect(cluster) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        cluster.down()
        _remove_places(cluster)


def test_the_longest_socket_path_that_fits_is_used(tmp_path: Path) -> None:
    room = places.LONGEST_SOCKET_PATH - len(f"/postgres/run/{places.SOCKET_NAME}")
    fitting = Path("/" + "h" * (room - 1))

    assert places.find_places(fitting).socket.is_relative_to(fitting)
    assert not places.find_places(Path(f"{fitting}h")).socket.is_relative_to(fitting.parent / "h")
    assert len(str(fitting / "postgres/run" / places.SOCKET_NAME)) == 107


async def test_a_home_with_odd_characters_is_reached_by_every_kind_of_connection(
    own_home: Path, stopped: Cluster
) -> None:
    odd = own_home / "my home, 100% & more+#"
    settings = Settings(home=odd, auth="off")
    _copy(stopped, odd)
    cluster = Cluster(odd)
    cluster.up()
    try:
        access = Access.of(settings)
        upgrade(access.owner_url, access.url.username)
        database = Database.of(settings)
        async with database.reading():
            pass
        await database.close()
        with psycopg.connect(access.conninfo) as connection:
            assert connection.info.user == APPLICATION_ROLE
    finally:
        _remove(odd)


def test_two_starts_at_once_end_with_one_server(own_home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.db.cluster import Cluster\n"
        "print(Cluster(Path(sys.argv[1])).up().pid)"
    )
    with ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(lambda _: int(_python(script, own_home)), range(2)))

    assert seen[0] == seen[1] == Cluster(own_home).status().pid


def test_an_initdb_that_was_killed_half_way_is_made_anew(own_home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.db.cluster import Cluster\n"
        "Cluster(Path(sys.argv[1])).up()"
    )
    starting = subprocess.Popen(
        [sys.executable, "-c", script, str(own_home)],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.DEVNULL,
    )
    while not list(own_home.glob("postgres/*/PG_VERSION")):
        time.sleep(0.002)
    os.killpg(starting.pid, signal.SIGKILL)
    starting.wait()
    assert not list(own_home.glob("postgres/*/postmaster.pid")), (
        "the kill came too late to mean much"
    )

    assert Cluster(own_home).up().is_running


@pytest.mark.parametrize("is_postgres_there", [True, False])
def test_without_postgis_the_one_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_postgres_there: bool
) -> None:
    binaries = tmp_path / "postgresql"
    if is_postgres_there:
        # A version that PostGIS is not installed for.
        (binaries / "3" / "bin").mkdir(parents=True)
        (binaries / "3" / "bin" / "postgres").touch()
    monkeypatch.setattr(places, "BINARIES", binaries)

    with pytest.raises(SetupError) as refused:
        Cluster(tmp_path / "home")

    assert places.INSTALL_HINT in refused.value.detail
    assert "BAILIWICK_DATABASE_URL" in refused.value.detail
    assert ("PostgreSQL is, PostGIS is not" in refused.value.detail) or not is_postgres_there


def test_a_server_that_will_not_start_is_quoted(made: Cluster) -> None:
    made.up()
    made.down()
    with (made.places.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")

    with pytest.raises(SetupError, match="no_such_setting"):
        made.up()


async def test_another_server_is_used_where_its_url_is_given(running: Cluster) -> None:
    with _connect(running, database="postgres") as connection:
        connection.execute(f"CREATE DATABASE other OWNER {OWNER_ROLE}")
    url = f"postgresql://{OWNER_ROLE}@/other?host={running.places.socket}"
    settings = Settings(home=Path("/nonexistent"), database_url=url, auth="off")
    with _connect(running, database="other") as connection:
        connection.execute("CREATE EXTENSION postgis; CREATE EXTENSION btree_gist")
    access = Access.of(settings)

    assert upgrade(access.owner_url, access.url.username) == newest_revision()

    assert not access.is_private
    database = Database.of(settings)
    async with database.reading() as session:
        connection = await session.connection()
        assert connection.engine.url.database == "other"
    await database.close()


async def test_a_server_may_have_an_owner_of_its_own(running: Cluster) -> None:
    with _connect(running, database="postgres") as connection:
        connection.execute(f"CREATE DATABASE owned OWNER {OWNER_ROLE}")
    with _connect(running, database="owned") as connection:
        connection.execute("CREATE EXTENSION postgis; CREATE EXTENSION btree_gist")
    place = f"/owned?host={running.places.socket}"
    settings = Settings(
        database_url=f"postgresql://{APPLICATION_ROLE}@{place}",
        owner_database_url=f"postgresql://{OWNER_ROLE}@{place}",
    )
    access = Access.of(settings)

    upgrade(access.owner_url, access.url.username)

    with psycopg.connect(access.conninfo, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM customer").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE customer")


def test_a_database_without_postgis_says_who_must_run_what(running: Cluster) -> None:
    with _connect(running, database="postgres") as connection:
        connection.execute(f"CREATE DATABASE bare OWNER {OWNER_ROLE}")
    url = f"postgresql://{OWNER_ROLE}@/bare?host={running.places.socket}"

    with pytest.raises(SetupError, match="CREATE EXTENSION postgis;"):
        upgrade(Access.of(Settings(database_url=url)).owner_url, None)


def test_a_url_that_cannot_be_read_is_a_set_up_problem_without_its_password() -> None:
    with pytest.raises(SetupError) as refused:
        Access.of(Settings(database_url="postgres//me:secret@host"))

    assert "secret" not in str(refused.value)
