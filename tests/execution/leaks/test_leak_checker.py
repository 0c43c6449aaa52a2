"""The leak check of strategy files on real bars, and the one that every training brings along."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from tests.execution.test_executor import TEXT, Shelf, request, run
from tests.support import ROOT

from ktrdr.contracts.leaks import CheckLeaks, LeakReport, LeakVerdict
from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.errors import InvalidRequest, InvalidStrategy, NotEnoughData, StrategyNotFound
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.indicators.momentum import Rsi
from ktrdr.execution.leaks.checker import StrategyLeakChecker
from ktrdr.execution.strategy.repository import StrategyFiles


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


@pytest.fixture(scope="module")
def checker(eurusd: Bars) -> StrategyLeakChecker:
    return StrategyLeakChecker(StrategyFiles(ROOT / "strategies"), Shelf(eurusd))


def peek(self: Rsi, wanted: Collection[str], close: np.ndarray) -> dict[str, np.ndarray]:
    """An RSI that is told a bar too early."""
    value = talib.RSI(close, self.period)
    return {"rsi": np.append(value[1:], value[-1:])}


def test_the_bundled_strategy_passes(checker: StrategyLeakChecker) -> None:
    report = checker.check(CheckLeaks(strategy_name="eurusd_momentum", cuts=5))
    assert (report.verdict, report.labels.verdict, report.notices) == (LeakVerdict.PASS, LeakVerdict.PASS, [])
    assert [one.name for one in report.inputs][:2] == ["1h_rsi_oversold", "1h_rsi_neutral"]
    assert (report.cuts, report.bars) == (5, {"EURUSD 1h": 6225})
    assert LeakReport.model_validate_json(report.model_dump_json()) == report


def test_too_short_a_history_is_named_with_one_that_is_enough(checker: StrategyLeakChecker) -> None:
    """Stochastic and rate of change forget everything; RSI, ADX, MACD and ATR do not."""
    text = TEXT.replace("history_required: 200", "history_required: 20")
    report = checker.check(CheckLeaks(strategy_text=text, cuts=5))
    ill = {one.name: one.enough_history for one in report.inputs if one.verdict is LeakVerdict.WARM_UP_ERROR}
    assert {"1h_rsi_neutral", "1h_trend_strong", "1h_macd.histogram_raw", "1h_atr_24_raw"} <= set(ill)
    assert not {name for name in ill if "stochastic" in name or "day" in name}
    assert all(enough is not None and 40 <= enough <= 640 for enough in ill.values())
    cured = text.replace("history_required: 20", f"history_required: {max(filter(None, ill.values()))}")
    assert checker.check(CheckLeaks(strategy_text=cured, cuts=5)).verdict is LeakVerdict.PASS


def test_a_leaky_indicator_is_found(checker: StrategyLeakChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its inputs, and no other."""
    monkeypatch.setattr(Rsi, "values", peek)
    report = checker.check(CheckLeaks(strategy_name="eurusd_momentum", cuts=5))
    assert report.verdict is LeakVerdict.LEAK
    guilty = [one.name for one in report.inputs if one.verdict is LeakVerdict.LEAK]
    assert guilty == ["1h_rsi_oversold", "1h_rsi_neutral", "1h_rsi_overbought"]


def test_what_cannot_be_checked_is_a_sentence(checker: StrategyLeakChecker, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="name or its text"):
        CheckLeaks()
    with pytest.raises(StrategyNotFound):
        checker.check(CheckLeaks(strategy_name="nowhere"))
    with pytest.raises(InvalidStrategy):
        checker.check(CheckLeaks(strategy_text="name: x", source="x.yaml"))
    long = TEXT.replace("history_required: 200", "history_required: 900000")
    with pytest.raises(NotEnoughData, match="history_required"):
        checker.check(CheckLeaks(strategy_text=long))


def test_other_moments_by_another_seed(checker: StrategyLeakChecker) -> None:
    """And the same ones by the same."""

    def at(seed: int) -> list[Any]:
        wanted = CheckLeaks(strategy_name="eurusd_momentum", overrides=StrategyOverrides(seed=seed), cuts=3)
        return [one.at for one in checker.check(wanted).inputs]

    assert at(1) == at(1)
    assert at(1) != at(2)


def test_every_training_says_what_its_leak_check_found(eurusd: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass quietly; a leak and a warm-up error first among the notices."""
    result = run(Shelf(eurusd), request(epochs=1))
    assert result.data_summary["leak_check"] == {"verdict": "pass", "cuts": 6, "found": []}
    assert not any("leak" in notice or "warm-up" in notice for notice in result.data_summary["notices"])
    short = run(Shelf(eurusd), request(epochs=1, training_data={"history_required": 20}))
    assert short.data_summary["leak_check"]["verdict"] == "warm_up_error"
    assert short.data_summary["notices"][0].startswith("warm-up error: 1h_")
    monkeypatch.setattr(Rsi, "values", peek)
    leaky = run(Shelf(eurusd), request(epochs=1)).data_summary
    assert leaky["leak_check"]["verdict"] == "leak"
    assert {one["name"] for one in leaky["leak_check"]["found"]} >= {"1h_rsi_neutral"}
    assert leaky["notices"][0].startswith("leak: 1h_rsi_")
