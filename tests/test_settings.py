"""Settings from the environment, and everything wrong with them at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.errors import SetupError
from app.settings import Settings, load_settings
from tests.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BAILIWICK_"):
            monkeypatch.delenv(name)


def _faults(refused: pytest.ExceptionInfo[SetupError]) -> dict[str | None, str]:
    return {fault.pointer: fault.code for fault in refused.value.faults}


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load_settings()

    assert settings.auth == "on"
    assert settings.host == "127.0.0.1"
    assert settings.database_url is None


def test_variables_are_read_with_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_PORT", "9000")
    monkeypatch.setenv("BAILIWICK_HOME", "/srv/bailiwick")
    monkeypatch.setenv("BAILIWICK_WORK__CIRCUITY", "1.5")

    settings = load_settings()

    assert (settings.port, settings.home) == (9000, Path("/srv/bailiwick"))
    assert settings.work.circuity == 1.5
    assert settings.work.admin_minutes == 5, "the other numbers stay"


def test_what_the_command_line_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_PORT", "9000")

    assert load_settings(port=7000).port == 7000


def test_a_secret_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://me:secret@host/db\n")
    monkeypatch.setenv("BAILIWICK_DATABASE_URL_FILE", str(tmp_path / "url"))

    settings = load_settings()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://me:secret@host/db"


def test_a_plain_variable_wins_over_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    monkeypatch.setenv("BAILIWICK_PORT_FILE", str(tmp_path / "port"))
    monkeypatch.setenv("BAILIWICK_PORT", "2")

    assert load_settings().port == 2


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://me:hunter2@host/db")

    settings = load_settings()

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_everything_wrong_is_listed_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BAILIWICK_PROT", "8000")
    monkeypatch.setenv("BAILIWICK_COLOUR", "red")
    monkeypatch.setenv("BAILIWICK_PORT", "many")
    monkeypatch.setenv("BAILIWICK_AUTH", "maybe")
    monkeypatch.setenv("BAILIWICK_WORK__CIRCUITY", "0.5")
    monkeypatch.setenv("BAILIWICK_WORK__CIRCUITEE", "1.5")

    with pytest.raises(SetupError) as refused:
        load_settings()

    assert set(_faults(refused)) == {
        "BAILIWICK_PROT",
        "BAILIWICK_COLOUR",
        "BAILIWICK_PORT",
        "BAILIWICK_AUTH",
        "BAILIWICK_WORK__CIRCUITY",
        "BAILIWICK_WORK__CIRCUITEE",
    }
    assert _faults(refused)["BAILIWICK_PROT"] == "unknown-setting"


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_PORT", "hunter2")

    with pytest.raises(SetupError) as refused:
        load_settings()

    assert "hunter2" not in str(refused.value.faults)


def test_a_file_that_cannot_be_read_is_a_set_up_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL_FILE", str(tmp_path / "absent"))

    with pytest.raises(SetupError) as refused:
        load_settings()

    assert "absent" in refused.value.faults[0].detail


ISSUER = {"OIDC_ISSUER": "https://login.example.com/realms/sales", "OIDC_AUDIENCE": "bailiwick"}


def test_an_issuer_of_tokens_is_read_with_its_lists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "roles").write_text('{"Sales Ops": "planner"}')
    given = {"OIDC_ALGORITHMS": "PS256, EdDSA", "OIDC_ROLES_FILE": str(tmp_path / "roles")}
    for name, value in (ISSUER | given).items():
        monkeypatch.setenv(f"BAILIWICK_{name}", value)

    settings = load_settings()

    assert settings.oidc_issuer == ISSUER["OIDC_ISSUER"], "to the letter: no slash is added"
    assert settings.oidc_algorithms == ("PS256", "EdDSA")
    assert settings.oidc_roles == {"Sales Ops": "planner"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_ISSUER", "http://login.example.com"),
        ("OIDC_ISSUER", "http://localhost.example.com"),
        ("OIDC_ISSUER", "https://me:secret@login.example.com"),
        ("OIDC_ISSUER", "https://login.example.com?realm=a"),
        ("OIDC_ISSUER", "https://login.example.com#a"),
        ("OIDC_ISSUER", "https://login.exa\nmple.com"),
        ("OIDC_ISSUER", "https:///realm"),
        ("OIDC_ISSUER", "https://[::1"),
        ("OIDC_ISSUER", "https://login.example.com:99999"),
        ("OIDC_ISSUER", "login.example.com"),
        ("OIDC_ISSUER", "file:///etc/passwd"),
        ("OIDC_ISSUER", ""),
        ("OIDC_AUDIENCE", None),
        ("OIDC_AUDIENCE", ""),
        ("OIDC_JWKS_URL", "http://login.example.com/keys"),
        ("OIDC_ALGORITHMS", "RS256,HS256"),
        ("OIDC_ALGORITHMS", "none"),
        ("OIDC_ALGORITHMS", "rs256"),
        ("OIDC_ALGORITHMS", ""),
        ("OIDC_ROLE_CLAIM", ""),
        ("OIDC_KEY_LIFETIME_S", "0"),
        ("OIDC_REFRESH_COOLDOWN_S", "-1"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused_by_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    for known, good in (ISSUER | {name: value}).items():
        if good is not None:
            monkeypatch.setenv(f"BAILIWICK_{known}", good)

    with pytest.raises(SetupError) as refused:
        load_settings()

    assert set(_faults(refused)) == {f"BAILIWICK_{name}"}
    assert "secret" not in str(refused.value.faults)


@pytest.mark.parametrize("name", ["OIDC_AUDIENCE", "OIDC_JWKS_URL"])
def test_settings_of_an_issuer_need_the_issuer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"BAILIWICK_{name}", "https://login.example.com/keys")

    with pytest.raises(SetupError) as refused:
        load_settings()

    assert set(_faults(refused)) == {f"BAILIWICK_{name}"}
    assert "BAILIWICK_OIDC_ISSUER" in refused.value.faults[0].detail


@pytest.mark.parametrize("host", ["127.0.0.1:9001", "localhost", "[::1]:9001", "127.8.9.1"])
def test_an_issuer_on_loopback_needs_no_tls(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("BAILIWICK_OIDC_ISSUER", f"http://{host}/realm")
    monkeypatch.setenv("BAILIWICK_OIDC_AUDIENCE", "bailiwick")

    assert load_settings().oidc_issuer == f"http://{host}/realm"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        load_settings().port = 1  # type: ignore[misc]


def test_the_limits_of_the_design_are_the_defaults() -> None:
    settings = Settings()

    assert settings.max_upload_bytes == 2**30
    assert settings.max_body_bytes == 8 * 2**20


def test_the_command_line_lists_wrong_settings_and_exits_with_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "db", "status"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY),
            "BAILIWICK_PROT": "8000", "BAILIWICK_PORT": "many",
        },
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert done.returncode == 2
    assert "BAILIWICK_PROT" in done.stderr
    assert "BAILIWICK_PORT" in done.stderr
    assert "Traceback" not in done.stderr
