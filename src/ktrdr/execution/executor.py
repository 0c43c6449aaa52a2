"""TrainingExecutor: the whole of a training on one screen, synchronous, the same wherever it runs.

It knows its hardware and nothing of its environment: it is handed bars, a sink for the model, and two callables.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ktrdr.contracts.models import ModelSink
from ktrdr.contracts.training import IsCancelled, Phase, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.execution.artifact import trained_model
from ktrdr.execution.checkpoints import CheckpointFolder, Checkpoints
from ktrdr.execution.cross_validation import with_folds
from ktrdr.execution.dataset import build_dataset
from ktrdr.execution.device import choose_device, device_name, threads_for, torch_settings
from ktrdr.execution.epochs import Epoch
from ktrdr.execution.evaluation import fit_judge
from ktrdr.execution.features.builder import FeatureBuilder
from ktrdr.execution.folds import folds_of, require_enough_folds
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.importance import permutation_importance
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.leaks.check import LeakCheck
from ktrdr.execution.market import BarSource, Market, load_market
from ktrdr.execution.model_trainer import ModelTrainer
from ktrdr.execution.models.creation import create_model
from ktrdr.execution.nulls.kept import KeptWalks
from ktrdr.execution.nulls.null_test import NullTest
from ktrdr.execution.nulls.source import Nowhere
from ktrdr.execution.reporting import Report, model_artifact, provenance, training_result
from ktrdr.execution.rows import rows_of
from ktrdr.execution.seeds import torch_generator
from ktrdr.execution.splits import require_enough, split_rows
from ktrdr.execution.steps import Steps
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import restore_strategy
from ktrdr.execution.trades.of_model import decided_from, with_trades
from ktrdr.logs import get_logger

_log = get_logger("executor")


class TrainingExecutor:
    """Runs one training. `device` is auto, cuda, mps or cpu; `threads` None leaves their number to the model's size.

    With `checkpoints`, a request whose operation was stopped in its training goes on where it was stopped.
    """

    def __init__(
        self,
        data: BarSource,
        sink: ModelSink,
        *,
        device: str = "auto",
        threads: int | None = None,
        checkpoints: CheckpointFolder | None = None,
    ) -> None:
        self._data = data
        self._sink = sink
        self._device = choose_device(device)
        self._threads = threads
        self._checkpoints = checkpoints

    def execute(
        self, request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled
    ) -> TrainingResult:
        """Train, judge and save one model; that of a null test is not saved. Raises a KtrdrError, TrainingCancelled
        among them; then nothing is saved."""
        strategy = restore_strategy(request.strategy)
        if strategy.training.null_test:
            progress = partial(progress, walks=strategy.training.null_test)
        _log.info("training on", device=str(self._device), hardware=device_name(self._device))
        with torch_settings(threads=self._threads or 1, device=self._device):
            return self._twelve_steps(request, strategy, Steps(progress, is_cancelled))

    def _twelve_steps(self, request: TrainingRequest, strategy: Strategy, step: Steps) -> TrainingResult:
        training, labeler = strategy.training, strategy.training.labels
        columns = tuple(strategy.columns())
        features = FeatureBuilder(columns, IndicatorEngine(strategy.indicators), FuzzyEngine())
        trainer = ModelTrainer(training, detailed=request.detailed_analytics or training.analytics.enabled)

        with step(Phase.DATA_LOADING):
            market = load_market(self._data, strategy)

        with step(Phase.INDICATORS):
            indicators = [features.indicators(series) for series in market.series]

        with step(Phase.FUZZY_MEMBERSHIPS):
            memberships = [features.memberships(values) for values in indicators]

        with step(Phase.FEATURE_ENGINEERING):
            matrices = [features.matrix(*one) for one in zip(market.series, memberships, strict=True)]

        with step(Phase.LABELS):
            labels = [labeler.label(bars) for bars in market.bases]
            leaks = LeakCheck(features, labeler, strategy.training_data, training.seed).quick(market, matrices)

        with step(Phase.DATASET):
            rows, dropped = rows_of(market.bases, matrices, labels, strategy.training_data, strategy.model.window)
            split = split_rows(rows, market.bases, strategy.training_data, training.data_split)
            require_enough(split, labeler.classes)
            dataset = build_dataset(split, columns, training, strategy.model.window)
            folds = folds_of(rows, market.bases, strategy, features.reach(market.series[0]))
            require_enough_folds(folds, labeler.classes)
            _log.debug("rows", total=len(rows), dropped=dropped, purged=split.purged, embargo=split.embargo)

        with step(Phase.MODEL_CREATION):
            model = create_model(strategy, dataset, self._device)
            threads = threads_for(model.parameter_count, self._threads)
            torch.set_num_threads(threads)
            _log.debug("model", parameters=model.parameter_count, threads=threads)

        with step(Phase.TRAINING):
            train, validation, test = (part.to(self._device) for part in dataset.parts)
            checkpoints = self._checkpoints_of(request, strategy, market, threads)
            history = trainer.train(
                model,
                train,
                validation,
                shuffle=torch_generator(training.seed, "shuffle"),
                on_epoch=partial(_tell, step, training.epochs),
                is_cancelled=step.is_cancelled,
                checkpoints=checkpoints,
            )

        with step(Phase.EVALUATION):
            judge = fit_judge(dataset, labels, training)
            evaluation = judge.evaluate(model, split.test, labels)
            evaluation = with_trades(
                evaluation, model, strategy, market.bases, matrices, decided_from(market.bases, split.test_from)
            )
            evaluation = with_folds(evaluation, folds, strategy, market.bases, matrices, labels, self._device, step)
            test_loss = trainer.loss(model, test)
            null = self._null_test(request, strategy, market, threads, evaluation.metrics, step)

        with step(Phase.FEATURE_IMPORTANCE):
            importance = permutation_importance(model, validation, columns, judge, training.seed, step.is_cancelled)

        with step(Phase.PERSISTENCE):
            trained = trained_model(model, strategy, market, split, judge, evaluation)
            found = (market, labels, leaks, split, dropped, history, evaluation, test_loss, null, importance)
            report = Report(request, strategy, *found, model, threads, step.seconds)
            sink = self._sink if request.type == "training" else Nowhere()
            model_path = sink.save(model_artifact(report, trained)) or None
            if checkpoints is not None:
                checkpoints.discard()

        with step(Phase.RESULT_AGGREGATION):
            return training_result(report, model_path)

    def _null_test(
        self,
        request: TrainingRequest,
        strategy: Strategy,
        market: Market,
        threads: int,
        metrics: Mapping[str, Any],
        step: Steps,
    ) -> dict[str, Any] | None:
        """The metrics beside those of walks, when the strategy asks for it."""
        if not strategy.training.null_test:
            return None
        made_with = provenance(strategy, market, self._device, threads)

        def train(bars: BarSource, walk: Strategy, steps: Steps) -> Mapping[str, Any]:
            executor = TrainingExecutor(bars, Nowhere(), device=self._device.type, threads=self._threads)
            plainly = request.model_copy(update={"detailed_analytics": False})
            return executor._twelve_steps(plainly, walk, steps).test_metrics

        kept = KeptWalks(self._checkpoints, request.operation_id, made_with)
        return NullTest(self._data, strategy, train, kept).run(metrics, step.tell, step.is_cancelled)

    def _checkpoints_of(
        self, request: TrainingRequest, strategy: Strategy, market: Market, threads: int
    ) -> Checkpoints | None:
        """Where the state of this training is kept; None when nobody wants it."""
        if self._checkpoints is None:
            return None
        made_with = provenance(strategy, market, self._device, threads)
        return Checkpoints(self._checkpoints, request.operation_id, made_with)


def _tell(step: Steps, epochs: int, epoch: Epoch) -> None:
    _log.debug("epoch", **epoch.figures)
    step.tell(Phase.TRAINING, f"Epoch {epoch.epoch} of {epochs}", epochs=epochs, **epoch.figures)
