"""`ktrdr serve`: the server, in this terminal."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ktrdr.cli.running import run_local

if TYPE_CHECKING:
    from ktrdr.cli.running import Local


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to bind (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to bind (default: 8000).")] = None,
    isolation: Annotated[
        Literal["process", "thread"] | None, typer.Option(help="Where trainings run (default: process).")
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Trainings at a time (default: 1).")] = None,
) -> None:
    """Serve the REST API and train what comes in. After Ctrl-C, trainings go on at the next start."""

    async def body(local: "Local", options: dict[str, Any]) -> int:
        given = {"host": host, "port": port, "local_isolation": isolation, "local_slots": slots}
        wanted = {name: value for name, value in given.items() if value is not None}
        return await local.serve(listening=_say, **options, **wanted)

    run_local(context, body)


def _say(url: str, notices: list[str]) -> None:
    from ktrdr.cli.output import error_console

    screen = error_console()
    screen.print(f"KTRDR serves at {url}; its API is described at {url}/docs", soft_wrap=True)
    for notice in notices:
        screen.print(f"notice: {notice}", markup=False, soft_wrap=True)
    here = url.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:")
    screen.print(f"Try: ktrdr --server {here} models list", soft_wrap=True)
