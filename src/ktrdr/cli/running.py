"""Runs the body of a command with a client: errors become one clear message and an exit code that means something.

0 done, 1 failed, 2 wrong usage, 130 cancelled.
"""

import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.errors import KtrdrError
    from ktrdr.orchestration.api_keys import ApiKeys

DONE, FAILED, USAGE, CANCELLED = 0, 1, 2, 130
_LOGGED = "its stack trace is in the log"

OpenClient = Callable[..., AbstractAsyncContextManager["Client"]]
Body = Callable[["Client"], Awaitable[int | None]]


@dataclass(frozen=True)
class Local:
    """What is done on this machine, whatever server is named."""

    serve: Callable[..., Awaitable[int]]
    serve_host: Callable[..., Awaitable[int]]
    open_keys: Callable[..., AbstractAsyncContextManager["ApiKeys"]]
    upgrade_database: Callable[..., Awaitable[str]]


LocalBody = Callable[[Local, dict[str, Any]], Awaitable[int | None]]


@dataclass
class Session:
    """What the root options say, for every command: how a client is opened."""

    open_client: OpenClient
    local: Local | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The server that a command spoke to, its home and its models, so that the commands it proposes find them too."""

    home: Path | None = None
    models_dir: Path | None = None
    server: str | None = None

    def command(self, words: str) -> str:
        """`ktrdr` with these words, to be typed from the same folder."""
        home = f"--home {quote(str(self.home))} " if self.home else ""
        server = f"--server {quote(self.server)} " if self.server else ""
        return f"ktrdr {home}{server}{words}" + (
            f" --models-dir {quote(str(self.models_dir))}" if self.models_dir else ""
        )


HERE = Place()


def place(context: typer.Context, models_dir: Path | None = None) -> Place:
    """Where this command was told to look."""
    options = context.obj.options
    return Place(home=options.get("home"), models_dir=models_dir, server=options.get("server"))


def run(
    context: typer.Context, body: Body, *, as_json: bool = False, needs_server: bool = False, **options: Any
) -> None:
    """Open a client (with `options` on top of the root's), run the body, and leave with its exit code."""
    session: Session = context.obj
    if needs_server and not session.options.get("server") and not os.environ.get("KTRDR_SERVER"):
        raise usage("only a server trains on by itself: name one with --server or KTRDR_SERVER, or leave --detach out")
    given = {name: value for name, value in options.items() if value is not None}

    async def work() -> int | None:
        async with session.open_client(**{**session.options, **given}) as client:
            with _logged_bugs():
                return await body(client)

    _leave_with(work, session.options.get("log_level"), as_json=as_json)


def run_local(context: typer.Context, body: LocalBody, *, as_json: bool = False) -> None:
    """Run a body on this machine, whatever server is named, and leave with its exit code."""
    session: Session = context.obj

    async def work() -> int | None:
        if session.local is None:
            raise RuntimeError("this command line was opened without what it does on this machine")
        options = {name: value for name, value in session.options.items() if name != "server"}
        return await body(session.local, options)

    _leave_with(work, session.options.get("log_level"), as_json=as_json)


def _leave_with(work: Callable[[], Awaitable[int | None]], log_level: str | None, *, as_json: bool) -> None:
    import asyncio

    try:
        code = asyncio.run(_exit_code(work, log_level, as_json=as_json))
    except KeyboardInterrupt:
        code = CANCELLED
    raise typer.Exit(code)


async def _exit_code(work: Callable[[], Awaitable[int | None]], log_level: str | None, *, as_json: bool) -> int:
    from ktrdr.errors import KtrdrError

    try:
        return await work() or DONE
    except KtrdrError as error:
        tell_error(error, as_json=as_json)
    except typer.Abort:
        return CANCELLED
    except OSError as error:  # the floors below tell theirs: this is a screen, a pipe or a file that takes no more
        sys.stderr.write(f"Error: the output cannot be written: {error.strerror or error}\n")
    except Exception as error:  # noqa: BLE001  (a bug: one sentence for the user, the trace for those who ask)
        _tell_bug(error, log_level, as_json=as_json)
    return FAILED


@contextmanager
def _logged_bugs() -> Iterator[None]:
    """An unexpected error leaves its stack trace in the log, at DEBUG, while the client keeps that open."""
    from ktrdr.errors import KtrdrError

    try:
        yield
    except (KtrdrError, typer.Abort):
        raise
    except Exception as error:
        import structlog

        if structlog.is_configured():
            structlog.get_logger(part="cli").debug("a command broke", exc_info=error)
            error.add_note(_LOGGED)
        raise


def tell_error(error: "KtrdrError", *, as_json: bool) -> None:
    """An expected failure: its sentence on stderr, or an object on stdout."""
    from rich.markup import escape

    from ktrdr.cli.output import error_console, print_json, problem_table
    from ktrdr.errors import InvalidStrategy

    if as_json:
        print_json({"error": error.details()})
        return
    console = error_console()
    if isinstance(error, InvalidStrategy):
        count = len(error.problems)
        said = f"{escape(error.source)} has {count} mistake{'s' if count > 1 else ''}"
        console.print(f"[red]Error:[/red] {said}", soft_wrap=True)
        console.print(problem_table(error.problems))
        return
    console.print("[red]Error:[/red]", end=" ")
    console.print(str(error), markup=False, highlight=False, soft_wrap=True)


def _tell_bug(error: Exception, log_level: str | None, *, as_json: bool) -> None:
    """A mistake of ours, in one sentence; its stack trace on stderr when asked for and no log has taken it."""
    from ktrdr.cli.output import error_console, print_json

    sentence = f"something went wrong inside KTRDR ({type(error).__name__}: {error})"
    if log_level == "DEBUG" and _LOGGED not in getattr(error, "__notes__", ()):
        traceback.print_exception(error)
    if as_json:
        print_json({"error": {"code": "internal_error", "message": sentence}})
        return
    where = "its stack trace is in the log at level DEBUG (`ktrdr --log-level DEBUG …`)"
    error_console().print(f"Error: {sentence}; {where}", markup=False, soft_wrap=True)


def usage(message: str) -> typer.BadParameter:
    """The error of an option that cannot be; exit code 2."""
    return typer.BadParameter(message)


def confirmed(question: str) -> bool:
    """Ask a person; Ctrl-C at the prompt leaves at once, also while an event loop has taken the signal over."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.confirm(question)
    finally:
        signal.signal(signal.SIGINT, before)


def interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()
