"""`ktrdr db`: the database of operations."""

from typing import TYPE_CHECKING, Any

import typer

from ktrdr.cli.running import run_local

if TYPE_CHECKING:
    from ktrdr.cli.running import Local

app = typer.Typer(help="The database of operations: upgrade.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The database of operations on this machine."""


@app.command("upgrade", epilog="Example:  ktrdr db upgrade  (the database is the one of KTRDR_DATABASE_URL)")
def upgrade(context: typer.Context) -> None:
    """Bring the tables to what this program needs; SQLite is upgraded by the way, PostgreSQL only by this."""

    async def body(local: "Local", options: dict[str, Any]) -> int | None:
        name = await local.upgrade_database(**options)
        typer.echo(f"The database {name} is up to date.")
        return None

    run_local(context, body)
