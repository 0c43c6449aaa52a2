"""A signal is the likeliest class that is likely enough, or an expected return beyond its cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.execution.labels.base import BUY, HOLD, SELL
from ktrdr.execution.strategy.decisions import Decisions
from ktrdr.execution.trades.rules import Rules, rules_of
from ktrdr.execution.trades.signals import largest_edge, signals


def rules(*, regression: bool = False, threshold: float = 0.5) -> Rules:
    return Rules(
        regression=regression,
        threshold=threshold,
        round_trip_cost=0.001,
        cost_assumed=False,
        separation=0,
        shorts=False,
    )


@given(st.integers(0, 1000), st.floats(0, 1))
def test_of_probabilities_the_likeliest_that_reaches_the_threshold(seed: int, threshold: float) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(3), 30).astype(np.float32)
    for row, said in zip(shares, signals(shares, rules(threshold=threshold)), strict=True):
        best = max(range(3), key=lambda one: row[one])
        assert said == (best if row[best] >= np.float32(threshold) else HOLD)


def test_a_probability_of_float32_reaches_the_threshold_it_was_rounded_from() -> None:
    """float32(0.7) is below 0.7."""
    shares = np.array([[0.7, 0.2, 0.1]], dtype=np.float32)
    assert signals(shares, rules(threshold=0.7)).tolist() == [BUY]
    assert signals(shares.astype(np.float64), rules(threshold=0.7)).tolist() == [BUY]


def test_of_expected_returns_those_strictly_beyond_the_threshold() -> None:
    values = np.array([[0.002], [0.001], [0.0], [-0.001], [-0.0011], [np.nan], [np.inf]])
    expected = [BUY, HOLD, HOLD, HOLD, SELL, HOLD, BUY]
    assert signals(values, rules(regression=True, threshold=0.001)).tolist() == expected
    assert signals(values[:, 0], rules(regression=True, threshold=0.001)).tolist() == expected


def test_rows_without_numbers_hold() -> None:
    assert signals(np.full((2, 3), np.nan), rules()).tolist() == [HOLD, HOLD]
    assert len(signals(np.empty((0, 3)), rules())) == len(signals(np.empty((0, 1)), rules(regression=True))) == 0


def test_the_largest_edge_is_what_came_nearest_to_a_trade() -> None:
    shares = np.array([[0.2, 0.7, 0.1], [0.45, 0.3, 0.25], [0.3, 0.3, 0.4]])
    assert largest_edge(shares, rules()) == 0.45
    assert largest_edge(shares[:1], rules()) is None
    assert largest_edge(np.array([0.001, -0.004, np.nan]), rules(regression=True)) == 0.004
    assert largest_edge(np.empty((0, 3)), rules()) is None


@pytest.mark.parametrize(
    ("section", "shorts"),
    [
        ({}, False),
        ({"allow_short_from_flat": True}, True),
        ({"position_awareness": False}, True),
    ],
)
def test_when_shorts_are_allowed(section: dict[str, bool], shorts: bool) -> None:
    assert rules_of(Decisions.model_validate(section)).shorts is shorts


def test_what_the_section_says_becomes_the_rules() -> None:
    plain = rules_of(Decisions())
    assert (plain.round_trip_cost, plain.cost_assumed, plain.separation, plain.threshold) == (0.001, True, 4, 0.5)
    cost = {"round_trip_cost": 0.003, "min_edge_multiplier": 2.0}
    written = {"cost_model": cost, "confidence_threshold": 0.6, "filters": {"min_signal_separation": 9}}
    said = rules_of(Decisions.model_validate(written))
    assert (said.round_trip_cost, said.cost_assumed, said.separation, said.threshold) == (0.003, False, 9, 0.6)


def test_a_regression_has_its_threshold_from_the_costs() -> None:
    cost = {"round_trip_cost": 0.003, "min_edge_multiplier": 2.0}
    section = Decisions.model_validate({"cost_model": cost, "confidence_threshold": 0.6})
    said = rules_of(section.model_copy(update={"output_format": "regression"}))
    assert (said.regression, said.shorts) == (True, True)
    assert said.threshold == pytest.approx(0.006)
