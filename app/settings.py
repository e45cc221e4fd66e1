"""All settings, read once from the environment (prefix `BAILIWICK_`) and frozen.

A secret may be given as a file: `BAILIWICK_DATABASE_URL_FILE=/run/secrets/url`.
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from app.errors import Fault, SetupError

PREFIX = "BAILIWICK_"
# Read by the test suite and the benchmarks, not by the service.
FOREIGN_NAMES = frozenset({"BAILIWICK_SHARED_DATA"})


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

    @model_validator(mode="after")
    def _default_class_is_known(self) -> "WorkSettings":
        if self.default_class not in self.classes:
            raise ValueError(f"default_class {self.default_class!r} is not in the class table")
        return self


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
    auth: Literal["on", "off"] = "on"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    web_folder: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    pool_size: int = Field(default=8, ge=1, le=200)
    statement_timeout_s: float = Field(default=10, gt=0)
    max_event_streams: int = Field(default=32, ge=1, le=1000)
    max_upload_bytes: int = Field(default=2**30, ge=1)
    max_body_bytes: int = Field(default=8 * 2**20, ge=1)
    child_memory_bytes: int = Field(default=4 * 2**30, ge=2**28)
    worker_concurrency: int = Field(default=2, ge=1, le=32)
    fold_interval_s: float = Field(default=2, gt=0)
    stalled_after_s: float = Field(default=30, gt=0)
    work: WorkSettings = WorkSettings()

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
