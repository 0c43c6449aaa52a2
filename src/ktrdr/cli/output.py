"""How things are printed: consoles, JSON, and small tables that fit 80 columns."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from ktrdr.errors import Problem


def console() -> Console:
    """Where results go: stdout."""
    return Console(highlight=False)


def error_console() -> Console:
    """Where errors and progress go: stderr."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout; contract values are written as their fields."""
    sys.stdout.write(json_text(value))
    sys.stdout.flush()  # a disk that is full says so here, not at the exit


def json_text(value: Any) -> str:
    """The same as a text."""
    return json.dumps(value, indent=2, default=_plain, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file that was asked for; raises StorageFailed."""
    from ktrdr.errors import StorageFailed

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error.strerror}") from None


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """An empty table; the columns named in `right` are numbers."""
    result = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    for column in columns:
        number = column in right
        result.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=column == columns[0])
    return result


def facts(*rows: tuple[str, Any]) -> Table:
    """Names and values side by side; rows without a value are left out."""
    result = Table(box=None, show_header=False, pad_edge=False)
    result.add_column(style="dim", no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in rows:
        if value not in (None, "", [], {}):
            result.add_row(name, escape(str(value)))
    return result


def problem_table(problems: "Sequence[Problem]") -> Table:
    """The mistakes of a strategy file, one a row."""
    result = table("line", "key", "found", "expected", right=("line",))
    for problem in problems:
        result.add_row(str(problem.line or ""), *map(escape, (problem.path, problem.found, problem.expected)))
    return result


def prose(screen: Console, sentences: str) -> None:
    """Plain text, broken at words in a terminal and left on one line for programs."""
    screen.print(sentences, markup=False, soft_wrap=not screen.is_terminal)


def show_notices(screen: Console, notices: Sequence[str], indent: str = "") -> None:
    """What a reader should know, a line each, as it was written."""
    for notice in notices:
        prose(screen, f"{indent}notice: {notice}")


def number(value: Any, digits: int = 3) -> str:
    """A number in a table; – where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) and value == value else "–"  # noqa: PLR0124


def percent(value: Any) -> str:
    """A share in a table; – where there is none, and never 0 or 100 % by rounding alone."""
    if not isinstance(value, (int, float)):
        return "–"
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= value < 1 else f"{100 * value:.1f} %"


def day(value: Any) -> str:
    """The day of a date, an instant or an ISO text; – where there is none."""
    return str(value)[:10] if value else "–"


def minute(value: Any) -> str:
    """An instant or an ISO text to the minute."""
    return str(value)[:16].replace("T", " ")
