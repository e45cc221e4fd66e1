"""All settings, read once from the environment (prefix `BAILIWICK_`) and frozen.

A secret may be given as a file: `BAILIWICK_DATABASE_URL_FILE=/run/secrets/url`.
"""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from limits import parse
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from app.errors import Fault, SetupError

PREFIX = "BAILIWICK_"
# Read by the test suite and the benchmarks, not by the service.
FOREIGN_NAMES = frozenset({"BAILIWICK_SHARED_DATA"})
Role = Literal["admin", "planner", "manager", "rep", "viewer"]
# Signatures whose key is public. A shared secret (HS256) or no signature is never accepted.
SIGNATURES = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip


class ClassService(BaseModel):
    """How often and how long a customer of one service class is visited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    visits_per_year: float = Field(ge=0)
    service_minutes: float = Field(ge=0)


DEFAULT_CLASSES = {
    "S": ClassService(visits_per_year=130, service_minutes=45),
    "A": ClassService(visits_per_year=36, service_minutes=45),
    "B": ClassService(visits_per_year=12, service_minutes=30),
    "C": ClassService(visits_per_year=4, service_minutes=20),
    "D": ClassService(visits_per_year=0, service_minutes=0),
}


def _time_zone(name: str) -> str:
    # Only names: PostgreSQL and Python read the same ones, from the IANA database.
    if name not in available_timezones():
        raise ValueError("must be the name of a time zone such as Asia/Shanghai")
    return name


class WorkSettings(BaseModel):
    """Parameters of the workload model; formulae and origin of defaults in docs/workload.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: dict[str, ClassService] = DEFAULT_CLASSES
    default_class: str = "C"
    admin_minutes: float = Field(default=5, ge=0)
    fixed_travel_minutes: float = Field(default=3, ge=0)
    circuity: float = Field(default=1.3, ge=1)
    neighbours: int = Field(default=4, ge=1, le=64)
    urban_speed_kmh: float = Field(default=25, gt=0)
    suburban_speed_kmh: float = Field(default=40, gt=0)
    rural_speed_kmh: float = Field(default=60, gt=0)
    # Mean distance to the neighbours below which ground counts as urban or suburban.
    urban_below_km: float = Field(default=1.0, gt=0)
    suburban_below_km: float = Field(default=4.0, gt=0)
    longest_leg_km: float = Field(default=150.0, gt=0)
    # Where the day of a visit begins and ends.
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"

    @model_validator(mode="after")
    def _default_class_is_known(self) -> "WorkSettings":
        if self.default_class not in self.classes:
            raise ValueError(f"default_class {self.default_class!r} is not in the class table")
        return self


def is_loopback(host: str) -> bool:
    """Tell whether the host can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secure_address(address: str) -> str:
    """Return the address unchanged when what it answers can be trusted to be its owner's.

    Raises
    ------
    ValueError
        When it is no https address (http on loopback), or carries credentials or a fragment.
    """
    if not address.isprintable() or " " in address:
        raise ValueError("an address has no spaces or control characters")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("must be an address of the form https://host/path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https://, because this host is not loopback")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must have no user, password or fragment")
    return address


def _signature_list(value: Any) -> Any:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    wrong = [str(name) for name in names if name not in SIGNATURES]
    if wrong or not names:
        raise ValueError(f"takes names, separated by commas, of {', '.join(SIGNATURES)}")
    return tuple(names)


def _names(value: Any) -> Any:
    """Return the names of a list that is separated by commas."""
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _rate(text: str) -> str:
    try:
        parse(text)
    except ValueError:
        raise ValueError("must be a rate such as 600/minute") from None
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be an origin such as https://maps.example.com, without a path")
    return text


Rate = Annotated[str, AfterValidator(_rate)]
Origin = Annotated[str, AfterValidator(_origin)]
SecureAddress = Annotated[str, AfterValidator(secure_address)]


class FileSettingsSource(EnvSettingsSource):
    """Reads `BAILIWICK_NAME_FILE` where the plain variable is absent."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        value = Path(path).read_text().strip() if path else None
        return value, field_name, False


