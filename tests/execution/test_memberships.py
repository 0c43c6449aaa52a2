"""Membership functions: scikit-fuzzy's numbers, exact at feet, tops and shoulders, the same for numbers, arrays and
tensors, NaN kept."""

import math
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pytest
import skfuzzy
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ktrdr.execution.fuzzy.base import BLOCK, Membership
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.fuzzy.memberships import (
    MEMBERSHIPS,
    AnyMembership,
    Gaussian,
    Gaussian2,
    GeneralizedBell,
    Pi,
    Sigmoid,
    SShape,
    Trapezoidal,
    Triangular,
    ZShape,
)

ANY: TypeAdapter[Membership] = TypeAdapter(AnyMembership)
REAL = st.floats(-1e6, 1e6).map(lambda value: round(value, 4))
WIDTH = st.floats(1e-3, 1e6)
POINT = st.one_of(REAL, st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308]))


def rising(count: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Parameters in rising order, the first below the last; many sides vertical."""
    ordered = st.lists(REAL | st.integers(-9, 9).map(float), min_size=count, max_size=count).map(sorted).map(tuple)
    return ordered.filter(lambda corners: corners[-1] > corners[0])


PARAMETERS: dict[type[Membership], st.SearchStrategy[tuple[float, ...]]] = {
    Triangular: rising(3),
    Trapezoidal: rising(4),
    Gaussian: st.tuples(REAL, WIDTH),
    Gaussian2: st.tuples(REAL, WIDTH, REAL, WIDTH).map(lambda p: (min(p[0], p[2]), p[1], max(p[0], p[2]), p[3])),
    GeneralizedBell: st.tuples(WIDTH, st.floats(0.25, 20), REAL),
    Sigmoid: st.tuples(REAL, st.floats(0.001, 100) | st.floats(-100, -0.001)),
    ZShape: rising(2),
    SShape: rising(2),
    Pi: rising(4),
}
ORACLES: dict[type[Membership], Callable[..., Any]] = {
    Triangular: lambda x, *corners: skfuzzy.trimf(x, corners),
    Trapezoidal: lambda x, *corners: skfuzzy.trapmf(x, corners),
    Gaussian: skfuzzy.gaussmf,
    Gaussian2: skfuzzy.gauss2mf,
    GeneralizedBell: skfuzzy.gbellmf,
    Sigmoid: skfuzzy.sigmf,
    ZShape: skfuzzy.zmf,
    SShape: skfuzzy.smf,
    Pi: skfuzzy.pimf,
}
FUNCTIONS = st.sampled_from(MEMBERSHIPS).flatmap(
    lambda kind: PARAMETERS[kind].map(lambda parameters: kind(parameters=parameters))
)
ANY_KIND = pytest.mark.parametrize("kind", MEMBERSHIPS, ids=lambda kind: kind.__name__)


def at(function: Membership, value: float) -> float:
    return function.membership(torch.tensor(value, dtype=torch.float64)).item()


def over(function: Membership, values: Sequence[float]) -> np.ndarray:
    return function.membership(torch.tensor(values, dtype=torch.float64)).numpy()


def around(parameters: Sequence[float]) -> np.ndarray:
    """Points before, on, between and behind the parameters."""
    low, high = min(parameters), max(parameters)
    return np.unique(np.concatenate([np.linspace(low - (high - low), high + (high - low), 97), parameters]))


@ANY_KIND
@given(data=st.data())
def test_it_is_scikit_fuzzys(kind: type[Membership], data: st.DataObject) -> None:
    """At points of every stretch; where two of scikit-fuzzy's pi corners coincide it divides 0 by 0, so not there."""
    parameters = data.draw(PARAMETERS[kind])
    if kind is Pi and (parameters[0] == parameters[1] or parameters[2] == parameters[3]):
        return
    x = around(parameters)
    with np.errstate(all="ignore"):
        expected = ORACLES[kind](x, *parameters)
    np.testing.assert_allclose(over(kind(parameters=parameters), x.tolist()), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [Triangular, Trapezoidal, Pi], ids=lambda kind: kind.__name__)
@given(low=REAL, width=WIDTH)
def test_a_shoulder_is_one_at_its_flat_end(kind: type[Membership], low: float, width: float) -> None:
    """On either side, for the definition and for the fast column."""
    high, corners = low + width, len(kind.parameter_names)
    left = kind(parameters=(low,) * (corners - 1) + (high,))
    right = kind(parameters=(low,) + (high,) * (corners - 1))
    assert over(left, [np.nextafter(low, -np.inf), low, high]).tolist() == [0.0, 1.0, 0.0]
    assert over(right, [low, high, np.nextafter(high, np.inf)]).tolist() == [0.0, 1.0, 0.0]
    assert left.column(np.array([low, high])).tolist() == [1.0, 0.0]
    assert right.column(np.array([low, high])).tolist() == [0.0, 1.0]


def test_the_middle_of_a_straight_side_is_a_half() -> None:
    assert at(Triangular(parameters=(0, 0, 40)), 20.0) == 0.5
    assert at(Triangular(parameters=(60, 100, 100)), 80.0) == 0.5


@given(rising(4))
def test_what_has_a_top_is_one_on_it_and_zero_outside(corners: tuple[float, ...]) -> None:
    a, b, c, d = corners
    for function in (Trapezoidal(parameters=corners), Pi(parameters=corners)):
        assert at(function, b) == at(function, c) == 1.0
        assert at(function, np.nextafter(a, -np.inf)) == at(function, np.nextafter(d, np.inf)) == 0.0


def test_published_points_of_the_smooth_shapes() -> None:
    assert at(Gaussian(parameters=(50, 10)), 60.0) == pytest.approx(math.exp(-0.5))
    assert at(GeneralizedBell(parameters=(10, 2, 50)), 70.0) == pytest.approx(1 / (1 + 2**4))
    assert at(Sigmoid(parameters=(50, 0.1)), 60.0) == pytest.approx(1 / (1 + math.exp(-1)))
    assert at(Gaussian2(parameters=(40, 5, 60, 20)), 80.0) == pytest.approx(math.exp(-0.5))


@given(FUNCTIONS, st.lists(POINT, min_size=1, max_size=30))
def test_it_lies_between_0_and_1_and_nan_stays_nan(function: Membership, values: list[float]) -> None:
    """Infinite and huge values included: nothing but NaN gives NaN."""
    result, column = over(function, values), function.column(np.array(values))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(values))
    assert ((result >= 0) & (result <= 1) | np.isnan(result)).all()
    np.testing.assert_array_equal(np.isnan(column), np.isnan(values))


