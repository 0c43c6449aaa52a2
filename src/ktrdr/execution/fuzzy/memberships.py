"""Membership functions: how far a number belongs to a fuzzy set, from 0 to 1, on tensors of any shape.

There is one definition, so a number, an array and a tensor get the same answer. A new function is a class here and a
name in the union below. Names and order of the parameters are scikit-fuzzy's, which the tests compare with.
"""

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from ktrdr.execution.component import refusal
from ktrdr.execution.fuzzy.base import Cornered, Membership


class Triangular(Cornered):
    """0 at a, 1 at b, 0 at c, straight between; a = b or b = c makes a shoulder with membership 1 at its flat end.

    >>> Triangular(parameters=(0, 0, 40)).membership(torch.tensor([0.0, 20.0, 40.0])).tolist()
    [1.0, 0.5, 0.0]
    """

    type: Literal["triangular", "triangle", "trimf"] = "triangular"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b", "c")

    @property
    def corners(self) -> tuple[float, float, float, float]:
        a, b, c = self.parameters
        return a, b, b, c


class Trapezoidal(Cornered):
    """0 at a, 1 from b to c, 0 at d, straight between; a = b or c = d makes a shoulder.

    >>> Trapezoidal(parameters=(0, 10, 20, 30)).membership(torch.tensor([5.0, 15.0, 30.0])).tolist()
    [0.5, 1.0, 0.0]
    """

    type: Literal["trapezoidal", "trapezoid", "trapmf"] = "trapezoidal"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b", "c", "d")

    @property
    def corners(self) -> tuple[float, float, float, float]:
        a, b, c, d = self.parameters
        return a, b, c, d


class Gaussian(Membership):
    """exp(-(x - mean)² / (2 sigma²)).

    >>> round(Gaussian(parameters=(50, 10)).membership(torch.tensor([60.0])).item(), 4)
    0.6065
    """

    type: Literal["gaussian", "gauss", "gaussmf"] = "gaussian"
    parameter_names: ClassVar[tuple[str, ...]] = ("mean", "sigma")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        _above_zero("sigma", parameters[1], "a width")

    @property
    def reach(self) -> tuple[float, float]:
        mean, sigma = self.parameters
        return mean - 3 * sigma, mean + 3 * sigma

    def membership(self, values: Tensor) -> Tensor:
        mean, sigma = self.parameters
        return _bell_curve((values - mean) / sigma)


class Gaussian2(Membership):
    """A Gaussian on each side: rising with sigma1 up to mean1, 1 to mean2, falling with sigma2 from there.

    >>> two_sided = Gaussian2(parameters=(40, 5, 60, 20))
    >>> [round(value, 4) for value in two_sided.membership(torch.tensor([35.0, 50.0, 80.0])).tolist()]
    [0.6065, 1.0, 0.6065]
    """

    type: Literal["gaussian2", "gauss2", "gauss2mf", "two_sided_gaussian"] = "gaussian2"
    parameter_names: ClassVar[tuple[str, ...]] = ("mean1", "sigma1", "mean2", "sigma2")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        mean1, sigma1, mean2, sigma2 = parameters
        _above_zero("sigma1", sigma1, "a width")
        _above_zero("sigma2", sigma2, "a width")
        if mean1 > mean2:
            raise refusal(f"mean1 {mean1:g} above mean2 {mean2:g}", "the left side ends where the right one begins")

    @property
    def reach(self) -> tuple[float, float]:
        mean1, sigma1, mean2, sigma2 = self.parameters
        return mean1 - 3 * sigma1, mean2 + 3 * sigma2

    def membership(self, values: Tensor) -> Tensor:
        mean1, sigma1, mean2, sigma2 = self.parameters
        left, right = (values - mean1).clamp(max=0.0) / sigma1, (values - mean2).clamp(min=0.0) / sigma2
        return _bell_curve(left + right)


class GeneralizedBell(Membership):
    """1 / (1 + |(x - c) / a|^(2b)): centre c, 0.5 at c ± a, steeper with b.

    >>> GeneralizedBell(parameters=(10, 2, 50)).membership(torch.tensor([40.0, 50.0, 60.0])).tolist()
    [0.5, 1.0, 0.5]
    """

    type: Literal["gbell", "generalized_bell", "generalised_bell", "bell", "gbellmf"] = "gbell"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b", "c")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        _above_zero("a", parameters[0], "the half width at membership 0.5")
        _above_zero("b", parameters[1], "the steepness")

    @property
    def reach(self) -> tuple[float, float]:
        a, b, c = self.parameters
        width = a * 19.0 ** min(0.5 / b, 20.0)  # where it is 0.05
        return c - width, c + width

    def membership(self, values: Tensor) -> Tensor:
        a, b, c = self.parameters
        return 1.0 / (1.0 + ((values - c) / a).abs().pow(2.0 * b))


