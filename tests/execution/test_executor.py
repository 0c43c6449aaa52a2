"""The executor on real bars: twelve steps, the same result every time, no look at the future, nothing half-done."""

import dataclasses
import io
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import structlog
import torch
from tests.support import ROOT, changed, cut, random_bars

from ktrdr.contracts.models import ModelArtifact
from ktrdr.contracts.training import Phase, TrainingRequest, TrainingResult
from ktrdr.errors import ModelCorrupt, NotEnoughData, TrainingCancelled
from ktrdr.execution import executor as executor_module
from ktrdr.execution.artifact import restore
from ktrdr.execution.data.bars import COLUMNS, Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.dataset import Dataset, Examples
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.files import write_content
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.prediction import StoredModelUser
from ktrdr.execution.strategy.reading import read_strategy, resolved
from ktrdr.execution.windows import pieces

TEXT = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
LSTM = {"type": "lstm", "architecture": {"sequence_length": 12, "hidden_size": 8, "num_layers": 2, "dropout": 0.2}}
GRU = {"type": "gru", "architecture": {"sequence_length": 5, "hidden_size": 8, "num_layers": 1, "hidden_layers": [4]}}
REGRESSION = {"labels": {"source": "forward_return", "horizon": 10}, "loss": "huber"}
ZIGZAG = {"source": "zigzag", "zigzag_threshold": 0.004}
CONTEXT = {"source": "context", "bullish_threshold": 0.001, "bearish_threshold": -0.001}
REGIME = {"source": "regime", "macro_atr_mult": 2.0, "micro_atr_mult": 0.5}


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


@pytest.fixture(scope="module")
def stocks() -> dict[str, Bars]:
    return {name: read_bars(ROOT / "examples" / "data" / f"{name}_1d.csv.gz")[0] for name in ("AAPL", "IBM", "GOOG")}


class Shelf:
    """Bars at hand, served as the data manager serves them, and the artifact that a training leaves."""

    def __init__(self, *bars: Bars) -> None:
        self.bars = {(one.symbol, one.timeframe.name): one for one in bars}
        self.artifact: ModelArtifact | None = None

    def load(self, symbol: str, timeframe: str, **_: Any) -> Bars:
        return self.bars[symbol, timeframe]

    def load_from(self, symbol: str, timeframe: str, first_us: int | None, end: Any) -> Bars:
        bars = self.bars[symbol, timeframe]
        last = len(bars) if end is None else int(np.searchsorted(bars.time, round(end.timestamp() * 1e6)))
        return bars.rows(slice(int(np.searchsorted(bars.time, first_us or 0)), last))

    def save(self, artifact: ModelArtifact) -> str:
        files = {name: io.BytesIO() for name in artifact.weights}
        for name, content in artifact.weights.items():
            write_content(content, files[name])
        self.artifact = dataclasses.replace(artifact, weights={name: file.getvalue() for name, file in files.items()})
        return "shelf"


def request(operation_id: str = "train-1", **training: Any) -> TrainingRequest:
    strategy = resolved(read_strategy(TEXT, "test"))
    strategy["training_data"] |= training.pop("training_data", {})
    strategy["model"] = training.pop("model", strategy["model"])
    if training.get("labels", {}).get("source") == "forward_return":
        strategy["decisions"] = {"output_format": "regression", "cost_model": {"round_trip_cost": 0.0003}}
    strategy["decisions"].pop("num_classes", None)
    strategy["training"] |= {"epochs": 3, **training}
    return TrainingRequest(operation_id=operation_id, strategy_name="eurusd_momentum", strategy=strategy)


def silent(*_: Any, **__: Any) -> None:
    """Progress that nobody reads."""


def run(shelf: Shelf, wanted: TrainingRequest | None = None, sink: Any = None) -> TrainingResult:
    return TrainingExecutor(shelf, sink or shelf).execute(wanted or request(), silent, lambda: False)


def weights(shelf: Shelf) -> dict[str, torch.Tensor]:
    assert shelf.artifact is not None
    return restore(shelf.artifact.weights["model_full.pt"], "x").model.state_dict()


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(tensor, right[name]) for name, tensor in left.items())


