"""Turns what a caller asks for into what would be done: the strategy resolved, its bars counted, the mode chosen."""

import asyncio

from ktrdr.contracts.bars import BarRepository, SeriesReading
from ktrdr.contracts.strategies import StrategyDetails, StrategyRepository
from ktrdr.contracts.training import StartTraining, TrainingPlan
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
        found = await asyncio.to_thread(self._look, details)
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
            bars={one.wanted.name: one.bars for one in found},
            resampled={one.wanted.name: one.resampled_from for one in found if one.resampled_from},
            feature_names=details.feature_names,
            labels=training.pop("labels", {}),
            model=details.resolved.get("model", {}),
            training=training,
            execution_mode=selection.mode,
            execution_reason=selection.reason,
            host=selection.host,
            notices=[*details.notices, *(one.notice for one in found if one.notice)],
        )
        return plan, details

    def _read(self, wanted: StartTraining) -> StrategyDetails:
        if wanted.strategy_text is not None:
            return self._strategies.read_text(wanted.strategy_text, wanted.source, wanted.overrides)
        return self._strategies.read(wanted.strategy_name or "", wanted.overrides)

    def _look(self, details: StrategyDetails) -> list[SeriesReading]:
        """What there is of each series in the range; one without any bars is an error."""
        return self._bars.readings(details.series, details.start_date, details.end_date)
