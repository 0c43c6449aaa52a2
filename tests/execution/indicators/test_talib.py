"""Indicators agree with TA-Lib, after its warm-up and with its seeds."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.averages import Ema, Macd, Sma, Wma
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.momentum import (
    Cci,
    Momentum,
    Roc,
    Rsi,
    Stochastic,
    WilliamsR,
)
from ktrdr.execution.indicators.trend import Adx, Aroon, ParabolicSar
from ktrdr.execution.indicators.volatility import (
    Atr,
    BollingerBands,
)
from ktrdr.execution.indicators.volume import Mfi, Obv, Vwap

TALIB: list[tuple[Indicator, Callable[[Bars], tuple[np.ndarray, ...]]]] = [
    (Sma(period=9), lambda b: (talib.SMA(b.close, 9),)),
    (Ema(period=9, source="open"), lambda b: (talib.EMA(b.open, 9),)),
    (Wma(period=9, source="hl2"), lambda b: (talib.WMA(talib.MEDPRICE(b.high, b.low), 9),)),
    (Macd(fast_period=5, slow_period=13, signal_period=4), lambda b: talib.MACD(b.close, 5, 13, 4)),
    (Rsi(period=9), lambda b: (talib.RSI(b.close, 9),)),
    (Roc(period=9, source="hlc3"), lambda b: (talib.ROC(talib.TYPPRICE(b.high, b.low, b.close), 9),)),
    (Momentum(period=9, source="ohlc4"), lambda b: (talib.MOM(talib.AVGPRICE(b.open, b.high, b.low, b.close), 9),)),
    (Cci(period=9), lambda b: (talib.CCI(b.high, b.low, b.close, 9),)),
    (WilliamsR(period=9), lambda b: (talib.WILLR(b.high, b.low, b.close, 9),)),
    (Stochastic(k_period=9, smooth_k=4, d_period=2), lambda b: talib.STOCH(b.high, b.low, b.close, 9, 4, 0, 2, 0)),
    (
        Adx(period=9),
        lambda b: tuple(function(b.high, b.low, b.close, 9) for function in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)),
    ),
    (Aroon(period=9), lambda b: (*talib.AROON(b.high, b.low, 9)[::-1], talib.AROONOSC(b.high, b.low, 9))),
    (ParabolicSar(), lambda b: (talib.SAR(b.high, b.low, 0.02, 0.2),)),
    (Atr(period=9), lambda b: (talib.ATR(b.high, b.low, b.close, 9),)),
    (BollingerBands(period=9, multiplier=1.5), lambda b: talib.BBANDS(b.close, 9, 1.5, 1.5, 0)),
    (Mfi(period=9), lambda b: (talib.MFI(b.high, b.low, b.close, b.volume, 9),)),
    (Obv(), lambda b: (talib.OBV(b.close, b.volume),)),
    (Vwap(period=0), lambda b: (talib.VWAP(b.high, b.low, b.close, b.volume),)),
]


@pytest.mark.parametrize(("indicator", "oracle"), TALIB, ids=[str(indicator) for indicator, _ in TALIB])
def test_indicators_of_talib_are_talibs(indicator: Indicator, oracle: Callable, bars: Bars) -> None:
    for values, expected in zip(indicator.compute(bars).values(), oracle(bars), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-15)
