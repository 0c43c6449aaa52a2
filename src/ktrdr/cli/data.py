"""`ktrdr data`: import, list, show and check bars, and other series."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.options import Json
from ktrdr.cli.running import FAILED, run, usage

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.bars import Bar, CheckReport

app = typer.Typer(help="Bars and other series: import, list, show, check.", no_args_is_help=True)

_MARKS = {"info": "·", "warning": "[yellow]![/yellow]", "error": "[red]✗[/red]"}


@app.command("import", epilog="Example:  ktrdr data import EURUSD_1h.csv --timezone UTC")
def import_bars(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV (also .gz) or Parquet files.")],
    symbol: Annotated[str | None, typer.Option(help="The symbol (default: from the file's name).")] = None,
    timeframe: Annotated[str | None, typer.Option(help="The timeframe (default: the commonest step).")] = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of times that name none (default: UTC).")] = None,
    calendar: Annotated[str | None, typer.Option(help="fx, 24/7 or an exchange's code (default: detected).")] = None,
    accept_jumps: Annotated[bool, typer.Option(help="Jumps that look like share splits are real.")] = False,
    replace: Annotated[bool, typer.Option(help="Put these bars in the place of other stored ones.")] = False,
    as_json: Json = False,
) -> None:
    """Read files of bars into the store and say what was found in them."""
    if len(files) > 1 and symbol:
        raise usage("--symbol names one series: import several files one by one, or leave it to their names")

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json

        reports = []
        for file in files:
            options = {"symbol": symbol, "timeframe": timeframe, "timezone": timezone, "calendar": calendar}
            report = await client.import_bars(file, **options, accept_jumps=accept_jumps, replace=replace)
            reports.append(report)
            if not as_json:
                _show_report(report, f"imported from {file.name}")
        if as_json:
            print_json({"imported": reports})
        return None

    run(context, body, as_json=as_json)


@app.command("import-series", epilog="Example:  ktrdr data import-series DGS2.csv --name fred_DGS2 --lag 1d")
def import_series(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV (also .gz) or Parquet file.")],
    name: Annotated[str, typer.Option(help="What strategies call it: fred_DGS2, cot_EUR_net_pos, any name.")],
    lag: Annotated[
        str | None,
        typer.Option(help="How long after the end of its period a value is published: 1d, 6w; or strategy."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column of values (default: the only one).")] = None,
    stamped: Annotated[str | None, typer.Option(help="The times are the start or the end of periods.")] = None,
    frequency: Annotated[str | None, typer.Option(help="daily, weekly, monthly, … (default: detected).")] = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of times that name none (default: UTC).")] = None,
    replace: Annotated[bool, typer.Option(help="Put these values in the place of other stored ones.")] = False,
    as_json: Json = False,
) -> None:
    """Read a file of values into the store, for strategies that name them in context_data.

    Each value counts from the moment at which it was known: that of a column known_at, or the end of its period and the
    lag. Monthly values of FRED are stamped with the start of their month.
    """
    if stamped not in (None, "start", "end"):
        raise usage("--stamped is start or end")

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json
        from ktrdr.contracts.bars import SeriesImport

        said = SeriesImport(
            name=name,
            lag=lag,
            column=column,
            stamped="start" if stamped == "start" else "end" if stamped else None,
            frequency=frequency,
            timezone=timezone,
            replace=replace,
        )
        report = await client.import_series(file, said)
        if as_json:
            print_json({"imported": [report]})
        else:
            _show_report(report, f"imported from {file.name}")
        return None

    run(context, body, as_json=as_json)


@app.command("list", epilog="Example:  ktrdr data list")
def list_series(context: typer.Context, as_json: Json = False) -> None:
    """The series that are stored."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, day, print_json, table

        found = await client.series()
        if as_json:
            print_json({"series": found})
            return None
        if not found:
            console().print("No bars are stored: import some with `ktrdr data import FILE`.")
            return None
        rows = table("symbol", "timeframe", "bars", "from", "to", "calendar", right=("bars",))
        for one in found:
            market = f"lag {one.lag}" if one.lag else one.calendar
            rows.add_row(one.symbol, one.timeframe, f"{one.bars:,}", day(one.start), day(one.end), market)
        console().print(rows)
        return None

    run(context, body, as_json=as_json)


