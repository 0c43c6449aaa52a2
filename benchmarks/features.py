"""The features of the bundled strategy against the bare TA-Lib calls behind them, and the memory that they take.

Seconds are those of the processor: a call takes a few milliseconds, and a neighbour that is let in between would count.

python -m benchmarks features
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import talib
import torch

from benchmarks.measure import Ratio, interleaved, show
from ktrdr.execution.data.bars import PRICES, Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.features.builder import FeatureBuilder, Series
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.engine import IndicatorEngine
from ktrdr.execution.strategy.reading import read_strategy

ROOT = Path(__file__).parents[1]
COUNTS = (74_439, 1_000_000)
HOUR = 3_600_000_000


def long_bars(count: int) -> Bars:
    """The bundled hours laid end to end, each year beginning at the last one's end."""
    year = read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]
    before = np.concatenate([year.open[:1], year.close[:-1]])
    shapes = {name: np.resize(np.log(getattr(year, name) / before), count) for name in PRICES}
    start = np.concatenate([[0.0], np.cumsum(shapes["close"])[:-1]])
    prices = {name: year.open[0] * np.exp(start + shape) for name, shape in shapes.items()}
    time = year.time[0] + np.arange(count) * HOUR
    return Bars(year.symbol, year.timeframe, "24/7", time, *prices.values(), np.resize(year.volume, count))


def features() -> FeatureBuilder:
    strategy = read_strategy((ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8"), "bundled")
    return FeatureBuilder(tuple(strategy.columns()), IndicatorEngine(strategy.indicators), FuzzyEngine())


def series(bars: Bars) -> Series:
    return Series(symbol=bars.symbol, base_timeframe="1h", bars={"1h": bars})


def bare(bars: Bars) -> None:
    """What one would write by hand: the calls for the outputs that the strategy reads, and nothing around them."""
    range_ = bars.high, bars.low, bars.close
    talib.RSI(bars.close, 14)
    talib.ADX(*range_, 14)
    talib.MACD(bars.close, 12, 26, 9)
    talib.STOCH(*range_, 14, 3, 0, 3, 0)
    talib.ROC(bars.close, 24)
    talib.ATR(*range_, 24)


def ratios(count: int) -> list[Ratio]:
    builder, market = features(), series(long_bars(count))
    against = seconds_of(lambda: bare(market.base), count)
    return [
        interleaved(f"{name}, {count:,} bars", seconds_of(run, count), "bare TA-Lib calls", against, seconds=40.0)
        for name, run in (
            ("indicators", lambda: builder.indicators(market)),
            ("whole build", lambda: builder.build(market)),
        )
    ]


def seconds_of(run: Callable[[], object], count: int) -> Callable[[], float]:
    """The processor's seconds of one call, the mean of so many calls that they see a million bars."""
    times = max(1, 1_000_000 // count)

    def timed() -> float:
        begun = time.process_time()
        for _ in range(times):
            run()
        return (time.process_time() - begun) / times

    return timed


def memory(count: int) -> float:
    """The peak memory of a build over the size of its matrix, in a process of its own."""
    with TemporaryDirectory() as folder:
        bars = long_bars(count)
        for name in ("time", *PRICES, "volume"):
            np.save(Path(folder) / name, getattr(bars, name))
        command = [sys.executable, "-m", "benchmarks.features", folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak(folder: Path) -> float:
    columns = [np.load(folder / f"{name}.npy") for name in ("time", *PRICES, "volume")]
    year = long_bars(100)
    builder = features()
    builder.build(series(year))  # what is loaded once
    bars = Bars(year.symbol, year.timeframe, year.calendar, *columns)
    before = high_water()
    matrix = builder.build(series(bars))
    return (high_water() - before) / matrix.values.nbytes


def high_water() -> int:
    """The most memory that this process has had, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def main() -> None:
    torch.set_num_threads(1)
    rows = [row for count in COUNTS for row in ratios(count)]
    notes = {f"peak memory over the matrix's, {count:,} bars": round(memory(count), 2) for count in COUNTS}
    show("features", rows, notes)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(peak(Path(sys.argv[1])))
    else:
        main()
