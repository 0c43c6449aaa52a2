"""The registry of indicators. A new one is a class in its family's module and a name in the union below."""

from typing import Annotated

from pydantic import Field

from ktrdr.execution.indicators.averages import DistanceFromMa, Ema, Macd, Sma, Wma
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.momentum import Cci, FisherTransform, Momentum, Roc, Rsi, Rvi, Stochastic, WilliamsR
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

AnyIndicator = Annotated[
    Sma | Ema | Wma | DistanceFromMa | Macd
    | Rsi | Roc | Momentum | Cci | WilliamsR | Stochastic | FisherTransform | Rvi
    | Adx | Aroon | SuperTrend | ParabolicSar | Ichimoku | Zigzag
    | Atr | BollingerBands | BollingerBandWidth | KeltnerChannels | DonchianChannels | SqueezeIntensity
    | Mfi | Obv | VolumeRatio | Vwap | AdLine | Cmf,
    Field(discriminator="type"),
]  # fmt: skip
"""The registry: every indicator there is."""

INDICATORS: tuple[type[Indicator], ...] = (
    Sma, Ema, Wma, DistanceFromMa, Macd,
    Rsi, Roc, Momentum, Cci, WilliamsR, Stochastic, FisherTransform, Rvi,
    Adx, Aroon, SuperTrend, ParabolicSar, Ichimoku, Zigzag,
    Atr, BollingerBands, BollingerBandWidth, KeltnerChannels, DonchianChannels, SqueezeIntensity,
    Mfi, Obv, VolumeRatio, Vwap, AdLine, Cmf,
)  # fmt: skip
