"""What a model's outputs would have earned, from the bars to the figures and the sentences beside them."""

import json
from typing import Any

import numpy as np
import pytest
from tests.support import bars_of, changed, cut, random_bars

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.trades.evaluation import SymbolOutputs, trade_metrics
from ktrdr.execution.trades.rules import Rules

BUYS, HOLDS, SELLS = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]


def rules(**changes: Any) -> Rules:
    plain: dict[str, Any] = {
        "regression": False,
        "threshold": 0.5,
        "round_trip_cost": 0.002,
        "cost_assumed": False,
        "separation": 0,
        "shorts": False,
    }
    return Rules(**{**plain, **changes})


def outputs(bars: Bars, first: int, said: dict[int, list[float]], *, every: list[float] | None = None) -> SymbolOutputs:
    """Outputs at the bars named, or at every bar with `every` where none is named."""
    at = np.arange(len(bars)) if every else np.array(sorted(said), dtype=np.int64)
    rows = [said.get(int(bar), every) for bar in at]
    values = np.array(rows, dtype=np.float32).reshape(len(at), -1)
    return SymbolOutputs(bars=bars, first=first, at=at, outputs=values, event=np.ones(len(bars), dtype=np.bool_))


def steps(count: int) -> Bars:
    """Opens 100, 101, …; each bar closes where the next one opens."""
    open_ = 100.0 + np.arange(count)
    return bars_of(open_, open_ + 1, open_, open_ + 1)


def total(*symbols: SymbolOutputs, by: Rules | None = None) -> dict[str, Any]:
    found, _ = trade_metrics(symbols, by or rules())
    assert found is not None
    return found


def test_one_trade_from_the_open_behind_the_signal_to_the_open_behind_the_exit() -> None:
    found = total(outputs(steps(10), 2, {3: BUYS, 6: SELLS}))
    factors = [105 / 104 - 0.001, 106 / 105, 107 / 106, 1 - 0.001]
    assert found["return"] == pytest.approx(np.prod(factors) - 1)
    assert (found["trades"], found["long_trades"], found["turnover"], found["win_share"]) == (1, 1, 2.0, 1.0)
    assert found["time_in_market"] == pytest.approx(3 / 8)
    assert found["break_even_cost"] == pytest.approx(107 / 104 - 1, rel=0.02)
    assert found["signals"] == {"BUY": 1, "HOLD": 0, "SELL": 1}
    assert (found["bars"], found["start"], found["end"]) == (
        8,
        "2017-01-01T02:00:00+00:00",
        "2017-01-01T10:00:00+00:00",
    )


def test_trades_begin_with_the_range_not_with_what_was_said_before_it() -> None:
    assert total(outputs(steps(10), 5, {4: BUYS}))["trades"] == 0
    assert total(outputs(steps(10), 4, {4: BUYS}))["trades"] == 1


def test_bars_without_outputs_and_bars_that_are_no_event_keep_the_position() -> None:
    said = outputs(steps(10), 0, {1: BUYS, 5: SELLS})
    said.event[5] = False
    found = total(said)
    assert found["time_in_market"] == pytest.approx(8 / 10)
    assert found["signals"] == {"BUY": 1, "HOLD": 0, "SELL": 0}


def test_holding_buys_at_the_first_open_behind_the_first_bar_and_pays_one_round_trip() -> None:
    bars = random_bars(3, 50)
    found = total(outputs(bars, 10, {20: HOLDS}))["baselines"]["buy_and_hold"]
    legs = np.append(bars.open[12:], bars.close[-1]) / bars.open[11:] - 1
    legs[[0, -1]] -= 0.001
    assert found["return"] == pytest.approx(np.prod(1 + legs) - 1)
    assert (found["trades"], found["turnover"]) == (1, 2.0)


def test_being_flat_earns_nothing_and_has_no_sharpe_ratio() -> None:
    flat = total(outputs(random_bars(3, 50), 10, {20: BUYS}))["baselines"]["flat"]
    assert (flat["return"], flat["max_drawdown"], flat["trades"], flat["sharpe"]) == (0.0, 0.0, 0, None)


def test_a_model_that_always_buys_is_buy_and_hold() -> None:
    found = total(outputs(random_bars(4, 400), 100, {}, every=BUYS))
    for name, value in found["baselines"]["buy_and_hold"].items():
        assert found[name] == value


def test_a_short_gains_what_the_price_loses() -> None:
    falling = random_bars(5, 60)
    found = total(outputs(falling, 0, {5: SELLS, 6: HOLDS}), by=rules(shorts=True, round_trip_cost=0.0))
    legs = 1 - (np.append(falling.open[7:], falling.close[-1]) / falling.open[6:] - 1)
    assert found["return"] == pytest.approx(np.prod(legs) - 1)
    assert (found["trades"], found["long_trades"]) == (1, 0)


def test_a_regression_trades_beyond_its_cost() -> None:
    by = rules(regression=True, threshold=0.004, shorts=True)
    found = total(outputs(steps(12), 0, {1: [0.0041], 5: [-0.0039], 7: [-0.0041]}), by=by)
    assert found["signals"] == {"BUY": 1, "HOLD": 1, "SELL": 1}
    assert found["trades"] == 1
    assert found["largest_edge"] == pytest.approx(0.0041)


