"""An example of everything that the API takes and answers, by the name of its schema, for whoever reads `/docs`."""

from typing import Any

_ID = "train-20261123-142355-k3f9c7"
_WHY = "auto is the default; no GPU is required, and local starts fastest"
_METRICS = {"rows": 922, "accuracy": 0.389, "balanced_accuracy": 0.367, "macro_f1": 0.339, "log_loss": 1.091}
_BASELINES = {"majority_class": {"rows": 922, "accuracy": 0.335, "balanced_accuracy": 0.333, "log_loss": 1.097}}
_TEXT = """\
name: my_strategy
training_data:
  symbols: {mode: single, symbol: EURUSD}
  timeframes: {mode: single, timeframe: 1h}
indicators:
  rsi_14: {type: rsi, period: 14}
fuzzy_sets:
  rsi: {indicator: rsi_14, oversold: [0, 0, 40], overbought: [60, 100, 100]}
nn_inputs:
  - {fuzzy_set: rsi, timeframes: all}
"""
_TRAINING = {"strategy_name": "eurusd_momentum", "symbols": ["EURUSD"], "start_date": "2017-01-01", "seed": 42}
_SUMMARY = {
    "operation_id": _ID,
    "strategy_name": "eurusd_momentum",
    "status": "running",
    "attempt": 1,
    "revision": 7,
    "execution_mode": "local",
    "progress": {
        "phase": "training",
        "message": "Epoch 12 of 60",
        "fraction": 0.27,
        "eta_seconds": 4.1,
        "details": {"epoch": 12, "epochs": 60, "train_loss": 0.479, "val_loss": 0.485, "val_accuracy": 0.37},
    },
    "created_at": "2026-11-23T14:23:55Z",
    "started_at": "2026-11-23T14:23:55Z",
}
_OPERATION = {
    **_SUMMARY,
    "request": {"operation_id": _ID, "strategy_name": "eurusd_momentum", "strategy": {"name": "eurusd_momentum"}},
    "execution_reason": _WHY,
}
_MODEL = {
    "name": "eurusd_momentum/EURUSD_1h_v3",
    "strategy_name": "eurusd_momentum",
    "version": 3,
    "symbols": ["EURUSD"],
    "base_timeframe": "1h",
    "operation_id": _ID,
    "created_at": "2026-11-23T14:24:01Z",
    "is_latest": True,
    "path": "models/eurusd_momentum/EURUSD_1h_v3",
    "test_metrics": _METRICS,
}
_SERIES = {
    "symbol": "EURUSD",
    "timeframe": "1h",
    "bars": 6225,
    "start": "2017-01-01T22:00:00Z",
    "end": "2017-12-29T21:00:00Z",
    "calendar": "fx",
    "digest": "3ea7ca055e8e23a268d6cba220307b1f966f08e90a282ce3ff9df7c0509ff16e",
    "source": "EURUSD_1h.csv.gz",
    "path": "data/EURUSD/1h.parquet",
}
_BAR = {
    "time": "2017-01-01T22:00:00Z",
    "open": 1.05236,
    "high": 1.05253,
    "low": 1.05221,
    "close": 1.05227,
    "volume": 143539993.3,
}
_STRATEGY = {
    "name": "eurusd_momentum",
    "symbols": ["EURUSD"],
    "timeframes": ["1h"],
    "base_timeframe": "1h",
    "start_date": None,
    "end_date": None,
    "feature_names": ["1h_rsi_oversold", "1h_atr_24_raw"],
    "notices": [],
}
_HOST = {"name": "gpu1", "url": "https://gpu1:8100", "price_per_hour": 1.5}
_PASS = {"name": "1h_rsi_oversold", "timeframe": "1h", "verdict": "pass"}

