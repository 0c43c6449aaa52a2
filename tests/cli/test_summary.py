"""What a training says at its end where that depends on the user's situation."""

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.fake_client import FakeClient, opening
from tests.cli.sample_result import TEST_METRICS, TRADES, training_result

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
    judged_lines = screens[0].split("Test, by symbol")[1].splitlines()
    assert [line.split()[:2] for line in judged_lines if line.startswith("IBM")] == [["IBM", "900"]]
    assert "by symbol" not in screens[1]
    assert max(len(line) for line in screens[0].splitlines() if "─" in line) <= 80


def shown(metrics: dict[str, object]) -> list[str]:
    """The lines of a summary that are not empty."""
    file = io.StringIO()
    show_training(Console(file=file, width=80), training_result(test_metrics=metrics))
    return [line.rstrip() for line in file.getvalue().splitlines() if line.strip()]


def test_a_report_opens_with_the_return_after_costs_beside_holding_and_nothing() -> None:
    lines = shown(TEST_METRICS)
    assert lines[0] == "After costs, 2017-11-06 to 2017-12-29 (40 trading days)"
    assert [line.split() for line in lines[3:6]] == [
        ["model", "-3.1%", "-1.50", "2.45", "4.1%", "12", "42%", "24"],
        ["buy", "and", "hold", "+3.4%", "3.79", "2.45", "2.0%", "1", "–", "–"],
        ["always", "flat", "0.0%", "–", "–", "0.0%", "0", "–", "–"],
    ]
    assert "A round trip costs 0.100%; at 0.031% the same trades would break even." in lines[6]
    assert "with a probability of 27% (PSR)" in lines[6]
    assert lines[7] == "notice: 12 trades are [few]"
    assert max(map(len, lines[:6])) <= 80


@pytest.mark.parametrize(
    ("even", "said"), [(-0.0001, "costs 0.100%; the trades lose before costs."), (None, "A round trip costs 0.100%.")]
)
def test_the_break_even_cost_is_told_as_far_as_there_is_one(even: float | None, said: str) -> None:
    lines = shown({**TEST_METRICS, "trades": {**TRADES, "break_even_cost": even, "sharpe_probability": None}})
    assert lines[6].endswith(said)


def test_without_trades_a_report_opens_with_the_model_beside_the_best_baseline() -> None:
    lines = shown({name: value for name, value in TEST_METRICS.items() if name != "trades"})
    assert lines[0].startswith("Balanced accuracy 0.367, 95 % interval 0.310 to 0.424: not distinguishable")
    assert sum("Balanced accuracy 0.367" in line for line in lines) == 1


def test_trades_are_told_by_symbol_within_eighty_columns() -> None:
    file = io.StringIO()
    judged = dict.fromkeys(["EURUSD-LONG.NAME", "IBM"], TEST_METRICS)
    show_training(Console(file=file, width=80), training_result(per_symbol_metrics=judged))
    lines = file.getvalue().split("After costs, by symbol")[1].splitlines()
    assert lines[4].split() == ["IBM", "+3.4%", "-3.1%", "-1.50", "4.1%", "12", "42%"]
    assert max(map(len, lines[:5])) <= 80