def test_the_steps_logged_are_exactly_the_phases(eurusd: Bars) -> None:
    told: list[Phase] = []
    with structlog.testing.capture_logs() as lines:
        TrainingExecutor(Shelf(eurusd), Shelf()).execute(
            request(), lambda phase, *_, **__: told.append(phase), lambda: False
        )
    steps = [line["event"] for line in lines if line["event"].startswith("Step ")]
    assert steps == [f"Step {number}/12: {phase.heading}" for number, phase in enumerate(Phase, 1)]
    assert list(dict.fromkeys(told)) == list(Phase)


def test_every_phase_is_timed_and_the_keys_are_the_contracts(eurusd: Bars) -> None:
    result = run(Shelf(eurusd))
    assert list(result.resource_usage["seconds_per_phase"]) == [phase.value for phase in Phase][:11]
    assert TrainingResult.model_validate_json(result.model_dump_json()) == result
    assert result.data_summary["rows"] == sum(part["rows"] for part in result.data_summary["parts"].values())
    bars, dropped = result.data_summary["bars"]["EURUSD 1h"], sum(result.data_summary["dropped"].values())
    assert bars == result.data_summary["rows"] + dropped + sum(result.data_summary["purged"].values())
    assert set(result.test_metrics["baselines"]) == {"majority_class", "last_known_label", "logistic_regression"}


def test_one_seed_gives_equal_weights_and_another_other_ones(eurusd: Bars) -> None:
    shelves = [Shelf(eurusd) for _ in range(3)]
    for shelf, seed in zip(shelves, (5, 5, 6), strict=True):
        torch.manual_seed(int(torch.randint(1000, (1,))))
        run(shelf, request(seed=seed))
    assert shelves[0].artifact is not None
    assert shelves[1].artifact is not None
    assert shelves[0].artifact.weights["model.pt"] == shelves[1].artifact.weights["model.pt"]
    assert not equal(weights(shelves[0]), weights(shelves[2]))


@pytest.mark.parametrize("model", [LSTM, GRU], ids=["lstm", "gru"])
def test_a_network_of_sequences_is_seeded_and_judged_on_the_rows_of_others(eurusd: Bars, model: dict[str, Any]) -> None:
    """The same rows as a perceptron's, window or not; and the same weights twice, whatever torch's generator does."""
    shelves = [Shelf(eurusd) for _ in range(2)]
    results = []
    for shelf in shelves:
        torch.manual_seed(int(torch.randint(1000, (1,))))
        results.append(run(shelf, request(model=model, epochs=1)))
    assert equal(weights(shelves[0]), weights(shelves[1]))
    plain = run(Shelf(eurusd), request(epochs=1))
    assert results[0].data_summary["parts"] == plain.data_summary["parts"]


def test_a_regression_reproduces_its_test_and_predicts_returns(eurusd: Bars, tmp_path: Path) -> None:
    shelf, storage = Shelf(eurusd), ModelStorage(tmp_path)
    result = run(shelf, request(model=GRU, **REGRESSION), storage)
    assert set(result.test_metrics["baselines"]) == {
        "no_change",
        "training_mean",
        "last_known_label",
        "ridge_regression",
    }
    assert set(result.feature_importance["features"]["1h_rsi_oversold"]) == {"r2", "information_coefficient"}
    content = storage.files("eurusd_momentum").weights["model_full.pt"]
    user = StoredModelUser(lambda name: (name, content), shelf)
    again = user.evaluate("m", symbols=None, start=None, end=None)
    assert again.reproduces is not None
    assert again.reproduces["same_answers"]
    stored = restore(content, "x").test
    said = {
        round(signal.time.timestamp() * 1e6): signal
        for signal in user.predict("m", symbols=None, start=None, end=None, last=None).signals
    }
    predicted = [said[stamp].predicted for stamp in stored.time.tolist()]
    np.testing.assert_allclose(predicted, stored.outputs[:, 0], atol=1e-7)
    for signal in said.values():
        assert signal.predicted is not None
        beyond = abs(signal.predicted) > 0.0003
        assert signal.signal == ("HOLD" if not beyond else "BUY" if signal.predicted > 0 else "SELL")


