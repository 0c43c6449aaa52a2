"""Laws over every indicator: causal, exact about its lookback, defined on odd bars, strict about its parameters."""

import doctest
import importlib
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.indicators.market import then_still, traded_bars
from tests.support import bars_of, changed, cut

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.averages import DistanceFromMa, Ema
from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.indicators.library import indicator_kinds
from ktrdr.execution.indicators.momentum import FisherTransform, Rvi, Stochastic
from ktrdr.execution.indicators.trend import Ichimoku, ParabolicSar, SuperTrend, Zigzag
from ktrdr.execution.indicators.volatility import BollingerBands, KeltnerChannels, SqueezeIntensity
from ktrdr.execution.indicators.volume import AdLine, VolumeRatio, Vwap

CASES: list[Indicator] = [
    *(kind() for kind in indicator_kinds()),
    DistanceFromMa(period=7, ma_type="ema", source="hlc3"),
    Ema(period=1, source="volume"),
    FisherTransform(period=4, smoothing=9, source="close"),
    Rvi(period=3, signal_period=9),
    Stochastic(k_period=5, smooth_k=2, d_period=7, slowk_matype=1, slowd_matype=2),
    Ichimoku(tenkan_period=30, kijun_period=5, senkou_b_period=12, displacement=1),
    ParabolicSar(initial_af=0.01, step_af=0.05, max_af=0.3),
    SuperTrend(period=5, multiplier=0.5),
    Zigzag(threshold=0.01, source="high"),
    BollingerBands(period=9, nbdevup=1.0, nbdevdn=-0.5, matype=4),
    KeltnerChannels(period=3, atr_period=30),
    SqueezeIntensity(bb_period=40, kc_period=5, bb_multiplier=0.5),
    AdLine(use_sma_smoothing=True, smoothing_period=60),
    VolumeRatio(period=1),
    Vwap(period=0),
    Vwap(period=1, use_typical_price=False),
]


def known(indicator: Indicator) -> list[str]:
    """The outputs that a model may see."""
    return [name for name in indicator.outputs if name not in indicator.needs_future]


@pytest.mark.parametrize("kind", [*indicator_kinds()], ids=lambda kind: kind.__name__)
class TestKinds:
    def test_it_is_documented_with_an_example_that_runs(self, kind: type[Indicator]) -> None:
        assert ">>>" in (kind.__doc__ or ""), f"{kind.__name__} has no example: add one to its docstring"
        examples = doctest.DocTestFinder().find(kind, globs=vars(importlib.import_module(kind.__module__)))
        runner = doctest.DocTestRunner()
        assert [runner.run(example) for example in examples if example.examples]
        assert runner.failures == 0

    def test_bad_parameters_are_refused_by_name(self, kind: type[Indicator]) -> None:
        """Neither texts, truth values nor fractions count bars, and every bound holds."""
        for name, wrong in wrong_parameters(kind):
            with pytest.raises(ValueError, match=rf"{name}\n"):
                kind.model_validate({name: wrong})

    def test_unknown_parameters_are_refused(self, kind: type[Indicator]) -> None:
        with pytest.raises(ValueError, match="nonsense"):
            kind.model_validate({"nonsense": 1})


