"""Settings: from the environment, overridden by options, refused with a sentence that names the variable."""

from pathlib import Path

import pytest

from ktrdr.errors import InvalidSettings, StorageFailed
from ktrdr.logs import configure_logging
from ktrdr.settings import load_settings, settings_in_force, unknown_settings


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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("KTRDR_HOSTS", "gpu1", "KTRDR_HOSTS has to be JSON"),
        ("KTRDR_CORS_ORIGINS", "http://x", "KTRDR_CORS_ORIGINS has to be JSON"),
        ("TRAINING_DEFAULT_MODE", "cluster", "KTRDR_TRAINING_DEFAULT_MODE='cluster'"),
        ("KTRDR_CHECKPOINT_SECONDS", "inf", "KTRDR_CHECKPOINT_SECONDS='inf'"),
    ],
)
def test_no_value_is_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    """Each is named as a user writes it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=said) as refused:
        load_settings()
    assert "KTRDR_KTRDR" not in str(refused.value)


def test_where_a_value_comes_from_and_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older names and small letters are found too; an address is shown without its password."""
    (tmp_path / ".env").write_text("KTRDR_LOG_LEVEL=info\n")
    monkeypatch.setenv("TRAINING_DEFAULT_MODE", "local")
    monkeypatch.setenv("ktrdr_port", "9")
    monkeypatch.setenv("KTRDR_DATABASE_URL", "postgresql://me:se:cret@host/db?password=secret&x=1")
    rows = {row.name: (row.value, row.origin) for row in settings_in_force()}
    assert rows["KTRDR_TRAINING_DEFAULT_MODE"] == ("local", "environment")
    assert rows["KTRDR_PORT"] == ("9", "environment")
    assert rows["KTRDR_LOG_LEVEL"] == ("INFO", ".env")
    assert rows["KTRDR_DATABASE_URL"] == ("postgresql://me:***@host/db?password=***&x=1", "environment")
    assert rows["KTRDR_CORS_ORIGINS"] == ("[]", "default")


def test_a_slip_of_the_pen_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was probably meant; other programs' variables are not ours."""
    assert unknown_settings() == []
    monkeypatch.setenv("KTRDR_POTR", "9")
    monkeypatch.setenv("KTRDR_WHATEVER_IT_IS", "9")
    assert unknown_settings() == [
        "KTRDR_POTR is no setting: did you mean KTRDR_PORT?",
        "KTRDR_WHATEVER_IT_IS is no setting: remove it",
    ]
