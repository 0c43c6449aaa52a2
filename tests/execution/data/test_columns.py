"""Columns: headings, separators and encodings of every kind, and a sentence for a file that is no table of bars."""

import gzip
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.data.bar_files import (
    START,
    Write,
    reading,
    text,
)

from ktrdr.errors import DataRefused, KtrdrError
from ktrdr.execution.data import columns
from ktrdr.execution.data.bars import instant
from ktrdr.execution.data.importing import read_bars


@pytest.mark.parametrize(
    "heading",
    [
        "Gmt time,Open,High,Low,Close,Volume",
        "DATETIME,OPEN,HIGH,LOW,CLOSE,VOL",
        "timestamp,o,h,l,c,v",
        "timestamp,1. open,2. high,3. low,4. close,5. volume",
        '"Open Time","Open Price","High Price","Low Price","Close Price","Tick Volume"',
        " Date , Open , High , Low , Close , Volume ",
        None,
    ],
)
def test_headings(write: Write, heading: str | None) -> None:
    bars, findings = reading(write(text("%Y-%m-%d %H:%M", heading)))
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (1.1, 1.2, 1.0, 1.1, 5.0)
    assert findings == {}


@pytest.mark.parametrize(
    ("form", "heading"),
    [
        ("%Y.%m.%d,%H:%M:%S", "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<TICKVOL>"),
        ("%Y.%m.%d,%H:%M", None),
        ("%Y%m%d,%H%M%S", "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"),
        ("%Y%m%d,%H%M", None),
        ("%d/%m/%Y,%H:%M", "Date,Time,Open,High,Low,Close,Volume"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_date_and_a_time_of_day(write: Write, form: str, heading: str | None, separator: str) -> None:
    """As MetaTrader writes them, with a heading or without."""
    bars, _ = reading(write(text(form, heading).replace(",", separator)))
    assert (instant(bars.time[0]), instant(bars.time[-1])) == (START, START + timedelta(hours=599))
    assert bars.volume[0] == 5.0


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: gzip.compress(text.encode()),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: ("\n" + text + "\n\n,,,,,\n").encode(),
    ],
    ids=["utf-16", "utf-8 with a mark", "gzip", "crlf", "blank lines"],
)
def test_encodings(write: Write, encode: Callable[[str], bytes]) -> None:
    plain = text("%Y-%m-%d %H:%M")
    bars, findings = reading(write(encode(plain)))
    assert bars.digest() == reading(write(plain, "EURUSD.csv"))[0].digest()
    assert findings == {}


@pytest.mark.parametrize(
    ("content", "name", "saying"),
    [
        (b"", "X.csv", "no rows"),
        (b"\n\n\n", "X.csv", "no rows"),
        (b"time,open,high,low,close\n", "X.csv", "no rows"),
        (b"a,b\n1,2\n", "X.csv", "no column for time, open, high, low, close"),
        (b"1,2\n1,2\n", "X.csv", "2 columns and no heading"),
        (b"\x00\x01\xff\xfe\xff", "X.csv", "cannot be read"),
        (b"\x1f\x8bgarbage", "X.csv.gz", "cannot be read"),
        pytest.param(gzip.compress(b"time,open\n" * 1_000)[:-9], "X.csv.gz", "cannot be read", id="cut gzip"),
        (b"PAR1garbage", "X.parquet", "cannot be read"),
        (b"time,open,high,low,close\n2017-01-01,1,1,1,1\n", "X.csv", "1 usable bars"),
        (b"time,open,high,low,close\n2017-01-01,1e3,1e3,1e3,1x\n", "X.csv", "close.*'1x'"),
        (b'time,open,high,low,close\n2017-01-01,"1,000",1,1,1\n', "X.csv", "mark for thousands"),
    ],
)
def test_files_that_are_no_bars_are_refused_in_a_sentence(write: Write, content: bytes, name: str, saying: str) -> None:
    with pytest.raises(DataRefused, match=saying):
        read_bars(write(content, name))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="there is no file"):
        read_bars(tmp_path / "nothing.csv")
    with pytest.raises(DataRefused, match="cannot be read"):
        read_bars(tmp_path)


@settings(max_examples=80)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_import(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("files") / "X_1h.csv"
    path.write_bytes(content)
    with pytest.raises(KtrdrError):
        read_bars(path)


@settings(max_examples=80)
@given(st.lists(st.sampled_from(["1", "1.5", "", "x", "2017-01-02", "2017-01-03", "NaN", "-1", "inf", '"', "é"])))
def test_no_cells_break_the_import(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    path = tmp_path_factory.mktemp("files") / "X.csv"
    rows = [",".join(cells[at : at + 5]) for at in range(0, len(cells), 5)]
    path.write_text("\n".join(["time,open,high,low,close", *rows]), encoding="utf-8")
    try:
        bars, _ = read_bars(path)
    except KtrdrError:
        return
    assert (np.diff(bars.time) > 0).all()
    assert (bars.low > 0).all()


def test_what_is_large_once_it_is_unpacked_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small upload may hide more than fits into memory."""
    monkeypatch.setattr(columns, "MOST_BYTES", 10_000)
    monkeypatch.setattr(columns, "MOST_ROWS", 10)
    with pytest.raises(DataRefused, match="more than 10,000 bytes once it is unpacked"):
        read_bars(write(gzip.compress(b"time,open\n" * 10_000), "X.csv.gz"))
    table = io.BytesIO()
    pl.DataFrame({"time": range(11)}).write_parquet(table)
    with pytest.raises(DataRefused, match="11 rows: import at most 10"):
        read_bars(write(table.getvalue(), "X.parquet"))
