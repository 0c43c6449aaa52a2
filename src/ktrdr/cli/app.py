"""The command `ktrdr` and its root options."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ktrdr.cli import config, data, database, host, hosts, keys, models, operations, serve, strategies
from ktrdr.cli.running import Local, OpenClient, Session

app = typer.Typer(
    name="ktrdr",
    help="Turns a strategy file into a trained, versioned, honest model.",
    epilog="Example:  ktrdr models train strategies/eurusd_momentum.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.add_typer(strategies.app, name="strategies")
app.add_typer(data.app, name="data")
app.add_typer(operations.app, name="operations")
app.command("serve", epilog="Example:  ktrdr serve --port 8000")(serve.serve)
app.add_typer(host.app, name="host")
app.add_typer(hosts.app, name="hosts")
app.add_typer(keys.app, name="keys")
app.add_typer(database.app, name="db")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ktrdr {version('ktrdr')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="Folder that holds strategies/, data/ and models/ (default: here).")
    ] = None,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="The server to talk to (default: KTRDR_SERVER, else none).")
    ] = None,
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None,
        typer.Option(case_sensitive=False, metavar="LEVEL", help="Log lines to write: debug, info, warning or error."),
    ] = None,
    log_format: Annotated[Literal["text", "json"] | None, typer.Option(help="How a log line looks.")] = None,
    log_file: Annotated[Path | None, typer.Option(help="Where log lines go (default: stderr).")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Root options; the commands find them in the session."""
    given = {"home": home, "server": server, "log_level": log_level, "log_format": log_format, "log_file": log_file}
    context.obj.options = {name: value for name, value in given.items() if value is not None}


def main(open_client: OpenClient, arguments: list[str] | None = None, *, local: Local | None = None) -> int:
    """Run the command line and answer its exit code; `open_client` opens what commands talk to, `local` has what they
    do on this machine whatever server is named."""
    try:
        app(arguments, prog_name="ktrdr", obj=Session(open_client, local))
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1
    return 0
