"""The whole pipeline's seconds per phase, on the bundled hour bars and on twelve years of them where they are there.

python -m benchmarks pipeline
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.measure import RESULTS
from ktrdr.contracts.training import Phase, TrainingRequest
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.repository import StoredBars
from ktrdr.execution.data.store import BarStore
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.model_storage import ModelStorage
from ktrdr.execution.strategy.repository import StrategyFiles
from ktrdr.logs import configure_logging

ROOT = Path(__file__).parents[1]
BARS = {
    "bundled, 2017": ROOT / "examples" / "data" / "EURUSD_1h.csv.gz",
    "2007 to 2018": ROOT.parent / "shared" / "data" / "EURUSD_1h.parquet",
}


def main() -> None:
    configure_logging(level="ERROR")
    strategy = StrategyFiles(ROOT / "strategies").read("eurusd_momentum")
    columns: dict[str, dict[str, float]] = {}
    for name, path in BARS.items():
        if not path.exists():
            continue
        with TemporaryDirectory() as folder:
            store = BarStore(Path(folder) / "data")
            StoredBars(store).import_file(path, symbol="EURUSD", timeframe="1h", accept_jumps=True)
            executor = TrainingExecutor(DataManager(store), ModelStorage(Path(folder) / "models"))
            request = TrainingRequest(operation_id="benchmark", strategy_name=strategy.name, strategy=strategy.resolved)
            executor.execute(request, lambda *_, **__: None, lambda: False)  # compiled loops are loaded once
            result = executor.execute(
                request.model_copy(update={"operation_id": "measured"}), lambda *_, **__: None, lambda: False
            )
            columns[name] = {
                **result.resource_usage["seconds_per_phase"],
                "epochs": result.training_metrics["epochs_run"],
                "rows": result.data_summary["rows"],
            }
    table = Table(title="pipeline, seconds per phase")
    table.add_column("phase")
    for name in columns:
        table.add_column(name, justify="right")
    for row in (*(phase.value for phase in Phase), "epochs", "rows"):
        values = [column.get(row) for column in columns.values()]
        table.add_row(row, *(f"{value:,.4g}" if value is not None else "–" for value in values))
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "pipeline.json").write_text(_json(columns), encoding="utf-8")


def _json(columns: dict[str, dict[str, float]]) -> str:
    import json

    return json.dumps(columns, indent=2)


if __name__ == "__main__":
    main()
