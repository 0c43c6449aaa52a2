"""What only a real process shows: what is imported at start, and what Ctrl-C does to a training."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support import ROOT

HEAVY = ("torch", "numba", "polars", "sqlalchemy", "fastapi", "talib", "pandas", "pydantic", "structlog")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ktrdr.cli.app import main; from ktrdr.wiring import open_client;"
        f"main(open_client, ['--help']); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose strategy trains for minutes."""
    (tmp_path / "strategies").mkdir()
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    endless = text.replace("epochs: 60", "epochs: 100000").replace(
        "  early_stopping: {patience: 12, min_delta: 0.0005}\n", ""
    )
    assert "early_stopping" not in endless
    (tmp_path / "strategies" / "endless.yaml").write_text(endless, encoding="utf-8")
    command = [sys.executable, "-m", "ktrdr", "--home", str(tmp_path), "data", "import"]
    subprocess.run([*command, str(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")], check=True, capture_output=True)
    return tmp_path


def started(home: Path, *options: str) -> subprocess.Popen[str]:
    """A training that has reached its epochs."""
    command = [sys.executable, "-m", "ktrdr", "--home", str(home), "models", "train", "eurusd_momentum", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Training"):
            return process
    raise AssertionError("the training never reached its epochs")


def states(home: Path) -> list[str]:
    import sqlite3

    with sqlite3.connect(home / ".ktrdr" / "operations.db") as database:
        return [row[0] for row in database.execute("select status from operations")]


def test_ctrl_c_cancels_cleanly(home: Path) -> None:
    process = started(home)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Cancelling" in err
    assert "was cancelled; nothing was saved" in err
    assert "Traceback" not in out + err
    assert states(home) == ["cancelled"]
    assert not list((home / "models").glob("*/*_v*"))


def test_a_second_ctrl_c_leaves_at_once(home: Path) -> None:
    process = started(home)
    process.send_signal(signal.SIGSTOP)  # both signals wait for it together: no time to end in between
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_killed_training_leaves_no_half_model_and_the_next_one_works(home: Path) -> None:
    process = started(home)
    process.kill()
    process.communicate(timeout=60)
    text = (home / "strategies" / "endless.yaml").read_text().replace("epochs: 100000", "epochs: 1")
    (home / "strategies" / "endless.yaml").write_text(text)
    command = [sys.executable, "-m", "ktrdr", "--home", str(home), "models", "train", "eurusd_momentum", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(json.loads(done.stdout)["result"]["model_path"]).name == "EURUSD_1h_v1"
