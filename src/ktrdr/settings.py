"""Every setting there is, read from the environment (prefix `KTRDR_`) or a `.env` file in the current folder."""

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from ktrdr.errors import InvalidSettings

_PREFIX = "KTRDR_"
_PASSWORD = re.compile(r"(//[^/@:]*:)[^/@]*(?=@)|(\bpassword=)[^&]*")
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    BeforeValidator(lambda level: level.upper() if isinstance(level, str) else level),
]


class Settings(BaseSettings):
    """Where things lie and how the service behaves. Paths left out follow `home`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True, allow_inf_nan=False
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
    keep_days: int = Field(
        default=90, ge=0, description="days that a server keeps operations which have ended (0: always), models always"
    )
    host: str = Field(default="127.0.0.1", description="address that `ktrdr serve` binds")
    port: int = Field(default=8000, ge=0, le=65535, description="port that `ktrdr serve` binds")
    tls_cert: Path | None = Field(default=None, description="certificate (PEM) that this server or host shows")
    tls_key: Path | None = Field(default=None, description="its private key (PEM)")
    require_keys: Literal["auto", "always"] = Field(
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
    log_level: Level | None = Field(
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
    """Every setting, in the order of the class; passwords are not shown. Raises InvalidSettings."""
    settings, sources = load_settings(**overrides), _sources()
    rows = []
    for name, field in Settings.model_fields.items():
        set_in = [origin for origin, given in sources.items() for one in _variables(name) if given.get(one)]
        if overrides.get(name) is not None:
            set_in.insert(0, "option")
        origin = set_in[0] if set_in else "default"
        rows.append(InForce(_variable(name), _shown(getattr(settings, name)), origin, field.description or ""))
    return rows


def unknown_settings() -> list[str]:
    """A sentence for each variable that looks like a setting and is none: a slip of the pen changes nothing."""
    known = {variable.upper() for name in Settings.model_fields for variable in _variables(name)}
    given = {variable.upper() for source in _sources().values() for variable in source}
    sentences = []
    for variable in sorted(given - known):
        if variable.startswith(_PREFIX):
            close = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
            sentences.append(f"{variable} is no setting: " + (f"did you mean {close[0]}?" if close else "remove it"))
    return sentences


def load_settings(**overrides: object) -> Settings:
    """The settings in force; `overrides` (None means: not given) win over the environment.

    Raises InvalidSettings with one sentence for each value that cannot be.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = _variable(field[1]) if field else "it"
        raise InvalidSettings(f'a setting cannot be used: {name} has to be JSON, such as \'["one", "two"]\'') from None
    except ValidationError as error:
        lines = [f"{_variable(str(row['loc'][0]))}={row['input']!r}: {row['msg']}" for row in error.errors()]
        raise InvalidSettings("a setting cannot be used: " + "; ".join(lines)) from None


def _variable(name: str) -> str:
    """What a setting is called in the environment."""
    return _PREFIX + name.upper().removeprefix(_PREFIX)


def _variables(name: str) -> list[str]:
    """That and its older names, in small letters: the environment may have either."""
    alias = Settings.model_fields[name].validation_alias
    others = [str(one).lower() for one in alias.choices] if isinstance(alias, AliasChoices) else []
    return list(dict.fromkeys([_variable(name).lower(), *others]))


def _sources() -> dict[str, Mapping[str, str | None]]:
    """What is said where, the strongest first, with names in small letters."""
    file = dotenv_values(".env") if Path(".env").is_file() else {}
    sources: dict[str, Mapping[str, str | None]] = {"environment": os.environ, ".env": file}
    return {origin: {name.lower(): text for name, text in given.items()} for origin, given in sources.items()}


def _shown(value: object) -> str:
    """As it would be written, without the password that an address may hold."""
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, list) else str(value)
    return _PASSWORD.sub(r"\1\2***", text)
