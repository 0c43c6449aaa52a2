"""StrategyCoverageReader: the fuzzy sets of a strategy file over the training rows of its stored bars."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ktrdr.contracts.coverage import CoverageReport, MembershipCurve, SetCoverage
from ktrdr.contracts.strategies import GivenStrategy, StrategyRepository
from ktrdr.errors import NotEnoughData
from ktrdr.execution.features.builder import FeatureBuilder
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.features.coverage import Coverage, coverage_of
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.market import BarSource, load_market
from ktrdr.execution.rows import Rows, rows_of
from ktrdr.execution.splits import split_rows
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import restore_strategy
from ktrdr.execution.strategy.repository import read_given

BINS = 64
GRID = 241


class StrategyCoverageReader:
    """Implements `contracts.coverage.CoverageReader`."""

    def __init__(self, strategies: StrategyRepository, data: BarSource) -> None:
        self._strategies = strategies
        self._data = data

    def read(self, given: GivenStrategy) -> CoverageReport:
        """The rows are those of a training, by its own code, up to the split; beside its inputs they have the values
        that its fuzzy sets read."""
        strategy = restore_strategy(read_given(self._strategies, given).resolved)
        columns = tuple(strategy.columns())
        raw = {column.set_on: _unread(column) for column in columns if column.set_on}
        train = self._training_rows(strategy, (*columns, *raw.values()))
        features = train.features
        coverage = coverage_of(columns, features[:, : len(columns)])
        values = dict(zip(raw, features[:, len(columns) :].T, strict=True))
        return CoverageReport(
            strategy_name=strategy.name,
            symbols=list(strategy.symbols),
            base_timeframe=strategy.base_timeframe,
            rows=len(train),
            start=datetime.fromtimestamp(int(train.time.min()) / 1e6, UTC),
            end=datetime.fromtimestamp(int(train.time.max()) / 1e6, UTC),
            sets=[
                _set([column for column in columns if column.set_on == name], coverage, values[name])
                for name in dict.fromkeys(raw)
            ],
            notices=coverage.notices,
        )

    def _training_rows(self, strategy: Strategy, columns: tuple[FeatureColumn, ...]) -> Rows:
        features = FeatureBuilder(columns, IndicatorEngine(strategy.indicators), FuzzyEngine())
        market = load_market(self._data, strategy)
        matrices = [features.build(series) for series in market.series]
        labels = [strategy.training.labels.label(bars) for bars in market.bases]
        rows, _ = rows_of(market.bases, matrices, labels, strategy.training_data, strategy.model.window)
        train = split_rows(rows, market.bases, strategy.training_data, strategy.training.data_split).train
        if not len(train):
            raise NotEnoughData(
                "no row is left to train on: import more bars, widen the dates, or choose labels that settle sooner"
            )
        return train


def _unread(column: FeatureColumn) -> FeatureColumn:
    """The raw values behind a membership."""
    return replace(column, name=f"{column.set_on} unread", membership=None, fuzzy_set=None)


def _set(columns: list[FeatureColumn], coverage: Coverage, values: NDArray[np.float32]) -> SetCoverage:
    first = columns[0]
    name = first.set_on or ""
    low, high = _stretch(columns, values)
    grid = np.linspace(low, high, GRID)
    counts, edges = np.histogram(values.astype(np.float64), bins=BINS, range=(low, high))
    return SetCoverage(
        name=name,
        timeframe=first.timeframe,
        indicator=first.reference,
        grid=grid.tolist(),
        memberships=[_curve(column, name, grid, coverage.memberships[column.name]) for column in columns],
        edges=edges.tolist(),
        counts=counts.tolist(),
        **coverage.fuzzy_sets[name],
    )


def _curve(column: FeatureColumn, set_on: str, grid: NDArray[np.float64], does: dict[str, float]) -> MembershipCurve:
    function = column.membership
    assert function is not None  # columns of a set have one
    return MembershipCurve(
        name=column.name.removeprefix(f"{set_on}_"),
        type=function.model_dump()["type"],
        parameters=list(function.parameters),
        values=function.column(grid).tolist(),
        **does,
    )


def _stretch(columns: list[FeatureColumn], values: NDArray[np.float32]) -> tuple[float, float]:
    """From the lowest to the highest value, and as far beyond as a membership reaches, once their spread at most."""
    low, high = float(values.min()), float(values.max())
    spread = high - low or max(abs(low), 1.0) * 0.01
    reaches = [column.membership.reach for column in columns if column.membership is not None]
    lowest = max(min([low, *(reach[0] for reach in reaches)]), low - spread)
    highest = min(max([high, *(reach[1] for reach in reaches)]), high + spread)
    return lowest, highest if highest > lowest else lowest + spread
