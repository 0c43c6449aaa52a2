"""Folds learn from nothing that their tests settle: by the definition, read slowly, over every row."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.test_executor import REGRESSION, Shelf, request, run
from tests.execution.test_splits import matrix_of
from tests.support import ROOT, random_bars

from ktrdr.errors import NotEnoughData
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.folds import Fold, folds_of, require_enough_folds
from ktrdr.execution.labels.base import Labels
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.rows import Rows, rows_of
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.validation import Combinatorial

LABELS = TripleBarrier(vol_span=10, max_holding_period=7)


def strategy_with(validation: dict[str, Any], **training: Any) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "folds",
            "training_data": {
                "symbols": {"mode": "single", "symbol": "S1"},
                "timeframes": {"mode": "single", "timeframe": "1h"},
                "history_required": 10,
            },
            "indicators": {"rsi": {"type": "rsi"}},
            "nn_inputs": [{"raw_indicator": "rsi"}],
            "training": {"validation": validation, "labels": LABELS.model_dump(), **training},
        }
    )


def folds(
    validation: dict[str, Any], seeds: tuple[int, ...] = (1,), embargo: int | None = None, reach: int = 0
) -> tuple[list[Fold], Rows, list[Bars]]:
    bars = [random_bars(seed, 600 + 10 * seed, step=0.004, symbol=f"S{seed}") for seed in seeds]
    strategy = strategy_with(
        validation, data_split={"train": 0.7, "validation": 0.15, "test": 0.15, "embargo": embargo}
    )
    labels = [LABELS.label(one) for one in bars]
    rows, _ = rows_of(bars, [matrix_of(len(one)) for one in bars], labels, strategy.training_data)
    return folds_of(rows, bars, strategy, reach), rows, bars


def stamps(rows: Rows) -> set[tuple[int, int]]:
    return set(zip(rows.symbol.tolist(), rows.bar.tolist(), strict=True))


def settled(rows: Rows, bars: list[Bars], gap: int) -> np.ndarray:
    """The close of the bar `gap` bars behind the one at which each label was known, slowly."""
    return np.array(
        [
            bars[symbol].closes[known + gap] if known + gap < len(bars[symbol]) else np.inf
            for symbol, known in zip(rows.symbol, rows.known_at, strict=True)
        ]
    )


@settings(max_examples=20)
@given(
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
    embargo=st.integers(0, 12),
    count=st.integers(2, 5),
    mode=st.sampled_from(["expanding", "rolling"]),
)
def test_walking_forward_learns_from_what_was_settled_before(
    seeds: list[int], embargo: int, count: int, mode: str
) -> None:
    found, rows, bars = folds({"type": "walk_forward", "folds": count, "mode": mode}, tuple(seeds), embargo)
    assert len(found) == count
    tested = [stamps(fold.split.test) for fold in found]
    assert sum(map(len, tested)) == len(set.union(*tested))
    first = found[0].test_ranges[0][0]
    assert set.union(*tested) == stamps(rows.take(rows.decision >= first))
    for fold in found:
        start, end = fold.test_ranges[0]
        split = fold.split
        assert (split.test.decision >= start).all()
        assert (split.test.decision < end).all()
        assert (settled(split.train, bars, embargo) < split.validation_from).all()
        assert (split.validation.decision >= split.validation_from).all()
        assert (settled(split.validation, bars, embargo) < start).all()
    lengths = [np.ptp(fold.split.train.decision) for fold in found]
    if mode == "rolling":
        assert max(lengths) < 1.3 * min(lengths)
    else:
        assert lengths == sorted(lengths)
        assert lengths[-1] > lengths[0]


@settings(max_examples=20)
@given(
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
    embargo=st.integers(0, 12),
    reach=st.integers(0, 30),
    sizes=st.sampled_from([(3, 2), (5, 2), (6, 1)]),
)
def test_no_row_of_a_combinatorial_split_is_near_its_test(
    seeds: list[int], embargo: int, reach: int, sizes: tuple[int, int]
) -> None:
    """Rules 2 and 7, row by row: neither settled after the test's first decision, nor within embargo and reach of the
    last bar at which one of its labels was known; and every other row is used."""
    groups, chosen = sizes
    found, rows, bars = folds(
        {"type": "combinatorial", "groups": groups, "test_groups": chosen}, tuple(seeds), embargo, reach
    )
    late = settled(rows, bars, embargo)
    known = settled(rows, bars, 0)
    for fold in found:
        split = fold.split
        learnt = stamps(split.train) | stamps(split.validation)
        expected = set()
        for at in range(len(rows)):
            usable = True
            for start, end in fold.test_ranges:
                inside = (rows.decision >= start) & (rows.decision < end)
                begin, last = rows.decision[inside].min(), known[inside].max()
                own = bars[rows.symbol[at]].closes
                behind = [close for close in own if close > last][: max(embargo, reach)]
                clear = behind[-1] if behind else last
                if late[at] >= begin and rows.decision[at] <= clear:
                    usable = False
            if usable and (rows.decision[at] >= split.validation_from or late[at] < split.validation_from):
                expected.add((int(rows.symbol[at]), int(rows.bar[at])))
        assert learnt == expected
        assert not learnt & stamps(split.test)
        assert (split.validation.decision >= split.validation_from).all()
        assert (split.train.decision < split.validation_from).all()


@pytest.mark.parametrize(
    ("groups", "test_groups", "splits", "paths"),
    [(6, 2, 15, 5), (10, 8, 45, 36), (10, 2, 45, 9), (3, 2, 3, 2)],
)
def test_splits_and_paths_are_as_many_as_published(groups: int, test_groups: int, splits: int, paths: int) -> None:
    """López de Prado 2018, figure 12.1 (6 and 2), and skfolio's CombinatorialPurgedCV (10 and 8, its default)."""
    validation = Combinatorial(type="combinatorial", groups=groups, test_groups=test_groups)
    assert (validation.folds, validation.paths) == (splits, paths)