class Sigmoid(Membership):
    """1 / (1 + exp(-c (x - b))): 0.5 at b, rising when c is above 0 and falling when it is below.

    (MATLAB's sigmf names the two the other way round.)

    >>> Sigmoid(parameters=(50, 0.2)).membership(torch.tensor([50.0])).item()
    0.5
    """

    type: Literal["sigmoid", "sigmoidal", "sigmf"] = "sigmoid"
    parameter_names: ClassVar[tuple[str, ...]] = ("b", "c")

    @classmethod
    def check(cls, parameters: tuple[float, ...]) -> None:
        if parameters[1] == 0:
            raise refusal("c 0", "c is the slope: above 0 the membership rises, below 0 it falls")

    @property
    def reach(self) -> tuple[float, float]:
        b, c = self.parameters
        return b - 4 / abs(c), b + 4 / abs(c)

    def membership(self, values: Tensor) -> Tensor:
        b, c = self.parameters
        return torch.sigmoid((values - b) * c)


class ZShape(Cornered):
    """1 up to a, 0 from b, two parabolas between.

    >>> ZShape(parameters=(20, 40)).membership(torch.tensor([20.0, 30.0, 40.0])).tolist()
    [1.0, 0.5, 0.0]
    """

    type: Literal["z", "z_shape", "z_shaped", "zmf"] = "z"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b")
    smooth: ClassVar[bool] = True

    @property
    def corners(self) -> tuple[float, float, float, float]:
        a, b = self.parameters
        return -math.inf, -math.inf, a, b


class SShape(Cornered):
    """0 up to a, 1 from b, two parabolas between.

    >>> SShape(parameters=(60, 80)).membership(torch.tensor([60.0, 65.0, 70.0, 80.0])).tolist()
    [0.0, 0.125, 0.5, 1.0]
    """

    type: Literal["s", "s_shape", "s_shaped", "smf"] = "s"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b")
    smooth: ClassVar[bool] = True

    @property
    def corners(self) -> tuple[float, float, float, float]:
        a, b = self.parameters
        return a, b, math.inf, math.inf


class Pi(Cornered):
    """0 at a, 1 from b to c, 0 at d, each side two parabolas; a = b or c = d makes a shoulder.

    >>> Pi(parameters=(0, 20, 40, 60)).membership(torch.tensor([10.0, 30.0, 45.0])).tolist()
    [0.5, 1.0, 0.875]
    """

    type: Literal["pi", "pi_shape", "pi_shaped", "pimf"] = "pi"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b", "c", "d")
    smooth: ClassVar[bool] = True

    @property
    def corners(self) -> tuple[float, float, float, float]:
        a, b, c, d = self.parameters
        return a, b, c, d


def _bell_curve(deviations: Tensor) -> Tensor:
    return torch.exp(deviations.square() * -0.5)


def _above_zero(name: str, value: float, what: str) -> None:
    if value <= 0:
        raise refusal(f"{name} {value:g}", f"{name} is {what}: give a number above 0")


def _shorthand(written: Any) -> Any:
    """`[a, b, c]` is a triangle; names of types may be written in any case."""
    if isinstance(written, list):
        if len(written) != 3:
            raise refusal(f"a list of {len(written)}", "[a, b, c] is a triangle; else write {type: …, parameters: […]}")
        return {"type": "triangular", "parameters": written}
    if isinstance(written, dict) and isinstance(written.get("type"), str):
        return {**written, "type": written["type"].lower()}
    if not isinstance(written, (dict, Membership)):
        raise refusal(repr(written), "a membership is [a, b, c] or {type: …, parameters: […]}")
    return written


_Shape = Annotated[
    Triangular | Trapezoidal | Gaussian | Gaussian2 | GeneralizedBell | Sigmoid | ZShape | SShape | Pi,
    Field(discriminator="type"),
]
AnyMembership = Annotated[_Shape, BeforeValidator(_shorthand, json_schema_input_type=_Shape | list[float])]
"""The registry: every membership function there is."""

MEMBERSHIPS: tuple[type[Membership], ...] = (
    Triangular,
    Trapezoidal,
    Gaussian,
    Gaussian2,
    GeneralizedBell,
    Sigmoid,
    ZShape,
    SShape,
    Pi,
)
