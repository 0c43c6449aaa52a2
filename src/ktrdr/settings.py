"""Every setting there is, read from the environment (prefix `KTRDR_`) or a `.env` file in the current folder."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from ktrdr.errors import InvalidSettings


class Settings(BaseSettings):
    """Where things lie and how the service behaves. Paths left out follow `home`."""

    model_config = SettingsConfigDict(
        env_prefix="KTRDR_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    home: Path = Field(default=Path(), description="folder that holds strategies/, data/, models/ and .ktrdr/")
    strategies_dir: Path | None = Field(default=None, description="strategy files (default: strategies/ in home)")
    data_dir: Path | None = Field(default=None, description="bars (default: data/ in home)")
    models_dir: Path | None = Field(default=None, description="models (default: models/ in home)")
    database_url: str | None = Field(default=None, description="operations (default: SQLite in .ktrdr/ in home)")
    training_default_mode: Literal["auto", "local", "host"] = Field(
        default="auto",
        validation_alias=AliasChoices("KTRDR_TRAINING_DEFAULT_MODE", "TRAINING_DEFAULT_MODE", "training_default_mode"),
        description="execution mode when a request names none (also TRAINING_DEFAULT_MODE, its older name)",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="hardware to train on")
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads of a training (default: 1, more for large models)"
    )
    local_isolation: Literal["process", "thread"] | None = Field(
        default=None, description="where local trainings run (default: process under `ktrdr serve`, else thread)"
    )
    local_slots: int = Field(
        default=1, ge=1, le=64, description="local trainings at a time, in processes; threads have one"
    )
    max_attempts: int = Field(
        default=5, ge=1, description="times that a server starts a training whose process keeps dying"
    )
    checkpoint_seconds: float = Field(default=30.0, ge=0, description="seconds between two checkpoints of a training")
    keep_days: int | None = Field(
        default=90, ge=1, description="days that a server keeps operations which have ended; models are kept always"
    )
    host: str = Field(default="127.0.0.1", description="address that `ktrdr serve` binds")
    port: int = Field(default=8000, ge=0, le=65535, description="port that `ktrdr serve` binds")
    tls_cert: Path | None = Field(default=None, description="certificate (PEM) that this server or host shows")
    tls_key: Path | None = Field(default=None, description="its private key (PEM)")
    require_keys: Literal["auto", "always", "never"] = Field(
        default="auto", description="API keys: auto wants them unless the server binds a loopback address"
    )
    cors_origins: list[str] = Field(
        default_factory=list, description="web origins that may call the API from a browser, as a JSON list"
    )
    drain_seconds: float = Field(
        default=20.0, gt=0, description="seconds that a stopping server gives its trainings to save where they are"
    )
    server: str | None = Field(default=None, description="URL of the server that commands talk to (default: none)")
    api_key: SecretStr | None = Field(default=None, description="API key that commands send to the server")
    ca_file: Path | None = Field(
        default=None, description="certificates (PEM) by which commands, servers and hosts trust each other"
    )
    hosts: list[dict[str, Any]] = Field(
        default_factory=list,
        description='host services to train on, as JSON: `[{"name": "gpu1", "url": "https://gpu1:8100",'
        ' "price_per_hour": 1.5}]`; `ktrdr hosts add` adds others',
    )
    public_url: str | None = Field(
        default=None, description="where hosts find the server (default: where it listens, if that is loopback)"
    )
    host_key: SecretStr | None = Field(default=None, description="the key that a server and its host services share")
    trusted_network: list[str] = Field(
        default_factory=list,
        description="names of machines to which secrets may go over plain HTTP, as a JSON list; loopback always may",
    )
    host_check_seconds: float = Field(default=5.0, ge=0, description="how long what a host said of its health holds")
    host_timeout_seconds: float = Field(default=2.0, gt=0, description="what a check of a host's health waits")
    host_lost_seconds: float = Field(
        default=30.0, gt=0, description="silence after which a host that trains is called unreachable"
    )
    host_cancel_seconds: float = Field(
        default=30.0, gt=0, description="what a host has to stop a cancelled training before it is given up"
    )
    host_address: str = Field(default="127.0.0.1", description="address that `ktrdr host serve` binds")
    host_port: int = Field(default=8100, ge=0, le=65535, description="port that `ktrdr host serve` binds")
    host_slots: int = Field(default=1, ge=1, le=64, description="trainings at a time that a host service takes")
    host_keep_days: int = Field(
        default=7, ge=1, description="days that a host service keeps what has ended; a result nobody has, always"
    )
    callback_origins: list[str] = Field(
        default=["http://127.0.0.1:8000", "http://localhost:8000"],
        description="the servers to which a host service sends results, and no others, as a JSON list",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = Field(
        default=None, description="lines to write (default: none from a command, which tells its errors itself)"
    )
    log_format: Literal["text", "json"] = Field(default="text", description="how a log line looks")
    log_file: Path | None = Field(default=None, description="where log lines go (default: stderr)")

    @property
    def strategies(self) -> Path:
        return self.strategies_dir or self.home / "strategies"

    @property
    def data(self) -> Path:
        return self.data_dir or self.home / "data"

    @property
    def models(self) -> Path:
        return self.models_dir or self.home / "models"

    @property
    def state(self) -> Path:
        return self.home / ".ktrdr"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def checkpoints(self) -> Path:
        return self.state / "checkpoints"

    @property
    def owners(self) -> Path:
        return self.state / "owners"

    @property
    def sessions(self) -> Path:
        return self.state / "sessions"

    @property
    def session_checkpoints(self) -> Path:
        return self.state / "session_checkpoints"

    @property
    def session_bars(self) -> Path:
        return self.state / "session_bars"

    @property
    def incoming(self) -> Path:
        return self.state / "incoming"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{(self.state / 'operations.db').absolute()}"


@dataclass(frozen=True)
class InForce:
    """A setting as it is in force, and where its value comes from: a command's option, the environment, the file
    .env, or the default."""

    name: str
    value: str
    origin: str
    description: str


def settings_in_force(**overrides: object) -> list[InForce]:
    """Every setting, in the order of the class. Raises InvalidSettings."""
    settings, from_file = load_settings(**overrides), dotenv_values(".env") if Path(".env").is_file() else {}
    rows = []
    for name, field in Settings.model_fields.items():
        variable = f"KTRDR_{name.upper()}"
        origin = "default"
        if from_file.get(variable):
            origin = ".env"
        if os.environ.get(variable):
            origin = "environment"
        if overrides.get(name) is not None:
            origin = "option"
        value = getattr(settings, name)
        rows.append(InForce(variable, "" if value is None else str(value), origin, field.description or ""))
    return rows


def load_settings(**overrides: object) -> Settings:
    """The settings in force; `overrides` (None means: not given) win over the environment.

    Raises InvalidSettings with one sentence for each value that cannot be.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"KTRDR_{'_'.join(str(part) for part in row['loc']).upper()}={row['input']!r}: {row['msg']}"
            for row in error.errors()
        ]
        raise InvalidSettings("a setting cannot be used: " + "; ".join(lines)) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = f"KTRDR_{field[1].upper()}" if field else "it"
        raise InvalidSettings(f'a setting cannot be used: {name} has to be JSON, such as \'["one", "two"]\'') from None
