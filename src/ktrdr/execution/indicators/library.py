"""The registry of indicators. A new one is a class in its family's module and a name in the union below."""

from collections.abc import Iterator
from typing import Annotated, get_args

from pydantic import Field, SerializeAsAny

from ktrdr.execution.indicators.averages import DistanceFromMa, Ema, Macd, Sma, Wma
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.momentum import Cci, FisherTransform, Momentum, Roc, Rsi, Rvi, Stochastic, WilliamsR
from ktrdr.execution.indicators.talib_facts import FUNCTIONS
from ktrdr.execution.indicators.talib_functions import TaLibFunction, talib_function
from ktrdr.execution.indicators.trend import Adx, Aroon, Ichimoku, ParabolicSar, SuperTrend, Zigzag
from ktrdr.execution.indicators.volatility import (
    Atr,
    BollingerBands,
    BollingerBandWidth,
    DonchianChannels,
    KeltnerChannels,
    SqueezeIntensity,
)
from ktrdr.execution.indicators.volume import AdLine, Cmf, Mfi, Obv, VolumeRatio, Vwap

_Ktrdrs = (
    Sma | Ema | Wma | DistanceFromMa | Macd
    | Rsi | Roc | Momentum | Cci | WilliamsR | Stochastic | FisherTransform | Rvi
    | Adx | Aroon | SuperTrend | ParabolicSar | Ichimoku | Zigzag
    | Atr | BollingerBands | BollingerBandWidth | KeltnerChannels | DonchianChannels | SqueezeIntensity
    | Mfi | Obv | VolumeRatio | Vwap | AdLine | Cmf
)  # fmt: skip

AnyIndicator = Annotated[_Ktrdrs | SerializeAsAny[TaLibFunction], Field(discriminator="type")]
"""The registry: every indicator there is."""

INDICATORS: tuple[type[Indicator], ...] = get_args(_Ktrdrs)
"""KTRDR's indicators."""


def indicator_kinds() -> Iterator[type[Indicator]]:
    """The class of every indicator, TA-Lib's functions behind KTRDR's."""
    yield from INDICATORS
    yield from map(talib_function, FUNCTIONS)