def test_each_group_is_tested_once_on_each_path() -> None:
    found, rows, _ = folds({"type": "combinatorial", "groups": 5, "test_groups": 2})
    assert len(found) == 10
    ranges = [one for fold in found for one in fold.test_ranges]
    assert {ranges.count(one) for one in ranges} == {4}
    assert sum(len(fold.split.test) for fold in found) == 4 * len(rows)


def test_groups_and_purged_rows_are_those_that_skfolio_publishes() -> None:
    """The example of skfolio's CombinatorialPurgedCV: twelve observations, n_folds=3, n_test_folds=2, purged_size=1.

    A label that settles one bar later spoils as many rows on each side of a test as that purged_size. What is left is
    divided here once more, into training and validation, with its own row purged between them.
    """
    bars, bar = random_bars(1, 12, symbol="S1"), np.arange(12)
    labels = Labels(label=bar % 2, known_at=np.minimum(bar + 1, 11), event=np.ones(12, dtype=bool))
    strategy = strategy_with(
        {"type": "combinatorial", "groups": 3, "test_groups": 2},
        data_split={"train": 0.7, "validation": 0.15, "test": 0.15, "embargo": 0},
    )
    data = strategy.training_data.model_copy(update={"history_required": 0})
    rows, _ = rows_of([bars], [matrix_of(12)], [labels], data)
    found = folds_of(rows, [bars], strategy, reach=0)
    assert [fold.split.test.bar.tolist() for fold in found] == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3, 8, 9, 10, 11],
        [4, 5, 6, 7, 8, 9, 10, 11],
    ]
    for fold, published in zip(found, ({9, 10, 11}, {5, 6}, {0, 1, 2}), strict=True):
        between = int(np.searchsorted(bars.closes, fold.split.validation_from)) - 1
        learnt = {*fold.split.train.bar.tolist(), *fold.split.validation.bar.tolist()}
        assert learnt == published - {between}


@pytest.mark.parametrize(
    ("groups", "published"),
    [
        (3, [[0, 1], [0, 2], [1, 2]]),
        (5, [[0, 1, 2, 3], [0, 4, 5, 6], [1, 4, 7, 8], [2, 5, 7, 9], [3, 6, 8, 9]]),
    ],
)
def test_the_splits_that_test_a_group_are_skfolios_recombined_paths(groups: int, published: list[list[int]]) -> None:
    """Of its tests with n_test_folds=2: the numbers of the splits for each group."""
    found, _, _ = folds({"type": "combinatorial", "groups": groups, "test_groups": 2})
    ranges = sorted({one for fold in found for one in fold.test_ranges})
    assert [[at for at, fold in enumerate(found) if one in fold.test_ranges] for one in ranges] == published


def test_a_fold_that_is_too_small_is_named() -> None:
    found, _, _ = folds({"type": "walk_forward", "folds": 5, "train": 0.1})
    with pytest.raises(NotEnoughData, match=r"training\.validation, fold 1 of 5: the training part"):
        require_enough_folds(found, LABELS.classes)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"type": "combinatorial", "groups": 4, "test_groups": 4}, "leave at least one group"),
        ({"type": "combinatorial", "groups": 20, "test_groups": 10}, "at most 500"),
        ({"type": "walk_forward", "folds": 1}, "greater than or equal to 2"),
        ({"type": "k_fold"}, "walk_forward"),
    ],
)
def test_what_cannot_be_validated_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        strategy_with(wrong)


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


def test_a_training_reports_each_fold_and_stores_the_model_of_its_own_split(eurusd: Bars) -> None:
    """The last expanding fold is the one split of these shares: trained alike, judged alike."""
    share = 0.7 + 0.15
    plain, walked = Shelf(eurusd), Shelf(eurusd)
    alone = run(plain, request())
    result = run(walked, request(validation={"type": "walk_forward", "folds": 3, "train": 1 - 3 * (1 - share)}))
    crossed = result.test_metrics["cross_validation"]
    assert [fold["name"] for fold in crossed["folds"]] == ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3"]
    last = crossed["folds"][-1]
    assert last["rows"]["test"] == alone.test_metrics["rows"]
    for name in ("balanced_accuracy", "log_loss", "effective_rows"):
        assert last["metrics"][name] == pytest.approx(alone.test_metrics[name])
    assert last["metrics"]["trades_return"] == pytest.approx(alone.test_metrics["trades"]["return"])
    spread = crossed["summary"]["balanced_accuracy"]
    values = [fold["metrics"]["balanced_accuracy"] for fold in crossed["folds"]]
    assert spread["mean"] == pytest.approx(np.mean(values))
    assert spread["sd"] == pytest.approx(np.std(values, ddof=1))
    assert (spread["lowest"], spread["highest"], spread["folds"]) == (min(values), max(values), 3)
    assert plain.artifact is not None
    assert walked.artifact is not None
    assert plain.artifact.weights["model.pt"] == walked.artifact.weights["model.pt"]


def test_combinatorial_splits_trade_nothing(eurusd: Bars) -> None:
    validation = {"type": "combinatorial", "groups": 4, "test_groups": 2}
    crossed = run(Shelf(eurusd), request(validation=validation, **REGRESSION, epochs=1)).test_metrics[
        "cross_validation"
    ]
    assert (len(crossed["folds"]), crossed["paths"]) == (6, 3)
    assert all("information_coefficient" in fold["metrics"] for fold in crossed["folds"])
    assert not any(name.startswith("trades") for fold in crossed["folds"] for name in fold["metrics"])
