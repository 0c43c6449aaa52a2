"""The result of a training, as small as one can be that says everything."""

from typing import Any

from ktrdr.contracts.training import TrainingResult

BASELINES: dict[str, dict[str, Any]] = {
    "majority_class": {"accuracy": 0.335, "balanced_accuracy": 0.333, "macro_f1": 0.167, "mcc": 0.0},
    "last_known_label": {"accuracy": 0.309, "balanced_accuracy": 0.307, "macro_f1": 0.288, "mcc": -0.043},
    "logistic_regression": {"accuracy": 0.402, "balanced_accuracy": 0.366, "macro_f1": 0.344, "mcc": 0.062},
}
for _name, _loss in zip(BASELINES, (1.097, 1.104, 1.093), strict=True):
    BASELINES[_name]["log_loss_prior_corrected"] = _loss

TRADES: dict[str, Any] = {
    "return": -0.0312,
    "sharpe": -1.5,
    "sharpe_error": 2.45,
    "sharpe_probability": 0.271,
    "max_drawdown": 0.041,
    "turnover": 24.0,
    "trades": 12,
    "win_share": 5 / 12,
    "round_trip_cost": 0.001,
    "break_even_cost": 0.00031,
    "days": 40,
    "start": "2017-11-06T09:00:00+00:00",
    "end": "2017-12-29T22:00:00+00:00",
    "notes": ["12 trades are [few]"],
    "baselines": {
        "buy_and_hold": {"return": 0.034, "sharpe": 3.79, "sharpe_error": 2.45, "max_drawdown": 0.02, "trades": 1},
        "flat": {"return": 0.0, "sharpe": None, "sharpe_error": None, "max_drawdown": 0.0, "trades": 0},
    },
}
TEST_METRICS: dict[str, Any] = {
    "rows": 900,
    "effective_rows": 128.0,
    "accuracy": 0.389,
    "balanced_accuracy": 0.367,
    "macro_f1": 0.339,
    "mcc": 0.057,
    "log_loss": 1.09,
    "log_loss_prior_corrected": 1.087,
    "classes": ["BUY", "HOLD", "SELL"],
    "confusion_matrix": [[242, 22, 107], [190, 38, 81], [120, 23, 77]],
    "per_class": {"BUY": {"recall": 0.652}, "HOLD": {"recall": 0.123}, "SELL": {"recall": 0.35}},
    "intervals": {"accuracy": [0.34, 0.44], "balanced_accuracy": [0.310, 0.424]},
    "baselines": BASELINES,
    "trades": TRADES,
}
NULL_TEST: dict[str, Any] = {
    "walks": 19,
    "drawn_anew": 1,
    "without_trades": 2,
    "scores": {
        "net_sharpe": {
            "value": None,
            "null_mean": -0.1,
            "null_sd": 0.9,
            "null_low": -1.5,
            "null_high": 1.25,
            "excess": None,
            "p": None,
        },
        "balanced_accuracy": {
            "value": 0.701,
            "null_mean": 0.695,
            "null_sd": 0.0125,
            "null_low": 0.67,
            "null_high": 0.73,
            "excess": 0.006,
            "p": 0.35,
        },
        "accuracy": {
            "value": 0.72,
            "null_mean": 0.71,
            "null_sd": 0.01,
            "null_low": 0.69,
            "null_high": 0.73,
            "excess": 0.01,
        },
    },
    "conclusions": ["The balanced accuracy is [no] sign of an edge."],
    "each": [{"number": 1, "seed": 5, "balanced_accuracy": 0.7, "accuracy": 0.7, "net_sharpe": 0.1}],
}
_PART = {"rows": 900, "effective_rows": 128.0, "start": "2017-11-06T09:00:00Z", "end": "2017-12-29T09:00:00Z"}


def training_result(**changes: Any) -> TrainingResult:
    """The sample, with some of its fields replaced."""
    importance = {"1h_rsi_low": (-0.001, 0.0), "1h_atr_24_raw": (0.0066, 0.0182)}
    result = TrainingResult(
        model_path="models/momentum/EURUSD_1h_v1",
        training_metrics={"epochs_run": 15, "best_epoch": 3, "stopped_early": True},
        test_metrics=TEST_METRICS,
        feature_names=list(importance),
        feature_importance={
            "features": {name: {"log_loss": a, "balanced_accuracy": b} for name, (a, b) in importance.items()}
        },
        per_symbol_metrics={},
        model_info={"type": "mlp", "parameters": 995, "device": "cpu", "classes": ["BUY", "HOLD", "SELL"]},
        data_summary={
            "symbols": ["EURUSD"],
            "timeframes": ["1h"],
            "start": "2017-01-01T22:00:00Z",
            "end": "2017-12-29T21:00:00Z",
            "bars": {"EURUSD 1h": 6225},
            "rows": 5876,
            "parts": {"test": {**_PART, "classes": {"BUY": 371, "HOLD": 309, "SELL": 220}}},
            "dropped": {"warm_up": 200, "no_label": 0},
            "purged": {"train": 70, "validation": 67},
            "labels": {
                "source": "triple_barrier",
                "look_ahead_bars": {"median": 9.0, "p99": 48.0, "max": 50},
                "duration_bars": {"BUY": {"runs": 80, "median": 11.0, "p99": 40.0, "max": 61}},
                "ambiguous": 3,
                "random_walk_classes": {"BUY": 0.5, "SELL": 0.5},
            },
            "memberships": {"1h_rsi_low": {"fires": 0.0002, "mean": 0.0001, "highest": 0.4}},
            "fuzzy_sets": {"1h_rsi": {"covered": 0.0002, "overlapping": 0.0}},
            "notices": ["a [small] notice"],
            "test_evaluations": 3,
        },
        resource_usage={"mode": "local", "seconds": 2.8},
        provenance={"data_digest": "0123456789abcdef0123", "seed": 42, "versions": {"torch": "2.13"}},
    )
    return result.model_copy(update=changes)
