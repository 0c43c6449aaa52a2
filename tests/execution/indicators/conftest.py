"""The bars that indicators are held against their oracles on."""

import numpy as np
import pytest
from tests.execution.indicators.market import traded_bars
from tests.support import ROOT

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars


@pytest.fixture(scope="module")
def bars() -> Bars:
    """A real year of hours, with volumes by chance as the file has none."""
    real = read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]
    volume = np.round(traded_bars(1, len(real)).volume)
    return Bars(
        real.symbol, real.timeframe, real.calendar, real.time, real.open, real.high, real.low, real.close, volume
    )
