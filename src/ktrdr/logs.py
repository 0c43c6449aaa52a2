"""Logging for developers and operators, apart from the progress that users see.

Lines are structured (structlog): an event, its fields, and the operation id of the training that wrote it.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog

from ktrdr.errors import StorageFailed


class OperationLogs:
    """The lines of each operation, from INFO up, in a file of its own: `{operation_id}.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, logger: object, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A structlog processor: keeps lines that carry an operation id, and passes all of them on."""
        operation_id = line.get("operation_id")
        if operation_id and _level(line) >= logging.INFO:
            with suppress(OSError):  # a full disk must not end a training
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._path(operation_id).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, default=str) + "\n")
        return line

    def read(self, operation_id: str) -> list[dict[str, Any]]:
        """The lines of an operation, oldest first; one that a crash cut off is left out."""
        try:
            text = self._path(operation_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageFailed(f"cannot read the log of {operation_id}: {error.strerror}") from None
        lines = []
        for line in text.splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return sorted(lines, key=lambda line: str(line.get("timestamp", "")))

    def add(self, operation_id: str, lines: list[dict[str, Any]]) -> None:
        """Keep lines that were written on another machine, but for those that are here already."""
        known = {json.dumps(line, sort_keys=True) for line in self.read(operation_id)}
        new = [line for line in lines if json.dumps(line, sort_keys=True) not in known]
        if new:
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._path(operation_id).open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(line) + "\n" for line in new)

    def forget(self, operation_id: str) -> None:
        """Remove the lines of an operation."""
        with suppress(OSError):
            self._path(operation_id).unlink()

    def _path(self, operation_id: str) -> Path:
        return self._folder / f"{operation_id}.jsonl"


def configure_logging(
    *,
    level: str | None = None,
    format: Literal["text", "json"] = "text",
    file: Path | None = None,
    operations: OperationLogs | None = None,
) -> TextIO:
    """Send log lines of `level` and above (None: none) to `file`, or to stderr, as text or JSON lines, and those of
    operations to `operations` too.

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
    wanted = logging.getLevelNamesMapping()[level or "CRITICAL"]
    kept = [operations, _only(wanted)] if operations else []
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *kept,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(min(wanted, logging.INFO) if operations else wanted),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    return stream


def _only(wanted: int) -> Any:
    """A processor that drops lines below a level, once they were kept elsewhere."""

    def drop(logger: object, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if _level(line) < wanted:
            raise structlog.DropEvent
        return line

    return drop


def _level(line: MutableMapping[str, Any]) -> int:
    return logging.getLevelNamesMapping().get(str(line.get("level", "")).upper(), 0)


def get_logger(name: str) -> Any:
    """A logger whose lines name the part of the system they come from."""
    return structlog.get_logger(part=name)


def operation_context(operation_id: str) -> AbstractContextManager[None]:
    """Every line logged inside, also in threads started with this context, carries the operation id."""
    return structlog.contextvars.bound_contextvars(operation_id=operation_id)
