"""Following a training or a null test from the command line: start it, show it, cancel it on Ctrl-C, sum it up."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ktrdr.cli.options import is_file
from ktrdr.cli.running import CANCELLED, DONE, FAILED, Place

if TYPE_CHECKING:
    from ktrdr.cli.progress import TrainingProgress
    from ktrdr.client import Client
    from ktrdr.contracts.operations import Operation
    from ktrdr.contracts.strategies import StrategyOverrides
    from ktrdr.contracts.training import StartTraining, TrainingPlan


def wanted_training(
    strategy: str,
    overrides: "StrategyOverrides",
    mode: str | None,
    *,
    require_gpu: bool,
    queue: bool,
    priority: int,
    detailed: bool = False,
) -> "StartTraining":
    """What the command asks for: a file when it looks like one, else a name in strategies/."""
    from ktrdr.contracts.training import StartTraining
    from ktrdr.texts import read_strategy_file

    named = {"strategy_name": strategy}
    if is_file(strategy):
        named = {"strategy_text": read_strategy_file(Path(strategy)), "source": strategy}
    return StartTraining(
        **named,
        overrides=overrides,
        execution_mode=mode,
        require_gpu=require_gpu,
        queue_if_unavailable=queue,
        priority=priority,
        detailed_analytics=detailed,
    )


async def follow(client: "Client", wanted: "StartTraining", where: Place, *, as_json: bool, detach: bool) -> int:
    """Train to the end; the exit code says how it ended. `where` finds the model again, in the commands proposed."""
    return await follow_operation(client, await client.start_training(wanted), where, as_json=as_json, detach=detach)


async def follow_operation(
    client: "Client",
    operation: "Operation",
    where: Place,
    *,
    as_json: bool,
    detach: bool = False,
    cancel_on_ctrl_c: bool = True,
) -> int:
    """Follow a training to its end; who detaches only hears how to follow it later."""
    from ktrdr.cli.output import error_console
    from ktrdr.cli.progress import TrainingProgress

    if detach:
        return _detached(operation, where, as_json=as_json)
    place = _place(operation)
    if not as_json:
        said, style = f"Runs {place}: {operation.execution_reason}.", "yellow" if operation.fell_back else None
        error_console().print(("Warning: " if style else "") + said, style=style, markup=False, soft_wrap=True)
    with TrainingProgress(error_console(), quiet=as_json) as shown:
        on_ctrl_c = _cancelled_by_ctrl_c if cancel_on_ctrl_c else _left_by_ctrl_c
        with on_ctrl_c(client, operation.operation_id, shown, where):
            async for state in client.watch(operation.operation_id):
                operation = state
                if place != (place := _place(operation)) and not as_json:
                    shown.say(f"Runs {place} now.")
                shown.show(operation)
    return _end(operation, where, as_json=as_json)


def _place(operation: "Operation") -> str:
    return operation.execution_mode + (f" {operation.host}" if operation.host else "")


def _detached(operation: "Operation", where: Place, *, as_json: bool) -> int:
    from ktrdr.cli.output import console, print_json

    if as_json:
        print_json(operation)
        return DONE
    said = f"{operation.operation_id} is {operation.status}; follow it with"
    console().print(f"{said}\n  {where.command(f'operations watch {operation.operation_id}')}", soft_wrap=True)
    return DONE


@contextmanager
def _left_by_ctrl_c(client: "Client", operation_id: str, shown: "TrainingProgress", where: Place) -> Iterator[None]:
    """Ctrl-C leaves the training alone and says how to end it."""
    import asyncio

    def interrupt() -> None:
        shown.close()
        shown.say(f"The training goes on. To end it: {where.command(f'operations cancel {operation_id}')}")
        sys.stderr.flush()
        os._exit(CANCELLED)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _cancelled_by_ctrl_c(
    client: "Client", operation_id: str, shown: "TrainingProgress", where: Place
) -> Iterator[None]:
    """The first Ctrl-C cancels the training and waits for its end; the second leaves at once."""
    import asyncio

    from ktrdr.errors import KtrdrError

    loop = asyncio.get_running_loop()
    asked: list[asyncio.Task[None]] = []

    async def cancel() -> None:
        try:
            await client.cancel(operation_id)
        except KtrdrError as error:
            shown.say(f"Not cancelled: {error}")

    def interrupt() -> None:
        if asked:
            shown.close()  # gives the terminal its cursor back
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(CANCELLED)
        shown.say("Cancelling… (Ctrl-C again leaves at once)")
        asked.append(loop.create_task(cancel()))

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _end(operation: "Operation", where: Place, *, as_json: bool) -> int:
    from ktrdr.cli.null_report import show_null_operation
    from ktrdr.cli.output import console, error_console, print_json
    from ktrdr.cli.summary import show_training
    from ktrdr.contracts.operations import OperationStatus

    codes = {OperationStatus.COMPLETED: DONE, OperationStatus.CANCELLED: CANCELLED}
    if as_json:
        print_json(operation)
    elif operation.status is OperationStatus.COMPLETED and operation.result is not None:
        if operation.type == "null_test":
            show_null_operation(console(), operation.strategy_name, operation.result)
            return DONE
        show_training(console(), operation.result, where, reason=operation.execution_reason)
    elif operation.status is OperationStatus.CANCELLED:
        what = operation.type.replace("_", " ")
        again = where.command(f"operations retry {operation.operation_id}")
        said = f"The {what} was cancelled; nothing was saved. To go on with it: {again}"
        error_console().print(said, markup=False, soft_wrap=True)
    else:
        message = (operation.error or {}).get("message", "the training failed")
        error_console().print(f"Error: {message}", markup=False, soft_wrap=True)
    return codes.get(operation.status, FAILED)


def show_plan(plan: "TrainingPlan", *, as_json: bool) -> None:
    """What a training would do."""
    from ktrdr.cli.output import console, day, facts, print_json, show_notices
    from ktrdr.cli.strategies import described

    if as_json:
        print_json(plan)
        return
    screen = console()
    dates = f"{day(plan.start_date)} to {day(plan.end_date)}"
    screen.print(f"[bold]{plan.strategy_name}[/bold] would be trained; nothing was started.")
    screen.print(
        facts(
            ("symbols", ", ".join(plan.symbols)),
            ("timeframes", f"{', '.join(plan.timeframes)} (rows and labels: {plan.base_timeframe})"),
            ("dates", dates if plan.start_date or plan.end_date else "all stored bars"),
            ("bars", ", ".join(f"{name}: {count:,}" for name, count in plan.bars.items())),
            ("labels", described(plan.labels)),
            ("model", described(plan.model)),
            ("training", described(plan.training)),
            ("runs", f"{plan.execution_mode} ({plan.execution_reason})"),
            ("features", f"{len(plan.feature_names)}: {', '.join(plan.feature_names)}"),
        )
    )
    show_notices(screen, plan.notices)
