"""Settings: from the environment, overridden by options, refused with a sentence that names the variable."""

from pathlib import Path

import pytest

from ktrdr.errors import InvalidSettings, StorageFailed
from ktrdr.logs import configure_logging
from ktrdr.settings import load_settings


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_folders_follow_home_unless_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_HOME", "/somewhere")
    monkeypatch.setenv("KTRDR_DATA_DIR", "/bars")
    settings = load_settings(models_dir=Path("/m"), log_level=None)
    assert (settings.strategies, settings.data, settings.models) == (
        Path("/somewhere/strategies"),
        Path("/bars"),
        Path("/m"),
    )
    assert settings.database.startswith("sqlite+aiosqlite:////somewhere/.ktrdr/")
    monkeypatch.setenv("KTRDR_DATABASE_URL", "postgresql+psycopg://host/ktrdr")
    assert load_settings().database == "postgresql+psycopg://host/ktrdr"


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("KTRDR_THREADS=3\nKTRDR_DEVICE=cpu\nOTHER=1\n")
    monkeypatch.setenv("KTRDR_DEVICE", "mps")
    settings = load_settings()
    assert (settings.threads, settings.device) == (3, "mps")


@pytest.mark.parametrize(
    ("name", "value"), [("KTRDR_DEVICE", "abacus"), ("KTRDR_THREADS", "0"), ("KTRDR_LOG_LEVEL", "LOUD")]
)
def test_a_value_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=f"{name}='{value}'"):
        load_settings()


def test_a_log_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailed, match="cannot write the log file"):
        configure_logging(level="INFO", file=tmp_path / "file" / "log")
