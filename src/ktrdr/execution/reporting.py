"""What a training says of itself: the result that is returned, and the documents stored beside the weights."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import talib
import torch

from ktrdr.contracts.models import ModelArtifact
from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.execution.analytics import TABLE, analytics_table
from ktrdr.execution.artifact import TrainedModel, writers
from ktrdr.execution.device import device_name, peak_memory
from ktrdr.execution.epochs import TrainingHistory
from ktrdr.execution.features.coverage import Coverage, coverage_of
from ktrdr.execution.judge import Evaluation
from ktrdr.execution.label_report import label_report
from ktrdr.execution.labels.base import Labels
from ktrdr.execution.leaks.findings import Findings
from ktrdr.execution.market import Market
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.rows import Rows
from ktrdr.execution.splits import Split
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import resolved


@dataclass(frozen=True, eq=False)
class Report:
    """Everything a training has found out by the time its model is saved."""

    request: TrainingRequest
    strategy: Strategy
    market: Market
    labels: Sequence[Labels]
    leaks: Findings
    split: Split
    dropped: Mapping[str, int]
    history: TrainingHistory
    evaluation: Evaluation
    test_loss: float
    null_test: dict[str, Any] | None
    importance: dict[str, Any]
    model: Predictor
    threads: int
    seconds: Mapping[str, float]

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def provenance(self) -> dict[str, Any]:
        return provenance(self.strategy, self.market, self.device, self.threads)

    @cached_property
    def coverage(self) -> Coverage:
        """How the memberships read the training rows."""
        return coverage_of(tuple(self.strategy.columns()), self.split.train.features)

    @property
    def test_metrics(self) -> dict[str, Any]:
        """The evaluation's, with the loss that training minimised, beside those of walks where it was asked for."""
        null = {} if self.null_test is None else {"null_test": self.null_test}
        return {**self.evaluation.metrics, "loss": self.test_loss, **null}

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """config.json, metrics.json, features.json and what the executor adds to metadata.json."""
        return {
            "config": {"strategy": resolved(self.strategy), "request": self.request.model_dump(exclude={"strategy"})},
            "metrics": {
                "training_metrics": training_metrics(self.history),
                "test_metrics": self.test_metrics,
                "per_symbol_metrics": self.evaluation.per_symbol,
            },
            "features": features_document(self.strategy, vars(self.coverage), self.importance),
            "metadata": {
                "model_info": model_info(self),
                "data_summary": data_summary(self),
                "resource_usage": resource_usage(self),
                "provenance": self.provenance,
            },
        }


def model_artifact(report: Report, trained: TrainedModel) -> ModelArtifact:
    """The model as the sink takes it."""
    weights, context = writers(trained)
    documents = report.documents
    return ModelArtifact(
        operation_id=report.request.operation_id,
        strategy_name=report.strategy.name,
        symbols=report.strategy.symbols,
        base_timeframe=report.strategy.base_timeframe,
        weights=weights,
        context=context,
        documents=documents,
        tables=tables_of(documents["metrics"]["training_metrics"]),
    )


