"""The lines about labels say what there is to say of classes and of numbers, and nothing of what is missing."""

from typing import Any

import pytest

from ktrdr.cli.labelled import label_lines

CLASSES = {
    "source": "triple_barrier",
    "look_ahead_bars": {"median": 9.0, "p99": 48.0, "max": 50},
    "duration_bars": {"BUY": {"median": 11.0}, "SELL": {"median": 9.0}},
    "ambiguous": 3,
    "random_walk_classes": {"BUY": 0.43, "SELL": 0.57},
}
NUMBERS = {
    "source": "forward_return",
    "look_ahead_bars": {"median": 20.0, "p99": 20.0, "max": 20},
    "duration_bars": None,
    "distribution": {"train": {"mean": 0.0001, "sd": 0.004, "q05": -0.006, "q95": 0.0065}},
}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            CLASSES,
            [
                "triple_barrier, looking ahead 9 bars (median), 48 (99 %), 50 (most)",
                "3 bars that touched both barriers",
                "an answer lasts (median bars): BUY 11, SELL 9",
                "a walk without direction or time limit gives BUY 43%, SELL 57%",
            ],
        ),
        (
            NUMBERS,
            [
                "forward_return, looking ahead 20 bars (median), 20 (99 %), 20 (most)",
                "in training +0.000100 on average, deviating by 0.004000; 5 % to 95 %: -0.006000 to +0.006500",
            ],
        ),
        ({"source": "zigzag", "look_ahead_bars": None}, ["zigzag"]),
        ({}, ["–"]),
    ],
)
def test_what_is_said(labels: dict[str, Any], expected: list[str]) -> None:
    lines = list(label_lines(labels))
    assert [line for _, line in lines] == expected
    assert [name for name, _ in lines] == ["labels", *[""] * (len(expected) - 1)]
