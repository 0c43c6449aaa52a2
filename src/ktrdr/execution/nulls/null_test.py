"""The null test: the same strategy on walks without direction, everything fitted anew on each, with a new seed."""

from collections.abc import Callable, Mapping
from typing import Any

from ktrdr.contracts.training import IsCancelled, Phase, ProgressCallback
from ktrdr.errors import NotEnoughData
from ktrdr.execution.market import BarSource
from ktrdr.execution.nulls.distribution import compared, scores_of
from ktrdr.execution.nulls.kept import KeptWalks, Walk
from ktrdr.execution.nulls.sentences import conclusions
from ktrdr.execution.nulls.source import WalkSource
from ktrdr.execution.seeds import walk_seed
from ktrdr.execution.steps import Steps
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.logs import get_logger

_log = get_logger("null test")

Train = Callable[[BarSource, Strategy, Steps], Mapping[str, Any]]
"""Trains that strategy on those bars; the metrics of its test."""


class NullTest:
    """Puts the test of a strategy beside those of `strategy.training.null_test` walks."""

    def __init__(self, data: BarSource, strategy: Strategy, train: Train, kept: KeptWalks) -> None:
        self._data = data
        self._strategy = strategy
        self._train = train
        self._kept = kept
        self._wanted = strategy.training.null_test or 0

    def run(self, metrics: Mapping[str, Any], progress: ProgressCallback, is_cancelled: IsCancelled) -> dict[str, Any]:
        """What the metrics are worth. Raises TrainingCancelled, and NotEnoughData when most walks cannot be trained on.

        A walk that gives too few labels to train on is drawn anew: the bars themselves gave enough.
        """
        self._kept.resume()
        while len(self._done) < self._wanted:
            if len(self._kept.walks) - len(self._done) > self._wanted:
                raise NotEnoughData(f"most walks cannot be trained on ({self._kept.walks[-1]['error']})")
            self._kept.add(self._walk(len(self._kept.walks) + 1, progress, is_cancelled))
        walks = self._done
        scores = compared(scores_of(metrics), walks)
        return {
            "walks": len(walks),
            "drawn_anew": len(self._kept.walks) - len(walks),
            "without_trades": sum("net_sharpe" in walk and walk["net_sharpe"] is None for walk in walks),
            "scores": scores,
            "conclusions": conclusions(scores, metrics, len(walks)),
            "each": walks,
        }

    @property
    def _done(self) -> list[Walk]:
        return [walk for walk in self._kept.walks if "error" not in walk]

    def _walk(self, number: int, progress: ProgressCallback, is_cancelled: IsCancelled) -> Walk:
        seed, turn = walk_seed(self._strategy.training.seed, number), len(self._done) + 1
        bars = WalkSource(self._data, self._strategy.timeframes, seed)
        training = self._strategy.training.model_copy(update={"seed": seed, "null_test": None, "validation": None})
        strategy = self._strategy.model_copy(update={"training": training})

        def tell(phase: Phase, message: str, **details: Any) -> None:
            said = f"Walk {turn} of {self._wanted}, {message[:1].lower()}{message[1:]}"
            progress(Phase.EVALUATION, said, walk=turn, walks=self._wanted, **details)

        try:
            metrics = self._train(bars, strategy, Steps(tell, is_cancelled, quiet=True))
        except NotEnoughData as error:
            _log.info("the walk cannot be trained on and is drawn anew", walk=number, why=str(error))
            return {"number": number, "seed": seed, "error": str(error)}
        scores = scores_of(metrics)
        _log.info("walk done", walk=turn, walks=self._wanted, **scores)
        return {"number": number, "seed": seed, **scores}
