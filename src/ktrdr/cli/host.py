"""`ktrdr host`: this machine as a host service, in this terminal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli.running import run_local

if TYPE_CHECKING:
    from ktrdr.cli.running import Local

app = typer.Typer(help="This machine as a host service, which trains for servers.", no_args_is_help=True)


@app.command("serve", epilog="Example:  ktrdr host serve --port 8100")
def serve_host(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to bind (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to bind (default: 8100).")] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Trainings at a time (default: 1).")] = None,
) -> None:
    """Train for the servers that have this host's key, and send them the results. After Ctrl-C, trainings go on at
    the next start."""

    async def body(local: "Local", options: dict[str, Any]) -> int:
        given = {"host_address": host, "host_port": port, "host_slots": slots}
        wanted = {name: value for name, value in given.items() if value is not None}
        return await local.serve_host(listening=_say, **options, **wanted)

    run_local(context, body)


def _say(url: str, notices: list[str]) -> None:
    from ktrdr.cli.output import error_console

    screen = error_console()
    screen.print(f"KTRDR trains at {url}; stop it with Ctrl-C", soft_wrap=True)
    for notice in notices:
        screen.print(f"  {notice}", markup=False, soft_wrap=True)
    screen.print(f"Try, where the server is: ktrdr hosts add NAME {_from_elsewhere(url)}", soft_wrap=True)


def _from_elsewhere(url: str) -> str:
    """The address by which others find what listens on every address of this machine."""
    from socket import gethostname

    return url.replace("//0.0.0.0:", f"//{gethostname()}:").replace("//[::]:", f"//{gethostname()}:")
