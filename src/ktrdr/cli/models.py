"""`ktrdr models`: train, list, show, delete, test, nulltest and predict."""

import csv
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.null_test import nulltest
from ktrdr.cli.options import EndDate, Json, StartDate, Symbols, Timeframes, listed
from ktrdr.cli.running import confirmed, interactive, place, run, usage
from ktrdr.cli.training import follow, show_plan, wanted_training

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.models import ModelDetails, ModelRecord, Prediction

app = typer.Typer(help="Models: train, list, show, test, null test, predict, delete.", no_args_is_help=True)
app.command("nulltest", epilog="Example:  ktrdr models nulltest eurusd_momentum --walks 99")(nulltest)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="STRATEGY/SYMBOL_TIMEFRAME_vN, or less where it is clear.")]
ModelsDir = Annotated[Path | None, typer.Option("--models-dir", help="Folder of the models (default: models/).")]


@app.command("train", epilog="Example:  ktrdr models train eurusd_momentum --start-date 2017-03-01")
def train(
    context: typer.Context,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="A strategy file, or a name in strategies/.")],
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every use of chance.")] = None,
    mode: Annotated[str | None, typer.Option(help="Where to run: auto, local or host (default: the system's).")] = None,
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", help="Train on a GPU, on a host if need be, or fail.")
    ] = False,
    queue: Annotated[bool, typer.Option("--queue", help="With --require-gpu: wait for a GPU instead.")] = False,
    models_dir: ModelsDir = None,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="Of two that wait in a server's queue the higher runs first.")
    ] = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the server and come back at once.")] = False,
    detailed: Annotated[
        bool, typer.Option("--detailed-analytics", help="Add analytics.csv to the model: gradients, classes, rates.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model from a strategy, judge it beside its baselines and store it."""

    async def body(client: "Client") -> int | None:
        from ktrdr.contracts.strategies import StrategyOverrides

        overrides = StrategyOverrides(
            symbols=listed(symbols),
            timeframes=listed(timeframes),
            start_date=start_date,
            end_date=end_date,
            seed=seed,
        )
        wanted = wanted_training(
            strategy,
            overrides,
            mode,
            require_gpu=require_gpu,
            queue=queue,
            priority=priority,
            detailed=detailed,
        )
        if dry_run:
            show_plan(await client.plan_training(wanted), as_json=as_json)
            return None
        return await follow(client, wanted, place(context, models_dir), as_json=as_json, detach=detach)

    run(context, body, as_json=as_json, models_dir=models_dir, needs_server=detach)


@app.command("list", epilog="Example:  ktrdr models list eurusd_momentum")
def list_models(
    context: typer.Context,
    strategy: Annotated[str | None, typer.Argument(metavar="STRATEGY", help="Only models of this strategy.")] = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """The models that are stored, with how they did in their test."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, minute, number, print_json, table
        from ktrdr.cli.trades import percent

        found = await client.models(strategy)
        if as_json:
            print_json({"models": found})
            return None
        if not found:
            console().print("No models are stored: train one with `ktrdr models train STRATEGY`.")
            return None
        columns = ("return", "bal. acc.")
        rows = table("model", "trained (UTC)", *columns, "", right=columns)
        for one in found:
            rows.add_row(
                one.name,
                minute(one.created_at),
                percent((one.test_metrics.get("trades") or {}).get("return"), "+"),
                number(one.test_metrics.get("balanced_accuracy")),
                "latest" if one.is_latest else "",
            )
        console().print(rows)
        return None

    run(context, body, as_json=as_json, models_dir=models_dir)


@app.command("show", epilog="Example:  ktrdr models show eurusd_momentum/EURUSD_1h_v1")
def show_model(context: typer.Context, model: Model, models_dir: ModelsDir = None, as_json: Json = False) -> None:
    """A stored model: what it was trained on, how it did, what it looks at."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json

        details = await client.model(model)
        if as_json:
            print_json(details)
        else:
            _show_model(details)
        return None

    run(context, body, as_json=as_json, models_dir=models_dir)


@app.command("test", epilog="Example:  ktrdr models test eurusd_momentum --start-date 2017-11-01")
def test_model(
    context: typer.Context,
    model: Model,
    symbols: Symbols = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Judge a model: on its stored test rows, or on the dates and symbols named."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json
        from ktrdr.cli.summary import show_evaluation

        evaluation = await client.evaluate_model(model, symbols=listed(symbols), start=start_date, end=end_date)
        if as_json:
            print_json(evaluation)
        else:
            show_evaluation(console(), evaluation)
        return None

    run(context, body, as_json=as_json, models_dir=models_dir)


@app.command("predict", epilog="Example:  ktrdr models predict eurusd_momentum --last 5 --csv signals.csv")
def predict(
    context: typer.Context,
    model: Model,
    symbols: Symbols = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest N (default on a screen: 10).")] = None,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write the signals to this file.")] = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Signals of a model for stored bars, computed by the feature code of its training."""
    count = last or (None if as_json or to_csv or start_date or end_date else 10)

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json

        prediction = await client.predict(model, symbols=listed(symbols), start=start_date, end=end_date, last=count)
        if to_csv:
            _write_csv(to_csv, prediction)
        if as_json:
            print_json(prediction)
        elif to_csv:
            console().print(f"{prediction.rows:,} signals of {prediction.model} written to {to_csv}", soft_wrap=True)
        else:
            _show_prediction(prediction)
        return None

    run(context, body, as_json=as_json, models_dir=models_dir)


@app.command("delete", epilog="Example:  ktrdr models delete eurusd_momentum/EURUSD_1h_v1 --yes")
def delete_model(
    context: typer.Context,
    model: Model,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Delete one version of a model; the latest link moves to the highest one left."""
    if not yes and (as_json or not interactive()):
        raise usage("nobody can be asked here: say --yes")

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json

        name = (await client.model(model)).record.name if not yes else model
        if not yes and not confirmed(f"Delete {name}?"):
            console().print("Nothing was deleted.")
            return None
        record: ModelRecord = await client.delete_model(name)
        if as_json:
            print_json({"deleted": record})
        else:
            console().print(f"Deleted {record.name}")
        return None

    run(context, body, as_json=as_json, models_dir=models_dir)


def _show_model(details: "ModelDetails") -> None:
    from ktrdr.cli.output import console, facts, minute, show_notices
    from ktrdr.cli.summary import (
        confusion,
        coverage,
        metrics_table,
        most_important,
        show_opening,
        show_verdict,
        trained_on,
    )
    from ktrdr.contracts.training import TrainingResult

    screen, test = console(), details.metrics["test_metrics"]
    features, metadata = details.features, details.metadata
    result = TrainingResult(
        model_path=details.record.path,
        training_metrics=details.metrics["training_metrics"],
        test_metrics=test,
        feature_names=features["names"],
        feature_importance=features["importance"],
        per_symbol_metrics=details.metrics["per_symbol_metrics"],
        model_info=metadata["model_info"],
        data_summary=metadata["data_summary"],
        resource_usage=metadata.get("resource_usage", {}),
        provenance=metadata["provenance"],
    )
    latest = " (latest)" if details.record.is_latest else ""
    screen.print(f"[bold]{details.record.name}[/bold]{latest}, stored {minute(details.record.created_at)} UTC")
    screen.print()
    show_opening(screen, test)
    screen.print(trained_on(result))
    screen.print(
        facts(
            ("path", details.record.path),
            ("operation", details.record.operation_id),
            ("seed", result.provenance["seed"]),
            ("data digest", result.provenance["data_digest"][:16]),
            ("versions", ", ".join(f"{name} {number}" for name, number in result.provenance["versions"].items())),
        )
    )
    screen.print(metrics_table(test, "Test, beside the baselines"))
    show_verdict(screen, test)
    if "confusion_matrix" in test:
        screen.print(confusion(test))
    screen.print(most_important(features["importance"], count=len(features["names"])))
    if result.data_summary.get("memberships"):
        screen.print()
        screen.print(coverage(result.data_summary))
    show_notices(screen, result.data_summary.get("notices", []))


def _show_prediction(prediction: "Prediction") -> None:
    from ktrdr.cli.output import console, minute, prose, show_notices, table

    screen, classes = console(), _classes(prediction)
    if not prediction.signals:
        prose(screen, f"{prediction.model}: no bar in this range has all its features, so there is no signal.")
    figures = classes or ["predicted"]
    rows = table("bar (UTC)", "known", "symbol", "signal", *figures, right=figures, title=prediction.model)
    colours = {"BUY": "green", "SELL": "red"}
    days = any(one.known - one.time > timedelta(days=1) for one in prediction.signals)
    for one in prediction.signals:
        colour = colours.get(one.signal, "default")
        shares = [f"{one.probabilities[name]:.3f}" for name in classes] or [f"{one.predicted:+.5f}"]
        mark = "" if one.is_event else " (no event)"
        known = minute(one.known)[0 if days else 11 :]
        rows.add_row(minute(one.time), known, one.symbol, f"[{colour}]{one.signal}[/]{mark}", *shares)
    if prediction.signals:
        screen.print(rows)
    if not classes and prediction.signals:
        prose(screen, "HOLD where the predicted return does not exceed the strategy's costs.")
    elif any(one.signal != max(one.probabilities, key=one.probabilities.__getitem__) for one in prediction.signals):
        prose(screen, "HOLD also where the likeliest class is below the strategy's confidence threshold.")
    show_notices(screen, prediction.notices)


def _classes(prediction: "Prediction") -> list[str]:
    return list(prediction.signals[0].probabilities) if prediction.signals else []


def _write_csv(path: Path, prediction: "Prediction") -> None:
    from ktrdr.errors import StorageFailed

    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            classes = _classes(prediction)
            figures = ["confidence", *classes] if classes else ["predicted"]
            writer.writerow(["symbol", "time", "known", "signal", *figures, "is_event"])
            for one in prediction.signals:
                said = [one.confidence, *(one.probabilities[name] for name in classes)] if classes else [one.predicted]
                times = [one.time.isoformat(), one.known.isoformat()]
                writer.writerow([one.symbol, *times, one.signal, *said, one.is_event])
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error.strerror}") from None
