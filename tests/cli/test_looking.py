"""What commands that only look say where a table alone would mislead."""

from datetime import timedelta

import pytest
from tests.cli.fake_client import MODEL, START, FakeClient, opening

from ktrdr.cli.app import main
from ktrdr.contracts.strategies import StrategySummary


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_file_that_cannot_be_used_says_why_and_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason stands below the table, whole, with the command that lists every mistake."""

    class OneBroken(FakeClient):
        async def strategies(self) -> list[StrategySummary]:
            broken = StrategySummary(name="bad", path="my strategies/bad.yaml", error="nn_inputs: [missing]")
            return [*await super().strategies(), broken]

    assert main(opening(OneBroken()), ["strategies", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "bad: nn_inputs: [missing]" in lines
    assert "  ktrdr strategies validate 'my strategies/bad.yaml'" in lines


def test_a_hold_by_the_threshold_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """BUY is likeliest and the signal HOLD: the reader is told that this is no mistake."""
    client = FakeClient()
    client.signals = [client.signals[-1].model_copy(update={"signal": "HOLD"})]
    assert main(opening(client), ["models", "predict", MODEL]) == 0
    assert "below the strategy's confidence threshold" in capsys.readouterr().out
    client.signals = [client.signals[-1].model_copy(update={"signal": "BUY"})]
    assert main(opening(client), ["models", "predict", MODEL]) == 0
    assert "threshold" not in capsys.readouterr().out


def test_a_signal_known_days_later_shows_the_day(capsys: pytest.CaptureFixture[str]) -> None:
    """An hour is enough within a day, and misleading for a week."""
    client = FakeClient()
    client.signals = [client.signals[-1].model_copy(update={"time": START, "known": START + timedelta(days=7)})]
    assert main(opening(client), ["models", "predict", MODEL]) == 0
    assert "2017-01-08 22:00" in capsys.readouterr().out


def test_log_levels_are_read_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    """`--log-level debug` is DEBUG."""
    given: dict[str, object] = {}
    assert main(opening(FakeClient(), given), ["--log-level", "debug", "data", "list"]) == 0
    assert given == {"log_level": "DEBUG"}
