"""What a summary says of the folds of a cross-validation, within 80 columns."""

import io
from typing import Any

import pytest
from rich.console import Console
from tests.cli.sample_result import TEST_METRICS, training_result

from ktrdr.cli.summary import show_training

MONTHS = [f"2017-{month:02}-01T00:00:00+00:00" for month in range(1, 7)]


def fold(*months: int, skill: str = "balanced_accuracy", **metrics: Any) -> dict[str, Any]:
    """One whose test covers the stretches that begin with these months."""
    return {
        "name": "a fold",
        "test_ranges": [[MONTHS[month], MONTHS[month + 1]] for month in months],
        "rows": {"train": 900, "validation": 90, "test": 120},
        "metrics": {skill: 0.41, **metrics},
        "baselines": {"majority_class": {skill: 0.333}, "logistic_regression": {skill: 0.36}, "none": {}},
    }


def shown(kind: str, folds: list[dict[str, Any]], skill: str = "balanced_accuracy", **test: Any) -> str:
    spread = {"mean": 0.365, "sd": 0.031, "lowest": 0.332, "highest": 0.407, "folds": len(folds)}
    crossed = {"type": kind, "folds": folds, "summary": {skill: spread, "trades_sharpe": {**spread, "mean": 1.73}}}
    file = io.StringIO()
    metrics = {**TEST_METRICS, **test, "cross_validation": crossed}
    show_training(Console(file=file, width=80), training_result(test_metrics=metrics))
    return file.getvalue()


def test_walk_forward_folds_have_their_rivals_and_their_trades() -> None:
    told = shown("walk_forward", [fold(0, trades_return=0.029, trades_sharpe=2.8), fold(1)])
    assert "Cross-validation, walk-forward (2 folds)" in told
    row = next(line for line in told.splitlines() if line.startswith("2017-01-01 to 2017-02-01"))
    assert row.split()[3:] == ["120", "0.410", "0.360", "+2.9%", "2.80"]
    without = next(line for line in told.splitlines() if line.startswith("2017-02-01 to 2017-03-01"))
    assert without.split()[3:] == ["120", "0.410", "0.360", "–", "–"]
    words = " ".join(told.split())
    assert "balanced accuracy 0.365 ± 0.031 (lowest 0.332, highest 0.407); Sharpe ratio 1.730" in words
    table = told.split("Cross-validation")[1].split("Over the folds")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_combinatorial_splits_quote_no_return_and_join_what_meets() -> None:
    told = shown("combinatorial", [fold(0, 1), fold(0, 3)])
    assert "2017-01-01 to 2017-03-01" in told
    first = told.index("2017-01-01 to 2017-02-01")
    assert told.index("2017-04-01 to 2017-05-01") > first
    assert "there is no return to quote" in " ".join(told.split())
    table = told.split("Cross-validation, combinatorial, purged (2 folds)")[1].split("Over the folds")[0]
    assert "Sharpe" not in table


def test_of_many_folds_the_first_are_shown() -> None:
    told = shown("combinatorial", [fold(0)] * 25)
    assert told.count("2017-01-01 to 2017-02-01") == 20
    assert "… and 5 more" in told


@pytest.mark.parametrize("skill", ["balanced_accuracy", "information_coefficient"])
def test_the_skill_is_that_of_the_labels(skill: str) -> None:
    numbers = {"information_coefficient": 0.1, "rmse": 0.1, "baselines": {}, "intervals": {}}
    told = shown("combinatorial", [fold(0, skill=skill)], skill, **(numbers if skill != "balanced_accuracy" else {}))
    assert f"Over the folds: {skill.replace('_', ' ')} 0.365" in " ".join(told.split())