def test_detailed_analytics_are_a_table_of_the_model_that_is_verified_with_it(eurusd: Bars, tmp_path: Path) -> None:
    storage = ModelStorage(tmp_path)
    result = run(Shelf(eurusd), request().model_copy(update={"detailed_analytics": True}), storage)
    table = Path(str(result.model_path)) / "analytics.csv"
    rows = pl.read_csv(table)
    history = result.training_metrics["history"]
    assert rows["epoch"].to_list() == [1, 2, 3]
    assert rows.columns == list(history[0])
    assert {"gradient_norm_mean", "gradient_norm_max", "learning_rate", "val_f1_BUY", "val_recall_SELL"} <= set(
        rows.columns
    )
    assert storage.files("eurusd_momentum").weights
    table.write_text(table.read_text().replace("1", "2", 1))
    with pytest.raises(ModelCorrupt, match=r"analytics\.csv"):
        storage.files("eurusd_momentum")
    assert "gradient_norm_mean" not in run(Shelf(eurusd)).training_metrics["history"][0]


def test_two_trainings_at_the_same_time_do_not_touch_each_other(eurusd: Bars) -> None:
    alone, shelves = Shelf(eurusd), [Shelf(eurusd) for _ in range(2)]
    run(alone)
    threads = [threading.Thread(target=run, args=(shelf,)) for shelf in shelves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(weights(shelf), weights(alone)) for shelf in shelves)


def test_threads_and_denormals_are_as_before_afterwards(eurusd: Bars) -> None:
    before = torch.get_num_threads()
    tiny = torch.tensor([1e-40])
    run(Shelf(eurusd))
    assert torch.get_num_threads() == before
    assert (tiny * 1.0).item() > 0


def spoilt(bars: Bars, first: int, kind: str) -> Bars:
    """Other prices from the bar `first` on: none at all, a thousandfold, or a valid market of its own."""
    rest = slice(first, None)
    if kind == "nothing":
        return changed(bars, rest, **dict.fromkeys(COLUMNS[1:], np.nan))
    if kind == "a thousandfold":
        return changed(bars, rest, **{name: getattr(bars, name)[rest] * 1000 for name in COLUMNS[1:]})
    other = random_bars(11, len(bars), step=0.002)
    scale = bars.close[first - 1] / other.close[first - 1]
    return changed(bars, rest, **{name: getattr(other, name)[rest] * scale for name in COLUMNS[1:5]})


def seen(examples: Examples) -> torch.Tensor:
    """All that a network reads of these examples."""
    return torch.cat(list(pieces(examples.features, len(examples.labels))))


class Caught(Exception):
    """The training has got as far as the test wants to see."""


def datasets(
    monkeypatch: pytest.MonkeyPatch, bars: Bars, wanted: TrainingRequest
) -> tuple[Dataset, dict[str, torch.Tensor]]:
    """The dataset and the trained weights of a training, whatever becomes of the test part afterwards."""
    caught: list[Any] = []
    build, train = executor_module.build_dataset, executor_module.ModelTrainer.train

    def catching_build(*args: Any, **kwargs: Any) -> Dataset:
        caught.append(build(*args, **kwargs))
        return caught[-1]

    def catching_train(self: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        train(self, model, *args, **kwargs)
        caught.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        raise Caught

    with monkeypatch.context() as patch:
        patch.setattr(executor_module, "require_enough", lambda *_: None)
        patch.setattr(executor_module, "build_dataset", catching_build)
        patch.setattr(executor_module.ModelTrainer, "train", catching_train)
        with pytest.raises(Caught):
            run(Shelf(bars), wanted)
    return caught[0], caught[1]


@pytest.mark.parametrize("kind", ["nothing", "a thousandfold", "another market"])
@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"labels": ZIGZAG},
        {"labels": {"source": "triple_barrier", "cusum_multiplier": 1.0}},
        {"labels": CONTEXT},
        {"labels": REGIME},
        REGRESSION,
        {"model": LSTM},
        {"model": GRU, **REGRESSION},
    ],
    ids=str,
)
def test_garbage_in_the_test_range_leaves_the_trained_weights_equal(
    monkeypatch: pytest.MonkeyPatch, eurusd: Bars, kind: str, labels: dict[str, Any]
) -> None:
    """The strongest test against leaks: bit for bit, through labels, scalers, weights, early stopping and all."""
    wanted = request(**labels)
    clean, trained = datasets(monkeypatch, eurusd, wanted)
    first = int(np.searchsorted(eurusd.closes, clean.split.test_from))
    other, again = datasets(monkeypatch, spoilt(eurusd, first, kind), wanted)
    assert other.split.test_from == clean.split.test_from
    assert equal(trained, again)
    assert torch.equal(seen(clean.validation), seen(other.validation))


