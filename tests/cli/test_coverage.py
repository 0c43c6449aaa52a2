"""Memberships over the training rows: in a terminal of 80 columns, as a picture, as JSON; the schema for editors."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.fake_client import FakeClient, opening

from ktrdr.cli.app import main
from ktrdr.cli.coverage import BLOCKS, _axis, _bars, _round_numbers, plot

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_plots_fit_a_terminal_and_say_how_often_each_fires(capsys: Captured) -> None:
    client = FakeClient()
    assert main(opening(client), ["strategies", "show", "momentum", "--plot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    assert "momentum: 2,568 training rows of EURUSD 1h, 2017-01-01 to 2017-07-20" in text
    assert "1h_rsi reads rsi_14: covers 50.0 % of the rows, 0.0 % by two or more" in text
    assert next(line.split()[1:] for line in lines if line[:1] == "1" and "triangular" in line) == [
        *("low", "triangular", "[0,", "0,", "50]", "50.0", "%", "0.200", "0.800")
    ]
    assert "notice: 1h_rsi_high[est] never fires on the training rows" in text
    assert client.asked["coverage"]["strategy_name"] == "momentum"


def test_a_plot_shows_curves_and_rows() -> None:
    """Numbers stand above the tops, ends of curves at 0 and 1, rows where they are, and round numbers below."""
    lines = [line.plain for line in plot(FakeClient().covered.sets[0])]
    assert lines[0].index("1") == 5
    assert lines[0].index("2") == 5 + 63
    assert lines[1].startswith("1.0 ┤⠉")
    assert lines[1][5 + 63] in "⠊⠉⠁"
    assert lines[9].startswith("0.0 ┤")
    assert set(lines[10][5 : 5 + 16]) == {" "}
    assert lines[11][5 + 16 : 5 + 20] == "▁█▂ "
    assert [lines[13].split()[place] for place in (0, -1)] == ["0", "100"]


def test_a_strategy_given_as_a_file_is_sent_as_text(capsys: Captured, tmp_path: Path) -> None:
    """So that a server plots a file that lies here."""
    (tmp_path / "mine.yaml").write_text("name: mine")
    client = FakeClient()
    assert main(opening(client), ["strategies", "show", str(tmp_path / "mine.yaml"), "--plot", "--json"]) == 0
    assert client.asked["coverage"]["strategy_text"] == "name: mine"
    assert json.loads(capsys.readouterr().out) == client.covered.model_dump(mode="json")


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")])
def test_a_picture_is_drawn_into_the_file(suffix: str, begins: bytes, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / f"sets{suffix}"
    assert main(opening(FakeClient()), ["strategies", "show", "momentum", "--output", str(path)]) == 0
    assert path.read_bytes().startswith(begins)
    assert "2 plots were drawn into" in capsys.readouterr().out


def test_a_picture_that_cannot_be_drawn_is_a_sentence(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ending that is no picture's, nothing to draw, a folder that is not there, and no matplotlib."""
    command = ["strategies", "show", "momentum", "--output"]
    assert main(opening(FakeClient()), [*command, "sets.gif"]) == 2
    assert "write a name that ends in .png" in capsys.readouterr().err
    raw = FakeClient()
    raw.covered = raw.covered.model_copy(update={"sets": []})
    assert main(opening(raw), [*command, str(tmp_path / "a.png")]) == 1
    assert "reads no fuzzy set" in capsys.readouterr().err
    assert main(opening(FakeClient()), [*command, str(tmp_path / "nowhere" / "a.png")]) == 1
    assert "cannot write" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(opening(FakeClient()), [*command, str(tmp_path / "a.png")]) == 1
    assert "pip install 'ktrdr[plot]'" in capsys.readouterr().err


def test_a_strategy_without_fuzzy_sets_says_so(capsys: Captured) -> None:
    client = FakeClient()
    client.covered = client.covered.model_copy(update={"sets": [], "notices": []})
    assert main(opening(client), ["strategies", "show", "momentum", "--plot"]) == 0
    assert "all of its inputs are raw" in capsys.readouterr().out


def test_inputs_are_shown_in_their_order(capsys: Captured) -> None:
    assert main(opening(FakeClient()), ["strategies", "show", "momentum"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()[:1] in ("1", "2")]
    assert rows == [
        ["1", "1h_rsi_low", "rsi_14", "triangular", "[0,", "0,", "40]"],
        ["2", "1h_atr_24_raw", "atr_24", "raw,", "zscore"],
    ]


def test_the_schema_goes_to_the_screen_or_into_a_file(capsys: Captured, tmp_path: Path) -> None:
    assert main(opening(FakeClient()), ["strategies", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == {"title": "KTRDR strategy"}
    path = tmp_path / "schema.json"
    assert main(opening(FakeClient()), ["strategies", "schema", "--output", str(path)]) == 0
    assert json.loads(path.read_text()) == {"title": "KTRDR strategy"}
    assert "was written to" in capsys.readouterr().out
    assert main(opening(FakeClient()), ["strategies", "schema", "--output", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": str(path)}
    assert main(opening(FakeClient()), ["strategies", "schema", "--output", str(tmp_path / "no" / "a.json")]) == 1
    assert "cannot write" in capsys.readouterr().err


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6), st.integers(20, 80))
def test_the_axis_has_a_few_round_numbers(low: float, spread: float, width: int) -> None:
    """Two to seven of them, none of them outside, and the lines as long as the plot is wide."""
    high = low + spread
    numbers = _round_numbers(low, high)
    assert 1 <= len(numbers) <= 7
    assert all(low - 1e-9 * abs(low) <= number <= high + 1e-9 * abs(high) for number in numbers)
    assert [len(line) for line in _axis(low, high, width)] == [width, width]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=64).filter(any))
def test_bars_are_as_high_as_their_counts(counts: list[int]) -> None:
    """A bin without rows is empty, any row shows, the highest is full, and more rows are never lower."""
    heights = [BLOCKS.index(upper) + BLOCKS.index(lower) for upper, lower in zip(*_bars(counts), strict=True)]
    assert all((height > 0) == (count > 0) for height, count in zip(heights, counts, strict=True))
    assert heights[counts.index(max(counts))] == 16
    ordered = sorted(zip(counts, heights, strict=True))
    assert [height for _, height in ordered] == sorted(heights)
