"""Membership functions: how far a number belongs to a fuzzy set, from 0 to 1, on tensors of any shape.

There is one implementation, so a number, an array and a tensor get the same answer. A new function is a class here and
a name in the union below.
"""

from abc import abstractmethod
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field, field_validator
from torch import Tensor

from ktrdr.execution.component import Component, Number, refusal


class Membership(Component):
    """A membership function with its parameters, in the unit of the indicator."""

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

    @abstractmethod
    def membership(self, values: Tensor) -> Tensor:
        """The membership of each value, 0 to 1, of the values' shape and dtype; NaN stays NaN."""


class Triangular(Membership):
    """0 at a, 1 at b, 0 at c, straight between; a = b or b = c makes a shoulder with membership 1 at its flat end.

    >>> Triangular(parameters=(0, 0, 40)).membership(torch.tensor([0.0, 20.0, 40.0])).tolist()
    [1.0, 0.5, 0.0]
    """

    type: Literal["triangular", "triangle"] = "triangular"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b", "c")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        _rising(cls, parameters)

    def membership(self, values: Tensor) -> Tensor:
        a, b, c = self.parameters
        return _trapezoid(values, a, b, b, c)


class Trapezoidal(Membership):
    """0 at a, 1 from b to c, 0 at d, straight between; a = b or c = d makes a shoulder.

    >>> Trapezoidal(parameters=(0, 10, 20, 30)).membership(torch.tensor([5.0, 15.0, 30.0])).tolist()
    [0.5, 1.0, 0.0]
    """

    type: Literal["trapezoidal", "trapezoid"] = "trapezoidal"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b", "c", "d")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        _rising(cls, parameters)

    def membership(self, values: Tensor) -> Tensor:
        a, b, c, d = self.parameters
        return _trapezoid(values, a, b, c, d)


class Gaussian(Membership):
    """exp(-(x - mean)² / (2 sigma²)).

    >>> round(Gaussian(parameters=(50, 10)).membership(torch.tensor([60.0])).item(), 4)
    0.6065
    """

    type: Literal["gaussian"] = "gaussian"
    parameter_names: ClassVar[tuple[str, ...]] = ("mean", "sigma")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        if parameters[1] <= 0:
            raise refusal(f"sigma {parameters[1]:g}", "sigma is a width: give a number above 0")

    def membership(self, values: Tensor) -> Tensor:
        mean, sigma = self.parameters
        return torch.exp(((values - mean) / sigma).square() * -0.5)


def _rising(cls: type[Membership], parameters: tuple[float, ...]) -> None:
    if any(left > right for left, right in pairwise(parameters)) or parameters[0] == parameters[-1]:
        written = ", ".join(f"{value:g}" for value in parameters)
        raise refusal(f"[{written}]", f"write {' ≤ '.join(cls.parameter_names)}, the first below the last")


def _trapezoid(values: Tensor, a: float, b: float, c: float, d: float) -> Tensor:
    """Rising from a to b, 1 to c, falling to d; a vertical side counts its own foot in."""
    up = (values - a) / (b - a) if b > a else _step(values, values >= a)
    down = (d - values) / (d - c) if d > c else _step(values, values <= d)
    return torch.minimum(up, down).clamp(0.0, 1.0)


def _step(values: Tensor, inside: Tensor) -> Tensor:
    return torch.where(values.isnan(), values, inside.to(values.dtype))


def _shorthand(written: Any) -> Any:
    """`[a, b, c]` is a triangle; names of types may be written in any case."""
    if isinstance(written, list):
        if len(written) != 3:
            raise refusal(f"a list of {len(written)}", "[a, b, c] is a triangle; else write {type: …, parameters: […]}")
        return {"type": "triangular", "parameters": written}
    if isinstance(written, dict) and isinstance(written.get("type"), str):
        return {**written, "type": written["type"].lower()}
    return written


_Shape = Annotated[Triangular | Trapezoidal | Gaussian, Field(discriminator="type")]
AnyMembership = Annotated[_Shape, BeforeValidator(_shorthand, json_schema_input_type=_Shape | list[float])]
"""The registry: every membership function there is."""

MEMBERSHIPS: tuple[type[Membership], ...] = (Triangular, Trapezoidal, Gaussian)
