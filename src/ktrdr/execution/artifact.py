"""A trained model as bytes, and back: what `model.pt` and `model_full.pt` hold.

Only tensors and plain values are written, and they are read with `weights_only=True`.
"""

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.contracts.models import Content
from ktrdr.errors import ModelCorrupt
from ktrdr.execution.evaluation import restore_judge
from ktrdr.execution.judge import Evaluation, Judge
from ktrdr.execution.labels.base import Answers
from ktrdr.execution.market import Market
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.seeds import torch_generator
from ktrdr.execution.splits import Split
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import resolved, restore_strategy

FORMAT = "ktrdr-model/2"
UNREADABLE = (KeyError, ValueError, RuntimeError, TypeError, AttributeError, EOFError, pickle.UnpicklingError)
"""What reading a model raises that is none, or another one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TestRows:
    """The rows a model was tested on, and what it said: stamps (microseconds UTC), labels and outputs."""

    __test__ = False  # not a test case for pytest

    symbol: NDArray[np.int64]
    time: NDArray[np.int64]
    label: Answers
    outputs: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """Everything that is needed to rebuild a model, feed it, judge it again and compare it with its baselines.

    `firsts` and `lasts` are the open stamps of the first and last bar of each symbol's series in training;
    `validation_from` and `test_from` the boundaries of its split.
    """

    model: Predictor
    strategy: Strategy
    judge: Judge
    test: TestRows
    firsts: Mapping[str, Mapping[str, int]]
    lasts: Mapping[str, Mapping[str, int]]
    validation_from: int
    test_from: int
    data_digest: str


def trained_model(
    model: Predictor, strategy: Strategy, market: Market, split: Split, judge: Judge, evaluation: Evaluation
) -> TrainedModel:
    """The model with all that a training found out which its use needs."""
    rows = split.test
    return TrainedModel(
        model=model,
        strategy=strategy,
        judge=judge,
        test=TestRows(symbol=rows.symbol, time=rows.time, label=rows.label, outputs=evaluation.outputs),
        firsts=market.firsts(),
        lasts=market.lasts(),
        validation_from=split.validation_from,
        test_from=split.test_from,
        data_digest=market.digest(),
    )


def writers(trained: TrainedModel) -> tuple[dict[str, Content], Content]:
    """What writes `model.pt` and `model_full.pt`, and the context: all that the latter has beside the state dict.

    The state dict is the CPU's; equal weights give equal bytes.
    """
    state = {name: tensor.detach().cpu().clone() for name, tensor in trained.model.state_dict().items()}
    return file_writers(state, _context(trained))


def file_writers(state: Mapping[str, Tensor], context: Mapping[str, Any]) -> tuple[dict[str, Content], Content]:
    """As `writers`, of a state dict and a context that are at hand."""
    full = {"format": FORMAT, "state_dict": dict(state), **context}
    files: dict[str, Content] = {"model.pt": _writer(dict(state)), "model_full.pt": _writer(full)}
    return files, _writer(dict(context))


def _context(trained: TrainedModel) -> dict[str, Any]:
    return {
        "strategy": json.dumps(resolved(trained.strategy)),
        "feature_names": trained.strategy.feature_names,
        "judge": trained.judge.state(),
        "test": {name: torch.from_numpy(value) for name, value in vars(trained.test).items()},
        "firsts": {symbol: dict(stamps) for symbol, stamps in trained.firsts.items()},
        "lasts": {symbol: dict(stamps) for symbol, stamps in trained.lasts.items()},
        "validation_from": trained.validation_from,
        "test_from": trained.test_from,
        "data_digest": trained.data_digest,
    }


def restore(content: bytes, name: str) -> TrainedModel:
    """The model that `model_full.pt` holds, strictly loaded; raises ModelCorrupt when it is none."""
    try:
        written: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if written["format"] != FORMAT:
            raise ValueError(written["format"])
        return rebuilt(written)
    except UNREADABLE as error:
        raise ModelCorrupt(f"the model {name} cannot be rebuilt ({type(error).__name__}): train it again") from None


def rebuilt(written: Mapping[str, Any]) -> TrainedModel:
    """The trained model of a state dict and a context, strictly loaded, its tensors where they are. Raises one of
    UNREADABLE."""
    strategy = restore_strategy(json.loads(written["strategy"]))
    model = outline(strategy)
    kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    model.load_state_dict(written["state_dict"], strict=True, assign=True)
    if kinds != {name: tensor.dtype for name, tensor in model.state_dict().items()}:
        raise TypeError("the weights are of another kind of number")
    return TrainedModel(
        model=model.eval(),
        strategy=strategy,
        judge=restore_judge(written["judge"], strategy.training),
        test=TestRows(**{key: value.numpy() for key, value in written["test"].items()}),
        firsts=written["firsts"],
        lasts=written["lasts"],
        validation_from=written["validation_from"],
        test_from=written["test_from"],
        data_digest=written["data_digest"],
    )


def outline(strategy: Strategy) -> Predictor:
    """The model that the strategy describes, without memory for its weights: names, shapes and kinds of number."""
    with torch.device("meta"):
        return strategy.model.build(
            len(strategy.feature_names), len(strategy.training.labels.classes), torch_generator(0, "weights")
        )


def _writer(value: object) -> Content:
    return lambda file: torch.save(value, file)  # to a file object: a path's name would become part of the bytes
