"""Triple barriers, CUSUM events and uniqueness give the values that mlfinpy 0.1.2 (MIT) publishes and computes.

Its closes are our bars with open = high = low = close; a barrier is touched by a close beyond it; each event has its
own target and vertical barrier; 1, 0 and −1 are BUY, HOLD (at expiry) and SELL. It pins an old NumPy, so that its
answers are written down here. The dollar bars are those of its package (`dollar_bar_sample.csv`, their closes alone);
its own tests (`tests/test_labels.py`, `tests/test_sampling.py`) state eight events, two of them expired, the first
and last target, and the uniqueness of the eight labels. The answers for the walk were computed with `get_events`,
`get_bins` and `get_av_uniqueness_from_triple_barrier`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ktrdr.execution.labels.base import BUY, HOLD, SELL
from ktrdr.execution.labels.cusum import cusum_events
from ktrdr.execution.labels.trailing import log_returns
from ktrdr.execution.labels.triple_barrier import triple_barrier
from ktrdr.execution.labels.uniqueness import uniqueness

ANSWERS = {1: BUY, 0: HOLD, -1: SELL}

DOLLAR_EVENTS = [60, 217, 330, 408, 572, 623, 733, 879, 963]
"""Of `cusum_filter(close, threshold=0.02)`."""

DOLLAR_BARRIERS = [
    (217, 0.010166261175903357, 262, 262, 0),
    (330, 0.009425194877166206, 378, 371, 1),
    (408, 0.008033648933105934, 488, 445, -1),
    (572, 0.008153682141818455, 629, 584, 1),
    (623, 0.008158397975210275, 629, 629, 0),
    (733, 0.006833481195958241, 787, 742, -1),
    (879, 0.00680107786064478, 930, 901, 1),
    (963, 0.006455887663302871, 999, 988, -1),
]
"""Event, target, vertical barrier (one day), first touch, answer; `pt_sl` is [1, 1]."""

WALK = 100.0 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.01, 400)))
WALK_EVENTS = np.arange(0, 370, 6)
WALK_TARGET = np.where(np.arange(400) % 4 < 2, 0.015, 0.03)
WALK_HOLDING = 25
WALK_TOUCHED = {
    (1, 1): (
        "5 19 16 20 26 55 50 50 49 79 63 91 75 95 87 101 99 126 117 123 123 151 133 145 156 157 166 166"
        " 174 196 187 196 196 204 209 218 219 231 247 247 245 249 255 283 271 294 277 293 290 319 316 317"
        " 316 329 329 335 339 367 350 362 361 383"
    ),
    (2, 1): (
        "5 19 16 20 26 55 58 67 57 79 63 91 93 103 87 101 99 126 117 123 123 151 133 145 156 157 166 166"
        " 174 199 195 203 199 205 209 218 219 231 247 247 249 249 255 283 271 295 277 301 290 319 316 317"
        " 316 343 335 335 342 367 350 379 367 383"
    ),
    (1, 3): (
        "18 26 19 32 30 55 50 50 49 79 85 91 75 95 93 115 117 127 126 139 126 151 157 163 166 175 175 187"
        " 193 196 187 196 196 204 218 228 222 247 250 251 245 271 276 283 275 294 300 293 294 319 325 331"
        " 337 329 329 355 339 367 373 362 361 391"
    ),
}
WALK_ANSWERS = (
    "-1 -1 -1 -1 -1 0 1 1 1 0 -1 0 1 1 -1 -1 -1 -1 -1 -1 -1 0 -1 -1 -1 -1 -1 -1 -1 1 1 1 1 1 -1 -1 -1 -1"
    " -1 -1 1 -1 -1 0 -1 1 -1 1 -1 0 -1 -1 -1 1 1 -1 1 -1 -1 1 1 -1"
)
WALK_UNIQUENESS = (
    "1 .75 .5 .6666666667 1 .608974359 .3888888889 .3148148148 .25 .5769230769 .5 .4230769231 .3333333333"
    " .4259259259 .3333333333 .5555555556 .5 .6066666667 .4333333333 .3666666667 .3333333333 .6474358974 .5"
    " .4583333333 .4358974359 .4375 .6666666667 .5 .9285714286 .5579710145 .4583333333 .3939393939"
    " .3333333333 .9285714286 .9166666667 .8333333333 .625 .8 .4833333333 .4047619048 .3333333333"
    " .6666666667 1 .5769230769 .4583333333 .44 .3333333333 .4305555556 .3333333333 .5096153846 .3676470588"
    " .3125 .25 .6666666667 .5 1 1 .7179487179 .5 .462962963 .3333333333 .9444444444"
)


@pytest.fixture(scope="module")
def dollar_closes() -> np.ndarray:
    return pl.read_csv(Path(__file__).with_name("mlfinpy_dollar_bars.csv.gz"))["close"].to_numpy().astype(np.float64)


def touch(close: np.ndarray, event: int, width: float, holding: int, pt: float, sl: float) -> tuple[int, int]:
    """The answer of one event and the bar of its first touch."""
    volatility = np.full(len(close), np.nan)
    volatility[event] = width
    label, known_at, _ = triple_barrier(close, close, close, close, volatility, pt, sl, holding)
    return int(label[event]), int(known_at[event])


@pytest.mark.parametrize(("event", "width", "vertical", "touched", "answer"), DOLLAR_BARRIERS)
def test_the_barriers_of_the_dollar_bars(
    dollar_closes: np.ndarray, event: int, width: float, vertical: int, touched: int, answer: int
) -> None:
    assert touch(dollar_closes, event, width, vertical - event, 1.0, 1.0) == (ANSWERS[answer], touched)


def test_the_events_of_the_dollar_bars(dollar_closes: np.ndarray) -> None:
    events = cusum_events(log_returns(dollar_closes), np.full(len(dollar_closes), 0.02))
    assert np.flatnonzero(events).tolist() == DOLLAR_EVENTS


@pytest.mark.parametrize(("pt", "sl"), WALK_TOUCHED)
def test_first_touches_on_a_walk(pt: int, sl: int) -> None:
    touched = numbers(WALK_TOUCHED[pt, sl])
    found = [touch(WALK, event, WALK_TARGET[event], WALK_HOLDING, pt, sl) for event in WALK_EVENTS.tolist()]
    assert [at for _, at in found] == touched
    if (pt, sl) == (1, 1):
        assert [label for label, _ in found] == [ANSWERS[int(one)] for one in WALK_ANSWERS.split()]


def numbers(text: str) -> list[int]:
    return [int(one) for one in text.split()]


def counted_from_the_entry(starts: Sequence[int], ends: Sequence[int]) -> np.ndarray:
    """Uniqueness as mlfinpy counts it: the bar of the entry is spanned too."""
    return uniqueness(np.array(starts) - 1, np.array(ends))


def test_uniqueness_of_the_labels_of_a_walk() -> None:
    ours = counted_from_the_entry(WALK_EVENTS.tolist(), numbers(WALK_TOUCHED[1, 1]))
    np.testing.assert_allclose(ours, [float(one) for one in WALK_UNIQUENESS.split()], atol=1e-9)


def test_published_uniqueness() -> None:
    """Of eight labels of three hours each, and of the three of López de Prado's example (2018, 4.5.3)."""
    starts = [1, 2, 5, 7, 10, 11, 12, 20]
    hours = counted_from_the_entry(starts, [start + 2 for start in starts])
    np.testing.assert_allclose(hours[[0, 2, 5, 7]], [0.66, 0.83, 0.44, 1.0], atol=1e-2)
    np.testing.assert_allclose(counted_from_the_entry([0, 2, 4], [2, 3, 5]), [0.8333, 0.75, 1.0], atol=1e-4)