@given(FUNCTIONS, st.lists(st.one_of(POINT, st.integers(-10, 10).map(float)), min_size=1, max_size=30))
def test_numbers_arrays_and_tensors_get_the_same_answer(function: Membership, values: list[float]) -> None:
    """A number alone, a vector, a matrix, and the column of an indicator, which is rounded to float32."""
    vector = torch.tensor(values, dtype=torch.float64)
    together = function.membership(vector).numpy()
    np.testing.assert_array_equal(function.membership(vector[:, None]).numpy()[:, 0], together)
    np.testing.assert_array_equal(function.column(np.array(values)), together.astype(np.float32))
    for value, expected in zip(values, together.tolist(), strict=True):
        np.testing.assert_allclose(at(function, value), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("count", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1])
def test_a_long_column_is_the_definition_too(count: int) -> None:
    """Whatever the number of blocks it is computed in."""
    values = np.random.default_rng(count).normal(50, 40, count)
    values[: count // 7] = np.nan
    for kind, parameters in (
        (Triangular, (0, 0, 40)), (Trapezoidal, (20, 40, 60, 60)), (Gaussian, (50, 20)), (Gaussian2, (40, 9, 50, 20)),
        (GeneralizedBell, (20, 2, 50)), (Sigmoid, (50, -0.2)), (ZShape, (10, 40)), (SShape, (40, 80)),
        (Pi, (0, 20, 20, 90)),
    ):  # fmt: skip
        function = kind(parameters=parameters)
        expected = function.membership(torch.from_numpy(values)).float().numpy()
        np.testing.assert_array_equal(function.column(values), expected)
        np.testing.assert_array_equal(function.column(values[::2]), expected[::2])


@ANY_KIND
@given(data=st.data())
def test_it_rises_to_its_top_and_falls_behind_it(kind: type[Membership], data: st.DataObject) -> None:
    """S rises, Z falls, a sigmoid goes one way, and the others have no second top."""
    parameters = data.draw(PARAMETERS[kind])
    values = over(kind(parameters=parameters), around(parameters).tolist())
    steps = np.diff(values)
    if kind is SShape or (kind is Sigmoid and parameters[1] > 0):
        assert (steps >= -1e-15).all()
    elif kind in (ZShape, Sigmoid):
        assert (steps <= 1e-15).all()
    else:
        top = int(values.argmax())
        assert (steps[:top] >= -1e-15).all()
        assert (steps[top:] <= 1e-15).all()


@ANY_KIND
@given(data=st.data())
def test_the_definition_can_be_differentiated(kind: type[Membership], data: st.DataObject) -> None:
    """No gradient is NaN, at feet and tops neither. (A bell with 2b < 1 has a cusp, a very steep one overflows.)"""
    parameters = data.draw(PARAMETERS[kind].filter(lambda drawn: kind is not GeneralizedBell or 0.5 <= drawn[1] <= 8))
    function = kind(parameters=parameters)
    values = torch.tensor(around(function.parameters), dtype=torch.float64, requires_grad=True)
    function.membership(values).sum().backward()
    assert values.grad is not None
    assert not values.grad.isnan().any()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([40, 20, 0], "[40, 20, 0]"),
        ([5, 5, 5], "[5, 5, 5]"),
        ([0, 1], "a list of 2"),
        ({"type": "gaussian", "parameters": [0, 0]}, "sigma 0"),
        ({"type": "gaussian2", "parameters": [5, 1, 4, 1]}, "mean1 5 above mean2 4"),
        ({"type": "gaussian2", "parameters": [5, 1, 6, -1]}, "sigma2 -1"),
        ({"type": "gbell", "parameters": [0, 1, 4]}, "a 0"),
        ({"type": "gbell", "parameters": [1, -1, 4]}, "b -1"),
        ({"type": "sigmoid", "parameters": [50, 0]}, "c 0"),
        ({"type": "z", "parameters": [4, 4]}, "[4, 4]"),
        ({"type": "s", "parameters": [5, 4]}, "a ≤ b, the first below the last"),
        ({"type": "pi", "parameters": [0, 2, 1, 3]}, "[0, 2, 1, 3]"),
        ({"type": "pi", "parameters": [0, 1, 2]}, "give 4: [a, b, c, d]"),
        ({"type": "trapezoidal", "parameters": [0, 1, 2]}, "3 parameters"),
        ({"type": "triangular", "parameters": [0, True, 2]}, "valid number"),
        ({"type": "triangular", "parameters": [0, math.nan, 2]}, "finite"),
        ({"type": "bel", "parameters": [0, 1, 2]}, "bel"),
    ],
)
def test_a_shape_that_is_none_is_refused(written: object, found: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(found)):
        ANY.validate_python(written)


@ANY_KIND
def test_every_name_of_a_shape_is_known_in_any_case(kind: type[Membership]) -> None:
    """The name of the grammar, the common ones and scikit-fuzzy's; what is written out reads back, and pickles."""
    parameters = [float(number) for number in range(1, len(kind.parameter_names) + 1)]
    for name in get_args(kind.model_fields["type"].annotation):
        for written in (name, name.upper(), name.title()):
            function = ANY.validate_python({"type": written, "parameters": parameters})
            assert type(function) is kind
            assert ANY.validate_python(function.model_dump(mode="json")) == function
            assert pickle.loads(pickle.dumps(function)) == function


def test_the_engine_gives_float32_and_keeps_undefined_values() -> None:
    values = np.array([np.nan, 0.0, 20.0, 40.0])
    result = FuzzyEngine().memberships(values, {"low": Triangular(parameters=(0, 0, 40))})["low"]
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.array([np.nan, 1.0, 0.5, 0.0], dtype=np.float32))
