"""Timeframes are read in every spelling, ordered by length, and close when a bar of them may be seen."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.errors import InvalidRequest
from ktrdr.execution.data.bars import instant, microseconds
from ktrdr.execution.data.timeframes import Timeframe, bar_closes, parse_timeframe


def close(stamp: str, timeframe: str, calendar: str) -> str:
    opens = np.array([microseconds(datetime.fromisoformat(stamp).replace(tzinfo=UTC))], dtype=np.int64)
    return f"{instant(bar_closes(opens, parse_timeframe(timeframe), calendar)[0]):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "name", "seconds"),
    [
        ("5m", "5m", 300),
        ("5M", "5M", None),
        ("1m", "1m", 60),
        ("1M", "1M", None),
        ("1mo", "1M", None),
        ("1H", "1h", 3_600),
        (" 4h ", "4h", 14_400),
        ("1D", "1d", 86_400),
        ("1W", "1w", 604_800),
        ("15min", "15m", 900),
        ("day", "1d", 86_400),
    ],
)
def test_spellings(text: str, name: str, seconds: int | None) -> None:
    """Case matters between minute and month alone."""
    assert parse_timeframe(text) == Timeframe(name, seconds)


@pytest.mark.parametrize("text", ["", "h1x", "0m", "-1h", "1y", "1.5h", "1h/..", "1000h", "m5"])
def test_other_spellings_are_refused_with_the_right_ones(text: str) -> None:
    with pytest.raises(InvalidRequest, match="write 1m, 5m"):
        parse_timeframe(text)


def test_order_is_by_length() -> None:
    names = ["1M", "1w", "1m", "4h", "1d", "1h", "5m"]
    ordered = [one.name for one in sorted(map(parse_timeframe, names))]
    assert ordered == ["1m", "5m", "1h", "4h", "1d", "1w", "1M"]


@pytest.mark.parametrize(
    ("stamp", "timeframe", "calendar", "expected"),
    [
        ("2017-03-10 21:00", "1h", "fx", "2017-03-10 22:00"),
        ("2017-01-02 00:00", "1d", "24/7", "2017-01-03 00:00"),
        ("2017-01-03 00:00", "1d", "XNYS", "2017-01-04 00:00"),  # the session ended at 21:00 before
        ("2017-01-02 00:00", "1d", "fx", "2017-01-03 00:00"),
        ("2017-01-02 22:00", "1d", "fx", "2017-01-03 22:00"),  # 17:00 to 17:00 New York, winter
        ("2017-07-03 21:00", "1d", "fx", "2017-07-04 21:00"),  # and summer
        ("2017-11-04 21:00", "1d", "fx", "2017-11-05 22:00"),  # 25 hours: the clock went back in between
        ("2017-01-01 00:00", "1w", "24/7", "2017-01-08 00:00"),
        ("2017-02-01 00:00", "1M", "24/7", "2017-03-01 00:00"),
        ("2016-02-01 00:00", "1M", "fx", "2016-03-01 00:00"),
    ],
)
def test_closes(stamp: str, timeframe: str, calendar: str, expected: str) -> None:
    """Open plus length; of FX days the later of that and 17:00 New York."""
    assert close(stamp, timeframe, calendar) == expected


@given(
    st.lists(st.integers(0, 4_000_000_000), unique=True, max_size=30),
    st.sampled_from(["1m", "1h", "4h", "1d", "1w", "1M"]),
    st.sampled_from(["fx", "24/7", "XNYS"]),
)
def test_no_bar_closes_before_its_length_and_order_stays(seconds: list[int], timeframe: str, calendar: str) -> None:
    opens = np.array(sorted(seconds), dtype=np.int64) * 1_000_000
    length = parse_timeframe(timeframe)
    closes = bar_closes(opens, length, calendar)
    assert closes.dtype == np.int64
    assert (np.diff(closes) >= 0).all()
    assert (closes - opens >= (length.seconds or 28 * 86_400) * 1_000_000).all()
