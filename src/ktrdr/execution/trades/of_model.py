"""The trades of a model: its outputs on every bar of a range that has features, labelled or not, and what they earn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.features.builder import FeatureMatrix
from ktrdr.execution.judge import Evaluation
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.rows import inputs_at
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.trades.evaluation import SymbolOutputs, trade_metrics
from ktrdr.execution.trades.rules import rules_of


def decided_from(bases: Sequence[Bars], start: int, end: int | None = None) -> list[slice]:
    """The bars of each symbol whose decision time, their close, lies in [start, end), microseconds UTC."""
    bounds = [np.searchsorted(bars.closes, [start] if end is None else [start, end]).tolist() for bars in bases]
    return [slice(*found) if end is not None else slice(found[0], None) for found in bounds]


def with_trades(
    evaluation: Evaluation,
    model: Predictor,
    strategy: Strategy,
    bases: Sequence[Bars],
    matrices: Sequence[FeatureMatrix],
    ranges: Sequence[slice],
) -> Evaluation:
    """The evaluation with `trades` among its metrics, those of each symbol too, where labels say what to do; of others
    as it is. Each symbol has its base bars, of these the features, and the range that is traded."""
    if not strategy.training.labels.signals:
        return evaluation
    outputs = [_outputs(model, strategy, *one) for one in zip(bases, matrices, ranges, strict=True)]
    together, each = trade_metrics(outputs, rules_of(strategy.decisions))
    per_symbol = dict(evaluation.per_symbol)
    for symbol, figures in each.items():
        per_symbol[symbol] = {**per_symbol.get(symbol, {}), "trades": figures}
    return replace(evaluation, metrics={**evaluation.metrics, "trades": together}, per_symbol=per_symbol)


def _outputs(model: Predictor, strategy: Strategy, bars: Bars, matrix: FeatureMatrix, which: slice) -> SymbolOutputs:
    first, end, _ = which.indices(len(bars))
    answerable = matrix.answerable(model.window, strategy.training_data.history_required)
    at = first + np.flatnonzero(answerable[first:end])
    outputs = model.outputs(inputs_at(matrix.values, at, model.window).to(model.device))
    own = bars.rows(slice(0, end))
    return SymbolOutputs(
        bars=own, first=first, at=at, outputs=outputs.cpu().numpy(), event=strategy.training.labels.events(own)
    )
