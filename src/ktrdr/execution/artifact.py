"""A trained model as bytes, and back: what `model.pt` and `model_full.pt` hold.

Only tensors and plain values are written, and they are read with `weights_only=True`.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.errors import ModelCorrupt
from ktrdr.execution.baselines import Baselines
from ktrdr.execution.evaluation import Evaluation, Judge
from ktrdr.execution.market import Market
from ktrdr.execution.models.classifier import Classifier
from ktrdr.execution.seeds import torch_generator
from ktrdr.execution.splits import Split
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import resolved, restore_strategy

FORMAT = "ktrdr-model/1"


@dataclass(frozen=True, kw_only=True, eq=False)
class TestRows:
    """The rows a model was tested on, and what it said: stamps (microseconds UTC), labels and probabilities."""

    __test__ = False  # not a test case for pytest

    symbol: NDArray[np.int64]
    time: NDArray[np.int64]
    label: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """Everything that is needed to rebuild a model, feed it, judge it again and compare it with its baselines.

    `firsts` and `lasts` are the open stamps of the first and last bar of each symbol's series in training;
    `validation_from` and `test_from` the boundaries of its split.
    """

    model: Classifier
    strategy: Strategy
    judge: Judge
    test: TestRows
    firsts: Mapping[str, Mapping[str, int]]
    lasts: Mapping[str, Mapping[str, int]]
    validation_from: int
    test_from: int
    data_digest: str


def trained_model(
    model: Classifier, strategy: Strategy, market: Market, split: Split, judge: Judge, evaluation: Evaluation
) -> TrainedModel:
    """The model with all that a training found out which its use needs."""
    rows = split.test
    return TrainedModel(
        model=model,
        strategy=strategy,
        judge=judge,
        test=TestRows(symbol=rows.symbol, time=rows.time, label=rows.label, probabilities=evaluation.probabilities),
        firsts=market.firsts(),
        lasts=market.lasts(),
        validation_from=split.validation_from,
        test_from=split.test_from,
        data_digest=market.digest(),
    )


def state_bytes(model: Classifier) -> bytes:
    """`model.pt`: the state dict on the CPU; equal weights give equal bytes."""
    return _saved({name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()})


def full_bytes(trained: TrainedModel) -> bytes:
    """`model_full.pt`."""
    state = {name: tensor.detach().cpu().clone() for name, tensor in trained.model.state_dict().items()}
    return _saved(
        {
            "format": FORMAT,
            "state_dict": state,
            "strategy": json.dumps(resolved(trained.strategy)),
            "feature_names": trained.strategy.feature_names,
            "class_weights": torch.from_numpy(trained.judge.class_weights),
            "baselines": {name: torch.from_numpy(value) for name, value in vars(trained.judge.baselines).items()},
            "test": {name: torch.from_numpy(value) for name, value in vars(trained.test).items()},
            "firsts": {symbol: dict(stamps) for symbol, stamps in trained.firsts.items()},
            "lasts": {symbol: dict(stamps) for symbol, stamps in trained.lasts.items()},
            "validation_from": trained.validation_from,
            "test_from": trained.test_from,
            "data_digest": trained.data_digest,
        }
    )


def restore(content: bytes, name: str) -> TrainedModel:
    """The model that `full_bytes` wrote, strictly loaded; raises ModelCorrupt when it is none."""
    try:
        written: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        strategy = restore_strategy(json.loads(written["strategy"]))
        model = strategy.model.build(
            len(strategy.feature_names), len(strategy.training.labels.classes), torch_generator(0, "weights")
        )
        model.load_state_dict(written["state_dict"], strict=True)
        if written["format"] != FORMAT:
            raise ValueError(written["format"])
    except (KeyError, ValueError, RuntimeError, TypeError, EOFError) as error:
        raise ModelCorrupt(f"the model {name} cannot be rebuilt ({type(error).__name__}): train it again") from None
    return TrainedModel(
        model=model.eval(),
        strategy=strategy,
        judge=Judge(
            classes=strategy.training.labels.classes,
            class_weights=written["class_weights"].numpy(),
            baselines=Baselines(**{key: value.numpy() for key, value in written["baselines"].items()}),
            seed=strategy.training.seed,
        ),
        test=TestRows(**{key: value.numpy() for key, value in written["test"].items()}),
        firsts=written["firsts"],
        lasts=written["lasts"],
        validation_from=written["validation_from"],
        test_from=written["test_from"],
        data_digest=written["data_digest"],
    )


def _saved(value: object) -> bytes:
    buffer = io.BytesIO()  # a file's name would become part of the bytes
    torch.save(value, buffer)
    return buffer.getvalue()
