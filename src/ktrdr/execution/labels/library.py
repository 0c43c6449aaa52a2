"""The labelers a strategy can name. A new one is a class in this folder and a name in the union below."""

from typing import Annotated

from pydantic import Field

from ktrdr.execution.labels.base import Labeler
from ktrdr.execution.labels.context import Context
from ktrdr.execution.labels.forward_return import ForwardReturn
from ktrdr.execution.labels.regime import Regime
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.labels.zigzag import Zigzag

AnyLabeler = Annotated[Zigzag | TripleBarrier | Context | Regime | ForwardReturn, Field(discriminator="source")]
"""The registry: every labeler there is."""

LABELERS: tuple[type[Labeler], ...] = (Zigzag, TripleBarrier, Context, Regime, ForwardReturn)
