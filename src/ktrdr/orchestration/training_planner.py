"""Turns what a caller asks for into what would be done: the strategy resolved, its bars counted, the mode chosen."""

import asyncio
from datetime import datetime

from ktrdr.contracts.bars import BarRepository
from ktrdr.contracts.strategies import StrategyDetails, StrategyRepository
from ktrdr.contracts.training import StartTraining, TrainingPlan
from ktrdr.errors import DataNotFound
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector


class TrainingPlanner:
    """Finds every mistake that can be found before a training starts, so that it costs nothing."""

    def __init__(self, strategies: StrategyRepository, bars: BarRepository, selector: ExecutionModeSelector) -> None:
        """The repositories are asked in threads: they read files."""
        self._strategies = strategies
        self._bars = bars
        self._selector = selector

    async def plan(self, wanted: StartTraining) -> tuple[TrainingPlan, StrategyDetails]:
        """The plan, and the strategy as resolved.

        Raises what the strategies, the bars and the selector raise: InvalidStrategy, DataNotFound, ModeUnavailable
        and their like.
        """
        details = await asyncio.to_thread(self._read, wanted)
        bars = await asyncio.to_thread(self._count, details)
        selection = await self._selector.select(
            wanted.execution_mode,
            require_gpu=wanted.require_gpu,
            queue_if_unavailable=wanted.queue_if_unavailable,
        )
        training = dict(details.resolved.get("training", {}))
        plan = TrainingPlan(
            strategy_name=details.name,
            symbols=details.symbols,
            timeframes=details.timeframes,
            base_timeframe=details.base_timeframe,
            start_date=details.start_date,
            end_date=details.end_date,
            bars=bars,
            feature_names=details.feature_names,
            labels=training.pop("labels", {}),
            model=details.resolved.get("model", {}),
            training=training,
            execution_mode=selection.mode,
            execution_reason=selection.reason,
            host=selection.host,
            notices=details.notices,
        )
        return plan, details

    def _read(self, wanted: StartTraining) -> StrategyDetails:
        if wanted.strategy_text is not None:
            return self._strategies.read_text(wanted.strategy_text, wanted.source, wanted.overrides)
        return self._strategies.read(wanted.strategy_name or "", wanted.overrides)

    def _count(self, details: StrategyDetails) -> dict[str, int]:
        """Bars of each series in the range, by "symbol timeframe"; a series without any is an error."""
        counts = {}
        for symbol in details.symbols:
            for timeframe in details.timeframes:
                found = self._bars.count(symbol, timeframe, details.start_date, details.end_date)
                if found == 0:
                    raise DataNotFound(self._no_bars(symbol, timeframe, details.start_date, details.end_date))
                counts[f"{symbol} {timeframe}"] = found
        return counts

    def _no_bars(self, symbol: str, timeframe: str, start: datetime | None, end: datetime | None) -> str:
        stored = self._bars.describe(symbol, timeframe)
        wanted = f"{start:%Y-%m-%d}" if start else "the start", f"{end:%Y-%m-%d}" if end else "the end"
        return (
            f"there are no bars of {symbol} {timeframe} from {wanted[0]} to {wanted[1]}: "
            f"those stored go from {stored.start:%Y-%m-%d} to {stored.end:%Y-%m-%d}; "
            "change --start-date and --end-date, or import more"
        )
