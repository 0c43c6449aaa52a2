"""The coverage that users look at is that of a training: its rows, its memberships, on real hours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from tests.support import ROOT, random_bars

from ktrdr.contracts.coverage import CoverageReport
from ktrdr.contracts.strategies import GivenStrategy
from ktrdr.contracts.training import TrainingRequest
from ktrdr.errors import NotEnoughData, StrategyNotFound
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.features.coverage_reader import StrategyCoverageReader, _stretch
from ktrdr.execution.fuzzy.base import Membership
from ktrdr.execution.fuzzy.memberships import AnyMembership
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.strategy.repository import StrategyFiles

TWO = """\
name: two
training_data:
  symbols: {mode: multi_symbol, list: [A, B]}
  timeframes: {mode: multi_timeframe, list: [1h, 4h]}
  history_required: 20
indicators:
  rsi: {type: rsi, period: 5}
fuzzy_sets:
  rsi:
    indicator: rsi
    low: [0, 0, 40]
    far: {type: gaussian, parameters: [1000, 5]}
  other: {indicator: rsi, up: {type: s, parameters: [30, 70]}}
nn_inputs:
  - {raw_indicator: rsi, timeframes: 4h}
  - {fuzzy_set: other, timeframes: 4h}
  - {fuzzy_set: rsi}
training:
  labels: {source: zigzag, zigzag_threshold: 0.01}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> BarStore:
    store = BarStore(tmp_path_factory.mktemp("bars"))
    real = read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]
    for bars in (real, random_bars(1, 2000, symbol="A"), random_bars(2, 2000, symbol="B")):
        store.save(bars, facts_of(bars, source="", source_sha256="", imported_at=""))
    return store


@pytest.fixture(scope="module")
def reader(store: BarStore) -> StrategyCoverageReader:
    return StrategyCoverageReader(StrategyFiles(ROOT / "strategies"), DataManager(store))


@pytest.fixture(scope="module")
def two(reader: StrategyCoverageReader) -> CoverageReport:
    return reader.read(GivenStrategy(strategy_text=TWO))


def test_it_is_the_coverage_of_the_training(reader: StrategyCoverageReader, store: BarStore, tmp_path: Path) -> None:
    """The same rows, shares, means and notices as in the result of a training."""
    report = reader.read(GivenStrategy(strategy_name="eurusd_momentum"))
    details = StrategyFiles(ROOT / "strategies").read("eurusd_momentum")
    short = {**details.resolved, "training": {**details.resolved["training"], "epochs": 1}}
    request = TrainingRequest(operation_id="op", strategy_name=details.name, strategy=short)
    executor = TrainingExecutor(DataManager(store), ModelStorage(tmp_path), device="cpu")
    summary = executor.execute(request, lambda *_, **__: None, lambda: False).data_summary
    part = summary["parts"]["train"]
    assert (report.rows, report.start.isoformat(), report.end.isoformat()) == (part["rows"], part["start"], part["end"])
    shown = {
        f"{one.name}_{curve.name}": curve.model_dump(include={"fires", "mean", "highest"})
        for one in report.sets
        for curve in one.memberships
    }
    assert shown == summary["memberships"]
    assert {one.name: one.model_dump(include={"covered", "overlapping"}) for one in report.sets} == summary[
        "fuzzy_sets"
    ]
    assert [notice for notice in report.notices if notice not in summary["notices"]] == []


def test_sets_come_in_the_order_of_the_inputs_on_each_timeframe(two: CoverageReport) -> None:
    """Raw inputs have none."""
    assert [(one.name, one.timeframe) for one in two.sets] == [("4h_other", "4h"), ("1h_rsi", "1h"), ("4h_rsi", "4h")]
    assert [curve.name for curve in two.sets[1].memberships] == ["low", "far"]


def test_curves_are_the_memberships_on_the_grid(two: CoverageReport) -> None:
    shapes: TypeAdapter[Membership] = TypeAdapter(AnyMembership)
    for one in two.sets:
        grid = torch.tensor(one.grid, dtype=torch.float64)
        assert (grid.diff() > 0).all()
        for curve in one.memberships:
            function = shapes.validate_python({"type": curve.type, "parameters": curve.parameters})
            np.testing.assert_allclose(curve.values, function.membership(grid), atol=1e-6)


def test_every_training_row_is_in_the_histogram(two: CoverageReport) -> None:
    """Of both symbols; and where memberships fire is where the histogram has rows."""
    for one in two.sets:
        assert sum(one.counts) == two.rows
        assert len(one.edges) == len(one.counts) + 1
        assert (one.edges[0], one.edges[-1]) == (one.grid[0], one.grid[-1])
    low = two.sets[1].memberships[0]
    below = sum(count for count, edge in zip(two.sets[1].counts, two.sets[1].edges[1:], strict=True) if edge <= 40)
    above = sum(count for count, edge in zip(two.sets[1].counts, two.sets[1].edges, strict=False) if edge >= 40)
    assert below / two.rows <= low.fires <= 1 - above / two.rows


def test_a_shape_far_away_does_not_squeeze_the_rows(two: CoverageReport) -> None:
    """The grid reaches no further than once the spread of the values beyond them."""
    one = two.sets[1]
    rows = [edge for edge, count in zip(one.edges, one.counts, strict=False) if count]
    assert one.grid[-1] - rows[-1] <= 1.1 * (rows[-1] - rows[0])
    assert "1h_rsi_far never fires on the training rows" in two.notices


@pytest.mark.parametrize("value", [0.0, 5.0, -3e-9, 1e12])
def test_a_value_that_never_changes_can_be_plotted(value: float) -> None:
    """Around it there is a little room."""
    low, high = _stretch([], np.full(9, value, dtype=np.float32))
    assert low <= np.float32(value) < high


def test_what_cannot_be_read_is_a_sentence(reader: StrategyCoverageReader) -> None:
    with pytest.raises(StrategyNotFound):
        reader.read(GivenStrategy(strategy_name="nowhere"))
    with pytest.raises(NotEnoughData, match="no row is left to train on"):
        reader.read(GivenStrategy(strategy_text=TWO.replace("threshold: 0.01", "threshold: 0.99")))


def test_a_strategy_without_fuzzy_sets_has_rows_and_no_plots(reader: StrategyCoverageReader) -> None:
    raw = TWO[: TWO.index("fuzzy_sets")] + TWO[TWO.index("nn_inputs") :]
    raw = raw.replace("  - {fuzzy_set: other, timeframes: 4h}\n", "").replace("  - {fuzzy_set: rsi}\n", "")
    report = reader.read(GivenStrategy(strategy_text=raw))
    assert report.sets == []
    assert report.rows > 0
