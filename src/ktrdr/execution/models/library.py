"""The model types a strategy can name. A new one is a class in this folder and a name in the union below."""

from typing import Annotated

from pydantic import Field

from ktrdr.execution.models.base import ModelType
from ktrdr.execution.models.mlp import Mlp
from ktrdr.execution.models.recurrent import Gru, Lstm

AnyModel = Annotated[Mlp | Lstm | Gru, Field(discriminator="type")]
"""The registry: every model type there is."""

MODELS: tuple[type[ModelType], ...] = (Mlp, Lstm, Gru)
