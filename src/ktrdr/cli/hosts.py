"""`ktrdr hosts`: the host services that trainings may run on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.options import Json
from ktrdr.cli.running import DONE, FAILED, run

if TYPE_CHECKING:
    from rich.table import Table

    from ktrdr.client import Client
    from ktrdr.contracts.hosts import HostReport

app = typer.Typer(help="Host services to train on: list, check, add, remove.", no_args_is_help=True)
_NONE = (
    "No host service is registered. On the other machine: `ktrdr host serve`; here:"
    " `ktrdr hosts add gpu1 http://gpu1:8100`."
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the host is called here.")]


@app.command("list", epilog="Example:  ktrdr hosts list")
def list_hosts(context: typer.Context, as_json: Json = False) -> None:
    """Every host, and whether it can train."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json

        found = await client.hosts()
        if as_json:
            print_json({"hosts": found})
        elif not found:
            console().print(_NONE, soft_wrap=True)
        else:
            console().print(_listed(found))
        return None

    run(context, body, as_json=as_json)


@app.command("check", epilog="Example:  ktrdr hosts check gpu1")
def check_hosts(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this one.")] = None,
    as_json: Json = False,
) -> None:
    """Ask hosts how they do; fails when one does not answer."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json
        from ktrdr.errors import NotFound

        found = [one for one in await client.hosts(fresh=True) if name in (None, one.host.name)]
        if name is not None and not found:
            raise NotFound(f"there is no host {name}: `ktrdr hosts list` shows those there are")
        if as_json:
            print_json({"hosts": found})
        elif not found:
            console().print(_NONE, soft_wrap=True)
        for one in found if not as_json else ():
            _show(one)
        return DONE if all(one.health for one in found) else FAILED

    run(context, body, as_json=as_json)


@app.command("add", epilog="Example:  ktrdr hosts add gpu1 https://gpu1:8100 --price-per-hour 1.5")
def add_host(
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where it listens: scheme, name and port.")],
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, metavar="PRICE", help="What an hour of training there costs.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Register a host service, and see whether it answers."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json
        from ktrdr.contracts.hosts import host_entry

        entry = await client.add_host(host_entry(name, url, price_per_hour))
        (found,) = [one for one in await client.hosts(fresh=True) if one.host.name == entry.name]
        if as_json:
            print_json(found)
            return None
        console().print(f"{entry.name} is registered.", markup=False)
        _show(found)
        return None

    run(context, body, as_json=as_json)


@app.command("remove", epilog="Example:  ktrdr hosts remove gpu1")
def remove_host(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Forget a host service; trainings that run there are still followed."""

    async def body(client: "Client") -> int | None:
        from ktrdr.cli.output import console, print_json

        entry = await client.remove_host(name)
        if as_json:
            print_json(entry)
        else:
            console().print(f"{entry.name} at {entry.url} is forgotten.", markup=False, soft_wrap=True)
        return None

    run(context, body, as_json=as_json)


def _listed(reports: "Sequence[HostReport]") -> "Table":
    from rich.markup import escape

    from ktrdr.cli.output import table

    rows = table("host", "url", "state", "hardware", "free", "price/h", "from", right=("free", "price/h"))
    rows.columns[1].no_wrap = True
    for one in reports:
        health, price = one.health, one.host.price_per_hour
        rows.add_row(
            one.host.name,
            escape(one.host.url),
            "answers" if health else "[red]silent[/red]",
            escape(", ".join(device.name for device in health.devices)) if health else "",
            f"{health.free_slots} of {health.slots}" if health else "",
            "" if price is None else f"{price:g}",
            one.origin,
        )
    return rows


def _show(report: "HostReport") -> None:
    from ktrdr.cli.output import console, error_console, facts

    health, host = report.health, report.host
    if health is None:
        error_console().print(f"{host.name} cannot be used now: {report.error}", markup=False, soft_wrap=True)
        return
    devices = [
        f"{one.type} ({one.name}" + (f", {one.memory_bytes / 2**30:.0f} GiB)" if one.memory_bytes else ")")
        for one in health.devices
    ]
    console().print(f"{host.name} at {host.url}", style="bold", markup=False)
    console().print(
        facts(
            ("answers", f"in {report.latency_seconds * 1000:.0f} ms, up for {_duration(health.uptime_seconds)}"),
            ("hardware", ", ".join(devices)),
            ("slots", f"{health.free_slots} of {health.slots} free"),
            ("version", health.version),
            ("price", None if host.price_per_hour is None else f"{host.price_per_hour:g} an hour"),
        )
    )


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, rest = divmod(minutes, 24 * 60)
    return (f"{days} d " if days else "") + f"{rest // 60}:{rest % 60:02d} h"
