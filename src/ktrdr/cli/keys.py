"""`ktrdr keys`: who may use the server."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ktrdr.cli.options import Json
from ktrdr.cli.running import run_local

if TYPE_CHECKING:
    from ktrdr.cli.running import Local

app = typer.Typer(help="API keys of the server on this machine: create, list, revoke.", no_args_is_help=True)


@app.command("create", epilog="Example:  ktrdr keys create alice --scope train")
def create_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.")],
    scope: Annotated[
        Literal["read", "train", "admin"], typer.Option(help="What it allows; each includes those before it.")
    ] = "read",
    as_json: Json = False,
) -> None:
    """Make a key and show it: now and never again."""

    async def body(local: "Local", options: dict[str, Any]) -> int | None:
        from ktrdr.cli.output import error_console, print_json
        from ktrdr.contracts.keys import Scope

        async with local.open_keys(**options) as keys:
            key, text = await keys.create(name, Scope(scope))
        if as_json:
            print_json({**key.model_dump(mode="json"), "key": text})
            return None
        typer.echo(text)
        error_console().print(
            f"Key {key.key_id} of {name} may {scope}. It is not shown again; use it with `export KTRDR_API_KEY=…`.",
            markup=False,
            soft_wrap=True,
        )
        return None

    run_local(context, body, as_json=as_json)


@app.command("list", epilog="Example:  ktrdr keys list")
def list_keys(context: typer.Context, as_json: Json = False) -> None:
    """Every key there is or was, never its secret."""

    async def body(local: "Local", options: dict[str, Any]) -> int | None:
        from rich.markup import escape

        from ktrdr.cli.output import console, minute, print_json, table

        async with local.open_keys(**options) as keys:
            found = await keys.list()
        if as_json:
            print_json({"keys": found})
            return None
        if not found:
            console().print("There are no API keys: make one with `ktrdr keys create NAME --scope train`.")
            return None
        rows = table("id", "name", "scope", "created (UTC)", "revoked (UTC)")
        for key in found:
            revoked = minute(key.revoked_at) if key.revoked_at else ""
            rows.add_row(key.key_id, escape(key.name), key.scope.value, minute(key.created_at), revoked)
        console().print(rows)
        return None

    run_local(context, body, as_json=as_json)


@app.command("revoke", epilog="Example:  ktrdr keys revoke 1f2e3d4c")
def revoke_key(
    context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Make a key useless; running servers know within seconds."""

    async def body(local: "Local", options: dict[str, Any]) -> int | None:
        from ktrdr.cli.output import console, print_json

        async with local.open_keys(**options) as keys:
            key = await keys.revoke(key_id)
        if as_json:
            print_json(key)
        else:
            console().print(f"Key {key.key_id} of {key.name} is revoked.", markup=False, soft_wrap=True)
        return None

    run_local(context, body, as_json=as_json)
