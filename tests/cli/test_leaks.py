"""`ktrdr strategies leakcheck`: what it asks for, what it says, and the exit code that a script goes by."""

import json
from pathlib import Path

import pytest
from tests.cli.fake_client import FakeClient, opening

from ktrdr.cli.app import main
from ktrdr.contracts.leaks import LeakVerdict

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    ("verdict", "code"), [(LeakVerdict.PASS, 0), (LeakVerdict.WARM_UP_ERROR, 0), (LeakVerdict.LEAK, 1)]
)
def test_only_a_leak_fails(verdict: LeakVerdict, code: int, as_json: list[str], capsys: Captured) -> None:
    client = FakeClient()
    client.verdict = verdict
    assert main(opening(client), ["strategies", "leakcheck", "momentum", *as_json]) == code
    out = capsys.readouterr().out
    if as_json:
        assert json.loads(out)["verdict"] == verdict.value
    else:
        assert ("No input knows the future" in out) == (verdict is LeakVerdict.PASS)
        assert ("No number of such a model is worth a thing" in out) == (verdict is LeakVerdict.LEAK)


def test_a_warm_up_error_comes_with_its_cure(capsys: Captured) -> None:
    """How much history would do, and for which input none does; each row says how much and where."""
    assert main(opening(FakeClient()), ["strategies", "leakcheck", "momentum"]) == 0
    out = capsys.readouterr().out
    assert "5.80%" in out
    assert "2017-01-01 22:00 EURUSD" in out
    assert "history_required: 264 would do for the others. No history that was tried settles 1h_obv_[raw]" in out
    assert "notice: warm-up error: [two] inputs" in out


def test_the_options_become_the_request(tmp_path: Path) -> None:
    """A name is a name, a file is read here and sent as its text."""
    client, file = FakeClient(), tmp_path / "mine.yaml"
    file.write_text("name: mine", encoding="utf-8")
    options = ["--cuts", "5", "--symbols", "A,B", "--start-date", "2017-02-01", "--seed", "7"]
    assert main(opening(client), ["strategies", "leakcheck", str(file), *options]) == 0
    asked = client.asked["leaks"]
    assert (asked["strategy_name"], asked["strategy_text"], asked["source"]) == (None, "name: mine", str(file))
    assert (asked["cuts"], asked["overrides"]["symbols"], asked["overrides"]["seed"]) == (5, ["A", "B"], 7)
    assert main(opening(client), ["strategies", "leakcheck", "momentum"]) == 0
    assert (client.asked["leaks"]["strategy_name"], client.asked["leaks"]["cuts"]) == ("momentum", 20)
