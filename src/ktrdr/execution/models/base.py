"""What a model type is: a `model` section of a strategy that can build its network."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from ktrdr.execution.component import Component, Int, Number, Section
from ktrdr.execution.models.dropout import Dropout
from ktrdr.execution.models.predictor import Predictor, linear

Width = Annotated[Int, Field(ge=1, le=65_536)]
Activation = Literal["relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "silu"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class Architecture(Section):
    """What every architecture has: dense layers, the activation between them, and the dropout behind each layer.

    `output_activation: softmax` says what happens anyway: models return logits, softmax is applied once, at prediction.
    """

    hidden_layers: Annotated[tuple[Width, ...], Field(max_length=64)]
    activation: Activation = "relu"
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.2
    output_activation: Literal["softmax", "none"] | None = None

    def dense(self, width: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
        """The hidden layers on inputs of that width, and a linear layer that gives the outputs."""
        layers: list[nn.Module] = []
        for hidden in self.hidden_layers:
            layers += [linear(width, hidden, generator), _ACTIVATIONS[self.activation]()]
            if self.dropout:
                layers.append(Dropout(self.dropout))
            width = hidden
        return nn.Sequential(*layers, linear(width, outputs, generator))


class ModelType(Component):
    """A `model` section: its type, its architecture, and how the network is built.

    `training` and `features` are keys of older files: the first fills what the section `training` leaves out, the
    second is stored without effect.
    """

    type_in_any_case: ClassVar[bool] = True
    architecture: Architecture
    training: dict[str, Any] | None = None
    features: dict[str, Any] | None = None

    @classmethod
    def older_keys(cls) -> list[str]:
        """An architecture's keys, which older files write beside `type`."""
        architecture = cls.model_fields["architecture"].annotation
        return list(architecture.model_fields) if isinstance(architecture, type(Section)) else []

    @property
    def window(self) -> int:
        """How many consecutive base bars, the row's own the last, the network reads."""
        return 1

    @abstractmethod
    def build(self, features: int, classes: int, generator: torch.Generator) -> Predictor:
        """A fresh model on the CPU whose weights come from the generator alone; 0 classes: it predicts one number."""
