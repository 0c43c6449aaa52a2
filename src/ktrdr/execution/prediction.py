"""Using a stored model: signals for bars, and metrics on other dates or symbols, by the feature code of training."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ktrdr.contracts.models import Evaluation, Prediction, Signal
from ktrdr.errors import InvalidRequest, NotEnoughData
from ktrdr.execution.artifact import TrainedModel, restore
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.features.builder import FeatureBuilder, FeatureMatrix
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.labels.base import SIGNALS
from ktrdr.execution.market import Market, market_of
from ktrdr.execution.metrics import confusion_matrix
from ktrdr.execution.rows import Rows, in_range, inputs_at, rows_of
from ktrdr.execution.trades.of_model import decided_from, with_trades
from ktrdr.execution.trades.rules import rules_of
from ktrdr.execution.trades.signals import signals


class BarArchive(Protocol):
    """Bars from a given stamp on: `DataManager`, or a test's own."""

    def load_from(self, symbol: str, timeframe: str, first_us: int | None, end: datetime | None) -> Bars: ...

    def load_context_from(self, source: ContextSource, first_us: int | None, end: datetime | None) -> Bars: ...


class StoredModelUser:
    """Implements `contracts.models.ModelUser` on a model storage and stored bars."""

    def __init__(self, read_model: Callable[[str], tuple[str, bytes]], data: BarArchive) -> None:
        """`read_model` answers a model's full name and the verified bytes of its `model_full.pt`."""
        self._read_model = read_model
        self._data = data

    def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction:
        """Signals for every bar in [start, end) that has its features; `last` keeps only the newest ones."""
        model_name, trained = self._load(name)
        market = self._market(trained, symbols or list(trained.strategy.symbols), end)
        said, without = [], 0
        for series, matrix in zip(market.series, _matrices(trained, market), strict=True):
            wanted = in_range(series.base, start)
            history = trained.strategy.training_data.history_required
            usable = wanted & matrix.answerable(trained.model.window, history)
            without += int((wanted & ~usable).sum())
            which = np.flatnonzero(usable)
            said += _signals(trained, series.base, matrix, which if last is None else which[-last:])
        if not said:
            raise NotEnoughData("no bar of the range has all its features: import earlier bars or choose later dates")
        said.sort(key=lambda signal: signal.time)
        notices = (
            [f"{without} bars of the range have no signal: their history is too short"] if without and start else []
        )
        return Prediction(model=model_name, signals=said, rows=len(said), notices=notices)

    def evaluate(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation:
        """Metrics on [start, end); with no range and no symbols, on the stored test rows."""
        model_name, trained = self._load(name)
        stored_test = symbols is None and start is None and end is None
        market = (
            self._market_of_training(trained)
            if stored_test
            else self._market(trained, symbols or list(trained.strategy.symbols), end)
        )
        labeler = trained.strategy.training.labels
        labels = [labeler.label(bars) for bars in market.bases]
        data = trained.strategy.training_data
        if not stored_test:
            data = data.model_copy(update={"start_date": start})
        matrices = _matrices(trained, market)
        rows, _ = rows_of(market.bases, matrices, labels, data, trained.model.window)
        if stored_test:
            rows = rows.take(_are_test_rows(rows, trained))
        if not len(rows):
            raise NotEnoughData("no bar of the range has its features and a label: choose other dates or import bars")
        ranges = (
            decided_from(market.bases, trained.test_from)
            if stored_test
            else [_answered(trained, *one, start) for one in zip(market.bases, matrices, strict=True)]
        )
        judged = trained.judge.evaluate(trained.model, rows, labels)
        evaluation = with_trades(judged, trained.model, trained.strategy, market.bases, matrices, ranges)
        return Evaluation(
            model=model_name,
            symbols=list(rows.symbols),
            timeframe=trained.strategy.base_timeframe,
            start=_instant(rows.time.min()),
            end=_instant(rows.time.max()),
            rows=len(rows),
            metrics={name: value for name, value in evaluation.metrics.items() if name != "baselines"},
            baselines=evaluation.metrics["baselines"],
            per_symbol_metrics=evaluation.per_symbol,
            reproduces=_comparison(trained, market, rows, evaluation.outputs) if stored_test else None,
            notices=[*evaluation.notices, *_overlap(trained, rows)],
        )

    def _load(self, name: str) -> tuple[str, TrainedModel]:
        model_name, content = self._read_model(name)
        return model_name, restore(content, model_name)

    def _market(self, trained: TrainedModel, symbols: Sequence[str], end: datetime | None) -> Market:
        """All stored bars before `end`; for symbols of the training from its first bar on, so that features agree."""
        if len(set(symbols)) != len(symbols):
            raise InvalidRequest("a symbol is named twice: name each once")
        return self._loaded(trained, symbols, lambda symbol, name: end)

    def _market_of_training(self, trained: TrainedModel) -> Market:
        """The very bars of the training, as far as they are stored still."""

        def behind_last(symbol: str, name: str) -> datetime:
            return _instant(trained.lasts[symbol][name]) + timedelta(microseconds=1)

        return self._loaded(trained, trained.strategy.symbols, behind_last)

    def _loaded(
        self, trained: TrainedModel, symbols: Sequence[str], end_of: Callable[[str, str], datetime | None]
    ) -> Market:
        strategy, first_symbol = trained.strategy, trained.strategy.symbols[0]
        bars = {
            symbol: {
                timeframe: self._data.load_from(
                    symbol, timeframe, trained.firsts.get(symbol, {}).get(timeframe), end_of(symbol, timeframe)
                )
                for timeframe in strategy.timeframes
            }
            for symbol in symbols
        }
        context = {
            one.name: self._data.load_context_from(
                one, trained.firsts[first_symbol].get(one.name), end_of(first_symbol, one.name)
            )
            for one in strategy.sources()
        }
        return market_of(symbols, strategy.base_timeframe, {name: own | context for name, own in bars.items()})


def _matrices(trained: TrainedModel, market: Market) -> list[FeatureMatrix]:
    strategy = trained.strategy
    features = FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())
    return [features.build(series) for series in market.series]


