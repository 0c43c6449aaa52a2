"""StrategyLeakChecker: the leak check of a strategy file on the stored bars that it would be trained on."""

from ktrdr.contracts.leaks import CheckLeaks, LeakReport
from ktrdr.contracts.strategies import StrategyRepository
from ktrdr.errors import NotEnoughData
from ktrdr.execution.features.builder import FeatureBuilder
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.leaks.check import LeakCheck
from ktrdr.execution.market import BarSource, load_market
from ktrdr.execution.strategy.reading import restore_strategy
from ktrdr.execution.strategy.repository import read_given


class StrategyLeakChecker:
    """Implements `contracts.leaks.LeakChecker`."""

    def __init__(self, strategies: StrategyRepository, data: BarSource) -> None:
        self._strategies = strategies
        self._data = data

    def check(self, wanted: CheckLeaks) -> LeakReport:
        """Look at `wanted.cuts` moments of each symbol, on all its bars."""
        strategy = restore_strategy(read_given(self._strategies, wanted, wanted.overrides).resolved)
        features = FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())
        market = load_market(self._data, strategy)
        matrices = [features.build(series) for series in market.series]
        check = LeakCheck(features, strategy.training.labels, strategy.training_data, strategy.training.seed)
        findings = check.run(market, matrices, cuts=wanted.cuts)
        if not findings.cuts:
            raise NotEnoughData(
                "no bar has all its inputs and the history it needs: import earlier bars, or lower history_required"
            )
        return LeakReport(
            strategy_name=strategy.name,
            symbols=list(strategy.symbols),
            base_timeframe=strategy.base_timeframe,
            history_required=strategy.training_data.history_required,
            bars=market.counts(),
            cuts=findings.cuts,
            verdict=findings.verdict,
            inputs=list(findings.inputs),
            labels=findings.labels,
            notices=findings.notices(strategy.training_data.history_required),
        )
