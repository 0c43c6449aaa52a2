"""The leak check finds what knows the future and what has not settled, and accuses nothing else."""

from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.leaks.suspects import Bench, EarlyLabeler, HindsightEvents, Leaky, Moving, column, verdicts
from tests.execution.test_laws import LABELER_CASES
from tests.support import random_bars

from ktrdr.contracts.leaks import LeakVerdict
from ktrdr.execution.data.bars import PRICES, Bars
from ktrdr.execution.data.timeframes import OBSERVED, parse_timeframe
from ktrdr.execution.features import builder
from ktrdr.execution.features.builder import Series
from ktrdr.execution.fuzzy.memberships import Triangular
from ktrdr.execution.indicators.averages import Ema
from ktrdr.execution.indicators.momentum import Rsi
from ktrdr.execution.labels.base import Labeler
from ktrdr.execution.leaks.comparison import compared
from ktrdr.execution.leaks.futures import around, last, until, with_another_future

WAYS = ("next_bar", "far", "smooth", "whole_sample", "trade_of_a_day")
QUICK = pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])


@QUICK
@pytest.mark.parametrize("timeframe", ["1h", "4h"])
@pytest.mark.parametrize("way", WAYS)
def test_an_input_that_knows_the_future_is_found_on_its_timeframe(way: str, timeframe: str, quick: bool) -> None:
    """And only there: the honest one beside it, and the same one on no other timeframe, pass."""
    indicators = {"leaky": Leaky(way=way), "honest": Leaky(way="honest")}
    columns = (column("leaky", timeframe), column("honest", "1h"), column("honest", "4h"))
    findings = Bench(indicators, columns).run(quick=quick)
    assert verdicts(findings) == {f"{timeframe}_leaky": "leak", "1h_honest": "pass", "4h_honest": "pass"}
    assert findings.verdict is LeakVerdict.LEAK
    guilty = findings.inputs[0]
    assert guilty.symbol in ("ONE", "TWO")
    assert guilty.at is not None
    assert "1h_leaky" in findings.notices(60)[0] or timeframe == "4h"


@QUICK
def test_a_membership_of_a_leaky_indicator_leaks(quick: bool) -> None:
    """Where it is not flat."""
    shape = Triangular(type="triangular", parameters=(50, 100, 150))
    columns = (column("near", membership=shape, reference="leaky"), column("honest"))
    bench = Bench({"leaky": Leaky(way="next_bar"), "honest": Leaky(way="honest")}, columns)
    assert verdicts(bench.run(quick=quick)) == {"1h_near": "leak", "1h_honest": "pass"}