@pytest.mark.parametrize("kind", ["nothing", "a thousandfold", "another market"])
@pytest.mark.parametrize("labels", [{}, {"labels": ZIGZAG}, {"model": GRU, **REGRESSION}], ids=str)
def test_garbage_from_the_validation_on_leaves_everything_fitted_equal(
    monkeypatch: pytest.MonkeyPatch, eurusd: Bars, kind: str, labels: dict[str, Any]
) -> None:
    wanted = request(**labels)
    clean, _ = datasets(monkeypatch, eurusd, wanted)
    first = int(np.searchsorted(eurusd.closes, clean.split.validation_from))
    caught: list[Dataset] = []
    build = executor_module.build_dataset

    def catching(*args: Any, **kwargs: Any) -> None:
        caught.append(build(*args, **kwargs))
        raise Caught

    monkeypatch.setattr(executor_module, "require_enough", lambda *_: None)
    monkeypatch.setattr(executor_module, "build_dataset", catching)
    with pytest.raises(Caught):
        run(Shelf(spoilt(eurusd, first, kind)), wanted)
    other = caught[0]
    assert torch.equal(seen(clean.train), seen(other.train))
    assert torch.equal(clean.train.labels, other.train.labels)
    assert torch.equal(clean.train.weights, other.train.weights)
    assert equal(clean.normaliser.state_dict(), other.normaliser.state_dict())
    assert equal(clean.rescaler.state_dict(), other.rescaler.state_dict())
    np.testing.assert_array_equal(clean.class_weights, other.class_weights)


def test_a_stored_model_reproduces_its_test_and_a_second_run_is_version_two(eurusd: Bars, tmp_path: Path) -> None:
    shelf, storage = Shelf(eurusd), ModelStorage(tmp_path / "models")
    first = run(shelf, request("train-1"), storage)
    second = run(shelf, request("train-2"), storage)
    family = tmp_path / "models" / "eurusd_momentum"
    assert [Path(str(result.model_path)).name for result in (first, second)] == ["EURUSD_1h_v1", "EURUSD_1h_v2"]
    assert (family / "EURUSD_1h_latest").readlink() == Path("EURUSD_1h_v2")
    names = ["config.json", "features.json", "metadata.json", "metrics.json", "model.pt", "model_full.pt"]
    assert sorted(path.name for path in (family / "EURUSD_1h_v1").iterdir()) == names

    user = StoredModelUser(lambda name: (name, storage.files(name).weights["model_full.pt"]), shelf)
    again = user.evaluate("eurusd_momentum/EURUSD_1h_v1", symbols=None, start=None, end=None)
    assert again.reproduces == {
        "same_bars": True,
        "same_rows": True,
        "same_answers": True,
        "largest_difference": 0.0,
    }
    for name in ("accuracy", "log_loss", "confusion_matrix", "intervals"):
        assert again.metrics[name] == first.test_metrics[name]
    assert again.baselines == first.test_metrics["baselines"]
    assert again.notices == []


def test_new_bars_change_nothing_about_the_stored_test_and_get_signals(eurusd: Bars, tmp_path: Path) -> None:
    storage = ModelStorage(tmp_path)
    old = cut(eurusd, 5000)
    run(Shelf(old), sink=storage)
    user = StoredModelUser(lambda name: (name, storage.files(name).weights["model_full.pt"]), Shelf(eurusd))
    again = user.evaluate("eurusd_momentum", symbols=None, start=None, end=None)
    assert again.reproduces is not None
    assert again.reproduces["same_bars"]
    assert again.reproduces["largest_difference"] == 0.0

    prediction = user.predict("eurusd_momentum", symbols=None, start=None, end=None, last=10)
    assert prediction.rows == 10
    newest = prediction.signals[-1]
    assert newest.time.timestamp() * 1e6 == eurusd.time[-1]
    assert (newest.known - newest.time).total_seconds() == 3600
    assert sum(newest.probabilities.values()) == pytest.approx(1.0, abs=1e-6)
    assert newest.signal in ("BUY", "HOLD", "SELL")