@app.command("show", epilog="Example:  ktrdr data show EURUSD 1h")
def show_series(
    context: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as EURUSD.")],
    timeframe: Annotated[str | None, typer.Argument(metavar="TIMEFRAME", help="Such as 1h.")] = None,
    as_json: Json = False,
) -> None:
    """What is stored of a series, with its first and last bars or values."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, facts, minute, print_json

        found = await client.describe_series(*await _named(client, symbol, timeframe))
        if as_json:
            print_json(found)
            return None
        info = found.series
        screen = console()
        screen.print(f"[bold]{info.symbol} {info.timeframe}[/bold]")
        count = f"{info.bars:,}, from {minute(info.start)} to {minute(info.end)} UTC"
        about = (("values", count), ("lag", info.lag)) if info.lag else (("bars", count), ("calendar", info.calendar))
        screen.print(facts(*about, ("source", info.source), ("file", info.path), ("digest", info.digest[:16])))
        screen.print((_value_table if info.lag else _bar_table)(found.head, found.tail))
        return None

    run(context, body, as_json=as_json)


async def _named(client: "Client", symbol: str, timeframe: str | None) -> tuple[str, str]:
    """The series that is meant: where a symbol has one, it need not be said which."""
    from ktrdr.errors import InvalidRequest

    if timeframe is not None:
        return symbol, timeframe
    found = [one.timeframe for one in await client.series() if one.symbol == symbol]
    if len(found) == 1:
        return symbol, found[0]
    listed = f" ({', '.join(found)})" if found else ""
    raise InvalidRequest(f"name the timeframe of {symbol} too{listed}, such as 1h")


@app.command("check", epilog="Example:  ktrdr data check EURUSD 1h")
def check_series(
    context: typer.Context,
    symbol: Annotated[str | None, typer.Argument(metavar="SYMBOL", help="The symbol (default: all series).")] = None,
    timeframe: Annotated[str | None, typer.Argument(metavar="TIMEFRAME", help="The timeframe.")] = None,
    as_json: Json = False,
) -> None:
    """Look for what is odd in stored bars; exit code 1 if a training would be refused."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json

        if symbol is not None:
            names = [await _named(client, symbol, timeframe)]
        else:
            names = [(one.symbol, one.timeframe) for one in await client.series()]
        reports = [await client.check_series(*name) for name in names]
        if as_json:
            print_json({"checked": reports})
        else:
            for report in reports:
                _show_report(report, "checked")
        wrong = any(finding.severity == "error" for report in reports for finding in report.findings)
        return FAILED if wrong else None

    run(context, body, as_json=as_json)


def _show_report(report: "CheckReport", what: str) -> None:
    from rich.markup import escape

    from ktrdr.cli.output import console, day

    screen, series = console(), report.series
    kind, about = ("values", f"lag {series.lag}") if series.lag else ("bars", f"calendar {series.calendar}")
    screen.print(
        f"[bold]{series.symbol} {series.timeframe}[/bold] {what}: {series.bars:,} {kind},"
        f" {day(series.start)} to {day(series.end)}, {about}",
        soft_wrap=True,
    )
    if not report.findings:
        screen.print("  nothing odd was found")
    for finding in report.findings:
        examples = f" (first: {', '.join(finding.examples)})" if finding.examples else ""
        said = escape(f"{finding.count:,} {finding.message}{examples}")
        screen.print(f"  {_MARKS[finding.severity]} {said}", soft_wrap=True)


def _bar_table(head: "list[Bar]", tail: "list[Bar]") -> object:
    from ktrdr.cli.output import minute, table

    columns = ("open", "high", "low", "close", "volume")
    rows = table("time (UTC)", *columns, right=columns)
    for part in (head, tail):
        for bar in part:
            rows.add_row(minute(bar.time), *(f"{getattr(bar, name):,.6g}" for name in columns))
        if part is head and tail:
            rows.add_row("…", *[""] * len(columns))
    return rows


def _value_table(head: "list[Bar]", tail: "list[Bar]") -> object:
    from ktrdr.cli.output import minute, table

    rows = table("known at (UTC)", "value", right=("value",))
    for part in (head, tail):
        for one in part:
            rows.add_row(minute(one.time), f"{one.close:,.6g}")
        if part is head and tail:
            rows.add_row("…", "")
    return rows
