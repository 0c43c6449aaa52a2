"""Strategy files: read as written, resolved with every default, refused with path, line, finding and advice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.errors import Conflict, InvalidRequest, InvalidStrategy, Problem, StrategyNotFound
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import read_strategy, resolved, restore_strategy
from ktrdr.execution.strategy.repository import StrategyFiles

ROOT = Path(__file__).parents[3]
BUNDLED = (ROOT / "strategies" / "eurusd_momentum.yaml").read_text(encoding="utf-8")

SMALL = """\
name: small
training_data:
  symbols: {mode: single, symbol: EURUSD}
  timeframes: {mode: single, timeframe: 1h}
indicators:
  rsi_14:
    type: RSI
    period: 14
fuzzy_sets:
  rsi:
    indicator: rsi_14
    low: [0, 0, 40]
    high: [60, 100, 100]
nn_inputs:
  - fuzzy_set: rsi
    timeframes: all
training:
  labels: {source: zigzag}
"""


def read(text: str) -> Strategy:
    return read_strategy(text, "test.yaml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidStrategy) as refused:
        read(text)
    return list(refused.value.problems)


def mistakes(reading: Callable[[], Strategy]) -> list[Problem] | None:
    """What was refused, None when nothing was; anything but a refusal is a bug and is raised."""
    try:
        reading()
    except InvalidStrategy as refused:
        return list(refused.problems)
    return None


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def test_the_bundled_strategy_reads_without_a_notice() -> None:
    strategy = read(BUNDLED)
    assert strategy.notices() == []
    assert strategy.feature_names[:4] == ["1h_rsi_oversold", "1h_rsi_neutral", "1h_rsi_overbought", "1h_trend_weak"]
    assert strategy.feature_names[-1] == "1h_atr_24_raw"


@pytest.mark.parametrize("text", [SMALL, BUNDLED])
def test_the_resolved_form_restores_an_equal_strategy(text: str) -> None:
    strategy = read(text)
    assert restore_strategy(resolved(strategy)) == strategy
    assert resolved(restore_strategy(resolved(strategy))) == resolved(strategy)


def test_defaults_are_the_grammars() -> None:
    strategy = read(SMALL)
    training = strategy.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (100, 32, 0.001)
    assert (training.weight_decay, training.gradient_clip, training.loss) == (0.0001, 1.0, "cross_entropy")
    assert not training.early_stopping.enabled
    assert training.lr_scheduler is None
    assert strategy.training_data.history_required == 200
    assert strategy.decisions.confidence_threshold == 0.5
    assert strategy.decisions.filters.min_signal_separation == 4
    assert read(changed("training:\n  labels: {source: zigzag}\n", "")).training.labels.source == "zigzag"


@pytest.mark.parametrize(
    ("old", "new", "path", "line", "found", "expected"),
    [
        ("period: 14", "period: 0", "indicators.rsi_14.period", 8, "0", "greater than or equal to 2"),
        ("period: 14", "perod: 14", "indicators.rsi_14.perod", 8, "unknown key", "did you mean period?"),
        ("period: 14", "period: '14'", "indicators.rsi_14.period", 8, "'14'", "a whole number"),
        ("type: RSI", "type: rsii", "indicators.rsi_14", 6, "rsii", "did you mean rsi?"),
        ("type: RSI\n", "", "indicators.rsi_14", 6, "missing", "type"),
        ("low: [0, 0, 40]", "low: [40, 0, 0]", "fuzzy_sets.rsi.low", 12, "[40, 0, 0]", "a ≤ b ≤ c"),
        ("low: [0, 0, 40]", "low: [0, 40]", "fuzzy_sets.rsi.low", 12, "a list of 2", "triangle"),
        ("indicator: rsi_14", "indicator: rsi_15", "fuzzy_sets.rsi.indicator", 11, "rsi_15", "rsi_14"),
        ("indicator: rsi_14", "indicator: rsi_14.k", "fuzzy_sets.rsi.indicator", 11, "rsi_14.k", "outputs rsi"),
        ("fuzzy_set: rsi", "fuzzy_set: macd", "nn_inputs.0.fuzzy_set", 15, "macd", "rsi"),
        ("timeframes: all", "timeframes: [4h]", "nn_inputs.0.timeframes", 16, "4h", "1h"),
        ("symbol: EURUSD", "symbol: EUR/USD", "training_data.symbols.symbol", 3, "'EUR/USD'", "EURUSD"),
        ("symbol: EURUSD", "symbol: ../x", "training_data.symbols.symbol", 3, "'../x'", ""),
        ("timeframe: 1h}", "timeframe: 7x}", "training_data.timeframes.timeframe", 4, "'7x'", "1h"),
        ("name: small", "name: ../evil", "name", 1, "'../evil'", "letters"),
        ("source: zigzag", "source: zigzug", "training.labels", 18, "zigzug", "did you mean zigzag?"),
        (
            "source: zigzag",
            "source: zigzag, zigzag_threshold: 2",
            "training.labels.zigzag_threshold",
            18,
            "2",
            "less than 1",
        ),
        ("type: RSI\n    period: 14", "type: macd\n    slow: 5", "indicators.rsi_14", 6, "fast_period 12", "shorter"),
        ("  labels: {", "  early_stopping: yes\n  labels: {", "training.early_stopping", 18, "'yes'", "true, false"),
        ("training:", "trainin: {}\ntraining:", "trainin", 17, "unknown key", "did you mean training?"),
        (
            "  labels: {",
            "  optimiser: adam\n  labels: {",
            "training.optimiser",
            18,
            "unknown key",
            "did you mean optimizer?",
        ),
        ("  labels: {", "  optimizer: adamm\n  labels: {", "training.optimizer", 18, "adamm", "did you mean adam?"),
        ("  labels: {", "  epochs: 1.5\n  labels: {", "training.epochs", 18, "1.5", "whole number"),
        ("  labels: {", "  momentum: 0.9\n  labels: {", "training", 17, "momentum 0.9", "sgd"),
        ("  labels: {", "  data_split: {train: 0.9}\n  labels: {", "training.data_split", 18, "sum to 1.2", "sum to 1"),
        (
            "  labels: {",
            "  lr_scheduler: {type: stepp}\n  labels: {",
            "training.lr_scheduler",
            18,
            "stepp",
            "did you mean step?",
        ),
        (
            "  labels: {",
            "  early_stopping: {patiance: 3}\n  labels: {",
            "training.early_stopping.patiance",
            18,
            "unknown key",
            "patience",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(old: str, new: str, path: str, line: int, found: str, expected: str) -> None:
    told = problems(changed(old, new))
    assert len(told) == 1, told
    assert (told[0].path, told[0].line) == (path, line)
    assert found in told[0].found
    assert expected in told[0].expected


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = changed("period: 14", "period: x").replace("low: [0, 0, 40]", "low: [1, 0, 0]").replace("1h}", "1q}")
    assert [problem.line for problem in problems(text)] == [4, 8, 12]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1,", 1),
        ("name: x\nname: y\n", 2),
        ("- a\n- b\n", 1),
        ("", 1),
        ("a: b: c", 1),
        ("x: !!python/object:os.system {}", 1),
    ],
)
def test_what_is_no_strategy_is_refused_with_a_sentence(text: str, line: int) -> None:
    told = problems(text)
    assert told[0].line is None or told[0].line >= line or told[0].found


@given(st.text(max_size=200))
@settings(max_examples=150)
def test_no_text_crashes_the_reader(text: str) -> None:
    told = mistakes(lambda: read(text))
    assert told is None or told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(Strategy.model_fields)), JSON)
@settings(max_examples=200)
def test_no_value_in_any_section_crashes_the_validator(section: str, value: Any) -> None:
    document = {**resolved(read(SMALL)), section: value}
    told = mistakes(lambda: restore_strategy(document))
    assert told is None or all(problem.expected for problem in told)


def test_scalars_are_yaml_1_2() -> None:
    strategy = read(
        changed("  labels: {", "  learning_rate: 1e-3\n  labels: {").replace("low:", "on:").replace("high:", "no:")
    )
    assert strategy.training.learning_rate == 0.001
    assert strategy.feature_names == ["1h_rsi_on", "1h_rsi_no"]


@pytest.mark.parametrize("version", ["3.0", '"3.0"', "3"])
def test_the_version_may_be_a_number(version: str) -> None:
    assert read(f"version: {version}\n" + SMALL).version in ("3.0", "3")


def test_older_files_keep_their_training_in_the_model() -> None:
    older = SMALL + "  epochs: 7\nmodel:\n  type: mlp\n  training: {epochs: 9, batch_size: 16}\n  features: {x: 1}\n"
    strategy = read(older)
    assert (strategy.training.epochs, strategy.training.batch_size) == (7, 16)
    assert any("model.features" in notice for notice in strategy.notices())


def test_both_spellings_of_dates_mean_the_same() -> None:
    one = read(changed("indicators:", "  start_date: 2017-02-01\n  end_date: '2017-06-01'\nindicators:"))
    two = read(changed("indicators:", "  date_range: {start: 2017-02-01, end: 2017-06-01}\nindicators:"))
    assert one == two
    assert one.training_data.start_date.isoformat() == "2017-02-01T00:00:00+00:00"
    both = changed("indicators:", "  start_date: 2017-02-01\n  date_range: {start: 2017-02-01}\nindicators:")
    assert "both" in problems(both)[0].found
    assert (
        "before"
        in problems(changed("indicators:", "  start_date: 2018-01-01\n  end_date: 2017-01-01\nindicators:"))[0].expected
    )


def test_validation_split_leaves_the_test_its_share() -> None:
    split = read(changed("  labels: {", "  validation_split: 0.2\n  labels: {")).training.data_split
    assert (split.train, split.validation, split.test) == pytest.approx((0.68, 0.17, 0.15))


@pytest.mark.parametrize(
    ("written", "kind"),
    [("true", "reduce_on_plateau"), ("false", None), ("{type: cosine}", "cosine"), ("{type: one_cycle}", "one_cycle")],
)
def test_schedulers_have_a_short_form(written: str, kind: str | None) -> None:
    scheduler = read(changed("  labels: {", f"  lr_scheduler: {written}\n  labels: {{")).training.lr_scheduler
    assert (scheduler.type if scheduler else None) == kind


def test_several_symbols_and_timeframes_make_features_in_order() -> None:
    text = changed("{mode: single, timeframe: 1h}", "{mode: multi_timeframe, list: [1h, 4h], base_timeframe: 1h}")
    text = text.replace("{mode: single, symbol: EURUSD}", "{mode: multi_symbol, list: [EURUSD, GBPUSD]}")
    strategy = read(text + "")
    assert strategy.symbols == ("EURUSD", "GBPUSD")
    assert strategy.feature_names == ["1h_rsi_low", "1h_rsi_high", "4h_rsi_low", "4h_rsi_high"]


def test_colliding_features_and_wrong_class_counts_are_refused() -> None:
    twice = changed("    timeframes: all", "    timeframes: all\n  - fuzzy_set: rsi")
    assert (problems(twice)[0].path, problems(twice)[0].line) == ("nn_inputs", 14)
    assert "comes twice" in problems(twice)[0].found
    assert "3 classes" in problems(SMALL + "decisions: {num_classes: 2}\n")[0].expected


def test_unused_and_ineffective_keys_are_noticed_and_not_refused() -> None:
    text = changed("fuzzy_sets:", "  unused: {type: sma}\nfuzzy_sets:").replace(
        "zigzag}", "zigzag, label_lookahead: 20}"
    )
    assert read("scope: universal\n" + text).notices() == [
        "indicators.unused is not used by any input",
        "training.labels.label_lookahead is stored and has no effect",
        "scope is stored and has no effect",
    ]


def test_raw_prices_of_several_symbols_are_noticed() -> None:
    text = changed("{mode: single, symbol: EURUSD}", "{mode: multi_symbol, list: [EURUSD, GBPUSD]}")
    raw = text.replace("type: RSI", "type: SMA").replace("- fuzzy_set: rsi", "- raw_indicator: rsi_14")
    assert any("unit of the price" in notice for notice in read(raw).notices())
    assert read(text).notices() == []


def test_overrides_change_a_training_and_are_validated() -> None:
    files = StrategyFiles(ROOT / "strategies")
    changes = StrategyOverrides(symbols=["AAPL", "IBM"], timeframes=["1d"], seed=7)
    details = files.read("eurusd_momentum", changes)
    assert details.symbols == ["AAPL", "IBM"]
    assert details.base_timeframe == "1d"
    assert details.resolved["training"]["seed"] == 7
    assert all(name.startswith("1d_") for name in details.feature_names)
    with pytest.raises(InvalidRequest, match="does not fit the strategy"):
        files.read("eurusd_momentum", StrategyOverrides(symbols=["a/b"]))


def test_the_repository_finds_by_name_then_by_stem_and_names_its_trouble(tmp_path: Path) -> None:
    files = StrategyFiles(tmp_path)
    assert files.summaries() == []
    (tmp_path / "one.yaml").write_text(SMALL)
    (tmp_path / "broken.yml").write_text("name: [")
    assert files.read("small").source == files.read("one").source
    with pytest.raises(StrategyNotFound, match="did you mean small"):
        files.read("smal")
    with pytest.raises(StrategyNotFound, match="there is no strategy file"):
        files.read_file(tmp_path / "none.yaml")
    assert [summary.error is None for summary in files.summaries()] == [False, True]
    with pytest.raises(InvalidStrategy):
        files.read("broken")
    (tmp_path / "two.yaml").write_text(SMALL)
    with pytest.raises(Conflict, match=r"one\.yaml and two\.yaml"):
        files.read("small")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        StrategyFiles(tmp_path).read_file(tmp_path / "x.yaml")


def test_the_schema_that_editors_get_agrees_with_the_reader() -> None:
    """It takes what the reader takes, in every spelling, and points to a key that the reader refuses."""
    schema = jsonschema_rs.validator_for(StrategyFiles(ROOT / "strategies").schema())
    for text in (SMALL, BUNDLED):
        schema.validate(yaml.safe_load(text))
        schema.validate(resolved(read(text)))
    for text in (changed("period: 14", "periods: 14"), changed("type: RSI", "type: RSY"), SMALL + "  epoch: 3\n"):
        assert problems(text)
        assert not schema.is_valid(yaml.safe_load(text)), text


@pytest.mark.parametrize("deep", ["[" * 20_000, "{a: " * 20_000, "- " * 20_000, "name: " + "[" * 3_000 + "]" * 3_000])
def test_deep_nesting_is_refused_not_followed(deep: str) -> None:
    """A text that exhausts a parser is a mistake of its writer like any other."""
    assert problems(deep)


def test_a_short_text_that_means_billions_of_values_is_refused_at_once() -> None:
    """Aliases of aliases are counted as they would be written out, and no further than the bound."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert [problem.found for problem in problems("\n".join(rows))] == ["more than 50,000 values"]
    assert [problem.found for problem in problems("a: &a\n  <<: *a\n")] == ["no YAML that can be read"]
    assert problems("a: " + "[" * 40 + "]" * 40)[0].found == "nested too deeply"
    assert "characters" in problems("# " + "x" * 200_000)[0].found


def test_of_very_many_mistakes_the_first_are_told() -> None:
    """And how many there are beside them."""
    told = problems("name: x\nindicators:\n" + "\n".join(f"  i{number}: 3" for number in range(500)))
    assert len(told) == 101
    assert told[-1].found == "402 more mistakes"


def test_a_strategy_with_a_model_is_trained() -> None:
    """As whoever knows the models says."""
    for trained in ({"eurusd_momentum"}, set()):
        files = StrategyFiles(ROOT / "strategies", trained=lambda trained=trained: trained)
        assert {one.name for one in files.summaries() if one.trained} == trained