class Settings(BaseSettings):
    """Settings of one process; see docs/operations.md for the operator's view."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    home: Path = Path(".bailiwick")
    database_url: SecretStr | None = None
    owner_database_url: SecretStr | None = None
    ogc_database_url: SecretStr | None = None
    auth: Literal["on", "off"] = "on"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    web_folder: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    pool_size: int = Field(default=8, ge=1, le=200)
    statement_timeout_s: float = Field(default=10, gt=0)
    max_event_streams: int = Field(default=32, ge=1, le=1000)
    tile_memory_mb: int = Field(default=64, ge=0)
    request_timeout_s: float = Field(default=20, gt=0)
    body_timeout_s: float = Field(default=30, gt=0)
    min_upload_bytes_per_s: int = Field(default=16 * 1024, ge=1)
    max_connections: int = Field(default=1000, ge=1)
    max_requests_per_caller: int = Field(default=64, ge=1)
    rate_read: Rate = "300000/minute"
    rate_write: Rate = "60000/minute"
    rate_heavy: Rate = "120/minute"
    rate_refused: Rate = "600/minute"
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_names)] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()
    public_url: SecureAddress | None = None
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()
    max_upload_bytes: int = Field(default=2**30, ge=1)
    max_body_bytes: int = Field(default=8 * 2**20, ge=1)
    child_memory_bytes: int = Field(default=4 * 2**30, ge=2**28)
    worker_concurrency: int = Field(default=2, ge=1, le=32)
    fold_interval_s: float = Field(default=2, gt=0)
    stalled_after_s: float = Field(default=30, gt=0)
    keep_reports_days: float = Field(default=90, gt=0, le=36_500)
    approval_above_share: float = Field(default=0.05, ge=0, le=1)
    oidc_issuer: SecureAddress | None = None
    oidc_audience: str | None = Field(default=None, min_length=1, validate_default=True)
    oidc_jwks_url: SecureAddress | None = None
    oidc_algorithms: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_signature_list)
    ] = ("RS256", "ES256")  # fmt: skip
    oidc_role_claim: str = Field(default="bailiwick_role", min_length=1)
    oidc_rep_claim: str = Field(default="bailiwick_rep", min_length=1)
    oidc_roles: dict[str, Role] = {}
    oidc_key_lifetime_s: float = Field(default=3600, gt=0)
    oidc_refresh_cooldown_s: float = Field(default=30, gt=0)
    work: WorkSettings = WorkSettings()

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer_has_no_query(cls, issuer: str | None) -> str | None:
        if issuer is not None and "?" in issuer:
            raise ValueError("an issuer has no query")
        return issuer

    @field_validator("oidc_audience")
    @classmethod
    def _issuer_and_audience_come_together(
        cls, audience: str | None, others: ValidationInfo
    ) -> str | None:
        # Without an audience, a token made for any other service of the issuer would open ours.
        if audience is None and others.data.get("oidc_issuer") is not None:
            raise ValueError(f"{PREFIX}OIDC_ISSUER needs it")
        return audience

    @field_validator("oidc_audience", "oidc_jwks_url")
    @classmethod
    def _issuer_is_known(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is not None and others.data.get("oidc_issuer", value) is None:
            raise ValueError(f"has no meaning without {PREFIX}OIDC_ISSUER")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FileSettingsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment.

    Raises
    ------
    SetupError
        With one fault per wrong or unknown variable.
    """
    faults = [
        Fault("unknown-setting", "no such setting", name)
        for name in sorted(_unknown_names(os.environ.keys()))
    ]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        faults += [
            Fault(item["type"], item["msg"], PREFIX + "__".join(map(str, item["loc"])).upper())
            for item in error.errors()
        ]
    except SettingsError as error:
        # What stands behind it, a file that cannot be read or JSON that is none, is its cause.
        faults.append(Fault("unreadable", str(error.__cause__ or error), None))
    if faults:
        raise SetupError("Some settings are wrong.", faults)
    return settings


def _unknown_names(names: Any) -> set[str]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | FOREIGN_NAMES
    return {
        name
        for name in names
        if name.startswith(PREFIX) and name not in known and not name.startswith(f"{PREFIX}WORK__")
    }