def _answered(trained: TrainedModel, bars: Bars, matrix: FeatureMatrix, start: datetime | None) -> slice:
    """The bars from `start` on, from the first of them of which the model can be asked."""
    history = trained.strategy.training_data.history_required
    askable = np.flatnonzero(in_range(bars, start) & matrix.answerable(trained.model.window, history))
    return slice(int(askable[0]) if len(askable) else len(bars), None)


def _signals(trained: TrainedModel, bars: Bars, matrix: FeatureMatrix, which: NDArray[np.int64]) -> list[Signal]:
    """What the model says at those bars; a bar that is no event says so."""
    outputs = trained.model.outputs(inputs_at(matrix.values, which, trained.model.window)).numpy()
    labeler = trained.strategy.training.labels
    events = labeler.events(bars)[which]
    answers = signals(outputs, rules_of(trained.strategy.decisions)) if labeler.signals else outputs.argmax(axis=1)
    return [
        Signal(
            symbol=bars.symbol,
            time=_instant(bars.time[bar]),
            known=_instant(bars.closes[bar]),
            is_event=bool(event),
            signal=(SIGNALS if labeler.signals else labeler.classes)[answer],
            **_figures(labeler.classes, output),
        )
        for bar, output, answer, event in zip(which, outputs, answers, events, strict=True)
    ]


def _figures(classes: Sequence[str], output: NDArray[np.float32]) -> dict[str, Any]:
    """The probabilities of the classes, or the predicted number."""
    if not classes:
        return {"predicted": float(output[0])}
    return {"confidence": float(output.max()), "probabilities": dict(zip(classes, map(float, output), strict=True))}


def _are_test_rows(rows: Rows, trained: TrainedModel) -> NDArray[np.bool_]:
    keys = set(zip(trained.test.symbol.tolist(), trained.test.time.tolist(), strict=True))
    return np.array([key in keys for key in zip(rows.symbol.tolist(), rows.time.tolist(), strict=True)], dtype=np.bool_)


def _comparison(trained: TrainedModel, market: Market, rows: Rows, outputs: NDArray[np.float32]) -> dict[str, Any]:
    """The stored test against this one, row by row; `same_answers` compares the confusion matrices, of numbers the
    numbers themselves to six digits."""
    stored = trained.test
    same_rows = len(rows) == len(stored.time) and bool((rows.time == stored.time).all())
    if trained.model.classes:
        before, now = (
            confusion_matrix(label, said.argmax(axis=1), trained.model.classes)
            for label, said in ((stored.label, stored.outputs), (rows.label, outputs))
        )
        same_answers = bool((before == now).all())
    else:
        same_answers = same_rows and bool(np.allclose(outputs, stored.outputs, rtol=1e-6, atol=1e-9))
    return {
        "same_bars": market.digest() == trained.data_digest,
        "same_rows": same_rows,
        "same_answers": same_answers,
        "largest_difference": float(np.abs(outputs - stored.outputs).max()) if same_rows else None,
    }


def _overlap(trained: TrainedModel, rows: Rows) -> list[str]:
    """Whether the model has seen some of these dates: metrics on them flatter it."""
    seen = int((rows.decision < trained.test_from).sum())
    if not seen:
        return []
    until = _instant(trained.test_from)
    return [f"{seen} of {len(rows)} rows lie before {until:%Y-%m-%d %H:%M}, where the model was trained and chosen"]


def _instant(microseconds: int | np.int64) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / 1e6, UTC)
