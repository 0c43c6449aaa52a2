"""context_data: the names that it gives, the inputs that read them, and what is refused or noticed."""

import pytest
from tests.execution.strategy.test_strategy_reading import SMALL, problems, read

from ktrdr.contracts.bars import SeriesWanted
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import resolved, restore_strategy

CARRY = """\
name: carry
training_data:
  symbols: {mode: single, symbol: EURUSD}
  timeframes: {mode: multi_timeframe, list: [1h, 4h], base_timeframe: 1h}
context_data:
  - {provider: ib, symbol: GBPUSD, timeframe: "1H", instrument_type: FOREX, alignment: forward_fill}
  - {provider: fred, series: [DGS2, IRLTLT01DEM156N], frequency: daily, alignment: forward_fill}
  - {provider: cftc_cot, report: EUR, alignment: forward_fill}
  - {provider: file, series: vix, publication_lag: 2d}
indicators:
  rsi_14: {type: rsi, period: 14}
  gbp_rsi: {type: rsi, period: 14, data_source: GBPUSD}
  carry: {type: rsi, period: 14, data_source: yield_spread_DGS2_IRLTLT01DEM156N}
  cot: {type: ema, period: 4, data_source: cot_EUR_net_pct}
  fear: {type: sma, period: 5, data_source: vix}
fuzzy_sets:
  own: {indicator: rsi_14, low: [0, 25, 40]}
  gbp: {indicator: gbp_rsi, weak: [0, 30, 50], strong: [50, 70, 100]}
  carry: {indicator: carry, up: [60, 75, 100]}
  crowd: {indicator: cot, long: [75, 90, 100]}
nn_inputs:
  - {fuzzy_set: own, timeframes: all}
  - {fuzzy_set: gbp, timeframes: all}
  - {fuzzy_set: carry, timeframes: [1h]}
  - {fuzzy_set: crowd}
  - {raw_indicator: fear, timeframes: all}
"""


def with_context(entries: str, source: str = "GBPUSD") -> str:
    """A small strategy whose indicator reads another series."""
    text = SMALL.replace("    period: 14\n", f"    period: 14\n    data_source: {source}\n")
    return text.replace("indicators:\n", f"context_data:\n{entries}indicators:\n")


def test_another_series_is_read_once_for_the_rows_of_the_base() -> None:
    """`all` means the base timeframe there; columns are named as all others."""
    strategy = read(CARRY)
    assert strategy.feature_names == [
        "1h_own_low", "4h_own_low", "1h_gbp_weak", "1h_gbp_strong", "1h_carry_up", "1h_crowd_long", "1h_fear_raw",
    ]  # fmt: skip
    assert [column.series for column in strategy.columns()] == [
        "1h", "4h", "GBPUSD", "GBPUSD", "yield_spread_DGS2_IRLTLT01DEM156N", "cot_EUR_net_pct", "vix",
    ]  # fmt: skip


def test_what_a_training_reads() -> None:
    """Each stored series once, with the lag that the file says."""
    assert read(CARRY).series() == [
        SeriesWanted(symbol="EURUSD", timeframe="1h"),
        SeriesWanted(symbol="EURUSD", timeframe="4h"),
        SeriesWanted(symbol="GBPUSD", timeframe="1h"),
        SeriesWanted(symbol="fred_DGS2"),
        SeriesWanted(symbol="fred_IRLTLT01DEM156N"),
        SeriesWanted(symbol="cot_EUR_net_pos"),
        SeriesWanted(symbol="vix", publication_lag="2d"),
    ]


def test_the_names_that_entries_give() -> None:
    strategy = read(CARRY)
    named = [[source.name for source in entry.sources("1h")] for entry in strategy.context_data]
    assert named == [
        ["GBPUSD"],
        ["fred_DGS2", "fred_IRLTLT01DEM156N", "yield_spread_DGS2_IRLTLT01DEM156N"],
        ["cot_EUR_net_pos", "cot_EUR_net_pct"],
        ["vix"],
    ]
    one = read(with_context("  - {provider: FRED, series: DGS2}\n", "fred_DGS2")).context_data[0]
    assert [source.name for source in one.sources("1h")] == ["fred_DGS2"]


def test_it_restores() -> None:
    strategy = read(CARRY)
    assert restore_strategy(resolved(strategy)) == strategy
    assert resolved(restore_strategy(resolved(strategy))) == resolved(strategy)


def test_a_symbol_without_a_timeframe_has_the_base() -> None:
    strategy = read(with_context("  - {symbol: GBPUSD}\n"))
    assert strategy.sources()[0].timeframe == "1h"
    assert strategy.notices() == []


@pytest.mark.parametrize(
    ("entries", "source", "path", "says"),
    [
        ("  - {symbol: GBPUSD}\n", "USDJPY", "indicators.rsi_14.data_source", "name one of context_data: GBPUSD"),
        ("  - {provider: ib}\n", "GBPUSD", "indicators.rsi_14.data_source", "add its entry to context_data"),
        ("  - {symbol: GBPUSD, series: [x]}\n", "GBPUSD", "context_data.0", "write an entry for each"),
        ("  - {symbol: GBPUSD}\n  - {symbol: GBPUSD, timeframe: 4h}\n", "GBPUSD", "context_data.1", "one of the two"),
        ("  - {symbol: GBPUSD, alignement: x}\n", "GBPUSD", "context_data.0.alignement", "did you mean alignment?"),
        ("  - {symbol: GBPUSD, alignment: backward_fill}\n", "GBPUSD", "context_data.0.alignment", "forward_fill"),
        ("  - {symbol: GBPUSD, timeframe: 1hx}\n", "GBPUSD", "context_data.0.timeframe", "write 1m, 5m"),
        ("  - {series: [x], publication_lag: 0}\n", "x", "context_data.0.publication_lag", "no publication lag"),
        ("  - {series: [../x]}\n", "x", "context_data.0.series.0", "characters that a name may not have"),
        ("  - {series: []}\n", "x", "context_data.0", "series without a name"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_stand(entries: str, source: str, path: str, says: str) -> None:
    found = problems(with_context(entries, source))
    assert [problem.path for problem in found] == [path]
    assert says in str(found[0])
    assert found[0].line is not None


def test_another_series_has_no_other_timeframes() -> None:
    text = CARRY.replace("{fuzzy_set: carry, timeframes: [1h]}", "{fuzzy_set: carry, timeframes: [4h]}")
    (problem,) = problems(text)
    assert (problem.path, "write all, or 1h" in problem.expected) == ("nn_inputs.2.timeframes", True)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{symbol: USDJPY}", "context_data.1 is not used by any input"),
        ("{symbol: USDJPY, broker: x}", "context_data.1.broker is stored and has no effect"),
        ("{symbol: USDJPY, publication_lag: 1d}", "context_data.1.publication_lag has no effect on bars"),
        ("{provider: events, currencies: [USD], min_impact: high}", "import-series FILE --name NAME --lag 1d"),
    ],
)
def test_what_has_no_effect_is_noticed(entry: str, says: str) -> None:
    """And needs no data."""
    strategy = read(with_context(f"  - {{symbol: GBPUSD}}\n  - {entry}\n"))
    assert any(says in notice for notice in strategy.notices())
    assert len(strategy.series()) == 2


def test_an_indicator_of_ranges_on_single_values_is_noticed() -> None:
    text = with_context("  - {series: [vix]}\n", "vix").replace("type: RSI", "type: adx")
    (notice,) = read(text).notices()
    assert "indicators.rsi_14 reads highs, lows or volume" in notice
    assert isinstance(read(text), Strategy)
