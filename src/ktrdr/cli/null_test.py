"""`ktrdr models nulltest`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.options import EndDate, Json, StartDate, Symbols, Timeframes, listed
from ktrdr.cli.running import place, run
from ktrdr.cli.training import follow, wanted_training

if TYPE_CHECKING:
    from ktrdr.client import Client


def nulltest(
    context: typer.Context,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="A strategy file, or a name in strategies/.")],
    walks: Annotated[int, typer.Option(min=1, max=10_000, help="How many; 99 for a claim.")] = 19,
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every use of chance.")] = None,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="Of two that wait in a server's queue the higher runs first.")
    ] = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the server and come back at once.")] = False,
    as_json: Json = False,
) -> None:
    """Put a strategy's test beside tests on walks that have its bars' every trait but direction; keeps no model."""

    async def body(client: "Client") -> int | None:
        from ktrdr.contracts.strategies import StrategyOverrides

        overrides = StrategyOverrides(
            symbols=listed(symbols),
            timeframes=listed(timeframes),
            start_date=start_date,
            end_date=end_date,
            seed=seed,
            null_test=walks,
        )
        wanted = wanted_training(
            strategy, overrides, None, require_gpu=False, queue=False, priority=priority, detailed=False
        ).model_copy(update={"type": "null_test"})
        return await follow(client, wanted, place(context, None), as_json=as_json, detach=detach)

    run(context, body, as_json=as_json, needs_server=detach)
