"""`ktrdr strategies`: list, show, validate and check strategy files."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli.leaks import leakcheck
from ktrdr.cli.options import Json, is_file
from ktrdr.cli.running import FAILED, run

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.strategies import StrategyDetails

app = typer.Typer(help="Strategy files: list, show, validate, check for leaks.", no_args_is_help=True)
app.command("leakcheck", epilog="Example:  ktrdr strategies leakcheck eurusd_momentum --cuts 50")(leakcheck)


@app.command("list", epilog="Example:  ktrdr strategies list")
def list_strategies(context: typer.Context, as_json: Json = False) -> None:
    """The strategies of the folder strategies/."""

    async def body(client: "Client") -> int | None:
        from rich.markup import escape

        from ktrdr.cli.output import console, print_json, table

        found = await client.strategies()
        if as_json:
            print_json({"strategies": found})
            return None
        if not found:
            console().print("No strategy files in strategies/: write one, or copy an example there.")
            return None
        rows = table("name", "symbols", "timeframes", "labels", "model")
        for one in found:
            if one.error:
                rows.add_row(escape(one.name), "[red]cannot be used[/red]", "", "", "")
            else:
                rows.add_row(one.name, ", ".join(one.symbols), ", ".join(one.timeframes), one.labels, one.model)
        screen = console()
        screen.print(rows)
        for one in found:
            if one.error:
                screen.print(f"{escape(one.name)}: {escape(one.error)}")
                screen.print(f"  [cyan]ktrdr strategies validate {escape(quote(one.path))}[/cyan]", soft_wrap=True)
        return None

    run(context, body, as_json=as_json)


@app.command("show", epilog="Example:  ktrdr strategies show eurusd_momentum")
def show_strategy(
    context: typer.Context,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="A name in strategies/, or a file.")],
    as_json: Json = False,
) -> None:
    """A strategy as it would be trained: inputs in their order, every default filled in."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json

        details = await _read(client, strategy)
        if as_json:
            print_json(details)
        else:
            _show(details)
        return None

    run(context, body, as_json=as_json)


@app.command("validate", epilog="Example:  ktrdr strategies validate my_strategy.yaml")
def validate_strategy(
    context: typer.Context,
    strategies: Annotated[list[str], typer.Argument(metavar="STRATEGY...", help="Names in strategies/, or files.")],
    as_json: Json = False,
) -> None:
    """Say what is wrong with strategy files, each mistake with its line; exit code 1 if anything is."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json, show_notices
        from ktrdr.cli.running import tell_error
        from ktrdr.errors import KtrdrError

        rows, failed = [], False
        for strategy in strategies:
            try:
                details = await _read(client, strategy)
            except KtrdrError as error:
                failed = True
                rows.append({"strategy": strategy, "valid": False, "error": error.details()})
                if not as_json:
                    tell_error(error, as_json=False)
                continue
            rows.append({"strategy": strategy, "valid": True, "name": details.name, "notices": details.notices})
            if not as_json:
                count = len(details.feature_names)
                console().print(f"{strategy} is valid: {details.name}, {count} features", soft_wrap=True)
                show_notices(console(), details.notices, indent="  ")
        if as_json:
            print_json({"strategies": rows})
        return FAILED if failed else None

    run(context, body, as_json=as_json)


async def _read(client: "Client", strategy: str) -> "StrategyDetails":
    from ktrdr.texts import read_strategy_file

    if is_file(strategy):
        return await client.validate(read_strategy_file(Path(strategy)), strategy)
    return await client.strategy(strategy)


def _show(details: "StrategyDetails") -> None:
    from rich.markup import escape

    from ktrdr.cli.output import console, day, facts, show_notices, table

    screen, resolved = console(), details.resolved
    screen.print(f"[bold]{details.name}[/bold]  {resolved.get('description', '')}", soft_wrap=True)
    dates = f"{day(details.start_date)} to {day(details.end_date)}"
    training = resolved["training"]
    rest = {key: value for key, value in training.items() if not isinstance(value, dict)}
    screen.print(
        facts(
            ("file", details.source),
            ("symbols", ", ".join(details.symbols)),
            ("timeframes", f"{', '.join(details.timeframes)} (rows and labels: {details.base_timeframe})"),
            ("dates", dates if details.start_date or details.end_date else "all stored bars"),
            ("labels", described(training["labels"])),
            ("model", described({"type": resolved["model"]["type"], **resolved["model"]["architecture"]})),
            ("training", described(rest)),
            *(
                (key, described(value))
                for key, value in training.items()
                if isinstance(value, dict) and key != "labels"
            ),
            ("decisions", described(resolved["decisions"])),
        )
    )
    rows = table("#", "input", "reads", "as", right=("#",), title="Inputs, in their order")
    for number, (name, reads, shape) in enumerate(_inputs(details), 1):
        rows.add_row(str(number), name, reads, escape(shape))
    screen.print(rows)
    show_notices(screen, details.notices)


def _inputs(details: "StrategyDetails") -> list[tuple[str, str, str]]:
    """Name, source and shape of every feature, in order."""
    rows, names = [], iter(details.feature_names)
    for entry in details.resolved["nn_inputs"]:
        frames = details.timeframes if entry["timeframes"] == "all" else entry["timeframes"]
        for _ in frames:
            if "raw_indicator" in entry:
                rows.append((next(names), entry["raw_indicator"], f"raw, {entry.get('normalization', 'none')}"))
                continue
            fuzzy_set = details.resolved["fuzzy_sets"][entry["fuzzy_set"]]
            for key, shape in fuzzy_set.items():
                if key != "indicator":
                    written = ", ".join(f"{value:g}" for value in shape["parameters"])
                    rows.append((next(names), fuzzy_set["indicator"], f"{shape['type']} [{written}]"))
    return rows


def described(values: dict[str, Any]) -> str:
    """Settings in a line: the kind first, then name and value."""
    head = [str(values[key]) for key in ("type", "source") if key in values]
    rest = [f"{key} {_short(value)}" for key, value in values.items() if key not in ("type", "source")]
    return ", ".join([*head, *rest])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + described(value) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