EXAMPLES: dict[str, dict[str, Any]] = {
    "TrainingStart": _TRAINING,
    "NullTestStart": {**_TRAINING, "null_test": 19},
    "Started": {
        "operation_id": _ID,
        "execution_mode": "local",
        "execution_reason": _WHY,
        "operation": {**_OPERATION, "status": "queued", "queue_position": 1, "progress": None, "started_at": None},
    },
    "TrainingPlan": {
        **{name: value for name, value in _STRATEGY.items() if name != "name"},
        "strategy_name": "eurusd_momentum",
        "bars": {"EURUSD 1h": 6225},
        "labels": {"source": "triple_barrier", "pt_multiplier": 2.0, "sl_multiplier": 2.0},
        "model": {"type": "mlp", "architecture": {"hidden_layers": [32, 16]}},
        "training": {"epochs": 60, "batch_size": 64, "seed": 42},
        "execution_mode": "local",
        "execution_reason": _WHY,
    },
    "TrainingConfig": {"default_execution_mode": "auto", "origin": "settings"},
    "ConfigChange": {"default_execution_mode": "local"},
    "Performance": {
        "model_path": _MODEL["path"],
        "training_metrics": {"epochs_run": 15, "best_epoch": 3, "stopped_early": True, "val_loss": 0.484},
        "test_metrics": {**_METRICS, "baselines": _BASELINES},
        "per_symbol_metrics": {"EURUSD": _METRICS},
    },
    "Accepted": {"model_path": _MODEL["path"]},
    "Operation": _OPERATION,
    "OperationSummary": _SUMMARY,
    "OperationPage": {"items": [_SUMMARY], "total": 1, "limit": 50, "offset": 0},
    "ModelRecord": _MODEL,
    "ModelDetails": {
        "record": _MODEL,
        "config": {"strategy": {"name": "eurusd_momentum"}, "seed": 42},
        "metrics": {"test_metrics": _METRICS},
        "features": {"names": _STRATEGY["feature_names"]},
        "metadata": {"operation_id": _ID, "files": {"model.pt": {"sha256": _SERIES["digest"], "size": 5912}}},
    },
    "EvaluateModel": {"start_date": "2017-11-01", "end_date": "2017-12-01"},
    "Evaluation": {
        "model": _MODEL["name"],
        "symbols": ["EURUSD"],
        "timeframe": "1h",
        "start": "2017-11-06T09:00:00Z",
        "end": "2017-12-29T09:00:00Z",
        "rows": 922,
        "metrics": _METRICS,
        "baselines": _BASELINES,
        "per_symbol_metrics": {"EURUSD": _METRICS},
        "reproduces": None,
        "notices": [],
    },
    "Predict": {"last": 1},
    "Prediction": {
        "model": _MODEL["name"],
        "signals": [
            {
                "symbol": "EURUSD",
                "time": "2017-12-29T21:00:00Z",
                "known": "2017-12-29T22:00:00Z",
                "signal": "HOLD",
                "confidence": 0.391,
                "probabilities": {"BUY": 0.391, "HOLD": 0.254, "SELL": 0.355},
            }
        ],
        "rows": 1,
        "notices": [],
    },
    "StrategyText": {"text": _TEXT, "source": "my_strategy.yaml"},
    "StrategySummary": {
        "name": "eurusd_momentum",
        "path": "strategies/eurusd_momentum.yaml",
        "symbols": ["EURUSD"],
        "timeframes": ["1h"],
        "labels": "triple_barrier",
        "model": "mlp",
        "trained": True,
    },
    "StrategyDetails": {
        **_STRATEGY,
        "source": "strategies/eurusd_momentum.yaml",
        "text": "name: eurusd_momentum\n",
        "resolved": {"name": "eurusd_momentum", "training": {"epochs": 60, "seed": 42}},
    },
    "CoverageReport": {
        "strategy_name": "eurusd_momentum",
        "symbols": ["EURUSD"],
        "base_timeframe": "1h",
        "rows": 4088,
        "start": "2017-01-12T06:00:00Z",
        "end": "2017-09-07T12:00:00Z",
        "sets": [],
        "notices": [],
    },
    "LeakCheckBody": {"cuts": 20},
    "LeakCheckOfText": {"text": _TEXT, "cuts": 20},
    "LeakReport": {
        "strategy_name": "eurusd_momentum",
        "symbols": ["EURUSD"],
        "base_timeframe": "1h",
        "history_required": 200,
        "bars": {"EURUSD 1h": 6225},
        "cuts": 20,
        "verdict": "pass",
        "inputs": [_PASS],
        "labels": {**_PASS, "name": "labels"},
        "notices": [],
    },
    "SeriesInfo": _SERIES,
    "SeriesDetails": {"series": _SERIES, "head": [_BAR], "tail": []},
    "CheckReport": {
        "series": _SERIES,
        "findings": [
            {
                "check": "gaps",
                "severity": "info",
                "count": 15,
                "message": "bars are missing in 2 gaps (0.2% of what the calendar fx expects)",
                "examples": ["2017-12-24 22:00"],
            }
        ],
    },
    "NewHost": _HOST,
    "HostEntry": _HOST,
    "HostReport": {
        "host": _HOST,
        "checked_at": "2026-11-23T14:23:50Z",
        "latency_seconds": 0.004,
        "health": {
            "version": "0.1.0",
            "uptime_seconds": 86400.0,
            "devices": [{"type": "cuda", "name": "NVIDIA RTX 4090", "memory_bytes": 25757220864}],
            "slots": 1,
            "free_slots": 1,
        },
    },
    "Health": {"status": "ready"},
}
