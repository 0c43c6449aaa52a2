"""What a membership function is: a type, its parameters in the unit of the indicator, and one definition on tensors."""

from abc import abstractmethod
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import field_validator
from torch import Tensor

from ktrdr.execution.component import Component, Number, refusal
from ktrdr.execution.fuzzy.kernels import linear, rounded

BLOCK = 16_384
"""Values that are worked on at a time, so that what lies between the steps stays in the cache."""


class Membership(Component):
    """A membership function: how far a number belongs to a fuzzy set, 0 to 1.

    `membership` is the definition, for tensors of any shape and dtype, and can be differentiated. `column` is the same
    for the values of an indicator, and fast.
    """

    type_in_any_case: ClassVar[bool] = True
    parameter_names: ClassVar[tuple[str, ...]]
    parameters: tuple[Number, ...]

    @field_validator("parameters")
    @classmethod
    def _count(cls, parameters: tuple[float, ...]) -> tuple[float, ...]:
        if len(parameters) != len(cls.parameter_names):
            raise refusal(
                f"{len(parameters)} parameters", f"give {len(cls.parameter_names)}: [{', '.join(cls.parameter_names)}]"
            )
        cls.check(parameters)
        return parameters

    @classmethod
    @abstractmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        """Raises a refusal when the parameters describe no shape."""

    @property
    @abstractmethod
    def reach(self) -> tuple[float, float]:
        """The lowest and highest value between which it changes, or nearly all of its change lies."""

    @abstractmethod
    def membership(self, values: Tensor) -> Tensor:
        """The membership of each value, 0 to 1, of the values' shape and dtype; NaN stays NaN."""

    def column(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """The membership of each value, computed in float64 and rounded to float32."""
        result = torch.empty(values.shape, dtype=torch.float32)
        whole = torch.from_numpy(values)
        for start in range(0, len(values), BLOCK):
            block = slice(start, start + BLOCK)
            result[block] = self.membership(whole[block])
        return result.numpy()


class Cornered(Membership):
    """A membership with four corners: 0 up to a, rising to b, 1 to c, falling to d, 0 from there.

    With a = b or c = d the side is vertical and its corner counts in: a shoulder is 1 at its flat end.
    """

    smooth: ClassVar[bool] = False
    """Whether a side is two parabolas instead of a straight line."""

    @property
    @abstractmethod
    def corners(self) -> tuple[float, float, float, float]: ...

    @property
    def reach(self) -> tuple[float, float]:
        return self.parameters[0], self.parameters[-1]

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        if any(left > right for left, right in pairwise(parameters)) or parameters[0] == parameters[-1]:
            names = " ≤ ".join(cls.parameter_names)
            raise refusal(f"[{_listed(parameters)}]", f"write {names}, the first below the last")

    def membership(self, values: Tensor) -> Tensor:
        a, b, c, d = self.corners
        up = (values - a) / (b - a if b > a else 1.0)
        down = (d - values) / (d - c if d > c else 1.0)
        sides = torch.where(values < b, up, down).clamp(0.0, 1.0)
        straight = torch.where((values >= b) & (values <= c), torch.ones_like(sides), sides)
        return _rounded(straight) if self.smooth else straight

    def column(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        kernel = rounded if self.smooth else linear
        result: NDArray[np.float32] = kernel(np.ascontiguousarray(values), *self.corners)
        return result


def _rounded(straight: Tensor) -> Tensor:
    """0 to 1 along two parabolas that meet at 0.5 instead of along a line."""
    return torch.where(straight < 0.5, 2.0 * straight.square(), 1.0 - 2.0 * (1.0 - straight).square())


def _listed(parameters: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in parameters)
