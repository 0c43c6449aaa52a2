"""Splits: boundaries are dates, nothing settled behind one lies before it, and weights are fitted on training alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import random_bars

from ktrdr.errors import NotEnoughData
from ktrdr.execution.dataset import HEAVIEST_CLASS, balanced_weights, build_dataset, fit_normaliser
from ktrdr.execution.features.builder import FeatureMatrix
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.labels.base import Labeler, Labels
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.labels.zigzag import Zigzag
from ktrdr.execution.rows import Rows, rows_of
from ktrdr.execution.splits import Split, boundaries, require_enough, split_rows
from ktrdr.execution.strategy.inputs import TrainingData
from ktrdr.execution.strategy.learning import DataSplit, Training

COLUMNS = (
    FeatureColumn("a", "1h", "x", None, "none"),
    FeatureColumn("b", "1h", "x", None, "zscore"),
    FeatureColumn("c", "1h", "x", None, "minmax"),
)


def data(history: int = 10, start: str | None = None) -> TrainingData:
    return TrainingData.model_validate(
        {
            "symbols": {"mode": "single", "symbol": "TEST"},
            "timeframes": {"mode": "single", "timeframe": "1h"},
            "history_required": history,
            "start_date": start,
        }
    )


def matrix_of(count: int, seed: int = 0) -> FeatureMatrix:
    values = np.random.default_rng(seed).normal(5, 2, (count, 3)).astype(np.float32)
    return FeatureMatrix(names=("a", "b", "c"), values=values, history=np.arange(count))


def split_of(
    labeler: Labeler, seeds: tuple[int, ...] = (1,), count: int = 600, split: DataSplit | None = None
) -> tuple[Split, Rows, list, list[Labels]]:
    bars = [random_bars(seed, count, step=0.004, symbol=f"S{seed}") for seed in seeds]
    labels = [labeler.label(one) for one in bars]
    rows, _ = rows_of(bars, [matrix_of(count, seed) for seed in seeds], labels, data())
    return split_rows(rows, bars, data(), split or DataSplit()), rows, bars, labels


@settings(max_examples=25)
@given(
    st.sampled_from([TripleBarrier(vol_span=10, max_holding_period=7), Zigzag(zigzag_threshold=0.01)]),
    st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    st.integers(0, 20),
    st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.8, 0.1, 0.1)]),
)
def test_no_label_of_a_part_was_settled_inside_the_next(
    labeler: Labeler, seeds: list[int], embargo: int, shares: tuple[float, float, float]
) -> None:
    wanted = DataSplit(train=shares[0], validation=shares[1], test=shares[2], embargo=embargo)
    split, rows, bars, _ = split_of(labeler, tuple(seeds), split=wanted)
    hour = 3_600_000_000
    for part, until in ((split.train, split.validation_from), (split.validation, split.test_from)):
        settled = np.array([bars[s].closes[k] for s, k in zip(part.symbol, part.known_at, strict=True)])
        assert (settled + embargo * hour < until).all()
    assert (split.validation.decision >= split.validation_from).all()
    assert (split.test.decision >= split.test_from).all()
    kept = len(split.train) + len(split.validation) + len(split.test)
    assert kept + sum(split.purged.values()) == len(rows)


def test_a_row_on_the_boundary_belongs_to_the_later_part_and_a_label_settled_there_to_none() -> None:
    split, _, bars, _ = split_of(TripleBarrier(vol_span=10, max_holding_period=7), split=DataSplit(embargo=0))
    first = int(np.searchsorted(bars[0].closes, split.validation_from))
    assert split.validation.bar.min() == first
    assert bars[0].closes[split.train.known_at].max() < split.validation_from


def test_the_boundaries_are_quantiles_of_the_bars_closing_times() -> None:
    closes = np.arange(1000, dtype=np.int64)
    assert boundaries(closes, DataSplit()) == (700, 850)
    with pytest.raises(NotEnoughData):
        boundaries(closes[:2], DataSplit())


def test_boundaries_are_the_same_dates_for_all_symbols_and_follow_from_stamps_alone() -> None:
    """Whatever the prices, and however many rows they make, the dates stay."""
    one, _, _, _ = split_of(Zigzag(zigzag_threshold=0.01), (1, 2))
    other, _, _, _ = split_of(Zigzag(zigzag_threshold=0.02), (3, 4))
    assert (one.validation_from, one.test_from) == (other.validation_from, other.test_from)


def test_the_default_embargo_is_one_percent_of_the_range() -> None:
    split, _, _, _ = split_of(TripleBarrier(vol_span=10, max_holding_period=7))
    assert split.embargo == {"S1": 6}


def test_rows_have_all_they_need_and_every_drop_is_counted() -> None:
    bars = random_bars(1, 300)
    labeler = TripleBarrier(vol_span=20, max_holding_period=9, cusum_multiplier=1.0)
    labels, matrix = labeler.label(bars), matrix_of(300)
    matrix.values[50:60, 1] = np.nan
    rows, dropped = rows_of([bars], [matrix], [labels], data(history=30))
    assert rows.bar.min() >= 30
    assert rows.bar.max() < 300 - 9
    assert not set(range(50, 60)) & set(rows.bar.tolist())
    assert labels.event[rows.bar].all()
    assert dropped["warm_up"] == 30
    assert dropped["undefined_input"] == 10
    assert dropped["end_of_range"] == 9
    assert len(rows) + sum(dropped.values()) == 300


def test_bars_before_the_start_are_history_and_not_rows() -> None:
    bars = random_bars(1, 300)
    labels = TripleBarrier(vol_span=20, max_holding_period=9).label(bars)
    start = np.datetime64(int(bars.time[100]), "us").astype(str)
    rows, dropped = rows_of([bars], [matrix_of(300)], [labels], data(history=30, start=start))
    assert rows.bar.min() == 100
    assert dropped["warm_up"] == 0


def test_too_little_to_learn_from_is_told() -> None:
    split, _, _, _ = split_of(TripleBarrier(vol_span=10, max_holding_period=50), count=300)
    with pytest.raises(NotEnoughData, match="independent labels"):
        require_enough(split, ("BUY", "HOLD", "SELL"))
    good, _, _, _ = split_of(TripleBarrier(vol_span=10, max_holding_period=3), count=2000)
    require_enough(good, ("BUY", "HOLD", "SELL"))
    good.train.label[:] = 2
    with pytest.raises(NotEnoughData, match="every training row is SELL"):
        require_enough(good, ("BUY", "HOLD", "SELL"))


def test_class_weights_balance_are_capped_and_know_absent_classes() -> None:
    np.testing.assert_allclose(balanced_weights(np.array([50, 50])), [1, 1])
    np.testing.assert_allclose(balanced_weights(np.array([100, 0, 300])), [2.0, 1.0, 400 / 600])
    capped = balanced_weights(np.array([6, 1710, 1700]))
    assert capped[0] == pytest.approx(HEAVIEST_CLASS * capped[1:].min())


def test_weights_of_the_training_rows_have_mean_one_and_multiply() -> None:
    split, _, _, _ = split_of(TripleBarrier(vol_span=10, max_holding_period=7), count=2000)
    training = Training(labels=TripleBarrier(vol_span=10, max_holding_period=7))
    dataset = build_dataset(split, COLUMNS, training)
    assert dataset.train.weights.mean().item() == pytest.approx(1.0, rel=1e-5)
    expected = split.train.uniqueness() * dataset.class_weights[split.train.label]
    np.testing.assert_allclose(dataset.train.weights.numpy(), expected / expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        dataset.validation.weights.numpy(), dataset.class_weights[split.validation.label], rtol=1e-6
    )
    plain = build_dataset(split, COLUMNS, training.model_copy(update={"class_weights": "none"}))
    assert set(plain.class_weights.tolist()) == {1.0}


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_that_no_training_row_has_keeps_its_place_among_the_weights(absent: int) -> None:
    """Weights have one entry a class, whichever occur: those of the others are not shifted into its place."""
    split, _, _, _ = split_of(TripleBarrier(vol_span=10, max_holding_period=9), count=2000)
    split = replace(split, train=split.train.take(split.train.label != absent))
    dataset = build_dataset(split, COLUMNS, Training(labels=TripleBarrier(compute_weights=False)))
    counts = {index: int((split.train.label == index).sum()) for index in range(3)}
    expected = [len(split.train) / (2 * counts[index]) if index != absent else 1.0 for index in range(3)]
    np.testing.assert_allclose(dataset.class_weights, expected)
    np.testing.assert_allclose(dataset.prior, [counts[index] / len(split.train) for index in range(3)])
    weighed = np.array(expected)[split.train.label]
    np.testing.assert_allclose(dataset.train.weights.numpy(), weighed / weighed.mean(), rtol=1e-6)
    assert (split.validation.label == absent).any()
    np.testing.assert_allclose(
        dataset.validation.weights.numpy(), np.array(expected)[split.validation.label], rtol=1e-6
    )


def test_the_scales_are_those_of_the_training_rows_and_of_no_others() -> None:
    split, rows, _, _ = split_of(Zigzag(zigzag_threshold=0.01), count=2000)
    dataset = build_dataset(split, COLUMNS, Training(labels=Zigzag()))
    features = split.train.features.astype(np.float64)
    np.testing.assert_allclose(dataset.normaliser.shift.numpy()[1:], [features[:, 1].mean(), features[:, 2].min()])
    np.testing.assert_allclose(
        dataset.normaliser.scale.numpy()[1:], [1 / features[:, 1].std(), 1 / np.ptp(features[:, 2])], rtol=1e-6
    )
    assert abs(features[:, 1].mean() - rows.features[:, 1].mean()) > 1e-3


def test_the_normaliser_is_fitted_on_what_it_is_given_and_leaves_memberships_alone() -> None:
    features = np.random.default_rng(1).normal(5, 2, (400, 3)).astype(np.float32)
    normaliser = fit_normaliser(features, COLUMNS)
    result = normaliser(torch.from_numpy(features)).numpy()
    np.testing.assert_array_equal(result[:, 0], features[:, 0])
    assert result[:, 1].mean() == pytest.approx(0.0, abs=1e-5)
    assert result[:, 1].std() == pytest.approx(1.0, abs=1e-5)
    assert (result[:, 2].min(), result[:, 2].max()) == (pytest.approx(0.0, abs=1e-6), pytest.approx(1.0, abs=1e-6))


def test_a_constant_column_is_left_finite() -> None:
    features = np.full((10, 3), 7.0, dtype=np.float32)
    assert torch.isfinite(fit_normaliser(features, COLUMNS)(torch.from_numpy(features))).all()
