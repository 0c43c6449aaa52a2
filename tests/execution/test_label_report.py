"""The label report says what a count by hand says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.test_splits import data, matrix_of
from tests.support import random_bars

from ktrdr.execution.label_report import durations, label_report
from ktrdr.execution.labels.base import NULL, Labeler, Labels
from ktrdr.execution.labels.forward_return import ForwardReturn
from ktrdr.execution.labels.regime import Regime
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.labels.zigzag import Zigzag
from ktrdr.execution.rows import rows_of
from ktrdr.execution.splits import Split, split_rows
from ktrdr.execution.strategy.learning import DataSplit


def report_of(labeler: Labeler, seeds: tuple[int, ...] = (1, 2)) -> tuple[dict, Split, list[Labels]]:
    bars = [random_bars(seed, 900, symbol=f"S{seed}") for seed in seeds]
    labels = [labeler.label(one) for one in bars]
    rows, _ = rows_of(bars, [matrix_of(900) for _ in seeds], labels, data())
    split = split_rows(rows, bars, data(), DataSplit())
    return label_report(labeler, labels, bars, data(), split), split, labels


@pytest.mark.parametrize("labeler", [Zigzag(), TripleBarrier(vol_span=10), Regime(vol_lookback=30)], ids=str)
def test_shares_and_look_ahead_are_those_of_the_rows(labeler: Labeler) -> None:
    report, split, labels = report_of(labeler)
    for name, rows in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        expected = {label: float((rows.label == index).mean()) for index, label in enumerate(labeler.classes)}
        assert report["distribution"][name] == pytest.approx(expected)
    ahead = [known - bar for part in (split.train, split.validation, split.test) for known, bar in spans(part)]
    assert report["look_ahead_bars"] == {
        "median": np.median(ahead),
        "p99": np.quantile(ahead, 0.99),
        "max": max(ahead),
    }
    assert report["purged"] == split.purged
    assert report["random_walk_classes"] == (labeler.expectation() or None)
    for name in labels[0].counts:
        assert report[name] == sum(one.counts[name] for one in labels)


def spans(rows) -> list[tuple[int, int]]:
    return list(zip(rows.known_at.tolist(), rows.bar.tolist(), strict=True))


def test_a_zigzag_lasts_from_one_turning_point_to_the_next() -> None:
    report, _, labels = report_of(Zigzag(), (3,))
    points = np.flatnonzero(labels[0].label == 1)
    legs = np.diff(points) - 1
    runs = [report["duration_bars"][name]["runs"] for name in ("BUY", "SELL")]
    assert sum(runs) in ((legs > 0).sum(), (legs > 0).sum() + 1)  # the last leg is known up to its last extreme
    assert report["duration_bars"]["HOLD"]["max"] <= 2


@given(st.lists(st.sampled_from([NULL, 0, 1, 2]), max_size=40), st.integers(0, 10))
def test_durations_are_runs_of_one_answer(answers: list[int], start: int) -> None:
    label = np.array(answers, dtype=np.int64)
    labels = Labels(label=label, known_at=np.where(label == NULL, NULL, 99), event=np.ones(len(label), dtype=bool))
    runs: list[list[int]] = []
    before = NULL
    for answer in answers[start:]:
        if answer != NULL and answer == before:
            runs[-1][1] += 1
        elif answer != NULL:
            runs.append([answer, 1])
        before = answer
    found = durations(labels, np.arange(len(label)) >= start)
    assert [list(run) for run in zip(*(part.tolist() for part in found), strict=True)] == runs


def test_numbers_have_moments_and_quantiles_and_do_not_last() -> None:
    report, split, _ = report_of(ForwardReturn(horizon=5))
    train = report["distribution"]["train"]
    assert train["mean"] == pytest.approx(split.train.label.mean())
    assert train["sd"] == pytest.approx(np.std(split.train.label, ddof=1))
    assert train["q05"] == pytest.approx(np.quantile(split.train.label, 0.05))
    assert list(train) == ["mean", "sd", "q01", "q05", "q25", "q50", "q75", "q95", "q99"]
    assert report["duration_bars"] is None
    assert report["look_ahead_bars"] == {"median": 5.0, "p99": 5.0, "max": 5}


def test_several_symbols_are_never_one_run() -> None:
    """Each symbol's bars begin anew: together they last as long as apart."""
    together = report_of(Regime(vol_lookback=30), (1, 2))[0]["duration_bars"]
    apart = [report_of(Regime(vol_lookback=30), (seed,))[0]["duration_bars"] for seed in (1, 2)]
    for name, runs in together.items():
        assert runs["runs"] == sum(one.get(name, {"runs": 0})["runs"] for one in apart)
