"""`ktrdr config`: the settings in force."""

import typer

from ktrdr.cli.options import Json
from ktrdr.cli.running import run_local

app = typer.Typer(help="The settings: show.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The settings of this machine."""


@app.command("show", epilog="Example:  ktrdr config show")
def show_config(context: typer.Context, as_json: Json = False) -> None:
    """Every setting with its value and where that comes from."""

    async def body(_: object, options: dict[str, object]) -> int | None:
        from rich.markup import escape

        from ktrdr.cli.output import console, error_console, print_json, show_notices, table
        from ktrdr.settings import settings_in_force, unknown_settings

        found = settings_in_force(**options)
        if as_json:
            print_json({"settings": [vars(one) for one in found]})
            return None
        rows = table("setting", "value", "from")
        for one in found:
            rows.add_row(one.name, escape(one.value), one.origin)
        console().print(rows)
        show_notices(error_console(), unknown_settings())
        return None

    run_local(context, body, as_json=as_json)
