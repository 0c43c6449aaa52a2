"""Membership functions: exact at feet, tops and shoulders, the same for numbers, arrays and tensors, NaN kept."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.fuzzy.memberships import MEMBERSHIPS, AnyMembership, Gaussian, Membership, Trapezoidal, Triangular

ANY = TypeAdapter(AnyMembership)
REAL = st.floats(-1e6, 1e6)


def at(function: Membership, value: float) -> float:
    return function.membership(torch.tensor(value, dtype=torch.float64)).item()


@pytest.mark.parametrize("shape", [[0, 0, 40], [60, 100, 100]])
def test_a_shoulder_is_one_at_its_flat_end(shape: list[float]) -> None:
    triangle = ANY.validate_python(shape)
    assert at(triangle, shape[1]) == 1.0
    assert at(triangle, shape[0] if shape[0] != shape[1] else shape[2]) == 0.0
    assert at(triangle, (shape[0] + shape[2]) / 2) == 0.5


@given(st.lists(REAL, min_size=3, max_size=3).map(sorted).filter(lambda abc: abc[2] - abc[0] > 1e-3), REAL)
def test_a_triangle_follows_its_definition(abc: list[float], x: float) -> None:
    """The textbook definition, case by case."""
    a, b, c = abc
    if x < a or x > c:
        expected = 0.0
    elif x == b:
        expected = 1.0
    else:
        expected = (x - a) / (b - a) if x < b else (c - x) / (c - b)
    assert at(Triangular(parameters=(a, b, c)), x) == pytest.approx(expected, abs=1e-9)


@given(st.lists(REAL, min_size=4, max_size=4).map(sorted).filter(lambda abcd: abcd[3] - abcd[0] > 1e-3))
def test_a_trapezoid_is_one_on_its_top_and_zero_outside(abcd: list[float]) -> None:
    a, b, c, d = abcd
    trapezoid = Trapezoidal(parameters=(a, b, c, d))
    assert at(trapezoid, b) == at(trapezoid, c) == 1.0
    assert at(trapezoid, np.nextafter(a, -np.inf)) == at(trapezoid, np.nextafter(d, np.inf)) == 0.0


def test_a_gaussian_is_one_at_its_mean_and_falls_by_sigma() -> None:
    gaussian = Gaussian(parameters=(50.0, 10.0))
    assert at(gaussian, 50.0) == 1.0
    assert at(gaussian, 60.0) == at(gaussian, 40.0) == pytest.approx(math.exp(-0.5))


@given(st.lists(REAL | st.just(math.nan), min_size=1, max_size=20))
def test_numbers_arrays_and_matrices_get_the_same_answer(values: list[float]) -> None:
    for function in (
        Triangular(parameters=(0, 0, 40)),
        Trapezoidal(parameters=(1, 1, 2, 2)),
        Gaussian(parameters=(0, 1)),
    ):
        column = torch.tensor(values, dtype=torch.float64)
        together = function.membership(column)
        assert torch.equal(function.membership(column[:, None])[:, 0].nan_to_num(-1), together.nan_to_num(-1))
        for value, expected in zip(values, together.tolist(), strict=True):
            alone = at(function, value)
            assert (math.isnan(alone) and math.isnan(expected)) or alone == expected
        assert together.isnan().equal(column.isnan())


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([40, 20, 0], "[40, 20, 0]"),
        ([5, 5, 5], "[5, 5, 5]"),
        ([0, 1], "a list of 2"),
        ({"type": "gaussian", "parameters": [0, 0]}, "sigma 0"),
        ({"type": "trapezoidal", "parameters": [0, 1, 2]}, "3 parameters"),
        ({"type": "triangular", "parameters": [0, True, 2]}, "valid number"),
        ({"type": "triangular", "parameters": [0, math.nan, 2]}, "finite"),
        ({"type": "bell", "parameters": [0, 1, 2]}, "bell"),
    ],
)
def test_a_shape_that_is_none_is_refused(written: object, found: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(found)):
        ANY.validate_python(written)


@pytest.mark.parametrize("name", ["triangle", "TRIANGULAR", "Trapezoid", "trapezoidal", "Gaussian"])
def test_every_name_of_a_shape_is_known(name: str) -> None:
    count = {"g": 2, "t": 3}[name[0].lower()] + ("trap" in name.lower())
    assert ANY.validate_python({"type": name, "parameters": list(range(1, count + 1))})


@pytest.mark.parametrize("kind", MEMBERSHIPS)
def test_what_is_written_out_reads_back(kind: type[Membership]) -> None:
    function = kind(parameters=tuple(float(index) for index in range(1, len(kind.parameter_names) + 1)))
    assert ANY.validate_python(function.model_dump(mode="json")) == function


def test_the_engine_gives_float32_and_keeps_undefined_values() -> None:
    values = np.array([np.nan, 0.0, 20.0, 40.0])
    result = FuzzyEngine().memberships(values, {"low": Triangular(parameters=(0, 0, 40))})["low"]
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.array([np.nan, 1.0, 0.5, 0.0], dtype=np.float32))
