"""Options that several commands share, and how their texts are read."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from ktrdr.cli.running import usage

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def _instant(text: str | None) -> datetime | None:
    if text is None or isinstance(text, datetime):
        return text
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise usage(f"{text!r} is not a date: write 2017-01-31 or 2017-01-31T14:00, UTC") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


StartDate = Annotated[
    datetime | None, typer.Option("--start-date", parser=_instant, metavar="DATE", help="First day, UTC.")
]
EndDate = Annotated[
    datetime | None, typer.Option("--end-date", parser=_instant, metavar="DATE", help="Day behind the last, UTC.")
]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbols", metavar="A,B", help="Symbols, separated by commas or repeated.")
]
Timeframes = Annotated[
    list[str] | None, typer.Option("--timeframes", metavar="1h,4h", help="Timeframes, separated by commas or repeated.")
]


def listed(texts: list[str] | None) -> list[str] | None:
    """`["A,B", "C"]` as `["A", "B", "C"]`, None where nothing was given."""
    names = [name.strip() for text in texts or [] for name in text.split(",") if name.strip()]
    return names or None


def is_file(strategy: str) -> bool:
    """Whether a command's STRATEGY is a file's path, not a name in strategies/."""
    return strategy.endswith((".yaml", ".yml")) or "/" in strategy
