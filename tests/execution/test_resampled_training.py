"""Timeframes that are not stored, through the whole of a training: the same model as with stored ones, and told so."""

from pathlib import Path
from typing import Any

import pytest
from tests.execution.test_executor import request, run
from tests.support import ROOT, random_bars

from ktrdr.contracts.hosts import SeriesNeeded
from ktrdr.contracts.training import TrainingRequest
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.pins import BarPins
from ktrdr.execution.data.repository import StoredBars
from ktrdr.execution.data.resampling import resampled
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.prediction import StoredModelUser
from ktrdr.wiring.parts import series_of

EURUSD = ROOT / "examples" / "data" / "EURUSD_1h.csv.gz"


def wanted() -> TrainingRequest:
    """EURUSD on hours, with four hours and days above them."""
    timeframes = {"mode": "multi_timeframe", "list": ["1h", "4h", "1d"], "base_timeframe": "1h"}
    return request(training_data={"timeframes": timeframes, "history_required": 30})


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    store = BarStore(tmp_path / "data")
    StoredBars(store).import_file(EURUSD)
    return store


def test_the_model_is_that_of_stored_timeframes(store: BarStore, tmp_path: Path) -> None:
    """Bit for bit, data digest and all; and the report names what was made of what."""
    storages = [ModelStorage(tmp_path / name) for name in ("made", "stored")]
    made = run(DataManager(store), wanted(), storages[0])  # type: ignore[arg-type]
    for name in ("4h", "1d"):
        bars = resampled(read_bars(EURUSD)[0], parse_timeframe(name))
        store.save(bars, facts_of(bars, source="-", source_sha256="", imported_at=""))
    stored = run(DataManager(store), wanted(), storages[1])  # type: ignore[arg-type]
    weights = [storage.files("eurusd_momentum").weights["model.pt"] for storage in storages]
    assert weights[0] == weights[1]
    assert made.provenance["data_digest"] == stored.provenance["data_digest"]
    assert made.data_summary["resampled"] == {"EURUSD 4h": "1h", "EURUSD 1d": "1h"}
    assert "EURUSD 4h is resampled from 1h" in made.data_summary["notices"]
    assert stored.data_summary["resampled"] == {}


def test_it_predicts_and_reproduces_its_test(store: BarStore, tmp_path: Path) -> None:
    storage, data = ModelStorage(tmp_path / "models"), DataManager(store)
    result = run(data, wanted(), storage)  # type: ignore[arg-type]
    user = StoredModelUser(lambda name: (name, storage.files(name).weights["model_full.pt"]), data)
    again = user.evaluate("eurusd_momentum", symbols=None, start=None, end=None)
    assert again.reproduces is not None
    assert (again.reproduces["same_bars"], again.reproduces["largest_difference"]) == (True, 0.0)
    assert again.metrics["confusion_matrix"] == result.test_metrics["confusion_matrix"]
    assert user.predict("eurusd_momentum", symbols=None, start=None, end=None, last=5).rows == 5


def test_a_host_is_sent_the_series_that_others_are_made_of(store: BarStore, tmp_path: Path) -> None:
    """Each once; and of them it makes the same bars."""
    needed = series_of(StoredBars(store), wanted())
    assert [(one.symbol, one.timeframe) for one in needed] == [("EURUSD", "1h")]
    pins = BarPins(tmp_path / "pins", BarStore(tmp_path / "empty"))
    pins.put(needed[0], store.path("EURUSD", parse_timeframe("1h")))
    results = [
        run(source, wanted(), ModelStorage(tmp_path / name))  # type: ignore[arg-type]
        for name, source in (("here", DataManager(store)), ("there", pins.source(needed)))
    ]
    digests = [result.provenance["data_digest"] for result in results]
    assert digests[0] == digests[1]
    assert results[0].test_metrics == results[1].test_metrics


def test_the_finest_one_is_sent_even_when_a_longer_one_would_do(store: BarStore, tmp_path: Path) -> None:
    """Four hours are made of the finest stored timeframe; a host without it would make other ones of the hours."""
    quarters = quarters_in(store)
    needed = series_of(StoredBars(store), wanted())
    assert {(one.symbol, one.timeframe) for one in needed} == {("EURUSD", "1h"), ("EURUSD", "15m")}
    pins = BarPins(tmp_path / "pins", store)
    assert all(pins.has(SeriesNeeded.model_validate(one.model_dump())) for one in needed)
    options: dict[str, Any] = {"start": None, "end": None, "history": 0}
    there, here = (source.load("EURUSD", "4h", **options) for source in (pins.source(needed), DataManager(store)))
    assert there.digest() == here.digest() == resampled(quarters, parse_timeframe("4h")).digest()


def quarters_in(store: BarStore) -> Bars:
    """Quarters of hours of the same symbol, from another source."""
    bars = random_bars(1, 4 * 24 * 200, symbol="EURUSD", timeframe="15m")
    store.save(bars, facts_of(bars, source="-", source_sha256="", imported_at=""))
    return bars
