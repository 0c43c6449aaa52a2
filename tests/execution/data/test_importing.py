"""Import: symbol, timeframe and calendar are detected, and the same bars come out of every kind of file."""

from pathlib import Path

import polars as pl
import pytest
from tests.execution.data.bar_files import Write, example, frame_of, lines, reading, text, without

from ktrdr.errors import InvalidName, InvalidRequest
from ktrdr.execution.data.importing import read_bars, symbol_of


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("EURUSD_1h.csv", "EURUSD"),
        ("EURUSD_1H.CSV.GZ", "EURUSD"),
        ("EURUSD-1h-2017.csv", "EURUSD"),
        ("BTC-USD.csv", "BTC-USD"),
        ("BTC-USD_1d.parquet", "BTC-USD"),
        ("BRK.B_1d.csv", "BRK.B"),
        ("^GSPC 15m.tsv", "^GSPC"),
        ("ES=F.pq", "ES=F"),
        ("1d.csv", "1d"),
    ],
)
def test_symbols_of_file_names(name: str, symbol: str) -> None:
    assert symbol_of(Path(name)) == symbol


def test_a_file_name_that_is_no_symbol_asks_for_one(write: Write) -> None:
    path = write(text("%Y-%m-%d %H:%M"), "my bars (2).csv")
    with pytest.raises(InvalidName, match="my bars"):
        read_bars(path)
    assert read_bars(path, symbol="EURUSD")[0].symbol == "EURUSD"


@pytest.mark.parametrize(
    ("minutes", "name"), [(1, "1m"), (5, "5m"), (60, "1h"), (240, "4h"), (1_440, "1d"), (10_080, "1w"), (43_200, "1M")]
)
def test_the_commonest_step_is_the_timeframe(write: Write, minutes: int, name: str) -> None:
    rows = lines("%Y-%m-%d %H:%M", step=minutes, count=50)
    del rows[20:23], rows[30]
    path = write("\n".join(["time,open,high,low,close,volume", *rows]), "X.csv")
    assert reading(path)[0].timeframe.name == name


def test_a_timeframe_that_cannot_be_is_refused_and_another_name_is_told(write: Write) -> None:
    with pytest.raises(InvalidRequest, match="say --timeframe, such as 1h"):
        read_bars(write(text("%Y-%m-%d %H:%M", step=7)))
    path = write(text("%Y-%m-%d %H:%M", step=5))
    with pytest.raises(InvalidRequest, match="5m apart, so they are no 1h bars"):
        read_bars(path, timeframe="1h")
    bars, findings = reading(path)
    assert bars.timeframe.name == "5m"
    assert "file's name says 1h" in findings["timeframe"].message
    assert reading(write(text("%Y-%m-%d %H:%M"), "X.csv"), timeframe="1m")[0].timeframe.name == "1m"


def test_prices_follow_an_adjusted_close(write: Write) -> None:
    """A split of 2 between two days of one price vanishes, and all four prices keep their proportions."""
    rows = ["2017-01-02,100,104,98,102,7,51", "2017-01-03,51,52,49,50,7,50", "2017-01-04,50,52,49,50,7,50"]
    path = write("\n".join(["Date,Open,High,Low,Close,Volume,Adj Close", *rows]), "X.csv")
    bars, findings = reading(path)
    assert bars.open.tolist() == [50, 51, 50]
    assert bars.high.tolist() == [52, 52, 52]
    assert bars.close.tolist() == [51, 50, 50]
    assert (findings["adjusted"].count, findings["adjusted"].severity) == (1, "info")


def test_calendars_are_detected(tmp_path: Path, write: Write) -> None:
    assert example("EURUSD_1h").calendar == "fx"
    assert example("AAPL_1d").calendar == "XNYS"
    assert reading(write(text("%Y-%m-%d %H:%M"), "BTCUSD_1h.csv"))[0].calendar == "24/7"
    hourly = frame_of(example("EURUSD_1h"))
    for every, name in (("4h", "EURUSD_4h"), ("1d", "EURUSD_1d")):
        coarse = hourly.group_by_dynamic("time", every=every).agg(
            pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last()
        )
        coarse.write_csv(tmp_path / f"{name}.csv")
        assert reading(tmp_path / f"{name}.csv")[0].calendar == "fx"
        if every == "1d":  # without the Sundays, holidays of New York's exchanges still tell
            coarse.filter(pl.col("time").dt.weekday() <= 5).write_csv(tmp_path / f"{name}.csv")
            assert reading(tmp_path / f"{name}.csv")[0].calendar == "fx"


def test_every_way_round_gives_the_same_bars(tmp_path: Path) -> None:
    """CSV or Parquet, texts or stamps, with a zone or without, shuffled: one digest."""
    bars = without(example("EURUSD_1h"), [5, 6, 100])
    frame = frame_of(bars)
    frame.write_csv(tmp_path / "a_1h.csv")
    frame.write_parquet(tmp_path / "b_1h.parquet")
    frame.with_columns(pl.col("time").dt.replace_time_zone("UTC")).write_parquet(tmp_path / "c_1h.parquet")
    frame.with_columns(pl.col("time").dt.epoch("ms")).sample(fraction=1, shuffle=True, seed=1).write_csv(
        tmp_path / "d_1h.csv"
    )
    digests = {read_bars(path, symbol="EURUSD")[0].digest() for path in tmp_path.iterdir()}
    assert digests == {bars.digest()}
