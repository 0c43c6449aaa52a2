"""What the tests of bars share: the bundled files, the larger ones beside the checkout, and files made of bars."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.support import ROOT

from ktrdr.contracts.bars import Finding
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars

EXAMPLES = ROOT / "examples" / "data"
STOCKS = ("AAPL", "IBM", "MSFT", "GOOG")
Write = Callable[..., Path]
START = datetime(2017, 1, 2, tzinfo=UTC)
PRICES = "1.1,1.2,1.0,1.1,5"
SHARED = ROOT / ".." / "shared" / "data"


def example(name: str) -> Bars:
    """The bars of a bundled file, such as EURUSD_1h."""
    return read_bars(EXAMPLES / f"{name}.csv.gz")[0]


def large(name: str) -> Bars:
    """The bars of a file that only some checkouts have beside them."""
    path = SHARED / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"there is no {name} beside this checkout")
    return read_bars(path)[0]


def frame_of(bars: Bars) -> pl.DataFrame:
    """Bars as a table with naive UTC times."""
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    return pl.DataFrame({"time": pl.Series(bars.time).cast(pl.Datetime("us")), **columns})


def without(bars: Bars, rows: list[int]) -> Bars:
    """The bars but those rows."""
    keep = np.delete(np.arange(len(bars)), rows)
    arrays = (getattr(bars, name)[keep] for name in ("time", "open", "high", "low", "close", "volume"))
    return Bars(bars.symbol, bars.timeframe, bars.calendar, *arrays)


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    """The findings by their kind; each kind comes once."""
    found = {finding.check: finding for finding in findings}
    assert len(found) == len(findings)
    return found


def lines(form: str, *, count: int = 600, step: int = 60, prices: str = PRICES) -> list[str]:
    """Rows whose times are spelled as `form` (%s: seconds since 1970), `step` minutes apart."""
    stamps = [START + timedelta(minutes=step * row) for row in range(count)]
    seconds = [form.replace("%s", str(int(stamp.timestamp()))) for stamp in stamps]
    return [f"{stamp.strftime(one)},{prices}" for stamp, one in zip(stamps, seconds, strict=True)]


def text(form: str, heading: str | None = "time,open,high,low,close,volume", **options: object) -> str:
    return "\n".join([*([heading] if heading else []), *lines(form, **options)]) + "\n"  # type: ignore[arg-type]


def reading(path: Path, **options: object) -> tuple[Bars, dict[str, Finding]]:
    bars, findings = read_bars(path, **options)  # type: ignore[arg-type]
    return bars, by_check(findings)