def tables_of(training_metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """The tables of a model's folder, by file name, as they follow from its metrics."""
    table = analytics_table(training_metrics)
    return {} if table is None else {TABLE: table}


def training_result(report: Report, model_path: str | None) -> TrainingResult:
    """The result of the whole operation."""
    return TrainingResult(
        model_path=model_path,
        training_metrics=training_metrics(report.history),
        test_metrics=report.test_metrics,
        feature_names=report.strategy.feature_names,
        feature_importance=report.importance,
        per_symbol_metrics=report.evaluation.per_symbol,
        model_info=model_info(report),
        data_summary=data_summary(report),
        resource_usage=resource_usage(report),
        provenance=report.provenance,
    )


def training_metrics(history: TrainingHistory) -> dict[str, Any]:
    """How the training went; the losses are those of the best epoch, whose weights are the model's."""
    return {
        "epochs_run": len(history.epochs),
        "best_epoch": history.best_epoch,
        "stopped_early": history.stopped_early,
        "train_loss": history.best.train_loss,
        "val_loss": history.best.val_loss,
        "val_accuracy": history.best.val_accuracy,
        "batch_size": history.batch_size,
        "history": [epoch.figures for epoch in history.epochs],
    }


def model_info(report: Report) -> dict[str, Any]:
    """What was built, and on what it was trained."""
    return {
        "type": report.strategy.model.type,
        "architecture": report.strategy.model.architecture.model_dump(mode="json"),
        "features": len(report.strategy.feature_names),
        "classes": list(report.strategy.training.labels.classes),
        "parameters": report.model.parameter_count,
        "device": f"{report.device.type} ({device_name(report.device)})",
    }


def data_summary(report: Report) -> dict[str, Any]:
    """From which bars to which rows: what was used, dropped and purged, and what a reader should know."""
    split, strategy, labeler = report.split, report.strategy, report.strategy.training.labels
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return {
        "symbols": list(strategy.symbols),
        "timeframes": list(strategy.timeframes),
        "base_timeframe": strategy.base_timeframe,
        "start": _iso(min(int(bars.time[0]) for bars in report.market.bases)),
        "end": _iso(max(int(bars.time[-1]) for bars in report.market.bases)),
        "bars": report.market.counts(),
        "resampled": report.market.resampled(),
        "rows": sum(len(rows) for rows in parts.values()),
        "parts": {name: _part(rows, labeler.classes) for name, rows in parts.items()},
        "validation_from": _iso(split.validation_from),
        "test_from": _iso(split.test_from),
        "test_range": [_iso(int(split.test.time.min())), _iso(int(split.test.decision.max()))],
        "dropped": dict(report.dropped),
        "purged": dict(split.purged),
        "embargo_bars": dict(split.embargo),
        "labels": {
            **labeler.model_dump(mode="json", exclude_none=True),
            **label_report(labeler, report.labels, report.market.bases, strategy.training_data, split),
        },
        "leak_check": report.leaks.summary(),
        "memberships": report.coverage.memberships,
        "fuzzy_sets": report.coverage.fuzzy_sets,
        "notices": _notices(report),
    }


def resource_usage(report: Report) -> dict[str, Any]:
    """Where the training ran and what it took."""
    seconds = report.seconds
    training = seconds.get("training", 0.0)
    epochs = len(report.history.epochs) - report.history.resumed_after
    return {
        "mode": report.request.execution_mode,
        "host": report.request.host,
        "device": str(report.device),
        "threads": report.threads,
        "seconds": sum(seconds.values()),
        "seconds_per_phase": dict(seconds),
        "epochs_per_second": epochs / training if training else None,
        "rows_per_second": epochs * len(report.split.train) / training if training else None,
        "peak_memory_bytes": peak_memory(report.device),
    }


def provenance(strategy: Strategy, market: Market, device: torch.device, threads: int) -> dict[str, Any]:
    """What has to be equal for the same model to come out."""
    packages = {name: version(name) for name in ("ktrdr", "polars")}
    libraries = {"torch": str(torch.__version__), "numpy": np.__version__, "talib": talib.__version__}
    return {
        "strategy_digest": strategy_digest(strategy),
        "data_digest": market.digest(),
        "seed": strategy.training.seed,
        "device": device.type,
        "threads": threads,
        "versions": {"python": platform.python_version(), **packages, **libraries},
    }


def strategy_digest(strategy: Strategy) -> str:
    """The sha256 of the resolved strategy as canonical JSON."""
    return hashlib.sha256(json.dumps(resolved(strategy), sort_keys=True).encode()).hexdigest()


def features_document(strategy: Strategy, coverage: Mapping[str, Any], importance: Mapping[str, Any]) -> dict[str, Any]:
    """features.json: the inputs in their order, how their memberships read the training rows, and their importance."""
    return {
        "names": strategy.feature_names,
        "columns": _columns(strategy),
        **{key: coverage.get(key, {}) for key in ("memberships", "fuzzy_sets")},
        "importance": dict(importance),
    }


def _columns(strategy: Strategy) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "timeframe": column.timeframe,
            "source": column.source,
            "indicator": column.reference,
            "membership": column.membership and column.membership.model_dump(mode="json"),
            "normalization": column.normalization,
        }
        for column in strategy.columns()
    ]


def _part(rows: Rows, classes: Sequence[str]) -> dict[str, Any]:
    counts = np.bincount(rows.label, minlength=len(classes)).tolist() if classes else []
    return {
        "rows": len(rows),
        "start": _iso(int(rows.time.min())),
        "end": _iso(int(rows.time.max())),
        "classes": dict(zip(classes, counts, strict=True)),
        "effective_rows": float(rows.uniqueness().sum()),
    }


def _notices(report: Report) -> list[str]:
    notices = report.strategy.notices() + report.market.notices()
    settings = report.strategy.training.early_stopping
    first = report.history.epochs[0]
    if settings.enabled and settings.monitor == "val_loss" and settings.min_delta > first.val_loss:
        notices.append(
            f"early_stopping.min_delta {settings.min_delta:g} exceeds the first validation loss {first.val_loss:.4g}:"
            " no epoch can count as an improvement"
        )
    if report.history.batch_size < report.history.first_batch_size:
        notices.append(
            f"the device ran out of memory with batches of {report.history.first_batch_size} rows: the training ended"
            f" with batches of {report.history.batch_size}"
        )
    leaks = report.leaks.notices(report.strategy.training_data.history_required)
    return leaks + notices + report.coverage.notices + report.evaluation.notices


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()
