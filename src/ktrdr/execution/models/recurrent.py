"""Recurrent networks: LSTM and GRU over the last bars, and a dense head on what they remember at the newest one."""

import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ktrdr.execution.component import Int
from ktrdr.execution.models.base import Architecture, ModelType, Width
from ktrdr.execution.models.dropout import Dropout
from ktrdr.execution.models.predictor import Predictor, draw_uniform


class RecurrentArchitecture(Architecture):
    """Recurrent layers of `hidden_size` over `sequence_length` bars, dropout behind each; then `hidden_layers`."""

    hidden_layers: Annotated[tuple[Width, ...], Field(max_length=64)] = ()
    sequence_length: Annotated[Int, Field(ge=1, le=10_000)] = 20
    hidden_size: Width = 64
    num_layers: Annotated[Int, Field(ge=1, le=64)] = 2


class RecurrentNetwork(nn.Module):
    """Windows (rows, bars, features) in, what the head makes of the last layer's state at the newest bar out.

    Dropout stands between the layers and before the head, not inside torch's own, which draws from a global generator.
    """

    def __init__(self, layers: list[nn.Module], dropout: float, head: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in layers)
        self.head = head

    def forward(self, windows: Tensor) -> Tensor:
        states = windows
        for layer, dropout in zip(self.layers[:-1], self.dropouts[:-1], strict=True):
            states = dropout(layer(states)[0])
        newest = self.layers[-1](states)[0][:, -1]
        answers: Tensor = self.head(self.dropouts[-1](newest))
        return answers


class _Recurrent(ModelType):
    architecture: RecurrentArchitecture = RecurrentArchitecture()
    layer: ClassVar[Callable[..., nn.Module]]

    @property
    def window(self) -> int:
        return self.architecture.sequence_length

    def build(self, features: int, classes: int, generator: torch.Generator) -> Predictor:
        size, layers = self.architecture.hidden_size, []
        for depth in range(self.architecture.num_layers):
            layers.append(_recurrent(self.layer, size if depth else features, size, generator))
        head = self.architecture.dense(size, max(classes, 1), generator)
        return Predictor(RecurrentNetwork(layers, self.architecture.dropout, head), features, classes, self.window)


class Lstm(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) over the last `sequence_length` bars.

    >>> model = Lstm().build(features=4, classes=3, generator=torch.Generator().manual_seed(1))
    >>> tuple(model(torch.zeros(2, 20, 4)).shape)
    (2, 3)
    """

    type: Literal["lstm"] = "lstm"
    layer: ClassVar[Callable[..., nn.Module]] = nn.LSTM


class Gru(_Recurrent):
    """Gated recurrent units (Cho et al. 2014) over the last `sequence_length` bars.

    >>> model = Gru().build(features=4, classes=0, generator=torch.Generator().manual_seed(1))
    >>> tuple(model(torch.zeros(2, 20, 4)).shape)
    (2, 1)
    """

    type: Literal["gru"] = "gru"
    layer: ClassVar[Callable[..., nn.Module]] = nn.GRU


def _recurrent(kind: Callable[..., nn.Module], inputs: int, size: int, generator: torch.Generator) -> nn.Module:
    """One layer of torch's with torch's initial distribution, drawn from a generator of our own."""
    layer = kind(inputs, size, batch_first=True, device="meta").to_empty(device=torch.get_default_device())
    draw_uniform(layer, 1.0 / math.sqrt(size), generator)
    return layer
