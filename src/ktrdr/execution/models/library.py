"""The model types a strategy can name. A new one is a class here and a name in the union below."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from ktrdr.execution.component import Component, Int, Number, Section
from ktrdr.execution.models.classifier import Classifier, linear
from ktrdr.execution.models.dropout import Dropout

Width = Annotated[Int, Field(ge=1, le=65_536)]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class ModelType(Component):
    """A `model` section: its type, its architecture, and how the network is built.

    `training` and `features` are keys of older files: the first fills what the section `training` leaves out, the
    second is stored without effect.
    """

    training: dict[str, Any] | None = None
    features: dict[str, Any] | None = None

    @abstractmethod
    def build(self, features: int, classes: int, generator: torch.Generator) -> Classifier:
        """A fresh model on the CPU whose weights come from the generator alone."""


class MlpArchitecture(Section):
    """Layer widths, the activation between them and the dropout behind each."""

    hidden_layers: Annotated[tuple[Width, ...], Field(max_length=64)] = (64, 32)
    activation: Literal["relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "silu"] = "relu"
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.2
    output_activation: Literal["softmax", "none"] = "softmax"


class Mlp(ModelType):
    """A multi-layer perceptron; it returns logits, softmax is applied once, at prediction.

    >>> model = Mlp().build(features=4, classes=3, generator=torch.Generator().manual_seed(1))
    >>> tuple(model(torch.zeros(2, 4)).shape)
    (2, 3)
    """

    type: Literal["mlp"] = "mlp"
    architecture: MlpArchitecture = MlpArchitecture()

    def build(self, features: int, classes: int, generator: torch.Generator) -> Classifier:
        layers: list[nn.Module] = []
        width = features
        for hidden in self.architecture.hidden_layers:
            layers += [linear(width, hidden, generator), ACTIVATIONS[self.architecture.activation]()]
            if self.architecture.dropout:
                layers.append(Dropout(self.architecture.dropout))
            width = hidden
        network = nn.Sequential(*layers, linear(width, classes, generator))
        return Classifier(network, features, classes)


AnyModel = Mlp
"""The registry: every model type there is (a discriminated union once there are two)."""

MODELS: tuple[type[ModelType], ...] = (Mlp,)
