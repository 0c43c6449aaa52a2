"""`ktrdr models nulltest`: what it asks for, and what it says of a score beside walks without direction."""

import io
import json

import pytest
from rich.console import Console
from tests.cli.fake_client import FakeClient, opening
from tests.cli.sample_result import NULL_TEST, TEST_METRICS, training_result

from ktrdr.cli.app import main
from ktrdr.cli.summary import show_training
from ktrdr.contracts.operations import OperationStatus

Captured = pytest.CaptureFixture[str]
NULL = ["models", "nulltest", "momentum"]


def test_the_options_become_the_request() -> None:
    """19 walks where nothing else is said."""
    client = FakeClient()
    assert main(opening(client), NULL) == 0
    assert main(opening(client), [*NULL, "--walks", "99", "--seed", "7", "--symbols", "A,B", "--priority", "3"]) == 0
    first, second = client.wanted
    assert (first.type, first.overrides.null_test, first.strategy_name) == ("null_test", 19, "momentum")
    assert (second.overrides.null_test, second.overrides.seed, second.priority) == (99, 7, 3)
    assert second.overrides.symbols == ["A", "B"]


def test_each_score_stands_beside_its_walks(capsys: Captured) -> None:
    """Value, mean, spread, 5 and 95 %, excess and p; a dash where there is none; the sentences as they were written."""
    assert main(opening(FakeClient()), NULL) == 0
    out = capsys.readouterr().out
    assert "Test, beside 19 walks without direction" in out
    (row,) = (line for line in out.splitlines() if line.startswith("balanced accuracy"))
    assert row.split()[2:] == ["0.701", "0.695", "0.013", "0.670", "0.730", "0.006", "0.35"]
    (row,) = (line for line in out.splitlines() if line.startswith("net Sharpe ratio"))
    assert row.split()[3:] == ["–", "-0.100", "0.900", "-1.500", "1.250", "–", "–"]
    assert "The balanced accuracy is [no] sign of an edge." in out
    assert "2 of the walks had no trades" in out
    assert "1 walks gave too few labels" in out
    assert "no model was kept" in out
    assert "Model saved" not in out


def test_the_whole_operation_as_json(capsys: Captured) -> None:
    assert main(opening(FakeClient()), [*NULL, "--json"]) == 0
    operation = json.loads(capsys.readouterr().out)
    assert operation["type"] == "null_test"
    assert operation["result"]["test_metrics"]["null_test"]["each"][0]["seed"] == 5


def test_a_cancelled_one_says_what_it_was(capsys: Captured) -> None:
    assert main(opening(FakeClient(end=OperationStatus.CANCELLED)), NULL) == 130
    assert "The null test was cancelled" in capsys.readouterr().err


def test_a_training_with_a_null_test_shows_it() -> None:
    """First, behind the trades where labels have some: it is what the other numbers are to be read by."""
    for trades in ({}, {"trades": TEST_METRICS["trades"]}):
        screen = Console(file=io.StringIO(), width=80)
        metrics = {name: value for name, value in TEST_METRICS.items() if name != "trades"}
        show_training(screen, training_result(test_metrics={**metrics, **trades, "null_test": NULL_TEST}))
        assert isinstance(screen.file, io.StringIO)
        out = screen.file.getvalue()
        assert out.index("beside 19 walks") < out.index("trained on") < out.index("not distinguishable from")


def test_the_list_names_null_tests(capsys: Captured) -> None:
    client = FakeClient()
    assert main(opening(client), NULL) == 0
    assert main(opening(client), ["operations", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("op_1") and "momentum, null test" in line for line in lines)
    assert any(line.startswith("op_0") and "null test" not in line for line in lines)
