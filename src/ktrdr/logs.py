"""Logging for developers and operators, apart from the progress that users see.

Lines are structured (structlog): an event, its fields, and the operation id of the training that wrote it.
"""

import logging
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog

from ktrdr.errors import StorageFailed


def configure_logging(
    *, level: str | None = None, format: Literal["text", "json"] = "text", file: Path | None = None
) -> TextIO:
    """Send log lines of `level` and above (None: none) to `file`, or to stderr, as text or JSON lines.

    The answer is that stream; whoever names a file closes it in the end.
    """
    stream: TextIO = sys.stderr
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = file.open("a", encoding="utf-8")
        except OSError as error:
            raise StorageFailed(f"cannot write the log file {file}: {error.strerror}") from None
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=False)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=44)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level or "CRITICAL"]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    return stream


def get_logger(name: str) -> Any:
    """A logger whose lines name the part of the system they come from."""
    return structlog.get_logger(part=name)


def operation_context(operation_id: str) -> AbstractContextManager[None]:
    """Every line logged inside, also in threads started with this context, carries the operation id."""
    return structlog.contextvars.bound_contextvars(operation_id=operation_id)
