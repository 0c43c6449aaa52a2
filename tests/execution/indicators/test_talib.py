"""Indicators agree with TA-Lib, after its warm-up and with its seeds."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import talib
from talib import abstract

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.averages import Ema, Macd, Sma, Wma
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.library import INDICATORS
from ktrdr.execution.indicators.momentum import Cci, Momentum, Roc, Rsi, Stochastic, WilliamsR
from ktrdr.execution.indicators.talib_facts import FUNCTIONS, OURS, description, lookback, parameters, unit
from ktrdr.execution.indicators.talib_functions import TaLibFunction, talib_function
from ktrdr.execution.indicators.trend import Adx, Aroon, ParabolicSar
from ktrdr.execution.indicators.volatility import Atr, BollingerBands
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


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_other_function_of_talib_is_there(name: str, bars: Bars) -> None:
    """Under its own name, with TA-Lib's defaults, columns and outputs; whole numbers begin at the lookback."""
    function = abstract.Function(FUNCTIONS[name])
    columns = {column: getattr(bars, column) for column in ("open", "high", "low", "close", "volume")}
    expected = function({**columns, "periods": bars.volume})
    indicator = TaLibFunction.model_validate({"type": name})
    values = indicator.compute(bars)
    assert list(values) == function.output_names
    assert indicator.lookback == function.lookback
    for mine, theirs in zip(values.values(), expected if isinstance(expected, list) else [expected], strict=True):
        assert np.isnan(mine[: function.lookback]).all()
        np.testing.assert_array_equal(mine[function.lookback :], theirs[function.lookback :])


def test_no_function_of_talib_is_left_out() -> None:
    ours = {name for kind in INDICATORS for name in get_args(kind.model_fields["type"].annotation)}
    assert {name.lower() for name in talib.get_functions()} - set(FUNCTIONS) == {one.lower() for one in OURS} <= ours
    assert set(FUNCTIONS).isdisjoint(ours)


@pytest.mark.parametrize("function", talib.get_functions())
def test_bounds_are_talibs(function: str) -> None:
    """TA-Lib takes each bound and nothing beyond it; where there is none it takes a million either way."""
    defaults = tuple(description(function)["parameters"].values())
    for index, parameter in enumerate(parameters(function)):
        step = 1 if parameter.whole else 1e-6
        low, high = parameter.low, parameter.high
        taken = [-1e6 if low is None else low, 1e6 if high is None else high]
        refused = ([] if low is None else [low - step]) + ([] if high is None else [high + step])
        for value in taken + refused:
            asked = (*defaults[:index], value, *defaults[index + 1 :])
            assert (lookback(function, asked) >= 0) is (value in taken), (parameter, value)


@pytest.mark.parametrize("average", range(14))
@pytest.mark.parametrize("name", ["ma", "apo", "macdext", "stochf", "kdj", "mavp", "bbands", "stoch"])
def test_every_moving_average_may_be_named(name: str, average: int, bars: Bars) -> None:
    """With the lookback that TA-Lib tells."""
    kind: type[Indicator] = {"bbands": BollingerBands, "stoch": Stochastic}.get(name) or talib_function(name)
    types = {field: average for field in kind.model_fields if field.endswith("matype")}
    indicator = kind.model_validate({"type": name, **types})
    results = indicator.compute(bars)
    assert all(np.isfinite(values[indicator.lookback :]).all() for values in results.values())
    undefined = max(int(np.isnan(values).sum()) for values in results.values())
    assert undefined == indicator.lookback


def test_every_output_has_a_unit() -> None:
    assert "number" not in {unit(function) for function in FUNCTIONS.values()}


def test_a_function_reads_the_columns_that_it_is_told_to(bars: Bars) -> None:
    of_opens = TaLibFunction.model_validate({"type": "hma", "period": 9, "source": "open"})
    np.testing.assert_array_equal(of_opens.compute(bars)["real"], talib.HMA(bars.open, 9))
    spread = TaLibFunction.model_validate({"type": "sub", "price0": "close", "price1": "hl2"})
    np.testing.assert_array_equal(spread.compute(bars)["real"], bars.close - (bars.high + bars.low) / 2)


def test_parameters_that_do_not_go_together_are_refused() -> None:
    kind = talib_function("mavp")
    assert kind.model_validate({"minperiod": 5, "maxperiod": 30}).lookback == 29
    with pytest.raises(ValueError, match="MAVP does not take them"):
        kind.model_validate({"minperiod": 30, "maxperiod": 5})
