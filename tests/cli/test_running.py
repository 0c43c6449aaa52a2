"""Commands whose surroundings fail: mistakes of ours, and an output that takes nothing more."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.cli.fake_client import FakeClient, opening

from ktrdr.cli.app import main
from ktrdr.client import Client
from ktrdr.logs import configure_logging


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Each test begins and ends without a log."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_the_stack_trace_of_a_mistake_of_ours_is_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The user reads one sentence, also at DEBUG; the trace is where log lines go, however that was said."""
    client, log = FakeClient(), tmp_path / "run.jsonl"
    client.broken = ZeroDivisionError("by zero")

    @asynccontextmanager
    async def open_client(**options: Any) -> AsyncIterator[Client]:
        with configure_logging(level="DEBUG", format="json", file=log):
            yield client

    assert main(open_client, ["--log-level", "DEBUG", "models", "train", "momentum"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: something went wrong inside KTRDR (ZeroDivisionError: by zero)")
    assert "Traceback" not in err
    (line,) = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert (line["level"], "ZeroDivisionError: by zero" in line["exception"]) == ("debug", True)


def test_a_client_that_cannot_be_opened_by_a_mistake_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing can be logged yet; the trace is shown when it was asked for."""

    def open_client(**options: Any) -> Any:
        raise ZeroDivisionError("by zero")

    assert main(open_client, ["data", "list"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main(open_client, ["--log-level", "DEBUG", "data", "list"]) == 1
    assert "Traceback" in capsys.readouterr().err


class Full(io.StringIO):
    """A disk without room."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_an_output_that_cannot_be_written_is_told_in_one_sentence(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and no stack trace when stdout goes to a full disk."""
    monkeypatch.setattr("sys.stdout", Full())
    assert main(opening(FakeClient()), ["data", "list", *options]) == 1
    assert capsys.readouterr().err == "Error: the output cannot be written: No space left on device\n"