def test_predictions_are_those_of_the_evaluation(eurusd: Bars, tmp_path: Path) -> None:
    """One computation of features: the probabilities of the stored test come out of predict, stamp by stamp."""
    shelf, storage = Shelf(eurusd), ModelStorage(tmp_path)
    run(shelf, sink=storage)
    content = storage.files("eurusd_momentum").weights["model_full.pt"]
    stored = restore(content, "x").test
    user = StoredModelUser(lambda name: (name, content), shelf)
    signals = user.predict("m", symbols=None, start=None, end=None, last=None).signals
    said = {round(signal.time.timestamp() * 1e6): list(signal.probabilities.values()) for signal in signals}
    ours = np.array([said[stamp] for stamp in stored.time.tolist()])
    np.testing.assert_allclose(ours, stored.outputs, atol=1e-6)


def test_judging_bars_that_the_model_has_seen_is_said(eurusd: Bars, tmp_path: Path) -> None:
    shelf, storage = Shelf(eurusd), ModelStorage(tmp_path)
    result = run(shelf, sink=storage)
    user = StoredModelUser(lambda name: (name, storage.files(name).weights["model_full.pt"]), shelf)
    everything = user.evaluate("eurusd_momentum", symbols=["EURUSD"], start=None, end=None)
    assert "trained" in everything.notices[-1]
    assert everything.rows > result.test_metrics["rows"]
    assert everything.reproduces is None


def test_several_symbols_train_one_model_and_split_at_the_same_dates(stocks: dict[str, Bars]) -> None:
    data = {
        "symbols": {"mode": "multi_symbol", "list": list(stocks)},
        "timeframes": {"mode": "single", "timeframe": "1d"},
    }
    wanted = request(training_data=data)
    result = run(Shelf(*stocks.values()), wanted)
    assert set(result.per_symbol_metrics) == set(stocks)
    assert sum(metrics["rows"] for metrics in result.per_symbol_metrics.values()) == result.test_metrics["rows"]
    parts = result.data_summary["parts"]
    assert parts["train"]["end"] < parts["validation"]["start"] < parts["validation"]["end"] < parts["test"]["start"]
    assert not any(name in feature for name in stocks for feature in result.feature_names)


def test_labels_stay_with_their_own_symbol(stocks: dict[str, Bars]) -> None:
    """Training on two symbols gives each the rows it has alone: features and labels of one bar of one symbol."""
    seen: list[Dataset] = []
    build = executor_module.build_dataset

    def catching(*args: Any, **kwargs: Any) -> Dataset:
        seen.append(build(*args, **kwargs))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_module, "build_dataset", catching)
        for names in (["AAPL", "IBM"], ["AAPL"], ["IBM"]):
            data = {
                "symbols": {"mode": "multi_symbol", "list": names},
                "timeframes": {"mode": "single", "timeframe": "1d"},
            }
            run(Shelf(*stocks.values()), request(training_data=data))
    both, *alone = (dataset.split.test for dataset in seen)
    for index, alone_rows in enumerate(alone):
        own = alone_rows
        mine = both.take(both.symbol == index)
        together = np.intersect1d(mine.time, own.time)
        assert len(together) >= len(own) - 1  # the boundary is a quantile of all symbols' bars: it may move by one
        mine, own = mine.take(np.isin(mine.time, together)), own.take(np.isin(own.time, together))
        np.testing.assert_array_equal(mine.features, own.features)
        np.testing.assert_array_equal(mine.label, own.label)


