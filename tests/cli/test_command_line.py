"""What holds for every command: an example in its help, one JSON document on demand, errors without a trace."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from tests.cli.fake_client import MODEL, FakeClient, opening

from ktrdr.cli.app import app, main

COMMANDS: dict[str, list[str]] = {
    "models train": ["momentum"],
    "models nulltest": ["momentum"],
    "models list": [],
    "models show": [MODEL],
    "models test": [MODEL],
    "models predict": [MODEL],
    "models delete": [MODEL, "--yes"],
    "strategies list": [],
    "strategies show": ["momentum"],
    "strategies validate": ["momentum"],
    "strategies leakcheck": ["momentum"],
    "strategies schema": [],
    "operations list": [],
    "operations show": ["op_0"],
    "operations watch": ["op_0"],
    "operations cancel": ["op_0"],
    "operations retry": ["op_0"],
    "operations logs": ["op_0"],
    "hosts list": [],
    "hosts check": ["gpu1"],
    "hosts add": ["gpu2", "https://gpu2:8100"],
    "hosts remove": ["gpu1"],
    "data import": ["EURUSD_1h.csv"],
    "data import-series": ["EURUSD_DGS2.csv", "--name", "fred_DGS2", "--lag", "1d"],
    "data list": [],
    "data show": ["EURUSD", "1h"],
    "data check": ["EURUSD", "1h"],
}


LOCAL = {"serve", "host serve", "keys create", "keys list", "keys revoke", "db upgrade", "config show"}
"""What speaks to no client: tested with what it does."""


def commands() -> Iterator[str]:
    """The names of every command there is."""
    root = typer.main.get_command(app)
    for group, inside in root.commands.items():
        names = getattr(inside, "commands", None)
        yield from [group] if names is None else (f"{group} {name}" for name in names)


def test_every_command_is_covered() -> None:
    """The table above knows every command."""
    assert set(commands()) == set(COMMANDS) | LOCAL


@pytest.mark.parametrize("command", [*COMMANDS, *sorted(LOCAL)])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` ends with a command line that names the command."""
    assert main(opening(FakeClient()), [*command.split(), "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Example: ktrdr {command}" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_document_alone_on_stdout(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout is one JSON object and stderr is empty."""
    assert main(opening(FakeClient()), [*command.split(), *COMMANDS[command], "--json"]) == 0
    out, err = capsys.readouterr()
    assert isinstance(json.loads(out), dict)
    assert err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_text_fits_80_columns_and_keeps_brackets(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables fit 80 columns; nothing is coloured where nobody sees colours."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(opening(FakeClient()), [*command.split(), *COMMANDS[command]]) == 0
    out, _ = capsys.readouterr()
    assert out.strip()
    assert "\x1b" not in out
    assert all(len(line) <= 80 for line in out.splitlines() if "─" in line)


FAILING: list[tuple[list[str], str, str]] = [
    (["models", "train", "nowhere"], "strategy_not_found", "there is no strategy nowhere"),
    (["models", "nulltest", "nowhere"], "strategy_not_found", "there is no strategy nowhere"),
    (["models", "show", "other"], "model_not_found", "there is no model other"),
    (["models", "test", "other"], "model_not_found", "there is no model other"),
    (["models", "predict", "other"], "model_not_found", "there is no model other"),
    (["models", "delete", "other", "--yes"], "model_not_found", "there is no model other"),
    (["strategies", "show", "nowhere"], "strategy_not_found", "there is no strategy nowhere"),
    (["strategies", "leakcheck", "nowhere"], "strategy_not_found", "there is no strategy nowhere"),
    (["operations", "show", "op_9"], "operation_not_found", "there is no operation op_9"),
    (["operations", "watch", "op_9"], "operation_not_found", "there is no operation op_9"),
    (["operations", "logs", "op_9"], "operation_not_found", "there is no operation op_9"),
    (["hosts", "check", "gpu9"], "not_found", "there is no host gpu9"),
    (["hosts", "add", "gpu1", "https://gpu1:8100"], "conflict", "there is a host gpu1 already"),
    (["hosts", "add", "gpu2", "gpu2:8100"], "invalid_request", "is no address of a server"),
    (["hosts", "add", "gpu 2", "http://gpu2:8100"], "invalid_request", "that is no host: name"),
    (["hosts", "remove", "gpu9"], "not_found", "there is no host gpu9"),
    (["data", "show", "EURUSD", "4h"], "data_not_found", "there are no bars of EURUSD 4h"),
    (["data", "check", "EURUSD", "4h"], "data_not_found", "there are no bars of EURUSD 4h"),
    (["data", "show", "fred_DGS2"], "invalid_request", "name the timeframe of fred_DGS2 too, such as 1h"),
    (["data", "import-series", "nothing.csv", "--name", "x"], "data_not_found", "there is no file nothing.csv"),
    (["data", "import", "nothing.csv"], "data_not_found", "there is no file nothing.csv"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), FAILING, ids=str)
def test_an_expected_error_is_one_sentence(
    arguments: list[str], code: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; the sentence on stderr without a trace, or as an object on stdout with --json."""
    assert main(opening(FakeClient()), arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert sentence in err
    assert "Traceback" not in err
    assert main(opening(FakeClient()), [*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    error: dict[str, Any] = json.loads(out)["error"]
    assert error["code"] == code
    assert sentence in error["message"]
    assert err == ""


USAGE = [
    ["models"],
    ["models", "nothing"],
    ["models", "train"],
    ["models", "train", "momentum", "--start-date", "soon"],
    ["models", "train", "momentum", "--seed", "-1"],
    ["models", "train", "momentum", "--detach"],
    ["operations", "retry", "op_0", "--detach"],
    ["operations", "retry", "op_0", "--from", "nowhere"],
    ["operations", "list", "--status", "odd"],
    ["models", "predict", MODEL, "--last", "0"],
    ["models", "delete", MODEL],
    ["models", "delete", MODEL, "--json"],
    ["data", "import-series", "DGS2.csv"],
    ["data", "import-series", "DGS2.csv", "--name", "fred_DGS2", "--stamped", "middle"],
    ["data", "import", "EURUSD_1h.csv", "EURUSD_4h.csv", "--symbol", "EURUSD"],
    ["--log-level", "LOUD", "data", "list"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked of the client, and no trace is shown."""
    client = FakeClient()
    assert main(opening(client), arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert client.stored == {MODEL}
    assert not client.wanted


def test_a_bug_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """An error nobody expected says how to see its trace; DEBUG shows it."""
    structlog.reset_defaults()  # another test may have left a log behind
    client = FakeClient()
    client.broken = ZeroDivisionError("by [zero]")
    assert main(opening(client), ["models", "train", "momentum"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: by [zero]" in err
    assert "--log-level DEBUG" in err
    assert "Traceback" not in err
    assert main(opening(client), ["--log-level", "DEBUG", "models", "train", "momentum"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert main(opening(client), ["models", "train", "momentum", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "internal_error"


def test_root_options_reach_the_client(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is given is handed on, what is not is left to the settings."""
    given: dict[str, Any] = {}
    options = ["--home", str(tmp_path), "--log-level", "INFO", "--log-format", "json", "--log-file", "run.log"]
    assert main(opening(FakeClient(), given), [*options, "models", "list", "--models-dir", "elsewhere"]) == 0
    assert given == {
        "home": tmp_path,
        "log_level": "INFO",
        "log_format": "json",
        "log_file": Path("run.log"),
        "models_dir": Path("elsewhere"),
    }
    given.clear()
    assert main(opening(FakeClient(), given), ["data", "list"]) == 0
    assert given == {}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` says it and does nothing else."""
    assert main(opening(FakeClient()), ["--version"]) == 0
    assert capsys.readouterr().out.startswith("ktrdr ")
