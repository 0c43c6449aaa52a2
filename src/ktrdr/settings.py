"""Every setting there is, read from the environment (prefix `KTRDR_`) or a `.env` file in the current folder."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    training_default_mode: Literal["auto", "local"] = Field(
        default="auto", description="execution mode when a request names none"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="hardware to train on")
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads of a training (default: 1, more for large models)"
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
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{(self.state / 'operations.db').absolute()}"


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
