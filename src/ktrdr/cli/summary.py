"""What a training or an evaluation says at its end, for a person: what, how good beside what, and what next."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ktrdr.cli.cross_validation import show_cross_validation
from ktrdr.cli.labelled import label_lines
from ktrdr.cli.null_report import show_null_test
from ktrdr.cli.output import day, facts, minute, number, percent, prose, show_notices, table
from ktrdr.cli.running import HERE, Place
from ktrdr.cli.trades import show_trades, trades_by_symbol

if TYPE_CHECKING:
    from ktrdr.contracts.models import Evaluation
    from ktrdr.contracts.training import TrainingResult

CLASSIFICATION = (
    ("balanced_accuracy", "balanced\naccuracy"),
    ("accuracy", "accuracy"),
    ("macro_f1", "macro\nF1"),
    ("mcc", "MCC"),
    ("log_loss_prior_corrected", "log loss"),
)
REGRESSION = (
    ("information_coefficient", "information\ncoefficient"),
    ("directional_accuracy", "directional\naccuracy"),
    ("r2", "R²"),
    ("rmse", "RMSE"),
    ("mae", "MAE"),
)
JUDGES = {
    "majority_class": "majority class",
    "last_known_label": "last known label",
    "logistic_regression": "logistic regression",
    "no_change": "no change",
    "training_mean": "mean of training",
    "ridge_regression": "ridge regression",
}
SCORES = {
    "log_loss": "log loss rises",
    "balanced_accuracy": "balanced accuracy falls",
    "r2": "R² falls",
    "information_coefficient": "information coeff. falls",
}
DROPPED = {
    "warm_up": "warm-up",
    "undefined_input": "undefined input",
    "end_of_range": "end of range",
    "no_label": "no label",
    "no_event": "no event",
}


def show_training(screen: Console, result: "TrainingResult", where: Place = HERE, *, reason: str = "") -> None:
    """The whole summary of a finished training; `where` its model lies, for the commands to try next, and the `reason`
    for which it ran where it ran."""
    screen.print()
    show_opening(screen, result.test_metrics)
    screen.print(trained_on(result, reason))
    screen.print()
    screen.print(metrics_table(result.test_metrics, "Test, beside the baselines"))
    show_verdict(screen, result.test_metrics)
    screen.print()
    if "confusion_matrix" in result.test_metrics:
        screen.print(confusion(result.test_metrics))
        screen.print()
    if len(result.per_symbol_metrics) > 1:
        for rows in (trades_by_symbol(result.per_symbol_metrics), by_symbol(result.per_symbol_metrics)):
            if rows is not None:
                screen.print(rows)
                screen.print()
    show_cross_validation(screen, result.test_metrics)
    screen.print(most_important(result.feature_importance))
    screen.print()
    count = result.data_summary.get("test_evaluations")
    if isinstance(count, int) and count > 1:
        prose(screen, f"This test range has been judged {count} times: the more often, the less its numbers mean.")
    show_notices(screen, result.data_summary.get("notices", []))
    if result.model_path:
        next_steps(screen, result.model_path, where)


def show_opening(screen: Console, metrics: Mapping[str, Any], baselines: Mapping[str, Any] | None = None) -> None:
    """What a report opens with: the trades and the walks, or, where labels say nothing to do and no walk was made, how
    the model stands to its rivals."""
    if "trades" in metrics:
        show_trades(screen, metrics)
    if "null_test" in metrics:
        show_null_test(screen, metrics["null_test"])
        screen.print()
    elif "trades" not in metrics:
        prose(screen, verdict(metrics, baselines))
        screen.print()


def show_verdict(screen: Console, metrics: Mapping[str, Any], baselines: Mapping[str, Any] | None = None) -> None:
    """The sentence under a table of metrics, unless the report has opened with it."""
    if "trades" in metrics or "null_test" in metrics:
        prose(screen, verdict(metrics, baselines))


def trained_on(result: "TrainingResult", reason: str = "") -> Table:
    """What was trained on what, as names and values."""
    data, model, use = result.data_summary, result.model_info, result.resource_usage
    metrics = result.training_metrics
    stopped = ", stopped early" if metrics.get("stopped_early") else ""
    parts = [(f"  {name}", part_line(part)) for name, part in data.get("parts", {}).items()]
    return facts(
        ("trained on", f"{', '.join(data.get('symbols', []))}, {', '.join(data.get('timeframes', []))}"),
        ("bars", f"{sum(data.get('bars', {}).values()):,}, {day(data.get('start'))} to {day(data.get('end'))}"),
        *label_lines(data.get("labels", {})),
        ("rows", f"{data.get('rows', 0):,}"),
        *parts,
        ("", "worth: the rows without overlapping labels that they amount to" if parts else None),
        ("dropped", counted(data.get("dropped", {}), DROPPED)),
        ("purged", counted(data.get("purged", {}), {}, "labels that settle inside the next part")),
        (
            "model",
            f"{model.get('type', '–')}, {len(result.feature_names)} features,"
            f" {model.get('parameters', 0):,} parameters",
        ),
        ("training", f"{metrics.get('epochs_run')} epochs{stopped}; weights of epoch {metrics.get('best_epoch')}"),
        ("ran", _ran(use, model.get("device", "–"))),
        ("", reason or None),
    )


def _ran(use: Mapping[str, Any], device: str) -> str:
    """Where, for how long, and for how much where somebody counts."""
    where = " ".join(filter(None, (use.get("mode"), use.get("host"))))
    cost = use.get("cost")
    money = "" if cost is None else f"; cost {cost:.4g} at {use.get('price_per_hour', 0):g} an hour"
    return f"{where} on {device}, {use.get('seconds', 0):.1f} s{money}"


def part_line(part: Mapping[str, Any]) -> str:
    """Rows, dates and classes of a part."""
    classes = ", ".join(f"{name} {count:,}" for name, count in part.get("classes", {}).items())
    rows = f"{part.get('rows', 0):,} (worth {number(part.get('effective_rows'), 0)})"
    return f"{rows}, {day(part.get('start'))} to {day(part.get('end'))}{f'; {classes}' if classes else ''}"


def counted(counts: Mapping[str, int], names: Mapping[str, str], why: str = "") -> str:
    """Counts that are not zero, in words."""
    told = ", ".join(f"{names.get(name, name)} {count:,}" for name, count in counts.items() if count)
    return f"{told} ({why})" if told and why else told


def metrics_table(metrics: Mapping[str, Any], title: str, baselines: Mapping[str, Any] | None = None) -> Table:
    """The model's metrics above those of the baselines."""
    shown = shown_metrics(metrics)
    columns = [label for _, label in shown]
    rows = table("", *columns, right=columns, title=f"{title} ({metrics.get('rows', 0):,} rows)")
    rows.add_row("[bold]model[/bold]", *(f"[bold]{figure(metrics, name)}[/bold]" for name, _ in shown))
    for name, judge in (baselines or metrics.get("baselines", {})).items():
        rows.add_row(JUDGES.get(name, name), *(figure(judge, key) for key, _ in shown))
    return rows


