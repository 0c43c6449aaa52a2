"""`ktrdr operations`: list, show, watch, cancel, retry and logs."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ktrdr.cli.options import Json
from ktrdr.cli.running import place, run
from ktrdr.cli.training import follow_operation

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.operations import Operation

app = typer.Typer(help="Trainings and null tests: list, show, watch, cancel, retry, logs.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The operation's id, of `ktrdr operations list`.")]
State = StrEnum("State", ["QUEUED", "RUNNING", "CANCELLING", "COMPLETED", "FAILED", "CANCELLED"])
"""As `contracts.operations` has them, which would take its time to import."""


@app.command("list", epilog="Example:  ktrdr operations list --status running --status queued")
def list_operations(
    context: typer.Context,
    status: Annotated[list[State] | None, typer.Option(help="Only those in this state; repeatable.")] = None,
    strategy: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this strategy.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to show.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="How many of the newest to skip.")] = 0,
    as_json: Json = False,
) -> None:
    """Operations, the newest first."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, minute, print_json, table
        from ktrdr.contracts.operations import OperationStatus

        states = [OperationStatus(one) for one in status or ()]
        page = await client.operations(states, strategy=strategy, limit=limit, offset=offset)
        if as_json:
            print_json(page)
            return None
        if not page.items:
            console().print("There are no such operations: start one with `ktrdr models train STRATEGY`.")
            return None
        rows = table("id", "strategy", "state", "done", "started", right=("done",))
        for one in page.items:
            state = f"{one.status}, place {one.queue_position}" if one.queue_position else one.status.value
            done = f"{one.progress.fraction:.0%}" if one.progress else ""
            name = one.strategy_name if one.type == "training" else f"{one.strategy_name}, {one.type.replace('_', ' ')}"
            rows.add_row(one.operation_id, name, state, done, minute(one.started_at or "")[5:])
        console().print(rows)
        if page.total > offset + len(page.items):
            console().print(f"{len(page.items)} of {page.total:,}: --offset {offset + limit} shows the next ones.")
        return None

    run(context, body, as_json=as_json)


@app.command("show", epilog="Example:  ktrdr operations show train-20261123-142355-k3f9c7")
def show_operation(context: typer.Context, operation_id: Id, as_json: Json = False) -> None:
    """What an operation was asked for, where it stands and how it ended."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json

        operation = await client.operation(operation_id)
        if as_json:
            print_json(operation)
        else:
            console().print(_facts(operation))
        return None

    run(context, body, as_json=as_json)


@app.command("watch", epilog="Example:  ktrdr operations watch train-20261123-142355-k3f9c7")
def watch_operation(context: typer.Context, operation_id: Id, as_json: Json = False) -> None:
    """Follow an operation to its end; Ctrl-C stops the watching and leaves the training running."""

    async def body(client: "Client") -> int | None:
        operation = await client.operation(operation_id)
        return await follow_operation(client, operation, place(context), as_json=as_json, cancel_on_ctrl_c=False)

    run(context, body, as_json=as_json)


@app.command("cancel", epilog="Example:  ktrdr operations cancel train-20261123-142355-k3f9c7")
def cancel_operation(context: typer.Context, operation_id: Id, as_json: Json = False) -> None:
    """End a queued or running operation; what it has learned so far stays for `ktrdr operations retry`."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json

        operation = await client.cancel(operation_id)
        if as_json:
            print_json(operation)
        else:
            console().print(f"{operation_id} is {operation.status}.", soft_wrap=True)
        return None

    run(context, body, as_json=as_json)


@app.command("retry", epilog="Example:  ktrdr operations retry train-20261123-142355-k3f9c7 --from start")
def retry_operation(
    context: typer.Context,
    operation_id: Id,
    start: Annotated[
        Literal["checkpoint", "start"], typer.Option("--from", help="Go on where it stopped, or begin anew.")
    ] = "checkpoint",
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the server and come back at once.")] = False,
    as_json: Json = False,
) -> None:
    """Run a failed or cancelled operation again, under the same id."""

    async def body(client: "Client") -> int | None:
        operation = await client.retry(operation_id, from_start=start == "start")
        return await follow_operation(client, operation, place(context), as_json=as_json, detach=detach)

    run(context, body, as_json=as_json, needs_server=detach)


@app.command("logs", epilog="Example:  ktrdr operations logs train-20261123-142355-k3f9c7")
def show_logs(context: typer.Context, operation_id: Id, as_json: Json = False) -> None:
    """The log of an operation's runs, oldest line first."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import print_json

        lines = await client.operation_log(operation_id)
        if as_json:
            print_json({"lines": lines})
            return None
        for line in lines:
            rest = " ".join(f"{name}={value}" for name, value in line.items() if name not in _HEAD)
            said = f"{line.get('timestamp', '')[:19]} {line.get('level', ''):7} {line.get('event', '')}"
            typer.echo(f"{said}  {rest}".rstrip())
        return None

    run(context, body, as_json=as_json)


_HEAD = ("timestamp", "level", "event", "operation_id", "part")


def _facts(operation: "Operation") -> object:
    from ktrdr.cli.output import facts, minute
    from ktrdr.cli.progress import numbers

    progress, result, error = operation.progress, operation.result, operation.error or {}
    place = f", place {operation.queue_position} in the queue" if operation.queue_position else ""
    at = f"{progress.fraction:.0%}, {progress.message}" if progress and not operation.status.ended else None
    return facts(
        ("operation", operation.operation_id),
        ("type", operation.type.replace("_", " ")),
        ("strategy", operation.strategy_name),
        ("state", f"{operation.status}{place}"),
        ("at", at),
        ("numbers", numbers(operation)),
        ("attempt", operation.attempt),
        ("priority", operation.priority or None),
        ("runs", f"{operation.execution_mode} ({operation.execution_reason})"),
        ("created", f"{minute(operation.created_at)} UTC"),
        ("started", f"{minute(operation.started_at)} UTC" if operation.started_at else None),
        ("ended", f"{minute(operation.ended_at)} UTC" if operation.ended_at else None),
        ("error", error.get("message")),
        ("model", result.model_path if result else None),
    )
