"""Other series through the whole of a training: a file as users have them trains and predicts, also on a host."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.execution.strategy.test_context_data import CARRY
from tests.execution.test_executor import run
from tests.support import HOUR, ROOT, changed, observations

from ktrdr.contracts.training import TrainingRequest
from ktrdr.errors import DataNotFound
from ktrdr.execution.artifact import restore
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.pins import BarPins
from ktrdr.execution.data.repository import StoredBars
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.prediction import StoredModelUser
from ktrdr.execution.strategy.reading import read_strategy, resolved
from ktrdr.wiring.parts import series_of

DAY = 24 * HOUR
REGRESSION = """\
decisions: {output_format: regression, cost_model: {round_trip_cost: 0.0003}}
training: {epochs: 2, labels: {source: forward_return, horizon: 20}}
"""


def request(**changes: Any) -> TrainingRequest:
    """A regression on EURUSD, with GBPUSD, a yield spread, a percentile of positions and one series more."""
    strategy = resolved(read_strategy(CARRY + REGRESSION, "carry"))
    strategy["training_data"] |= {"history_required": 50, "start_date": "2017-02-01T00:00:00Z"} | changes
    return TrainingRequest(operation_id="train-1", strategy_name="carry", strategy=strategy)


def keep(store: BarStore, bars: Bars) -> None:
    lag = "1d" if bars.observed else None
    store.save(bars, facts_of(bars, source="-", source_sha256="", imported_at="", lag=lag))


def pound() -> Bars:
    """Another market at the same hours."""
    bars = read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]
    moves = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.0005, len(bars))))
    prices = {name: getattr(bars, name) * moves for name in ("open", "high", "low", "close")}
    return dataclasses.replace(changed(bars, slice(None), **prices), symbol="GBPUSD")


def series() -> list[Bars]:
    start = int(datetime(2015, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
    return [
        pound(),
        observations("fred_DGS2", 1, 950, start=start),
        observations("fred_IRLTLT01DEM156N", 2, 33, every="1M", start=start, step=29 * DAY),
        observations("cot_EUR_net_pos", 3, 135, every="1w", start=start, step=7 * DAY),
        observations("vix", 4, 950, start=start),
    ]


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    store = BarStore(tmp_path / "data")
    StoredBars(store).import_file(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")
    for bars in series():
        keep(store, bars)
    return store


def trained(store: BarStore, folder: Path, wanted: TrainingRequest | None = None, data: Any = None) -> ModelStorage:
    storage = ModelStorage(folder)
    run(data or DataManager(store), wanted or request(), storage)
    return storage


def user_of(storage: ModelStorage, store: BarStore) -> StoredModelUser:
    return StoredModelUser(lambda name: (name, storage.files("carry").weights["model_full.pt"]), DataManager(store))


def test_it_trains_and_tells_what_it_read(store: BarStore, tmp_path: Path) -> None:
    result = run(DataManager(store), request(), ModelStorage(tmp_path / "models"))  # type: ignore[arg-type]
    summary = result.data_summary
    assert set(summary["bars"]) == {
        "EURUSD 1h", "EURUSD 4h", "GBPUSD 1h", "yield_spread_DGS2_IRLTLT01DEM156N", "cot_EUR_net_pct", "vix",
    }  # fmt: skip
    assert summary["bars"]["cot_EUR_net_pct"] == 135 - 51  # all there are: less than the history asked for
    assert summary["resampled"] == {"EURUSD 4h": "1h"}
    assert result.feature_names[2:] == ["1h_gbp_weak", "1h_gbp_strong", "1h_carry_up", "1h_crowd_long", "1h_fear_raw"]
    assert summary["dropped"]["undefined_input"] == 0


def test_it_reproduces_its_test_and_predicts(store: BarStore, tmp_path: Path) -> None:
    """Also when new bars and values have come, and old ones that were not there."""
    storage = trained(store, tmp_path / "models", request(end_date="2017-11-01T00:00:00Z"))
    user = user_of(storage, store)
    again = user.evaluate("carry", symbols=None, start=None, end=None)
    assert again.reproduces is not None
    assert (again.reproduces["same_bars"], again.reproduces["largest_difference"]) == (True, 0.0)
    signals = user.predict("carry", symbols=None, start=None, end=None, last=5).signals
    assert signals[-1].time == datetime(2017, 12, 29, 21, tzinfo=UTC)


def test_predictions_are_those_of_the_test(store: BarStore, tmp_path: Path) -> None:
    """One computation of features, of other series too."""
    storage = trained(store, tmp_path / "models")
    stored = restore(storage.files("carry").weights["model_full.pt"], "carry").test
    signals = user_of(storage, store).predict("carry", symbols=None, start=None, end=None, last=None).signals
    said = {round(signal.time.timestamp() * 1e6): signal.predicted for signal in signals}
    ours = np.array([[said[stamp]] for stamp in stored.time.tolist()])
    np.testing.assert_allclose(ours, stored.outputs, atol=1e-7)


def test_another_value_is_other_data(store: BarStore, tmp_path: Path) -> None:
    """What was known in the range is part of the data digest, what came later is not."""
    digests = []
    wanted = request(end_date="2017-11-01T00:00:00Z")
    vix = series()[-1]
    late = int(np.searchsorted(vix.time, datetime(2017, 11, 1, tzinfo=UTC).timestamp() * 1e6))
    for first in (len(vix), late - 1, late - 2):  # the strategy adds a day to the lag of the import
        keep(store, changed(vix, slice(first, None), open=1.0, high=1.0, low=1.0, close=1.0))
        result = run(DataManager(store), wanted, ModelStorage(tmp_path / str(first)))  # type: ignore[arg-type]
        digests.append(result.provenance["data_digest"])
    assert digests[0] == digests[1] != digests[2]


def test_a_host_trains_the_same_model(store: BarStore, tmp_path: Path) -> None:
    """Every series that is derived or resampled comes from stored ones, and these are sent."""
    needed = series_of(StoredBars(store), request())
    assert {(one.symbol, one.timeframe, one.lag) for one in needed} == {
        ("EURUSD", "1h", None),
        ("GBPUSD", "1h", None),
        ("fred_DGS2", "1d", "1d"),
        ("fred_IRLTLT01DEM156N", "1M", "1d"),
        ("cot_EUR_net_pos", "1w", "1d"),
        ("vix", "1d", "1d"),
    }
    pins = BarPins(tmp_path / "pins", store)
    assert all(pins.has(one) for one in needed)
    here, there = trained(store, tmp_path / "here"), trained(store, tmp_path / "there", data=pins.source(needed))
    weights = [storage.files("carry").weights["model.pt"] for storage in (here, there)]
    assert weights[0] == weights[1]


def test_what_is_missing_is_told_all_at_once(tmp_path: Path) -> None:
    """Before anything is trained, each with the command that imports it."""
    store = BarStore(tmp_path)
    StoredBars(store).import_file(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")
    with pytest.raises(DataNotFound) as error:
        series_of(StoredBars(store), request())
    lines = str(error.value).splitlines()
    commands = [
        "data import FILE --symbol GBPUSD --timeframe 1h",
        "data import-series FILE --name fred_DGS2 --lag 1d",
        "data import-series FILE --name fred_IRLTLT01DEM156N --lag 1d",
        "data import-series FILE --name cot_EUR_net_pos",
        "data import-series FILE --name vix --lag 1d",
    ]
    assert len(lines) == len(commands)
    assert all(f"`ktrdr {command}" in line for command, line in zip(commands, lines, strict=True))


def test_rows_without_another_series_are_dropped_and_counted(store: BarStore, tmp_path: Path) -> None:
    """Before its first value nothing stands for it, and three weeks after its last one nothing does any more: such rows
    are no zeros."""
    vix, (first, last) = series()[-1], (datetime(2017, 3, 1, tzinfo=UTC), datetime(2017, 12, 1, tzinfo=UTC))
    keep(store, vix.between(first - timedelta(days=10), last))
    result = run(DataManager(store), request(), ModelStorage(tmp_path / "models"))  # type: ignore[arg-type]
    assert result.data_summary["dropped"]["undefined_input"] > 400
    parts = result.data_summary["parts"]
    assert datetime.fromisoformat(parts["train"]["start"]) >= first - timedelta(days=7)
    stands_until = instant(int(vix.between(None, last).time[-1])) + timedelta(days=21 + 1)
    assert datetime.fromisoformat(parts["test"]["end"]) <= stands_until