def wrong_parameters(kind: type[Indicator]) -> list[tuple[str, Any]]:
    """Each parameter with values that it must refuse, read from its schema."""
    wrong: list[tuple[str, Any]] = []
    properties = kind.model_json_schema()["properties"]
    for name in kind.model_fields:
        schema = properties[name].get("anyOf", [properties[name]])[0]
        match schema.get("type"):
            case "integer":
                values: list[Any] = ["14", True, 2.5, None, schema["minimum"] - 1, schema["maximum"] + 1]
            case "number":
                values = ["1", True, float("nan"), float("inf")]
                values += [schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []
                values += [schema["exclusiveMaximum"]] if "exclusiveMaximum" in schema else []
                values += [schema["maximum"] * 1.01] if "maximum" in schema else []
            case "boolean":
                values = ["perhaps", 7]
            case "string" if "enum" not in schema and "const" not in schema:
                values = [5, True]
            case _:
                values = ["nonsense"] if name != "type" else []
        wrong += [(name, value) for value in values if not (value is None and "anyOf" in properties[name])]
    return wrong


@pytest.mark.parametrize("indicator", CASES, ids=str)
class TestIndicators:
    def test_it_is_frozen_picklable_and_comes_back_from_its_values(self, indicator: Indicator) -> None:
        assert pickle.loads(pickle.dumps(indicator)) == indicator
        assert type(indicator).model_validate(indicator.model_dump(exclude_none=True)) == indicator
        with pytest.raises(ValueError, match="frozen"):
            indicator.source = "open"

    def test_the_lookback_is_where_values_begin(self, indicator: Indicator) -> None:
        """From there on every output is a number; before, at least one is not."""
        results = indicator.compute(traded_bars(1, 200), known(indicator))
        for values in results.values():
            assert np.isfinite(values[indicator.lookback :]).all()
        begins = [int(np.flatnonzero(np.isfinite(values))[0]) for values in results.values()]
        assert max(begins, default=indicator.lookback) == indicator.lookback

    def test_an_output_is_the_same_alone_and_among_all(self, indicator: Indicator) -> None:
        bars = traded_bars(4, 120)
        together = indicator.compute(bars)
        assert list(together) == list(indicator.outputs)
        for name, values in together.items():
            assert values.dtype == np.float64
            np.testing.assert_array_equal(indicator.compute(bars, [name])[name], values)

    @settings(max_examples=15)
    @given(seed=st.integers(0, 1000), at=st.integers(60, 139))
    def test_no_value_depends_on_a_later_bar(self, indicator: Indicator, seed: int, at: int) -> None:
        bars = traded_bars(seed, 140)
        whole, short = indicator.compute(bars), indicator.compute(cut(bars, at))
        spoilt = indicator.compute(changed(bars, slice(at, None), open=1.0, high=9.0, low=0.5, close=np.nan, volume=0))
        other = indicator.compute(changed(bars, slice(at, None), high=900.0, low=1.0, close=7.0, volume=3.0))
        for name in known(indicator):
            for later in (short, spoilt, other):
                np.testing.assert_array_equal(later[name][:at], whole[name][:at])

    def test_what_is_said_to_need_the_future_does(self, indicator: Indicator) -> None:
        bars = traded_bars(3, 140)
        whole = indicator.compute(bars)
        for name in indicator.needs_future:
            later = [
                indicator.compute(changed(bars, slice(100, None), open=price, high=price, low=price, close=price))
                for price in (0.01, 900.0)
            ]
            assert any(not np.array_equal(one[name][:100], whole[name][:100], equal_nan=True) for one in later)

    def test_it_starts_anew_behind_a_gap(self, indicator: Indicator) -> None:
        """TA-Lib's own answer behind an interior NaN is a wrong number."""
        bars = traded_bars(2, 240)
        hole = dict.fromkeys(("open", "high", "low", "close", "volume"), np.nan)
        results = indicator.compute(changed(bars, slice(100, 101), **hole))
        before, behind = indicator.compute(cut(bars, 100)), indicator.compute(bars.rows(slice(101, None)))
        for name, values in results.items():
            np.testing.assert_array_equal(values[:100], before[name])
            assert np.isnan(values[100])
            np.testing.assert_array_equal(values[101:], behind[name])

    @pytest.mark.parametrize("count", [0, 1, 2, 5])
    def test_a_short_series_has_undefined_values(self, indicator: Indicator, count: int) -> None:
        results = indicator.compute(traded_bars(3, count))
        assert all(len(values) == count for values in results.values())
        if known(indicator) and indicator.lookback:
            assert any(np.isnan(results[name][: indicator.lookback]).all() for name in known(indicator))

    @pytest.mark.parametrize("odd", ["flat", "flat, nothing traded", "nothing traded", "then still", "first of all 0"])
    def test_odd_bars_have_defined_results_within_their_bounds(self, indicator: Indicator, odd: str) -> None:
        """A flat price, zero volume, prices of 0: numbers from the lookback on, no rounding's noise.

        Functions of TA-Lib that are no number everywhere are undefined there. Nothing is infinite.
        """
        for name, values in indicator.compute(odd_bars(odd), known(indicator)).items():
            assert not np.isinf(values).any()
            if indicator.type not in ("acos", "asin", "div", "ln", "log10", "rvol", "vwma"):
                assert np.isfinite(values[indicator.lookback :]).all()
            assert_within_bounds(values, indicator.outputs[name])

    @settings(max_examples=10)
    @given(seed=st.integers(0, 1000))
    def test_values_keep_to_their_unit(self, indicator: Indicator, seed: int) -> None:
        """Bounds hold; what is in the price's unit grows with the price, and nothing else does."""
        bars = traded_bars(seed, 160)
        prices = {name: getattr(bars, name) * 8.0 for name in ("open", "high", "low", "close")}
        higher = indicator.compute(changed(bars, slice(None), **prices))
        for name, values in indicator.compute(bars).items():
            assert_within_bounds(values, indicator.outputs[name])
            if getattr(indicator, "source", None) != "volume" and np.isfinite(values).any():
                same = np.allclose(higher[name], values, rtol=1e-6, atol=1e-9, equal_nan=True)
                assert same != indicator.grows_with_price(name)


def odd_bars(odd: str) -> Bars:
    flat = np.full(200, 50.0)
    match odd:
        case "flat":
            return bars_of(flat, flat, flat, flat)
        case "flat, nothing traded":
            return changed(bars_of(flat, flat, flat, flat), slice(None), volume=0.0)
        case "nothing traded":
            return changed(traded_bars(5, 200), slice(None), volume=0.0)
        case "then still":
            return then_still(traded_bars(6, 300), 120)
        case _:
            bars = traded_bars(7, 200)
            return changed(bars, slice(0, 60), open=0.0, high=0.0, low=0.0, close=0.0)


def assert_within_bounds(values: np.ndarray, unit: str) -> None:
    bounds = re.fullmatch(r"(-?[\d.]+) to (-?[\d.]+)", unit)
    if bounds:
        low, high = float(bounds[1]), float(bounds[2])
        defined = values[~np.isnan(values)]
        assert ((defined >= low - 1e-6) & (defined <= high + 1e-6)).all()
