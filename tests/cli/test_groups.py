"""What single commands say and do: deleting with care, signals as a table or a file, checks, mistakes in a file."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.fake_client import MODEL, FakeClient, opening, signals
from tests.support import ROOT

from ktrdr.cli import models
from ktrdr.cli.app import main
from ktrdr.contracts.bars import Finding

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("answer", "left"), [(True, set()), (False, {MODEL})])
def test_delete_asks_a_person(answer: bool, left: set[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """The question names the whole version, also where a part of its name was given."""
    client, asked = FakeClient(), []
    monkeypatch.setattr(models, "interactive", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: asked.append(question) or answer)
    assert main(opening(client), ["models", "delete", "momentum"]) == 0
    assert asked == [f"Delete {MODEL}?"]
    assert client.stored == left
    assert ("Deleted" if answer else "Nothing was deleted") in capsys.readouterr().out


def test_ctrl_c_at_the_question_deletes_nothing() -> None:
    """One Ctrl-C is enough, and it is no bug to report."""
    code = (
        "from ktrdr.cli.app import main; from tests.cli.fake_client import FakeClient, opening;"
        "raise SystemExit(main(opening(FakeClient()), ['models', 'delete', 'momentum']))"
    )
    person, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        said = b""
        while b"?" not in said:
            said += os.read(process.stdout.fileno(), 1000)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
    finally:
        os.close(person)
        os.close(terminal)
    assert process.returncode == 130
    assert b"wrong" not in out


def test_predict_shows_ten_and_writes_all(tmp_path: Path, capsys: Captured) -> None:
    """On a screen the newest ten; in JSON and in a file all, where nothing else is asked for."""
    client, file = FakeClient(), tmp_path / "signals.csv"
    assert main(opening(client), ["models", "predict", MODEL]) == 0
    assert client.asked["predict"]["last"] == 10
    assert "seen [before] in training" in capsys.readouterr().out
    assert main(opening(client), ["models", "predict", MODEL, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["signals"]) == 12
    assert main(opening(client), ["models", "predict", MODEL, "--csv", str(file)]) == 0
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 12
    assert rows[0]["signal"] == "SELL"
    assert float(rows[0]["HOLD"]) == 0.2
    assert main(opening(client), ["models", "predict", MODEL, "--last", "2", "--csv", str(file)]) == 0
    assert len(list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))) == 2


def test_no_signals_is_said(tmp_path: Path, capsys: Captured) -> None:
    """A range without features is an answer, not an accident."""
    client, file = FakeClient(), tmp_path / "signals.csv"
    client.signals = signals(0)
    assert main(opening(client), ["models", "predict", MODEL]) == 0
    assert "there is no signal" in capsys.readouterr().out
    assert main(opening(client), ["models", "predict", MODEL, "--csv", str(file)]) == 0
    assert file.read_text(encoding="utf-8").startswith("symbol,time")


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    """Exit code 1 and its path."""
    file = tmp_path / "nowhere" / "signals.csv"
    assert main(opening(FakeClient()), ["models", "predict", MODEL, "--csv", str(file)]) == 1
    assert f"Error: cannot write {file}" in capsys.readouterr().err


def test_the_test_says_whether_it_reproduces(capsys: Captured) -> None:
    """In one sentence on the stored rows; not on others."""
    client = FakeClient()
    assert main(opening(client), ["models", "test", MODEL]) == 0
    assert "This is the stored test, reproduced" in capsys.readouterr().out
    assert main(opening(client), ["models", "test", MODEL, "--symbols", "AAPL", "--start-date", "2017-02-01"]) == 0
    assert "reproduced" not in capsys.readouterr().out
    assert client.asked["evaluate"]["symbols"] == ["AAPL"]
    assert client.asked["evaluate"]["start"].isoformat() == "2017-02-01T00:00:00+00:00"


def test_show_lists_the_inputs_in_order(capsys: Captured) -> None:
    """Each with what it reads and its shape; notices as written."""
    assert main(opening(FakeClient()), ["strategies", "show", "momentum"]) == 0
    out = capsys.readouterr().out
    assert out.index("1h_rsi_low") < out.index("1h_atr_24_raw")
    assert "triangular [0, 0, 40]" in out
    assert "raw, zscore" in out
    assert "rsi [low] overlaps nothing" in out


def test_mistakes_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Line, key, what was found and what is expected; the good file beside it is still told."""
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("name: wrong")
    assert main(opening(FakeClient()), ["strategies", "validate", "wrong.yaml", "momentum"]) == 1
    out, err = capsys.readouterr()
    assert "wrong.yaml has 2 mistakes" in err
    for said in ("12", "training.epochs", "'many'", "a whole number of at least 1", "[mlp]"):
        assert said in err
    assert "momentum is valid" in out
    assert main(opening(FakeClient()), ["strategies", "validate", "wrong.yaml", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["strategies"]
    assert row["valid"] is False
    assert row["error"]["problems"][0]["line"] == 12


def test_a_list_shows_files_that_cannot_be_read(capsys: Captured) -> None:
    """With what is wrong, brackets and all."""
    assert main(opening(FakeClient()), ["strategies", "list"]) == 0
    assert "not [a list" in " ".join(capsys.readouterr().out.split())


def test_a_check_that_finds_an_error_is_exit_code_1(capsys: Captured) -> None:
    """Warnings alone are not; with no series named, all are looked at."""
    client = FakeClient()
    finding = Finding(check="gaps", severity="warning", count=3, message="gaps [odd]", examples=["2017-01-02"])
    client.findings = [finding]
    assert main(opening(client), ["data", "check"]) == 0
    out = capsys.readouterr().out
    assert "AAPL 1d" in out
    assert "3 gaps [odd] (first: 2017-01-02)" in out
    client.findings = [finding.model_copy(update={"severity": "error"})]
    assert main(opening(client), ["data", "check", "EURUSD", "1h"]) == 1


def test_import_hands_its_options_on(capsys: Captured) -> None:
    """What is not given is left to detection; several files are imported in turn, up to the first that fails."""
    client, files = FakeClient(), ["EURUSD_1h.csv", "EURUSD_1h_more.csv"]
    assert main(opening(client), ["data", "import", *files, "--timezone", "UTC", "--replace"]) == 0
    assert [path.name for path, _ in client.imported] == files
    given = {"symbol": None, "timeframe": None, "timezone": "UTC", "calendar": None}
    assert client.imported[0][1] == {**given, "accept_jumps": False, "replace": True}
    capsys.readouterr()
    assert main(opening(client), ["data", "import", "EURUSD_1h.csv", "nothing.csv"]) == 1
    out, err = capsys.readouterr()
    assert "imported from EURUSD_1h.csv" in out
    assert "nothing.csv" in err


def test_a_series_of_values_is_imported_shown_and_checked(capsys: Captured) -> None:
    """Options are handed on; where a name has one series, its length need not be said."""
    client = FakeClient()
    command = ["data", "import-series", "EURUSD_DGS2.csv", "--name", "fred_DGS2", "--lag", "1d", "--stamped", "end"]
    assert main(opening(client), command) == 0
    given = {"column": None, "frequency": None, "timezone": None, "replace": False}
    assert client.imported[0][1] == {**given, "name": "fred_DGS2", "lag": "1d", "stamped": "end"}
    assert "fred_DGS2 1d imported from EURUSD_DGS2.csv: 6,225 values" in capsys.readouterr().out
    assert main(opening(client), ["data", "list"]) == 0
    assert "lag 1d" in capsys.readouterr().out
    assert main(opening(client), ["data", "show", "fred_DGS2"]) == 0
    out = capsys.readouterr().out
    assert ("known at (UTC)" in out, "open" in out) == (True, False)
    assert main(opening(client), ["data", "show", "EURUSD"]) == 0
    assert "open" in capsys.readouterr().out
    assert main(opening(client), ["data", "check", "fred_DGS2"]) == 0
    assert "fred_DGS2 1d checked: 6,225 values" in capsys.readouterr().out


def test_hosts_are_listed_with_what_they_have(capsys: Captured) -> None:
    """A silent one too; without any the sentence says how to get one."""
    client = FakeClient()
    assert main(opening(client), ["hosts", "add", "gpu2", "https://gpu2:8100/", "--price-per-hour", "0.5"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "gpu2 is registered. gpu2 at https://gpu2:8100 answers in 12 ms, up for 1 d 2:03 h" in said
    assert "cuda ([GPU] 0, 80 GiB), cpu (16 cores)" in said
    assert "0.5 an hour" in said
    client.silent = {"gpu2"}
    assert main(opening(client), ["hosts", "list"]) == 0
    first, second = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("gpu")]
    assert ("answers" in first, "1 of 2" in first, "1.5" in first) == (True, True, True)
    assert ("silent" in second, "of" in second) == (True, False)
    for name in ("gpu1", "gpu2"):
        assert main(opening(client), ["hosts", "remove", name]) == 0
    assert "gpu2 at https://gpu2:8100 is forgotten." in capsys.readouterr().out
    assert main(opening(client), ["hosts", "list"]) == 0
    assert "ktrdr host serve" in capsys.readouterr().out


def test_a_check_asks_anew_and_fails_when_one_is_silent(capsys: Captured) -> None:
    """What a script goes by is the exit code; the other hosts are shown all the same."""
    client = FakeClient()
    client.registered.append(client.registered[0].model_copy(update={"name": "gpu2", "url": "https://gpu2:8100"}))
    assert main(opening(client), ["hosts", "check"]) == 0
    assert client.asked["hosts"] == {"fresh": True}
    client.silent = {"gpu1"}
    capsys.readouterr()
    assert main(opening(client), ["hosts", "check"]) == 1
    out, err = capsys.readouterr()
    assert "gpu2 at" in out
    assert err == "gpu1 cannot be used now: https://gpu1:8100 does not [answer] within 2 s\n"
    assert main(opening(client), ["hosts", "check", "gpu2"]) == 0
    assert main(opening(client), ["hosts", "check", "gpu1", "--json"]) == 1
