"""Names, spellings and outputs are those that KTRDR's users write; what needs the future is refused with a reason."""

from typing import Any

import jsonschema_rs
import pytest
import yaml
from tests.execution.strategy.test_strategy_reading import SMALL, problems, read
from tests.support import ROOT

from ktrdr.execution.indicators.base import Indicator
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import resolved, restore_strategy
from ktrdr.execution.strategy.repository import StrategyFiles

NAMES = [
    "rsi", "atr", "cci", "mfi", "williamsr", "momentum", "roc", "sma", "simplemovingaverage", "wma",
    "weightedmovingaverage", "ema", "exponentialmovingaverage", "bollingerbandwidth", "distancefromma",
    "volumeratio", "vwap", "obv", "parabolicsar", "squeezeintensity", "macd", "bbands", "bollingerbands",
    "keltnerchannels", "donchianchannels", "stochastic", "stoch", "adx", "aroon", "supertrend", "ichimoku",
    "fishertransform", "rvi", "adline", "cmf", "RSI", "ATR", "WilliamsR", "SimpleMovingAverage",
    "BollingerBandWidth", "DistanceFromMA", "SqueezeIntensity", "FisherTransform", "ADLine",
]  # fmt: skip

OUTPUTS = {
    "macd": "line signal histogram",
    "bbands": "upper middle lower",
    "keltnerchannels": "upper middle lower",
    "donchianchannels": "upper middle lower",
    "stochastic": "k d",
    "adx": "adx plus_di minus_di",
    "aroon": "up down oscillator",
    "supertrend": "trend direction",
    "ichimoku": "tenkan kijun senkou_a senkou_b chikou",
    "fishertransform": "fisher signal",
    "rvi": "rvi signal",
    "adline": "line mf_multiplier mf_volume roc_10 momentum_21 relative_strength",
    "cmf": "cmf mf_multiplier mf_volume momentum signal histogram above_zero below_zero",
    "relativevolatilityindex": "real",
}

SPELLINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("macd", {"fast": 5, "slow": 13, "signal": 4}, {"fast_period": 5, "slow_period": 13, "signal_period": 4}),
    ("macd", {"fastperiod": 5, "slowperiod": 13}, {"fast_period": 5, "slow_period": 13, "signal_period": 9}),
    ("rsi", {"timeperiod": 9}, {"period": 9}),
    ("stoch", {"fastk_period": 5, "slowk_period": 2, "slowd_period": 4}, {"k_period": 5, "smooth_k": 2, "d_period": 4}),
    ("squeezeintensity", {"period": 30}, {"bb_period": 30, "kc_period": 30}),
    ("bollingerbandwidth", {"bb_period": 9, "bb_multiplier": 1.5}, {"period": 9, "multiplier": 1.5}),
    ("distancefromma", {"ma_type": "EMA"}, {"ma_type": "ema", "period": 20}),
    ("bbands", {"nbdevup": 1, "nbdevdn": 3}, {"nbdevup": 1.0, "nbdevdn": 3.0}),
    ("supertrend", {"timeperiod": 7}, {"period": 7, "multiplier": 3.0}),
    ("hma", {"period": 7}, {"timeperiod": 7}),
]


def indicator_of(name: str, **parameters: Any) -> Indicator:
    return strategy_of(name, "x", **parameters).indicators["x"]


def strategy_of(name: str, reference: str, **parameters: Any) -> Strategy:
    return read(text_of(name, reference, **parameters))


def text_of(name: str, reference: str, **parameters: Any) -> str:
    written = "".join(f"\n    {key}: {value}" for key, value in parameters.items())
    text = SMALL.replace("  rsi_14:\n    type: RSI\n    period: 14", f"  x:\n    type: {name}{written}")
    return text.replace("indicator: rsi_14", f"indicator: {reference}")


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_ktrdrs_users_write_is_read(name: str) -> None:
    strategy = strategy_of(name, "x", source="close")
    indicator = strategy.indicators["x"]
    assert indicator.type == name.lower()
    assert restore_strategy(resolved(strategy)) == strategy
    assert bool(indicator.ineffective()) == any("source" in notice for notice in strategy.notices())


@pytest.mark.parametrize(("name", "outputs"), OUTPUTS.items())
def test_outputs_have_their_names_and_a_bare_id_is_the_first(name: str, outputs: str) -> None:
    indicator = indicator_of(name)
    assert list(indicator.outputs) == outputs.split()
    assert indicator.output_named(None) == outputs.split(maxsplit=1)[0]
    assert indicator.output_named("nonsense") is None


