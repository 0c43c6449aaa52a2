"""Files in every shape that users write: each loads, says what has no effect, trains, and predicts."""

from pathlib import Path

import jsonschema_rs
import pytest
from tests.support import random_bars

from ktrdr.contracts.training import TrainingRequest
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.prediction import StoredModelUser
from ktrdr.execution.strategy.reading import read_strategy, resolved, restore_strategy
from ktrdr.execution.strategy.repository import StrategyFiles

FOLDER = Path(__file__).parent / "shapes"
OLDER = [
    "indicators.williams_14.source is stored and has no effect on williams_r",
    "training.labels.label_lookahead is stored and has no effect",
    "model.features is stored and has no effect",
    "training.method is stored and has no effect",
    "training.analytics.export_csv is stored and has no effect",
    "training.analytics.export_json is stored and has no effect",
    "training.analytics.export_alerts is stored and has no effect",
    "scope is stored and has no effect",
]
NOTICES = {
    "minimal": [],
    "converted": OLDER,
    "several_symbols": [OLDER[1], OLDER[3], OLDER[7]],
    "several_timeframes": [],
    "sequences": ["decisions.cost_model.min_edge_multiplier has no effect in classification"],
    "regression": [],
    "daily_context": ["indicators.ema_20 is not used by any input"],
    "regimes": [],
}


def text(shape: str) -> str:
    return (FOLDER / f"{shape}.yaml").read_text(encoding="utf-8")


def test_every_shape_is_tested() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NOTICES)


@pytest.mark.parametrize("shape", NOTICES)
def test_it_loads_and_says_what_has_no_effect(shape: str) -> None:
    """As a file, from its resolved form, and to an editor that has the schema."""
    strategy = read_strategy(text(shape), shape)
    assert strategy.notices() == NOTICES[shape]
    assert restore_strategy(resolved(strategy)) == strategy
    assert restore_strategy(resolved(strategy)).notices() == NOTICES[shape]
    validator = jsonschema_rs.validator_for(StrategyFiles(FOLDER).schema())
    validator.validate(resolved(strategy))
    validator.validate(plain_yaml(text(shape)))


def plain_yaml(written: str) -> object:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(written)


def test_columns_of_several_timeframes_come_in_their_order() -> None:
    """Of the inputs, then of the timeframes, then of the memberships as written."""
    assert read_strategy(text("several_timeframes"), "").feature_names == [
        "1h_strength_weak", "1h_strength_strong", "4h_strength_weak", "4h_strength_strong",
        "4h_up_low", "4h_up_high", "1h_same_as_strength_weak", "1h_same_as_strength_strong",
    ]  # fmt: skip
    assert read_strategy(text("sequences"), "").feature_names[:6] == [
        "5m_momentum_low", "5m_momentum_high", "1h_momentum_low", "1h_momentum_high",
        "5m_rsi_14_raw", "1h_rsi_14_raw",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> BarStore:
    """Hours of two symbols, days of one of them and minutes of a third, each a walk of its own."""
    store = BarStore(tmp_path_factory.mktemp("bars"))
    for seed, (symbol, timeframe, count) in enumerate(
        [("EURUSD", "1h", 10_000), ("GBPUSD", "1h", 6000), ("EURUSD", "1d", 3000), ("USDJPY", "5m", 20_000)]
    ):
        own = random_bars(seed, count, step=0.002, symbol=symbol, timeframe=timeframe)
        store.save(own, facts_of(own, source="", source_sha256="", imported_at=""))
    return store


@pytest.mark.parametrize("shape", NOTICES)
def test_it_trains_and_predicts(shape: str, bars: BarStore, tmp_path: Path) -> None:
    strategy, data, storage = read_strategy(text(shape), shape), DataManager(bars), ModelStorage(tmp_path)
    short = {**resolved(strategy), "training": {**resolved(strategy)["training"], "epochs": 1}}
    request = TrainingRequest(operation_id="op", strategy_name=strategy.name, strategy=short)
    result = TrainingExecutor(data, storage, device="cpu").execute(request, lambda *_, **__: None, lambda: False)
    assert result.feature_names == strategy.feature_names
    assert [notice for notice in NOTICES[shape] if notice not in result.data_summary["notices"]] == []
    user = StoredModelUser(lambda name: (name, storage.files(name).weights["model_full.pt"]), data)
    assert user.predict(strategy.name, symbols=None, start=None, end=None, last=3).rows == 3 * len(strategy.symbols)
    if shape == "converted":  # asks for analytics, as a table
        assert (tmp_path / strategy.name / "EURUSD_1h_v1" / "analytics.csv").is_file()
    if shape == "several_timeframes":
        twin = "1h_same_as_strength_weak is identical to 1h_strength_weak on the training rows"
        assert twin in result.data_summary["notices"]
