"""The trades of trained models: from the signals that `predict` says, over every bar of the test range."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.execution.test_executor import Shelf, request, run
from tests.support import ROOT, random_bars

from ktrdr.contracts.models import Signal
from ktrdr.contracts.training import TrainingRequest
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.sessions import carried_opens
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.prediction import StoredModelUser
from ktrdr.execution.trades.of_model import decided_from

TRIPLE = {"source": "triple_barrier", "max_holding_period": 12, "vol_span": 24}


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


def wanted(decisions: dict[str, Any], **training: Any) -> TrainingRequest:
    plain = request(**training)
    return plain.model_copy(update={"strategy": {**plain.strategy, "decisions": decisions}})


def user_of(storage: ModelStorage, shelf: Shelf) -> StoredModelUser:
    return StoredModelUser(lambda name: (name, storage.files(name).weights["model_full.pt"]), shelf)


def told(signals: list[Signal], bars: Bars, first: int, cost: float) -> tuple[float, int]:
    """Net return and round trips of these signals with shorts and no separation, bar after bar."""
    said = {round(one.time.timestamp() * 1e6): one.signal for one in signals if one.is_event}
    carried = carried_opens(bars)
    capital, position, entries = 1.0, 0, 0
    for bar in range(first, len(bars)):
        last = bar == len(bars) - 1
        assert not carried[bar]
        signal = said.get(int(bars.time[bar - 1]), "HOLD") if bar > first else "HOLD"
        wish = {"BUY": 1, "SELL": -1, "HOLD": 0}[signal]
        paid = 0.0
        if wish and wish != position:
            entries += position == 0
            position = wish if position == 0 else 0
            paid += cost / 2
        following = bars.close[bar] if last else bars.open[bar + 1]
        if last and position:
            paid += cost / 2
        capital *= 1 + position * (following / bars.open[bar] - 1) - paid
    return capital - 1, entries


@pytest.mark.parametrize(
    "labels", [TRIPLE, {**TRIPLE, "cusum_multiplier": 2.0}, {"source": "zigzag", "zigzag_threshold": 0.004}]
)
def test_the_trades_are_those_of_the_signals_that_predict_says(
    eurusd: Bars, tmp_path: Path, labels: dict[str, Any]
) -> None:
    """Over all bars decided from the boundary on, the newest too, which have no label; non-events keep the position."""
    shelf, storage = Shelf(eurusd), ModelStorage(tmp_path)
    decisions = {
        "confidence_threshold": 0.35,
        "allow_short_from_flat": True,
        "filters": {"min_signal_separation": 0},
        "cost_model": {"round_trip_cost": 0.0004},
    }
    result = run(shelf, wanted(decisions, labels=labels, learning_rate=0.01, epochs=20), storage)
    first = int(
        np.searchsorted(eurusd.closes, datetime.fromisoformat(result.data_summary["test_from"]).timestamp() * 1e6)
    )
    signals = user_of(storage, shelf).predict("eurusd_momentum", symbols=None, start=None, end=None, last=None).signals
    expected, entries = told(signals, eurusd, first, 0.0004)
    trades = result.test_metrics["trades"]
    assert trades["bars"] == len(eurusd) - first
    assert trades["trades"] == entries > 1
    assert trades["return"] == pytest.approx(expected, rel=1e-9)
    assert trades["end"] == instant(eurusd.closes[-1]).isoformat()
    assert trades["cost_assumed"] is False


def test_the_stored_test_trades_again_as_it_did(eurusd: Bars, tmp_path: Path) -> None:
    """In metrics.json, too; and bars that came later change nothing."""
    storage = ModelStorage(tmp_path)
    result = run(Shelf(eurusd.rows(slice(0, 5000))), wanted({"confidence_threshold": 0.35}), storage)
    again = user_of(storage, Shelf(eurusd)).evaluate("eurusd_momentum", symbols=None, start=None, end=None)
    assert again.metrics["trades"] == result.test_metrics["trades"]
    assert again.per_symbol_metrics["EURUSD"]["trades"] == result.per_symbol_metrics["EURUSD"]["trades"]
    assert storage.show("eurusd_momentum").metrics["test_metrics"]["trades"] == result.test_metrics["trades"]
    assert storage.records()[0].test_metrics["trades"]["return"] == result.test_metrics["trades"]["return"]


def test_other_dates_are_traded_from_their_first_bar_on(eurusd: Bars, tmp_path: Path) -> None:
    shelf, storage = Shelf(eurusd), ModelStorage(tmp_path)
    run(shelf, wanted({"confidence_threshold": 0.35}), storage)
    start, end = datetime(2017, 11, 20, tzinfo=UTC), datetime(2017, 12, 4, tzinfo=UTC)
    user = user_of(storage, shelf)
    trades = user.evaluate("eurusd_momentum", symbols=None, start=start, end=end).metrics["trades"]
    which = eurusd.span(start, end)
    assert trades["bars"] == which.stop - which.start
    assert trades["start"] == instant(eurusd.time[which.start]).isoformat()
    assert trades["end"] == instant(eurusd.closes[which.stop - 1]).isoformat()
    warming_up = user.evaluate("eurusd_momentum", symbols=["EURUSD"], start=None, end=end).metrics["trades"]
    assert warming_up["start"] == instant(eurusd.time[200]).isoformat()  # history_required


@pytest.mark.parametrize("source", ["context", "regime"])
def test_labels_that_say_nothing_to_do_have_no_trades(eurusd: Bars, source: str) -> None:
    narrow = (
        {"bullish_threshold": 0.001, "bearish_threshold": -0.001} if source == "context" else {"macro_atr_mult": 2.0}
    )
    result = run(Shelf(eurusd), wanted({}, labels={"source": source, **narrow}))
    assert "trades" not in result.test_metrics
    assert "trades" not in result.per_symbol_metrics["EURUSD"]


def test_a_regression_whose_cost_exceeds_every_edge_says_so(eurusd: Bars) -> None:
    decisions = {"output_format": "regression", "cost_model": {"round_trip_cost": 0.05, "min_edge_multiplier": 2.0}}
    plain = wanted(decisions, labels={"source": "forward_return"}, loss="huber")
    model = {"type": "mlp", "architecture": {"hidden_layers": [8], "output_activation": "none"}}
    result = run(Shelf(eurusd), plain.model_copy(update={"strategy": {**plain.strategy, "model": model}}))
    trades = result.test_metrics["trades"]
    assert (trades["trades"], trades["return"], trades["sharpe"]) == (0, 0.0, None)
    assert 0 < trades["largest_edge"] < trades["threshold"] == pytest.approx(0.1)
    assert trades["notes"][0].startswith("no trades: the largest move expected was 0.")


def test_a_range_of_decisions_is_one_of_closes() -> None:
    bars = random_bars(1, 50)
    closes = bars.closes
    assert decided_from([bars], int(closes[10])) == [slice(10, None)]
    assert decided_from([bars], int(closes[10]) + 1, int(closes[20])) == [slice(11, 20)]
    assert decided_from([bars, bars], int(closes[-1]) + 1) == [slice(50, None)] * 2