def four_hourly(bars: Bars) -> Bars:
    """Bars of four hours, anchored at 00:00 UTC."""
    frame = pl.DataFrame({name: getattr(bars, name) for name in COLUMNS})
    bins = frame.group_by((pl.col("time") // 14_400_000_000 * 14_400_000_000).alias("bin"), maintain_order=True)
    slow = bins.agg(pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume"))
    return Bars(bars.symbol, parse_timeframe("4h"), bars.calendar, *(slow[name].to_numpy() for name in slow.columns))


def test_a_longer_timeframe_joins_in_once_it_has_closed(eurusd: Bars) -> None:
    slow = four_hourly(eurusd)
    data = {"timeframes": {"mode": "multi_timeframe", "list": ["1h", "4h"], "base_timeframe": "1h"}}
    result = run(Shelf(eurusd, slow), request(training_data=data))
    assert len(result.feature_names) == 2 * 12
    assert result.data_summary["bars"] == {"EURUSD 1h": len(eurusd), "EURUSD 4h": len(slow)}
    assert 700 < result.data_summary["dropped"]["warm_up"] <= 4 * 200  # bars of four hours are fewer at week ends


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.RESULT_AGGREGATION])
def test_a_cancel_before_any_step_saves_nothing(eurusd: Bars, phase: Phase) -> None:
    shelf, reached = Shelf(eurusd), []

    def is_cancelled() -> bool:
        return bool(reached) and reached[-1] is list(Phase)[phase.number - 2]

    def progress(now: Phase, *_: Any, **__: Any) -> None:
        reached.append(now)

    if phase is Phase.DATA_LOADING:
        reached.append(list(Phase)[-1])
    with pytest.raises(TrainingCancelled):
        TrainingExecutor(shelf, shelf).execute(request(), progress, is_cancelled)
    assert shelf.artifact is None


def test_a_cancel_after_the_model_is_saved_comes_too_late(eurusd: Bars) -> None:
    shelf = Shelf(eurusd)
    result = TrainingExecutor(shelf, shelf).execute(request(), silent, lambda: shelf.artifact is not None)
    assert result.model_path == "shelf"


@pytest.mark.parametrize("count", [210, 400, 900])
def test_too_few_bars_are_told_with_numbers(eurusd: Bars, count: int) -> None:
    with pytest.raises(NotEnoughData, match="import more bars"):
        run(Shelf(cut(eurusd, count)))


def test_notices_tell_of_memberships_that_never_fire_and_of_twins(eurusd: Bars) -> None:
    wanted = request()
    wanted.strategy["fuzzy_sets"]["rsi"] |= {"never": {"type": "triangular", "parameters": [200, 210, 220]}}
    wanted.strategy["fuzzy_sets"]["rsi"] |= {"twin": wanted.strategy["fuzzy_sets"]["rsi"]["oversold"]}
    notices = run(Shelf(eurusd), wanted).data_summary["notices"]
    assert "1h_rsi_never never fires on the training rows" in notices
    assert "1h_rsi_twin is identical to 1h_rsi_oversold on the training rows" in notices


def test_memberships_are_counted_on_training_rows_alone(eurusd: Bars) -> None:
    """Another market from the validation on changes no share, mean or highest value; features.json has them too."""
    shelf = Shelf(eurusd)
    clean = run(shelf).data_summary
    validation_from = datetime.fromisoformat(clean["validation_from"]).timestamp() * 1e6
    first = int(np.searchsorted(eurusd.closes, round(validation_from)))
    other = run(Shelf(spoilt(eurusd, first, "another market"))).data_summary
    for key in ("memberships", "fuzzy_sets"):
        assert clean[key] == other[key]
        assert shelf.artifact.documents["features"][key] == clean[key]
    assert set(clean["fuzzy_sets"]) == {"1h_rsi", "1h_trend", "1h_stochastic", "1h_day"}
    assert 0 < clean["memberships"]["1h_rsi_oversold"]["fires"] < 1


def test_a_class_that_never_occurs_does_no_harm(eurusd: Bars) -> None:
    """No return of a hour falls by half, so that no row is BEARISH: the other classes are learnt and judged as ever."""
    labels = {"source": "context", "bullish_threshold": 0.0, "bearish_threshold": -0.5}
    result = run(Shelf(eurusd), request(labels=labels))
    assert result.data_summary["parts"]["train"]["classes"]["BEARISH"] == 0
    assert result.data_summary["labels"]["distribution"]["train"]["BEARISH"] == 0.0
    assert list(result.data_summary["labels"]["duration_bars"]) == ["BULLISH", "NEUTRAL"]
    metrics = result.test_metrics
    assert np.isfinite([metrics["balanced_accuracy"], metrics["log_loss"], metrics["loss"]]).all()
    confused = np.array(metrics["confusion_matrix"])
    assert confused.shape == (3, 3)
    assert confused[1].sum() == 0
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean([confused[i, i] / confused[i].sum() for i in (0, 2)]))
