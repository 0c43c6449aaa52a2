"""`ktrdr strategies`: list, show, validate and check strategy files."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli.leaks import leakcheck
from ktrdr.cli.options import Json, is_file
from ktrdr.cli.running import FAILED, run, usage

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.coverage import CoverageReport
    from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails

SUFFIXES = (".png", ".svg", ".pdf")

app = typer.Typer(help="Strategy files: list, show, plot, validate, check for leaks.", no_args_is_help=True)
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
        rows = table("name", "symbols", "timeframes", "labels", "model", "trained")
        for one in found:
            if one.error:
                rows.add_row(escape(one.name), "[red]cannot be used[/red]", "", "", "", "")
            else:
                read = ", ".join(one.symbols), ", ".join(one.timeframes), one.labels, one.model
                rows.add_row(one.name, *read, "yes" if one.trained else "")
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
    plot: Annotated[bool, typer.Option("--plot", help="Plot the memberships over the training rows instead.")] = False,
    output: Annotated[Path | None, typer.Option(help="Draw that plot into this file: .png, .svg or .pdf.")] = None,
    as_json: Json = False,
) -> None:
    """A strategy as it would be trained: inputs in their order, every default filled in; or its memberships."""
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise usage(f"--output {output}: write a name that ends in {', '.join(SUFFIXES)}")

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json

        if plot or output is not None:
            _show_coverage(await client.coverage(_given(strategy)), output, as_json=as_json)
            return None
        details = await _read(client, strategy)
        if as_json:
            print_json(details)
        else:
            _show(details)
        return None

    run(context, body, as_json=as_json)


@app.command("schema", epilog="Example:  ktrdr strategies schema --output ktrdr-strategy.json")
def show_schema(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(help="Write it to this file instead of the screen.")] = None,
    as_json: Json = False,
) -> None:
    """The JSON Schema of strategy files, for editors: keys, their values, and what they mean."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, json_text, print_json, write_text

        schema = await client.strategy_schema()
        if output is None:
            print_json(schema)
            return None
        write_text(output, json_text(schema))
        if as_json:
            print_json({"output": str(output)})
        else:
            console().print(f"The schema of strategy files was written to {output}", soft_wrap=True, markup=False)
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


def _given(strategy: str) -> "GivenStrategy":
    from ktrdr.contracts.strategies import GivenStrategy
    from ktrdr.texts import read_strategy_file

    if is_file(strategy):
        return GivenStrategy(strategy_text=read_strategy_file(Path(strategy)), source=strategy)
    return GivenStrategy(strategy_name=strategy)


def _show_coverage(report: "CoverageReport", output: Path | None, *, as_json: bool) -> None:
    from ktrdr.cli.coverage import show_coverage
    from ktrdr.cli.coverage_picture import write_picture
    from ktrdr.cli.output import console, print_json, show_notices

    if output is not None:
        write_picture(report, output)
    if as_json:
        print_json(report)
    elif output is None:
        show_coverage(console(), report)
    else:
        console().print(f"{len(report.sets)} plots were drawn into {output}", soft_wrap=True, markup=False)
        show_notices(console(), report.notices)


def _show(details: "StrategyDetails") -> None:
    from rich.markup import escape

    from ktrdr.cli.output import console, day, facts, show_notices, table

    screen, resolved = console(), details.resolved
    screen.print(f"[bold]{details.name}[/bold]  {resolved.get('description', '')}", soft_wrap=True)
    dates = f"{day(details.start_date)} to {day(details.end_date)}"
    training = resolved["training"]
    rest = {key: value for key, value in training.items() if not isinstance(value, dict)}
    others = [one.name for one in details.series if one.timeframe is None or one.symbol not in details.symbols]
    screen.print(
        facts(
            ("file", details.source),
            ("symbols", ", ".join(details.symbols)),
            ("timeframes", f"{', '.join(details.timeframes)} (rows and labels: {details.base_timeframe})"),
            *((("other series", ", ".join(others)),) if others else ()),
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
    rows = table(
        "#", "input", "reads", "as", right=("#",), title="Inputs, in their order; each begins with its timeframe"
    )
    for number, one in enumerate(details.inputs, 1):
        written = ", ".join(f"{value:g}" for value in one.parameters)
        shape = f"{one.type} [{written}]" if one.type else f"raw, {one.normalization}"
        reads = f"{one.indicator} of {one.source}" if one.source else one.indicator
        rows.add_row(str(number), escape(one.name), escape(reads), escape(shape))
    screen.print(rows)
    show_notices(screen, details.notices)


def described(values: dict[str, Any]) -> str:
    """Settings in a line: the kind first, then name and value."""
    head = [str(values[key]) for key in ("type", "source") if key in values]
    rest = [f"{key} {_short(value)}" for key, value in values.items() if key not in ("type", "source")]
    return ", ".join([*head, *rest])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + described(value) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