def shown_metrics(metrics: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Which metrics a table shows: those of classes or those of numbers."""
    return REGRESSION if "information_coefficient" in metrics else CLASSIFICATION


def figure(metrics: Mapping[str, Any], name: str) -> str:
    """A metric in three digits, an error of small returns in as many as it needs."""
    return number(metrics.get(name), 6 if name in ("rmse", "mae") else 3)


def by_symbol(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """The model's metrics on the test rows of each symbol."""
    shown = shown_metrics(next(iter(metrics.values()), {}))
    columns = ["rows", *(label for _, label in shown)]
    rows = table("symbol", *columns, right=columns, title="Test, by symbol")
    for symbol, judged in metrics.items():
        rows.add_row(symbol, number(judged.get("rows"), 0), *(figure(judged, name) for name, _ in shown))
    return rows


def verdict(metrics: Mapping[str, Any], baselines: Mapping[str, Any] | None = None) -> str:
    """One plain sentence about the model beside the best baseline, with the interval in mind."""
    judges = baselines or metrics.get("baselines", {})
    if "information_coefficient" in metrics:
        return _regression_verdict(metrics, judges)
    interval = metrics.get("intervals", {}).get("balanced_accuracy")
    if not judges or not interval:
        return ""
    name, best = max(judges.items(), key=lambda item: item[1]["balanced_accuracy"])
    low, high = interval
    rival = f"the best baseline ({JUDGES.get(name, name)}, {best['balanced_accuracy']:.3f})"
    said = f"Balanced accuracy {metrics['balanced_accuracy']:.3f}, 95 % interval {low:.3f} to {high:.3f}: "
    if low > best["balanced_accuracy"]:
        said += f"better than {rival}"
    elif high < best["balanced_accuracy"]:
        said += f"worse than {rival}"
    else:
        said += f"not distinguishable from {rival}"
    return f"{said}. {_log_loss_verdict(metrics, judges)}{_calibration(metrics)}"


def _log_loss_verdict(metrics: Mapping[str, Any], judges: Mapping[str, Any]) -> str:
    key = "log_loss_prior_corrected"
    ours, (name, best) = metrics[key], min(judges.items(), key=lambda item: item[1][key])
    beaten = "lower than every baseline's; the next is" if ours < best[key] else "not lower than the best baseline's:"
    return f"Its log loss {ours:.3f} is {beaten} {JUDGES.get(name, name)}, {best[key]:.3f}."


def _calibration(metrics: Mapping[str, Any]) -> str:
    error, brier = (metrics.get(f"{name}_prior_corrected") for name in ("calibration_error", "brier"))
    if error is None or brier is None:
        return ""
    return f" Its probabilities are off by {error:.3f} on average (calibration error); Brier score {brier:.3f}."


def _regression_verdict(metrics: Mapping[str, Any], judges: Mapping[str, Any]) -> str:
    skill = metrics["information_coefficient"]
    low, high = metrics.get("intervals", {}).get("information_coefficient", (None, None))
    if skill is None or low is None or high is None or not judges:
        return "It predicts one number for every row."
    side = "above" if low > 0 else "below" if high < 0 else "not distinguishable from"
    name, best = min(judges.items(), key=lambda item: item[1]["rmse"])
    beaten = "smaller than every baseline's; the next is" if metrics["rmse"] < best["rmse"] else "not smaller than"
    return (
        f"Information coefficient {skill:.3f}, 95 % interval {low:.3f} to {high:.3f}: {side} 0. Its error (RMSE)"
        f" {metrics['rmse']:.6f} is {beaten} {JUDGES.get(name, name)}, {best['rmse']:.6f}."
    )


def confusion(metrics: Mapping[str, Any]) -> Table:
    """The confusion matrix: true classes down, predicted ones across."""
    classes = list(metrics.get("classes", []))
    rows = table("true \\ predicted", *classes, "recall", right=[*classes, "recall"], title="Confusion matrix")
    for name, counts in zip(classes, metrics.get("confusion_matrix", []), strict=False):
        recall = metrics.get("per_class", {}).get(name, {}).get("recall")
        rows.add_row(name, *(f"{count:,}" for count in counts), number(recall))
    return rows


def most_important(importance: Mapping[str, Any], count: int = 5) -> Table:
    """The features without which the model would lose most."""
    features = importance.get("features", {})
    scores = list(next(iter(features.values()), {}))
    columns = [SCORES.get(name, name) for name in scores]
    rows = table("feature, shuffled on validation rows", *columns, right=columns, title="Most important features")
    for name, loss in sorted(features.items(), key=lambda item: -item[1][scores[0]])[:count]:
        rows.add_row(name, *(f"{loss[score]:+.4f}" for score in scores))
    return rows


def coverage(summary: Mapping[str, Any]) -> Table:
    """How often each membership fires on the training rows."""
    columns = ("fires", "mean", "highest")
    rows = table("membership, on the training rows", *columns, right=columns, title="Memberships")
    for name, one in summary.get("memberships", {}).items():
        rows.add_row(name, percent(one.get("fires")), number(one.get("mean")), number(one.get("highest")))
    return rows


def next_steps(screen: Console, model_path: str, where: Place) -> None:
    """The model's path and commands to try."""
    name = "/".join(Path(model_path).parts[-2:])
    screen.print(f"Model saved: [bold]{escape(model_path)}[/bold]", soft_wrap=True)
    screen.print("Try next:")
    for words, what in (
        (f"models show {name}", "settings, metrics, features"),
        (f"models test {name}", "on other dates or symbols"),
        (f"models predict {name}", "its newest signals"),
    ):
        screen.print(f"  [cyan]{escape(where.command(words))}[/cyan]  [dim]{what}[/dim]", soft_wrap=True)


def show_evaluation(screen: Console, evaluation: "Evaluation") -> None:
    """A model judged on bars that were named."""
    screen.print(f"[bold]{evaluation.model}[/bold]", soft_wrap=True)
    dates = f"{minute(evaluation.start)} to {minute(evaluation.end)}"
    screen.print(f"{', '.join(evaluation.symbols)} {evaluation.timeframe}, {dates}")
    screen.print()
    show_opening(screen, evaluation.metrics, evaluation.baselines)
    screen.print(metrics_table(evaluation.metrics, "Metrics, beside the baselines", evaluation.baselines))
    show_verdict(screen, evaluation.metrics, evaluation.baselines)
    screen.print()
    if "confusion_matrix" in evaluation.metrics:
        screen.print(confusion(evaluation.metrics))
    if len(evaluation.per_symbol_metrics) > 1:
        for rows in (trades_by_symbol(evaluation.per_symbol_metrics), by_symbol(evaluation.per_symbol_metrics)):
            if rows is not None:
                screen.print()
                screen.print(rows)
    if evaluation.reproduces is not None:
        screen.print(reproduction(evaluation.reproduces), soft_wrap=True)
    show_notices(screen, evaluation.notices)


def reproduction(compared: Mapping[str, Any]) -> str:
    """Whether the stored test came out again."""
    if not compared["same_bars"]:
        return "[yellow]The stored bars are not those of the training:[/yellow] the test cannot come out the same."
    if compared["same_rows"] and compared["same_answers"]:
        difference = compared["largest_difference"]
        near = f"answers within {difference:.1g}" if difference else "equal answers"
        return f"This is the stored test, reproduced: same bars and rows, {near}."
    return "[red]The stored test did not come out again[/red] although the bars are the same: please report this."
