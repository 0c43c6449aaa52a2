"""What TA-Lib tells of its functions, and what it does not: the bounds of their parameters, the units of outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import talib
from talib import abstract

from ktrdr.execution.indicators.base import PERCENT, PRICE, VOLUME

OURS = frozenset(
    {"ADX", "AROON", "ATR", "BBANDS", "CCI", "CMF", "EMA", "MACD", "MFI", "OBV", "ROC", "RSI", "RVI", "SMA", "STOCH"}
    | {"SUPERTREND", "VWAP", "WMA"}
)
"""Functions whose name is KTRDR's, with KTRDR's parameters and first output."""

FUNCTIONS: Mapping[str, str] = {
    **{name.lower(): name for name in talib.get_functions() if name not in OURS},
    "relativevolatilityindex": "RVI",  # its name is that of KTRDR's relative vigor index
}
"""TA-Lib's function by the name that a file uses."""

_UNITS = {
    PRICE: "AC ADD ADR AO APO CUMSUM DPO ERI HT_PHASOR MACDEXT MACDFIX MINUS_DM MOM PLUS_DM QSTICK STDDEV SUB SUM"
    " TRANGE WAD",
    "price²": "MULT VAR",
    "price a bar": "LINEARREG_SLOPE",
    "degrees of price a bar": "LINEARREG_ANGLE",
    "price × volume": "EFI",
    "price / volume": "MARKETFI",
    "a function of the price": "ACOS ASIN ATAN CEIL COS COSH EXP FLOOR LN LOG10 SIN SINH SQRT TAN TANH",
    VOLUME: "AD ADOSC PVT",
    PERCENT: "COPPOCK CVI FOSC NATR PPO PVO ROCR100 TRIX",
    "ratio": "BETA DIV MASSI ROCP ROCR RVOL VORTEX",
    "index that starts at 1000": "NVI PVI",
    "0 to 100": "ADXR DX IMI MINUS_DI PERCENTRANK PLUS_DI RVI STOCHF STOCHRSI ULTOSC",
    "0 to 100, j beyond": "KDJ",
    "-100 to 100": "AROONOSC CMO CMOU FRACTAL SMI TSI",
    "-100 to 0": "WILLR",
    "-1 to 1": "BOP CORREL HT_SINE",
    "0 to 1": "ER HT_TRENDMODE VHF",
    "bars": "HT_DCPERIOD",
    "degrees": "HT_DCPHASE",
    "number of the bar": "MAXINDEX MININDEX MINMAXINDEX",
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names.split()}
_FLAGGED = {"Output scale same as input": PRICE, "Output is a candlestick": "-200 to 200"}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter: whole or real, its default and its bounds, None where TA-Lib takes any number."""

    name: str
    whole: bool
    default: float
    low: float | None
    high: float | None


def description(function: str) -> dict[str, Any]:
    """TA-Lib's own: display_name, group, input_names, parameters, output_names and flags."""
    return dict(abstract.Function(function).info)


def unit(function: str) -> str:
    """The unit of a function's outputs."""
    flagged = [_FLAGGED[flag] for flag in description(function)["function_flags"] if flag in _FLAGGED]
    return _UNIT_OF.get(function) or (flagged[0] if flagged else "number")


def lookback(function: str, parameters: tuple[float, ...]) -> int:
    """Bars before the first value, negative when TA-Lib does not take the parameters."""
    return int(abstract.Function(function, *parameters).lookback)


@cache
def parameters(function: str) -> tuple[Parameter, ...]:
    """A function's parameters in their order; the bounds are asked of TA-Lib, as its description lacks them."""
    defaults = description(function)["parameters"]
    return tuple(_parameter(function, name, tuple(defaults.values()), index) for index, name in enumerate(defaults))


def _parameter(function: str, name: str, defaults: tuple[float, ...], index: int) -> Parameter:
    default = defaults[index]

    def taken(value: float) -> bool:
        return lookback(function, (*defaults[:index], value, *defaults[index + 1 :])) >= 0

    if isinstance(default, int):
        lowest = next(value for value in range(default + 1) if taken(value))
        return Parameter(name=name, whole=True, default=default, low=lowest, high=_highest(taken, default))
    low, high = (
        None if taken(beyond) else next(value for value in bounds if taken(value))
        for beyond, bounds in ((-1e6, (0.0, 0.01)), (1e6, (100.0, 1.0, 0.99)))
    )
    return Parameter(name=name, whole=False, default=default, low=low, high=high)


def _highest(taken: Callable[[int], bool], good: int) -> int:
    """The largest whole number that is taken, by bisection."""
    bad = 1_000_000
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if taken(middle) else (good, middle)
    return good