@pytest.mark.parametrize(("name", "written", "meant"), SPELLINGS, ids=str)
def test_every_spelling_of_a_parameter_means_the_same(
    name: str, written: dict[str, Any], meant: dict[str, Any]
) -> None:
    read_values = indicator_of(name, **written).model_dump()
    assert {key: read_values[key] for key in meant} == meant


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("macd", {"fast": 5, "fast_period": 5}),
        ("rsi", {"period": 5, "timeperiod": 5}),
        ("squeezeintensity", {"period": 5, "kc_period": 5}),
        ("t3", {"period": 5, "timeperiod": 5}),
    ],
    ids=str,
)
def test_two_spellings_of_one_parameter_are_refused(name: str, written: dict[str, Any]) -> None:
    told = problems(text_of(name, "x", **written))
    assert len(told) == 1
    assert all(key in told[0].found for key in written)


@pytest.mark.parametrize(
    ("name", "talibs", "ours"),
    [("macd", "macdhist", "histogram"), ("aroon", "aroondown", "down"), ("bbands", "upperband", "upper"),
     ("stoch", "slowd", "d"), ("rsi", "real", "rsi"), ("supertrend", "supertrend", "trend")],
)  # fmt: skip
def test_talibs_names_of_outputs_are_spellings(name: str, talibs: str, ours: str) -> None:
    assert strategy_of(name, f"x.{talibs}").indicators["x"].output_named(talibs) == ours


@pytest.mark.parametrize(
    ("name", "reference", "reason", "advice"),
    [
        ("zigzag", "x", "a turning point is known only by the bars after it", "another indicator"),
        ("zigzag", "x.zigzag", "a turning point is known only by the bars after it", "another indicator"),
        ("ichimoku", "x.chikou", "it is the close of a later bar", "name tenkan, kijun, senkou_a, senkou_b"),
    ],
)
def test_what_needs_the_future_is_no_input(name: str, reference: str, reason: str, advice: str) -> None:
    """Neither through a fuzzy set nor raw."""
    both = SMALL.replace("fuzzy_sets:", f"  x: {{type: {name}}}\nfuzzy_sets:")
    through = both.replace("indicator: rsi_14", f"indicator: {reference}")
    raw = both.replace("  - fuzzy_set: rsi", f"  - raw_indicator: {reference}\n  - fuzzy_set: rsi")
    for text, path in ((through, "fuzzy_sets.rsi.indicator"), (raw, "nn_inputs.0.raw_indicator")):
        (told,) = problems(text)
        assert told.path == path
        assert f"{reference} needs the future, {reason}" in told.found
        assert advice in told.expected


def test_what_an_indicator_knows_beside_it_stays_an_input() -> None:
    assert strategy_of("ichimoku", "x.senkou_a").feature_names == ["1h_rsi_low", "1h_rsi_high"]


def test_an_unknown_name_is_told_with_the_nearest_and_not_with_all() -> None:
    (told,) = problems(text_of("supertrent", "x"))
    assert told.expected.startswith("did you mean supertrend? there are ")
    (told,) = problems(text_of("t3", "x", timperiod=5))
    assert told.path == "indicators.x.timperiod"
    assert (
        told.expected == "did you mean timeperiod? known here: source, data_source, type, timeperiod, period, vfactor"
    )


def test_what_has_no_effect_is_noticed() -> None:
    notices = strategy_of("atr", "x", source="close", period=5).notices()
    assert notices == ["indicators.x.source is stored and has no effect on atr"]
    assert strategy_of("ema", "x", adjust="true").notices() == [
        "indicators.x.adjust is stored and has no effect on ema"
    ]
    assert strategy_of("ema", "x", source="open").notices() == []


def test_only_what_is_in_the_prices_unit_warns_between_symbols() -> None:
    text = text_of("supertrend", "x").replace(
        "mode: single, symbol: EURUSD", "mode: multi_symbol, list: [EURUSD, GBPUSD]"
    )
    raw = text.replace("  - fuzzy_set: rsi", "  - raw_indicator: x.direction\n  - raw_indicator: x\n  - fuzzy_set: rsi")
    assert [notice.split()[0] for notice in read(raw).notices()] == ["1h_x_raw"]


def test_editors_know_every_indicator() -> None:
    """The schema takes what the reader takes, in any case and spelling, and points to a parameter that it refuses."""
    schema = jsonschema_rs.validator_for(StrategyFiles(ROOT / "strategies").schema())
    for name in [*NAMES, "T3", "hma", "CdlDoji", "HT_SINE", "relativevolatilityindex"]:
        schema.validate(yaml.safe_load(text_of(name, "x")))
        schema.validate(resolved(strategy_of(name, "x")))
    for name, written, _ in SPELLINGS:
        schema.validate(yaml.safe_load(text_of(name, "x", **written)))
    for name, wrong in (("hma", {"timperiod": 5}), ("T3", {"vfactor": 2}), ("rsi", {"period": 1}), ("hmma", {})):
        assert problems(text_of(name, "x", **wrong))
        assert not schema.is_valid(yaml.safe_load(text_of(name, "x", **wrong)))