@QUICK
def test_a_bar_seen_before_its_close_is_found(quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A join on open stamps shows the four hours that are still running; on the base timeframe nothing is wrong."""

    def by_open_stamp(base: Bars, other: Bars) -> np.ndarray:
        return np.searchsorted(other.time, base.time, side="right") - 1

    monkeypatch.setattr(builder, "last_closed", by_open_stamp)
    bench = Bench({"honest": Leaky(way="honest")}, (column("honest", "1h"), column("honest", "4h")))
    assert verdicts(bench.run(quick=quick)) == {"1h_honest": "pass", "4h_honest": "leak"}


@QUICK
def test_an_observation_counts_from_the_moment_at_which_it_was_known(quick: bool) -> None:
    """Daily values, some of them negative: what reads the one that is to come is found, and the honest one passes."""
    hours = random_bars(0, 1_600)
    known = hours.time[150::24] + 7 * 60_000_000
    values = np.random.default_rng(1).normal(0, 1, len(known))
    rates = Bars("RATES", parse_timeframe("1d"), OBSERVED, known, *[values] * 4, np.zeros(len(values)))
    columns = (column("honest", source="rates"), column("leaky", source="rates"), column("honest", "4h"))
    indicators = {"honest": Leaky(way="honest"), "leaky": Leaky(way="next_bar")}
    findings = Bench(indicators, columns, others={"rates": rates}).run(quick=quick)
    assert verdicts(findings) == {"1h_honest": "pass", "1h_leaky": "leak", "4h_honest": "pass"}


@QUICK
def test_a_memory_longer_than_the_history_is_a_warm_up_error(quick: bool) -> None:
    """An exponential average of 50 has not settled after 60 bars; a window has, and a shorter memory too."""
    indicators = {
        "window": Moving(memory="window"),
        "short": Moving(memory="exponential", period=5),
        "long": Moving(memory="exponential"),
    }
    columns = tuple(column(name, timeframe) for name in indicators for timeframe in ("1h", "4h"))
    findings = Bench(indicators, columns).run(quick=quick)
    found = verdicts(findings)
    assert {name for name, verdict in found.items() if verdict == "warm_up_error"} == {"1h_long", "4h_long"}
    assert "leak" not in found.values()
    assert findings.verdict is LeakVerdict.WARM_UP_ERROR
    (notice,) = findings.notices(60)
    assert notice == "warm-up error: 1h_long, 4h_long change with bars before the 60 of history_required"


def test_the_cure_of_a_warm_up_error_is_one() -> None:
    """The history that is said to be enough passes; a sum that never forgets has none."""
    indicators = {"long": Moving(memory="exponential"), "sum": Moving(memory="endless")}
    columns = (column("long"), column("sum"))
    long, endless = Bench(indicators, columns).run().inputs
    assert (long.verdict, endless.verdict) == (LeakVerdict.WARM_UP_ERROR, LeakVerdict.WARM_UP_ERROR)
    assert endless.enough_history is None
    assert long.enough_history is not None
    cured = Bench(indicators, columns, history_required=long.enough_history).run().inputs
    assert [one.verdict for one in cured] == [LeakVerdict.PASS, LeakVerdict.WARM_UP_ERROR]


def test_a_leak_outweighs_a_warm_up_error() -> None:
    """What is both is called a leak."""

    class Both(Moving):
        def values(self, wanted: Collection[str], *columns: np.ndarray) -> dict[str, np.ndarray]:
            value = super().values(wanted, *columns)["value"]
            return {"value": np.append(value[1:], value[-1:])}

    assert verdicts(Bench({"both": Both(memory="exponential")}, (column("both"),)).run()) == {"1h_both": "leak"}


def test_a_settled_value_differs_by_less_than_the_share_that_is_told() -> None:
    """RSI 14 forgets by 13/14 a bar: after 200 it is settled to many digits, after 40 it is not."""
    columns = (column("rsi"), column("ema"))
    indicators = {"rsi": Rsi(period=14), "ema": Ema(period=20)}
    short, enough = (Bench(indicators, columns, history_required=bars).run().inputs for bars in (20, 200))
    assert all(one.difference is not None and one.difference > 0.01 for one in short)
    assert all(one.difference is not None and one.difference < 1e-4 for one in enough)
    assert [one.enough_history for one in enough] == [None, None]


@QUICK
@pytest.mark.parametrize("labeler", LABELER_CASES, ids=str)
def test_every_labeler_is_honest(labeler: Labeler, quick: bool) -> None:
    bench = Bench({"honest": Leaky(way="honest")}, (column("honest"),), labeler=labeler)
    assert bench.run(quick=quick).verdict is LeakVerdict.PASS


@QUICK
@pytest.mark.parametrize("labeler", [EarlyLabeler(max_holding_period=20), HindsightEvents(max_holding_period=20)])
def test_labels_that_change_after_they_were_known_are_found(labeler: Labeler, quick: bool) -> None:
    """Events too: whether a bar is one has to be known at its close."""
    findings = Bench({"honest": Leaky(way="honest")}, (column("honest"),), labeler=labeler).run(quick=quick)
    assert findings.labels.verdict is LeakVerdict.LEAK
    assert verdicts(findings) == {"1h_honest": "pass"}
    (notice,) = findings.notices(60)
    assert "labels" in notice
    assert findings.summary()["found"][0]["name"] == "labels"


def test_one_seed_looks_at_one_set_of_moments() -> None:
    bench = Bench({"long": Moving(memory="exponential")}, (column("long"),))
    again, other = Bench({"long": Moving(memory="exponential")}, bench.features.columns), bench.run()
    assert again.run() == other
    bench.seed = 4
    assert bench.run() != other
    assert other.cuts == 16


def test_nothing_is_looked_at_where_no_row_is_usable() -> None:
    bench = Bench({"honest": Leaky(way="honest")}, (column("honest"),), history_required=5_000)
    assert (bench.run().cuts, bench.run().verdict) == (0, LeakVerdict.PASS)


SERIES = Series(
    symbol="TEST",
    base_timeframe="1h",
    bars={"1h": random_bars(1, 400), "4h": random_bars(2, 100, timeframe="4h")},
)


@settings(max_examples=25)
@given(row=st.integers(0, 399), seed=st.integers(0, 1000))
def test_another_future_is_one_of_valid_bars_and_leaves_the_past(row: int, seed: int) -> None:
    """Every bar that had closed is as it was, every later one is another, and no high lies below a close."""
    moment = int(SERIES.base.closes[row])
    other = with_another_future(SERIES, moment, np.random.default_rng(seed))
    for name, bars in SERIES.bars.items():
        closed, changed = bars.closes <= moment, other.bars[name]
        for price in (*PRICES, "volume"):
            before, after = getattr(bars, price), getattr(changed, price)
            np.testing.assert_array_equal(before[closed], after[closed])
            assert (before[~closed] != after[~closed]).all()
        assert (changed.high >= np.maximum(changed.open, changed.close)).all()
        assert (changed.low <= np.minimum(changed.open, changed.close)).all()
        assert np.isfinite(changed.close).all()


@settings(max_examples=25)
@given(row=st.integers(0, 399), width=st.integers(1, 50))
def test_cutting_follows_the_close_and_not_the_open(row: int, width: int) -> None:
    moment = int(SERIES.base.closes[row])
    reach = {"1h": width, "4h": 2 * width}
    short, some, near = until(SERIES, moment), last(SERIES, moment, reach), around(SERIES, moment, reach)
    for name, bars in SERIES.bars.items():
        closed = bars.time[bars.closes <= moment]
        assert short.bars[name].time.tolist() == closed.tolist()
        assert some.bars[name].time.tolist() == closed[-reach[name] :].tolist()
        behind = bars.time[bars.closes > moment][: reach[name]]
        assert near.bars[name].time.tolist() == [*some.bars[name].time, *behind]


def test_a_flat_market_has_another_future() -> None:
    """Even where prices never moved."""
    flat = random_bars(1, 50, step=0.0)
    series = Series(symbol="TEST", base_timeframe="1h", bars={"1h": flat})
    other = with_another_future(series, int(flat.closes[20]), np.random.default_rng(1))
    assert (other.base.close[21:] != flat.close[21:]).all()


@pytest.mark.parametrize(
    ("left", "right", "difference", "found"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0, False),
        ([1.0, np.nan], [1.0, np.nan], 0.0, False),
        ([1.0, 2.0], [1.0, np.nan], np.nan, True),
        ([1.0, 2.0], [1.5, 2.2], 0.25, True),
        ([1.0, 2.0], [1.01, 2.0], 0.005, False),
        ([1e6, 2e6], [1e6 + 0.5, 2e6], 0.25, False),
    ],
)
def test_values_are_compared_by_their_spread(
    left: list[float], right: list[float], difference: float, found: bool
) -> None:
    """With a spread of 2 and 1 % allowed; what float32 cannot tell apart is equal, and a hole is not."""
    one, two = (np.array(values, dtype=np.float32)[:, None] for values in (left, right))
    much, guilty = compared(one, two, np.array([2.0]), 0.01)
    np.testing.assert_allclose(much, [difference], rtol=1e-5)
    assert guilty.tolist() == [found]
