"""What a training says at its end where that depends on the user's situation."""

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.fake_client import FakeClient, opening
from tests.cli.sample_result import TEST_METRICS, training_result

from ktrdr.cli.app import main
from ktrdr.cli.summary import show_training


def proposed(out: str) -> list[list[str]]:
    """The commands under "Try next", as a shell would read them."""
    lines = out.split("Try next:\n")[1].splitlines()
    return [shlex.split(line.strip().rsplit("  ", 1)[0])[1:] for line in lines]


def test_the_commands_to_try_next_find_the_model_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A home or a models folder that was named is named again, quoted; each command runs as it stands."""
    home, models = str(tmp_path / "my [home]"), str(tmp_path / "my models")
    assert main(opening(FakeClient()), ["--home", home, "models", "train", "momentum", "--models-dir", models]) == 0
    commands = proposed(capsys.readouterr().out)
    assert len(commands) == 3
    for command in commands:
        given: dict[str, object] = {}
        assert main(opening(FakeClient(), given), command) == 0
        assert given == {"home": Path(home), "models_dir": Path(models)}


def test_several_symbols_are_judged_one_by_one_too() -> None:
    """A table by symbol, and none where there is only one."""
    screens = []
    for symbols in (["AAPL", "IBM"], ["AAPL"]):
        file = io.StringIO()
        judged = dict.fromkeys(symbols, TEST_METRICS)
        show_training(Console(file=file, width=80), training_result(per_symbol_metrics=judged))
        screens.append(file.getvalue())
    assert "Test, by symbol" in screens[0]
    assert [line.split()[:2] for line in screens[0].splitlines() if line.startswith("IBM")] == [["IBM", "900"]]
    assert "by symbol" not in screens[1]
    assert max(len(line) for line in screens[0].splitlines() if "─" in line) <= 80
