"""The multi-layer perceptron."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from ktrdr.execution.models.base import Architecture, ModelType, Width
from ktrdr.execution.models.predictor import Predictor


class MlpArchitecture(Architecture):
    """Layer widths, the activation between them and the dropout behind each."""

    hidden_layers: Annotated[tuple[Width, ...], Field(max_length=64)] = (64, 32)


class Mlp(ModelType):
    """A multi-layer perceptron on the features of one bar.

    >>> model = Mlp().build(features=4, classes=3, generator=torch.Generator().manual_seed(1))
    >>> tuple(model(torch.zeros(2, 4)).shape)
    (2, 3)
    """

    type: Literal["mlp"] = "mlp"
    architecture: MlpArchitecture = MlpArchitecture()

    def build(self, features: int, classes: int, generator: torch.Generator) -> Predictor:
        return Predictor(self.architecture.dense(features, max(classes, 1), generator), features, classes)