def test_symbols_have_figures_of_their_own_and_together_the_mean() -> None:
    first, second = steps(30), random_bars(6, 30, symbol="OTHER")
    found, each = trade_metrics([outputs(first, 5, {6: BUYS}), outputs(second, 5, {8: BUYS})], rules())
    assert found is not None
    assert list(each) == ["TEST", "OTHER"]
    alone = total(outputs(second, 5, {8: BUYS}))
    assert each["OTHER"] == alone
    assert (found["trades"], found["bars"], found["turnover"]) == (2, 50, 2.0)
    assert each["OTHER"]["return"] != found["return"] != each["TEST"]["return"]


def test_a_symbol_that_ended_before_the_range_is_left_out() -> None:
    ended = outputs(steps(5), 5, {4: BUYS})
    found, each = trade_metrics([ended, outputs(random_bars(6, 30, symbol="OTHER"), 5, {8: BUYS})], rules())
    assert list(each) == ["OTHER"]
    assert found == each["OTHER"]
    assert trade_metrics([ended], rules()) == (None, {})


def test_a_signal_earns_nothing_from_bars_it_could_not_have_traded() -> None:
    """Spoiling every bar up to the signal's own, and its open-to-close move with it, changes no figure."""
    bars = random_bars(8, 60)
    said = outputs(bars, 10, {30: BUYS, 50: SELLS})
    spoilt = changed(bars, slice(10, 31), open=1.0, close=777.0)
    found, again = total(said), total(outputs(spoilt, 10, {30: BUYS, 50: SELLS}))
    for name in ("return", "sharpe", "max_drawdown", "break_even_cost", "win_share"):
        assert again[name] == found[name]


def test_bars_behind_the_last_exit_are_not_read() -> None:
    bars = random_bars(8, 60)
    one = outputs(bars, 10, {30: BUYS, 40: SELLS})
    spoilt = outputs(changed(bars, slice(42, None), open=5.0, close=900.0), 10, {30: BUYS, 40: SELLS})
    assert total(spoilt)["return"] == total(one)["return"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_ranges_have_figures(count: int) -> None:
    found = total(outputs(steps(count), 0, {0: BUYS}))
    assert found["trades"] == (count > 1)
    assert found["sharpe"] is None
    assert found["days_per_year"] is None
    json.dumps(found, allow_nan=False)


def test_flat_prices_and_everything_else_are_plain_values() -> None:
    flat = np.full(200, 50.0)
    found, each = trade_metrics([outputs(bars_of(flat, flat, flat, flat), 20, {}, every=BUYS)], rules())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found is not None
    assert found["return"] == pytest.approx((1 - 0.001) ** 2 - 1)
    assert each["TEST"]["sharpe"] is not None  # the two days on which costs are paid


def test_a_range_that_is_cut_has_the_figures_of_its_bars() -> None:
    """The end of a range is the end of its bars: what lies behind is not there to be read."""
    bars = random_bars(9, 80)
    said = {20: BUYS, 60: SELLS}
    assert total(outputs(cut(bars, 50), 10, {20: BUYS}))["end"] == "2017-01-03T02:00:00+00:00"
    assert total(outputs(bars, 10, said))["return"] != total(outputs(cut(bars, 50), 10, {20: BUYS}))["return"]


class TestNotes:
    def notes(self, *symbols: SymbolOutputs, **changes: Any) -> str:
        return " | ".join(total(*symbols, by=rules(**changes))["notes"])

    def test_few_trades_are_called_few(self) -> None:
        assert "one trade is fewer than 30" in self.notes(outputs(steps(10), 0, {1: BUYS}))

    def test_an_assumed_cost_is_called_so(self) -> None:
        said = outputs(steps(10), 0, {1: BUYS})
        assert "assumed to cost 0.20%" in self.notes(said, cost_assumed=True)
        assert "assumed" not in self.notes(said)

    def test_many_trades_need_no_note(self) -> None:
        every_other = {bar: BUYS if bar % 2 else SELLS for bar in range(100)}
        assert self.notes(outputs(steps(100), 0, every_other)) == ""

    def test_the_largest_edge_stands_against_the_threshold(self) -> None:
        low = self.notes(outputs(steps(10), 0, {1: [0.45, 0.3, 0.25]}))
        assert low == "no trades: the largest probability of BUY or SELL was 0.450, below the threshold 0.5"
        returns = self.notes(outputs(steps(10), 0, {1: [0.0012]}), regression=True, threshold=0.003)
        assert returns.startswith("no trades: the largest move expected was 0.120%, and one has to exceed 0.300%")

    def test_why_else_there_are_none(self) -> None:
        assert "HOLD was the likeliest class" in self.notes(outputs(steps(10), 0, {}, every=HOLDS))
        assert "allow_short_from_flat" in self.notes(outputs(steps(10), 0, {1: SELLS}))
        assert "followed by a bar that fills it" in self.notes(outputs(steps(10), 0, {9: BUYS}))
        empty = SymbolOutputs(
            bars=steps(10),
            first=0,
            at=np.empty(0, dtype=np.int64),
            outputs=np.empty((0, 3)),
            event=np.ones(10, dtype=np.bool_),
        )
        assert "no bar of the range has all its features" in self.notes(empty)
        wordless = outputs(steps(10), 0, {1: [float("nan")]})
        assert "expected no number" in self.notes(wordless, regression=True, threshold=0.01)
