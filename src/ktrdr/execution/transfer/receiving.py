"""The backend's side: what a host sends is checked, whole, before anything of it is kept."""

import base64
import binascii
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from ktrdr.contracts.hosts import PackedFile, ResultPayload
from ktrdr.contracts.models import ModelArtifact, ModelSink
from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.errors import TransferCorrupt, WrongModel
from ktrdr.execution.artifact import file_writers, outline, rebuilt
from ktrdr.execution.files import make_folder, storage_failures
from ktrdr.execution.reporting import features_document, strategy_digest, tables_of
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import resolved, restore_strategy
from ktrdr.execution.transfer.packing import pieces, unpack

_OVERHEAD = 1 << 20
"""Bytes that a saved state dict may have beside its numbers."""
_LARGEST_CONTEXT = 1 << 30


class ResultReceiver:
    """Turns a payload into a stored model. Every method may be called from any thread."""

    def __init__(self, sink: ModelSink, scratch: Path) -> None:
        """Files are unpacked in `scratch`, which is best on the disk of the models."""
        self._sink = sink
        self._scratch = scratch

    def receive(
        self, request: TrainingRequest, payload: ResultPayload, fetched: Mapping[str, Path] | None = None
    ) -> TrainingResult:
        """Check the payload against the operation's own request and store its model; storing it again changes nothing.

        `fetched` has the packed files by field, where the payload has them not. Raises TransferCorrupt when something
        was lost on the way, and WrongModel when this is no model of that strategy.
        """
        strategy = restore_strategy(request.strategy)
        _check_claims(strategy, payload)
        with storage_failures("receive a model", self._scratch):
            make_folder(self._scratch)
            with tempfile.TemporaryDirectory(dir=self._scratch, prefix="unpacked-") as folder:
                opened = {
                    name: self._opened(payload, name, fetched or {}, Path(folder))
                    for name in ("model_state_dict", "context")
                }
                state, context = opened["model_state_dict"], opened["context"]
                _check_model(strategy, state, context, payload)
                weights, packed_context = file_writers(state, context)
                path = self._sink.save(
                    ModelArtifact(
                        operation_id=request.operation_id,
                        strategy_name=strategy.name,
                        symbols=strategy.symbols,
                        base_timeframe=strategy.base_timeframe,
                        weights=weights,
                        context=packed_context,
                        documents=_documents(request, strategy, payload),
                        tables=tables_of(payload.training_metrics),
                    )
                )
        return TrainingResult(model_path=path, **_result_fields(payload))

    def _opened(self, payload: ResultPayload, name: str, fetched: Mapping[str, Path], folder: Path) -> dict[str, Any]:
        file: PackedFile = getattr(payload, name)
        place = folder / name
        unpack(_packed(payload, name, fetched), place, file)
        try:
            opened: dict[str, Any] = torch.load(place, map_location="cpu", weights_only=True, mmap=True)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a pickle made by others ends in an error of any kind
            raise WrongModel(f"the {name} of the result cannot be read ({type(error).__name__})") from None
        if not isinstance(opened, dict):
            raise WrongModel(f"the {name} of the result is a {type(opened).__name__}, no state dict")
        return opened


def _packed(payload: ResultPayload, name: str, fetched: Mapping[str, Path]) -> Iterable[bytes]:
    text: str | None = getattr(payload, f"{name}_b64")
    if text is not None:
        try:
            return [base64.b64decode(text, validate=True)]
        except (binascii.Error, ValueError):
            raise TransferCorrupt(f"{name}_b64 is not base64: send it again") from None
    if name not in fetched:
        raise TransferCorrupt(f"the result has no {name}: send it again")
    return pieces(fetched[name])


def _check_claims(strategy: Strategy, payload: ResultPayload) -> None:
    """What can be refused before a byte is unpacked: other strategies, and files too large for their model."""
    if payload.compression != "gzip":
        raise TransferCorrupt(f"results are compressed by gzip, this one by {payload.compression!r}")
    expected = sum(tensor.numel() * tensor.element_size() for tensor in outline(strategy).state_dict().values())
    if payload.model_state_dict.size > expected + _OVERHEAD or payload.context.size > _LARGEST_CONTEXT:
        raise WrongModel(f"the result is larger than a model of the strategy {strategy.name}, {expected:,} bytes")
    digest = payload.provenance.get("strategy_digest")
    if digest != strategy_digest(strategy) or payload.feature_names != strategy.feature_names:
        raise WrongModel(f"the result is of another strategy than {strategy.name} as it was sent")


def _check_model(strategy: Strategy, state: dict[str, Any], context: dict[str, Any], payload: ResultPayload) -> None:
    try:
        trained = rebuilt({**context, "state_dict": state})
        same = json.loads(context["strategy"]) == resolved(strategy)
        same = same and trained.data_digest == payload.provenance["data_digest"]
    except Exception as error:  # noqa: BLE001 - as above: whatever it holds, it is no model
        raise WrongModel(f"the result is no model of the strategy {strategy.name}: {_first_line(error)}") from None
    if not same:
        raise WrongModel(f"the result was made with another strategy than {strategy.name}, or with other bars")


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _result_fields(payload: ResultPayload) -> dict[str, Any]:
    return payload.model_dump(include=set(TrainingResult.model_fields) - {"model_path"})


def _documents(request: TrainingRequest, strategy: Strategy, payload: ResultPayload) -> dict[str, dict[str, Any]]:
    """The documents as the executor writes them where it stores a model itself."""
    result = _result_fields(payload)
    return {
        "config": {"strategy": resolved(strategy), "request": request.model_dump(exclude={"strategy"})},
        "metrics": {name: result[name] for name in ("training_metrics", "test_metrics", "per_symbol_metrics")},
        "features": features_document(strategy, result["data_summary"], result["feature_importance"]),
        "metadata": {name: result[name] for name in ("model_info", "data_summary", "resource_usage", "provenance")},
    }
