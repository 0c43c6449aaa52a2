"""`ktrdr strategies leakcheck`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.options import EndDate, Json, StartDate, Symbols, Timeframes, is_file, listed
from ktrdr.cli.running import FAILED, run

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.leaks import CheckLeaks
    from ktrdr.contracts.strategies import StrategyOverrides


def leakcheck(
    context: typer.Context,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="A name in strategies/, or a file.")],
    cuts: Annotated[int, typer.Option(min=1, max=1000, help="Moments of each symbol at which bars are cut.")] = 20,
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed looks at other moments.")] = None,
    as_json: Json = False,
) -> None:
    """Look for inputs and labels that know the future, or have not settled; exit code 1 on a leak."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.leak_report import show_leaks
        from ktrdr.cli.output import console, print_json
        from ktrdr.contracts.leaks import LeakVerdict
        from ktrdr.contracts.strategies import StrategyOverrides

        overrides = StrategyOverrides(
            symbols=listed(symbols), timeframes=listed(timeframes), start_date=start_date, end_date=end_date, seed=seed
        )
        report = await client.check_leaks(_wanted(strategy, overrides, cuts))
        if as_json:
            print_json(report)
        else:
            show_leaks(console(), report)
        return FAILED if report.verdict is LeakVerdict.LEAK else None

    run(context, body, as_json=as_json)


def _wanted(strategy: str, overrides: "StrategyOverrides", cuts: int) -> "CheckLeaks":
    from ktrdr.contracts.leaks import CheckLeaks
    from ktrdr.texts import read_strategy_file

    if is_file(strategy):
        text = read_strategy_file(Path(strategy))
        return CheckLeaks(strategy_text=text, source=strategy, overrides=overrides, cuts=cuts)
    return CheckLeaks(strategy_name=strategy, overrides=overrides, cuts=cuts)
