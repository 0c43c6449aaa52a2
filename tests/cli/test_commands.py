"""Every command as a user calls it, on real bars and a real embedded service: output, JSON, exit codes, errors."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.support import ROOT

from ktrdr.cli.app import main
from ktrdr.wiring import open_client

BARS = ROOT / "examples" / "data"
QUICK = "epochs: 60"


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Ktrdr = Callable[..., Done]


class Servers:
    """Real servers, each a process, one for a home; started when the home is first used."""

    def __init__(self) -> None:
        self._running: dict[Path, tuple[subprocess.Popen[str], str]] = {}

    def url(self, home: Path) -> str:
        """The server of that home."""
        if home not in self._running:
            command = [sys.executable, "-m", "ktrdr", "--home", str(home), "serve", "--port", "0"]
            process = subprocess.Popen([*command, "--isolation", "thread"], stderr=subprocess.PIPE, text=True)
            assert process.stderr is not None
            said = process.stderr.readline()
            assert "serves at" in said
            self._running[home] = process, said.partition("serves at ")[2].partition(";")[0]
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
        return self._running[home][1]

    def stop(self) -> None:
        """End all of them, as an operator would."""
        for process, _ in self._running.values():
            process.terminate()
        assert [process.wait(20) for process, _ in self._running.values()] == [0] * len(self._running)


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        process.stderr.read()


@pytest.fixture(scope="module", params=["embedded", "served"])
def servers(request: pytest.FixtureRequest) -> Iterator[Servers | None]:
    """Whom the commands talk to: None is the service embedded in the process."""
    if request.param == "embedded":
        yield None
        return
    started = Servers()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def home(servers: Servers | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with bars, a quick strategy and one trained model."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "strategies").mkdir()
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    (folder / "strategies" / "quick.yaml").write_text(text.replace(QUICK, "epochs: 2"), encoding="utf-8")
    files = [str(BARS / name) for name in ("EURUSD_1h.csv.gz", "IBM_1d.csv.gz")]
    for arguments in (["data", "import", *files], ["models", "train", "eurusd_momentum"]):
        named = ["--server", servers.url(folder)] if servers else []
        assert main(open_client, ["--home", str(folder), *named, *arguments]) == 0
    yield folder
    structlog.reset_defaults()


@pytest.fixture
def ktrdr(
    home: Path, servers: Servers | None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Ktrdr:
    monkeypatch.setenv("COLUMNS", "80")
    capfd.readouterr()

    def call(*arguments: str, at: Path | None = None) -> Done:
        named = ["--server", servers.url(at or home)] if servers else []
        code = main(open_client, ["--home", str(at or home), *named, *arguments])
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return call


@pytest.fixture
def embedded(servers: Servers | None) -> None:
    """For what is the business of whoever starts a server when there is one."""
    if servers is not None:
        pytest.skip("a server's own settings decide this")


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """A home to spoil."""
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    return tmp_path / "home"


COMMANDS = [
    ("models", "train"),
    ("models", "nulltest"),
    ("models", "list"),
    ("models", "show"),
    ("models", "test"),
    ("models", "predict"),
    ("models", "delete"),
    ("strategies", "list"),
    ("strategies", "show"),
    ("strategies", "validate"),
    ("strategies", "leakcheck"),
    ("strategies", "schema"),
    ("data", "import"),
    ("data", "import-series"),
    ("data", "list"),
    ("data", "show"),
    ("data", "check"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_json(ktrdr: Ktrdr, command: tuple[str, str]) -> None:
    done = ktrdr(*command, "--help")
    assert done.code == 0
    assert f"Example:  ktrdr {' '.join(command)}" in " ".join(done.out.split("\n")).replace("  ktrdr", "  ktrdr")
    assert "--json" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "list"),
        ("models", "show", "eurusd_momentum"),
        ("models", "test", "eurusd_momentum"),
        ("models", "predict", "eurusd_momentum", "--last", "3"),
        ("models", "train", "quick", "--dry-run"),
        ("models", "nulltest", "quick", "--walks", "1"),
        ("strategies", "list"),
        ("strategies", "show", "quick"),
        ("strategies", "validate", "quick"),
        ("strategies", "leakcheck", "quick", "--cuts", "2"),
        ("strategies", "show", "quick", "--plot"),
        ("strategies", "schema"),
        ("data", "list"),
        ("data", "show", "EURUSD", "1h"),
        ("data", "check"),
    ],
    ids=" ".join,
)
def test_every_command_speaks_to_people_and_to_programs(ktrdr: Ktrdr, arguments: tuple[str, ...]) -> None:
    spoken, written = ktrdr(*arguments), ktrdr(*arguments, "--json")
    assert (spoken.code, written.code) == (0, 0)
    assert spoken.out.strip()
    assert written.json()
    assert "Traceback" not in spoken.err + written.err


def test_a_training_ends_with_a_summary_that_says_what_to_do_next(ktrdr: Ktrdr, home: Path) -> None:
    done = ktrdr("models", "train", str(home / "strategies" / "quick.yaml"), "--seed", "3")
    assert done.code == 0
    for part in (
        "trained on",
        "EURUSD",
        "majority class",
        "last known label",
        "logistic regression",
        "recall",
        "worth",
    ):
        assert part in done.out
    proposed = rf"ktrdr --home {re.escape(str(home))} (--server http://\S+ )?models predict eurusd_momentum/EURUSD_1h_v"
    assert re.search(proposed, done.out)
    assert [line for line in done.err.splitlines() if line] == [
        "Runs local: auto is the default; no GPU is required, and local starts fastest.",
        "Preparing features and labels…",
        "Training…",
        "Judging and saving the model…",
    ]
    assert max(len(line) for line in done.out.splitlines() if "│" in line or "─" in line) <= 80


def test_a_training_as_json_is_the_whole_operation(ktrdr: Ktrdr) -> None:
    done = ktrdr("models", "train", "quick", "--json", "--seed", "9", "--start-date", "2017-02-01")
    operation = done.json()
    assert done.code == 0
    assert operation["status"] == "completed"
    assert operation["result"]["provenance"]["seed"] == 9
    assert operation["request"]["strategy"]["training_data"]["start_date"].startswith("2017-02-01")
    assert Path(operation["result"]["model_path"]).is_dir()
    assert operation["result"]["data_summary"]["test_evaluations"] >= 1


def test_a_null_test_is_an_operation_that_keeps_no_model(ktrdr: Ktrdr, home: Path) -> None:
    before = sorted(path.name for path in (home / "models" / "eurusd_momentum").iterdir())
    done = ktrdr("models", "nulltest", "quick", "--walks", "2", "--seed", "5", "--json")
    assert done.code == 0
    operation = done.json()
    assert (operation["type"], operation["status"]) == ("null_test", "completed")
    assert operation["result"]["model_path"] is None
    null = operation["result"]["test_metrics"]["null_test"]
    assert [walk["number"] for walk in null["each"]] == [1, 2]
    assert {"net_sharpe", "balanced_accuracy"} <= set(null["scores"])
    assert sorted(path.name for path in (home / "models" / "eurusd_momentum").iterdir()) == before
    assert not list((home / ".ktrdr").rglob(f"*{operation['operation_id']}*notes*"))
    told = ktrdr("operations", "list").out
    assert "null test" in told


def test_a_strategy_that_has_a_model_says_so(ktrdr: Ktrdr) -> None:
    """In the list, for people and for programs."""
    listed = json.loads(ktrdr("strategies", "list", "--json").out)["strategies"]
    assert {one["name"]: one["trained"] for one in listed}["eurusd_momentum"] is True
    assert "trained" in ktrdr("strategies", "list").out


def test_a_dry_run_does_nothing(ktrdr: Ktrdr, home: Path) -> None:
    before = sorted(path.name for path in (home / "models" / "eurusd_momentum").iterdir())
    done = ktrdr("models", "train", "quick", "--dry-run", "--end-date", "2017-07-01")
    assert done.code == 0
    assert "nothing was started" in done.out
    assert "2017-07-01" in done.out
    assert sorted(path.name for path in (home / "models" / "eurusd_momentum").iterdir()) == before


def test_testing_a_model_reproduces_its_test(ktrdr: Ktrdr) -> None:
    assert "reproduced" in ktrdr("models", "test", "eurusd_momentum/EURUSD_1h_v1").out
    elsewhere = ktrdr("models", "test", "eurusd_momentum", "--start-date", "2017-03-01", "--end-date", "2017-04-01")
    assert elsewhere.code == 0
    assert "trained" in elsewhere.out


def test_a_model_can_judge_another_symbol_of_its_timeframe_and_not_of_another(ktrdr: Ktrdr) -> None:
    done = ktrdr("models", "test", "eurusd_momentum", "--symbols", "IBM")
    assert done.code == 1
    assert "no 1h bars of IBM" in done.err


def test_signals_go_to_a_file(ktrdr: Ktrdr, tmp_path: Path) -> None:
    done = ktrdr("models", "predict", "eurusd_momentum", "--start-date", "2017-12-01", "--csv", str(tmp_path / "s.csv"))
    assert done.code == 0
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == "symbol,time,known,signal,confidence,BUY,HOLD,SELL,is_event"
    assert len(lines) > 400
    assert ktrdr("models", "predict", "eurusd_momentum", "--csv", str(tmp_path / "no" / "s.csv")).code == 1


def test_deleting_asks_and_moves_the_link(ktrdr: Ktrdr, copy: Path) -> None:
    refused = ktrdr("models", "delete", "eurusd_momentum/EURUSD_1h_v1", at=copy)
    assert refused.code == 2
    assert "--yes" in refused.err
    done = ktrdr("models", "delete", "eurusd_momentum/EURUSD_1h_v1", "--yes", at=copy)
    assert done.code == 0
    assert ktrdr("models", "show", "eurusd_momentum/EURUSD_1h_v1", at=copy).code == 1


def test_a_strategy_with_mistakes_is_told_line_by_line(ktrdr: Ktrdr, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("period: 14}", "perod: 14}", 1).replace("optimizer: adam", "optimizer: adm"))
    for arguments in (("strategies", "validate"), ("models", "train")):
        done = ktrdr(*arguments, str(file))
        assert done.code == 1
        assert "2 mistakes" in done.err
        assert "did you mean period?" in " ".join(done.err.split())
        assert "Traceback" not in done.err
    error = ktrdr("models", "train", str(file), "--json").json()["error"]
    assert error["code"] == "invalid_strategy"
    assert [problem["path"] for problem in error["problems"]] == ["indicators.rsi_14.perod", "training.optimizer"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("models", "train", "nothing"), "there is no strategy nothing"),
        (("models", "train", "quick", "--symbols", "USDJPY"), "no 1h bars of USDJPY"),
        (("models", "train", "quick", "--symbols", "EUR/USD"), "EURUSD"),
        (("models", "train", "quick", "--symbols", "../x"), "does not fit the strategy"),
        (("models", "train", "quick", "--timeframes", "7x"), "not a timeframe"),
        (("models", "train", "quick", "--end-date", "2017-02-01"), "import more bars"),
        (("models", "train", "quick", "--start-date", "2031-01-01"), "EURUSD"),
        (("models", "train", "quick", "--mode", "host", "--require-gpu"), "no host service is registered"),
        (("models", "train", "quick", "--mode", "moon"), "no execution mode"),
        (("models", "train", "quick", "--require-gpu"), "GPU"),
        (("models", "show", "nothing"), "nothing"),
        (("models", "test", "../../etc"), "etc"),
        (("models", "predict", "eurusd_momentum", "--start-date", "2031-01-01"), "no bar of the range"),
        (("strategies", "show", "nothing.yaml"), "no strategy file"),
        (("data", "show", "USDJPY", "1h"), "ktrdr data import"),
        (("data", "show", "../x", "1h"), "symbol"),
        (("data", "import", "nothing.csv"), "no file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_failure_is_one_clear_message(ktrdr: Ktrdr, arguments: tuple[str, ...], said: str) -> None:
    done, written = ktrdr(*arguments), ktrdr(*arguments, "--json")
    assert (done.code, written.code) == (1, 1)
    assert said in done.err
    assert "Traceback" not in done.err
    assert written.json().get("error", {}).get("message")


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "train"),
        ("models", "train", "quick", "--start-date", "soon"),
        ("models", "train", "quick", "--seed", "-1"),
        ("models", "nonsense"),
        ("data", "import-series", "a.csv"),
        ("data", "import", "a.csv", "b.csv", "--symbol", "X"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_two(ktrdr: Ktrdr, arguments: tuple[str, ...]) -> None:
    done = ktrdr(*arguments)
    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("embedded")
def test_a_models_folder_that_cannot_be_written_costs_nothing(ktrdr: Ktrdr, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = ktrdr("models", "train", "quick", "--models-dir", str(tmp_path / "file" / "models"))
    assert done.code == 1
    assert "cannot store models" in done.err
    assert "Training…" not in done.err


@pytest.mark.usefixtures("embedded")
def test_models_can_lie_elsewhere(ktrdr: Ktrdr, tmp_path: Path) -> None:
    assert ktrdr("models", "train", "quick", "--models-dir", str(tmp_path / "m")).code == 0
    assert "eurusd_momentum/EURUSD_1h_v1" in ktrdr("models", "list", "--models-dir", str(tmp_path / "m")).out


@pytest.mark.usefixtures("embedded")
def test_an_empty_home_says_where_to_begin(ktrdr: Ktrdr, tmp_path: Path) -> None:
    for arguments, said in (
        (("models", "list"), "ktrdr models train"),
        (("strategies", "list"), "strategies/"),
        (("data", "list"), "ktrdr data import"),
    ):
        done = ktrdr(*arguments, at=tmp_path)
        assert (done.code, said in done.out) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_same_bars_again_is_fine_and_other_ones_need_replace(ktrdr: Ktrdr, copy: Path) -> None:
    same = ktrdr("data", "import", str(BARS / "IBM_1d.csv.gz"), at=copy)
    assert same.code == 0
    other = ("data", "import", str(BARS / "MSFT_1d.csv.gz"), "--symbol", "IBM")
    assert "--replace" in ktrdr(*other, at=copy).err
    assert ktrdr(*other, "--replace", at=copy).code == 0


def test_a_damaged_model_is_not_used(ktrdr: Ktrdr, copy: Path) -> None:
    file = copy / "models" / "eurusd_momentum" / "EURUSD_1h_v1" / "model_full.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = ktrdr("models", "predict", "eurusd_momentum/EURUSD_1h_v1", at=copy)
    assert done.code == 1
    assert "model_full.pt" in done.err


@pytest.mark.usefixtures("embedded")
def test_log_lines_carry_the_operation_and_stay_out_of_the_output(ktrdr: Ktrdr, home: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "train.jsonl"
    done = ktrdr(
        "--log-level", "DEBUG", "--log-format", "json", "--log-file", str(log), "models", "train", "quick", "--json"
    )
    operation = done.json()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if line["event"].startswith("Step ")]
    assert len(steps) == 12
    assert {line["operation_id"] for line in steps} == {operation["operation_id"]}
    assert steps[0]["event"] == "Step 1/12: Loading market data"
    assert (steps[0]["level"], any(line["level"] == "debug" for line in lines)) == ("info", True)


@pytest.mark.usefixtures("embedded")
def test_a_wrong_setting_stops_the_start_with_a_sentence(ktrdr: Ktrdr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_DEVICE", "abacus")
    done = ktrdr("models", "list")
    assert done.code == 1
    assert "KTRDR_DEVICE" in done.err


def test_version_and_no_arguments(ktrdr: Ktrdr) -> None:
    assert ktrdr("--version").out.startswith("ktrdr ")
    assert os.environ["COLUMNS"] == "80"


def test_other_series_from_what_is_missing_to_a_plan(ktrdr: Ktrdr, copy: Path, tmp_path: Path) -> None:
    """Validation names the series with the command; typed, it is there; the file is the client's own."""
    text = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")
    fear = "context_data: [{series: [vix]}]\nindicators:\n  fear: {type: sma, data_source: vix}\n"
    text = text.replace("indicators:\n", fear)
    text = text.replace("{mode: single, timeframe: 1h}", "{mode: multi_timeframe, list: [1h, 4h]}")
    file, values = tmp_path / "fear.yaml", tmp_path / "VIXCLS.csv"
    file.write_text(text.replace("nn_inputs:\n", "nn_inputs:\n  - {raw_indicator: fear}\n"))
    days = [f"2017-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    values.write_text("date,value\n" + "".join(f"{day},{row % 9}\n" for row, day in enumerate(days)))
    said = ktrdr("strategies", "validate", str(file), at=copy).out
    assert "import-series FILE --name vix --lag 1d" in " ".join(said.split())
    assert "no series vix" in ktrdr("models", "train", str(file), "--dry-run", at=copy).err
    done = ktrdr("data", "import-series", str(values), "--name", "vix", "--lag", "1d", at=copy)
    assert "vix 1d imported from VIXCLS.csv: 336 values, 2017-01-03 to 2017-12-30, lag 1d" in done.out
    assert "notice" not in ktrdr("strategies", "validate", str(file), at=copy).out
    shown = ktrdr("strategies", "show", str(file), at=copy).out
    assert "fear of vix" in shown
    assert shown.index("1h_fear_raw") < shown.index("4h_rsi_oversold")
    plan = ktrdr("models", "train", str(file), "--dry-run", "--json", at=copy).json()
    assert plan["resampled"] == {"EURUSD 4h": "1h"}
    assert set(plan["bars"]) == {"EURUSD 1h", "EURUSD 4h", "vix"}
    assert "4h is resampled from 1h" in " ".join(plan["notices"])
    assert "lag 1d" in ktrdr("data", "list", at=copy).out
    assert ktrdr("data", "check", "vix", at=copy).code == 0
