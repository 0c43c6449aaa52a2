"""The rules of reading a file, sentence by sentence: what is read, what is stored with a notice, what is refused."""

from typing import Any

import pytest

from ktrdr.errors import InvalidStrategy, Problem
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import read_strategy, resolved, restore_strategy

BASE = """\
name: base
training_data:
  symbols: {mode: single, symbol: EURUSD}
  timeframes: {mode: multi_timeframe, list: [1h, 4h]}
indicators:
  rsi_14: {type: rsi, period: 14}
fuzzy_sets:
  rsi:
    indicator: rsi_14
    low: [0, 0, 40]
    high: [60, 100, 100]
nn_inputs:
  - fuzzy_set: rsi
"""
REGRESSION = """\
decisions: {cost_model: {round_trip_cost: 0.001}}
training:
  labels: {source: forward_return}
"""


def read(text: str) -> Strategy:
    strategy = read_strategy(text, "test.yaml")
    assert restore_strategy(resolved(strategy)) == strategy, "its stored form says the same"
    return strategy


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidStrategy) as refused:
        read_strategy(text, "test.yaml")
    return list(refused.value.problems)


def instead(old: str, new: str, text: str = BASE) -> str:
    assert old in text
    return text.replace(old, new)


def value_at(strategy: Strategy, path: str) -> Any:
    node: Any = strategy
    for part in path.split("."):
        node = node[part] if isinstance(node, dict) else getattr(node, part)
    return node


READS = [
    # YAML 1.2
    ("1e-3 is a number", BASE + "training: {learning_rate: 1e-3}", "training.learning_rate", 0.001),
    ("010 is ten", BASE + "training: {epochs: 010}", "training.epochs", 10),
    ("on, off, yes and no are texts", BASE + "description: off", "description", "off"),
    ("version: 3.0 equals '3.0'", "version: 3.0\n" + BASE, "version", "3.0"),
    # timeframes
    (
        "mode single accepts a list of one with its base",
        instead("multi_timeframe, list: [1h, 4h]", "single, list: [1h], base_timeframe: 1h"),
        "timeframes",
        ("1h",),
    ),
    ("spellings in any case", instead("[1h, 4h]", "[1H, 1D, 5M]"), "timeframes", ("1h", "1d", "5M")),
    ("1m is a minute", instead("[1h, 4h]", "[1m, 1M]"), "timeframes", ("1m", "1M")),
    ("the base is the first of the list", BASE, "base_timeframe", "1h"),
    (
        "a listed timeframe may be shorter than the base",
        instead("[1h, 4h]", "[5m, 1h], base_timeframe: 1h"),
        "base_timeframe",
        "1h",
    ),
    # dates and history
    ("no dates: all stored bars", BASE, "training_data.start_date", None),
    ("history is 200 bars", BASE, "training_data.history_required", 200),
    # defaults
    ("no labels: zigzag", BASE, "training.labels.source", "zigzag"),
    ("with its default", BASE, "training.labels.zigzag_threshold", 0.02),
    ("no loss: cross_entropy", BASE, "training.loss", "cross_entropy"),
    ("no loss in regression: huber", BASE + REGRESSION, "training.loss", "huber"),
    ("and regression is what such labels mean", BASE + REGRESSION, "decisions.output_format", "regression"),
    ("confidence_threshold", BASE, "decisions.confidence_threshold", 0.5),
    ("position_awareness", BASE, "decisions.position_awareness", True),
    ("min_signal_separation", BASE, "decisions.filters.min_signal_separation", 4),
    ("weight_decay", BASE, "training.weight_decay", 0.0001),
    ("gradient_clip", BASE, "training.gradient_clip", 1.0),
    ("gradient_clip: null is none", BASE + "training: {gradient_clip: null}", "training.gradient_clip", None),
    ("epochs", BASE, "training.epochs", 100),
    ("batch_size", BASE, "training.batch_size", 32),
    ("batch_size: auto", BASE + "training: {batch_size: auto}", "training.batch_size", "auto"),
    ("learning_rate", BASE, "training.learning_rate", 0.001),
    ("optimizer", BASE, "training.optimizer", "adam"),
    ("focal_gamma", BASE, "training.focal_gamma", 2.0),
    ("huber_delta", BASE, "training.huber_delta", 0.01),
    ("data_split", BASE, "training.data_split.train", 0.7),
    # the older places
    (
        "model.training fills what training leaves out",
        BASE + "training: {epochs: 7}\nmodel: {type: mlp, training: {epochs: 9, batch_size: 16}}",
        "training.batch_size",
        16,
    ),
    (
        "and nothing else",
        BASE + "training: {epochs: 7}\nmodel: {type: mlp, training: {epochs: 9, batch_size: 16}}",
        "training.epochs",
        7,
    ),
    (
        "a split there yields to the other way to write one here",
        BASE + "training: {validation_split: 0.2}\nmodel: {training: {data_split: {train: 0.7}}}",
        "training.data_split.validation",
        pytest.approx(0.17),
    ),
    (
        "dates inside training are the training data's",
        BASE + "training: {date_range: {start: 2017-02-01, end: 2017-06-01}}",
        "training_data.end_date.month",
        6,
    ),
    (
        "an architecture's keys beside the type",
        BASE + "model: {type: mlp, hidden_layers: [7], dropout: 0.1}",
        "model.architecture.hidden_layers",
        (7,),
    ),
    # output_activation
    (
        "output_activation: softmax",
        BASE + "model: {type: mlp, architecture: {output_activation: softmax}}",
        "model.architecture.output_activation",
        "softmax",
    ),
    # early stopping
    ("early_stopping absent is off", BASE, "training.early_stopping.enabled", False),
    ("present is on", BASE + "training: {early_stopping: {patience: 3}}", "training.early_stopping.enabled", True),
    ("false is off", BASE + "training: {early_stopping: false}", "training.early_stopping.enabled", False),
    (
        "enabled: false is off",
        BASE + "training: {early_stopping: {enabled: false, patience: 3}}",
        "training.early_stopping.enabled",
        False,
    ),
    ("patience 10", BASE + "training: {early_stopping: true}", "training.early_stopping.patience", 10),
    ("min_delta 0.001", BASE + "training: {early_stopping: true}", "training.early_stopping.min_delta", 0.001),
    ("val_loss", BASE + "training: {early_stopping: true}", "training.early_stopping.monitor", "val_loss"),
    # schedulers
    ("lr_scheduler: true", BASE + "training: {lr_scheduler: true}", "training.lr_scheduler.type", "reduce_on_plateau"),
    ("its factor", BASE + "training: {lr_scheduler: true}", "training.lr_scheduler.factor", 0.5),
    ("its patience", BASE + "training: {lr_scheduler: true}", "training.lr_scheduler.patience", 5),
    ("step_size", BASE + "training: {lr_scheduler: {type: step}}", "training.lr_scheduler.step_size", 30),
    ("gamma of steps", BASE + "training: {lr_scheduler: {type: step}}", "training.lr_scheduler.gamma", 0.1),
    ("gamma", BASE + "training: {lr_scheduler: {type: exponential}}", "training.lr_scheduler.gamma", 0.95),
    ("false is none", BASE + "training: {lr_scheduler: false}", "training.lr_scheduler", None),
    # splits
    (
        "sums to 1 within a millionth",
        BASE + "training: {data_split: {train: 0.7000005, validation: 0.15, test: 0.15}}",
        "training.data_split.test",
        0.15,
    ),
    ("validation_split", BASE + "training: {validation_split: 0.2}", "training.data_split.test", 0.15),
    # spellings
    (
        "both spellings of a barrier",
        BASE + "training: {labels: {source: triple_barrier, profit_target_atr: 3}}",
        "training.labels.pt_multiplier",
        3.0,
    ),
    (
        "triangle",
        instead("low: [0, 0, 40]", "low: {type: Triangle, parameters: [0, 0, 40]}"),
        "fuzzy_sets.rsi.memberships.low.parameters",
        (0.0, 0.0, 40.0),
    ),
    (
        "trapezoid",
        instead("low: [0, 0, 40]", "low: {type: trapezoid, parameters: [0, 0, 9, 40]}"),
        "fuzzy_sets.rsi.memberships.low.parameters",
        (0.0, 0.0, 9.0, 40.0),
    ),
    # ours
    ("short from flat", BASE + "decisions: {allow_short_from_flat: true}", "decisions.allow_short_from_flat", True),
    ("embargo", BASE + "training: {data_split: {embargo: 5}}", "training.data_split.embargo", 5),
    ("class_weights", BASE + "training: {class_weights: none}", "training.class_weights", "none"),
    ("momentum", BASE + "training: {optimizer: sgd, momentum: 0.9}", "training.momentum", 0.9),
]


@pytest.mark.parametrize(("text", "path", "expected"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_it_is_read(text: str, path: str, expected: Any) -> None:
    assert value_at(read(text), path) == expected


NOTICED = [
    (
        "an unused indicator",
        instead("fuzzy_sets:", "  sma: {type: sma}\nfuzzy_sets:"),
        "indicators.sma is not used by any input",
    ),
    (
        "an unused fuzzy set",
        instead("nn_inputs:", "  other: {indicator: rsi_14, low: [0, 1, 2]}\nnn_inputs:"),
        "fuzzy_sets.other is not used by any input",
    ),
    (
        "label_lookahead",
        BASE + "training: {labels: {source: zigzag, label_lookahead: 9}}",
        "training.labels.label_lookahead is stored and has no effect",
    ),
    ("model.features", BASE + "model: {features: {lookback_periods: 2}}", "model.features is stored and has no effect"),
    (
        "min_edge_multiplier in classification",
        BASE + "decisions: {cost_model: {min_edge_multiplier: 2}}",
        "decisions.cost_model.min_edge_multiplier has no effect in classification",
    ),
    (
        "confidence_threshold in regression",
        BASE + instead("{cost", "{confidence_threshold: 0.7, cost", REGRESSION),
        "decisions.confidence_threshold has no effect in regression",
    ),
    ("training.method", BASE + "training: {method: supervised}", "training.method is stored and has no effect"),
    ("scope", "scope: universal\n" + BASE, "scope is stored and has no effect"),
    (
        "forms of analytics",
        BASE + "training: {analytics: {export_json: true}}",
        "training.analytics.export_json is stored and has no effect",
    ),
]


@pytest.mark.parametrize(("text", "notice"), [row[1:] for row in NOTICED], ids=[row[0] for row in NOTICED])
def test_it_is_noticed_and_not_refused(text: str, notice: str) -> None:
    """Also when the strategy comes back from its stored form."""
    strategy = read(text)
    assert strategy.notices() == restore_strategy(resolved(strategy)).notices() == [notice]


COLLIDING = instead(
    "nn_inputs:\n",
    "  rsi_a: {indicator: rsi_14, b: [0, 1, 2]}\nnn_inputs:\n  - fuzzy_set: rsi_a\n",
    instead("low: [0", "a_b: [0"),
)
REFUSED = [
    ("an older version", "version: '2.0'\n" + BASE, "version", 1, "'2.0'", "3.0"),
    ("a version with nothing else to say", "version: 1.0\nindicators: []\n", "version", 1, "1.0", "docs/strategies.md"),
    ("a key twice", BASE + "name: again\n", "", 14, "duplicate key", "once"),
    (
        "yes for a flag",
        BASE + "decisions: {position_awareness: yes}",
        "decisions.position_awareness",
        14,
        "'yes'",
        "true or false",
    ),
    (
        "volume_filter: true",
        BASE + "decisions: {filters: {volume_filter: true}}",
        "decisions.filters",
        14,
        "volume_filter: true",
        "remove it",
    ),
    (
        "mode single with two",
        instead("multi_timeframe", "single"),
        "training_data.timeframes",
        4,
        "2 timeframes",
        "multi_timeframe",
    ),
    (
        "a base that is not listed",
        instead("[1h, 4h]", "[1h, 4h], base_timeframe: 1d"),
        "training_data.timeframes",
        4,
        "base_timeframe 1d",
        "1h, 4h",
    ),
    (
        "softmax in regression",
        BASE + REGRESSION + "model: {architecture: {output_activation: softmax}}",
        "model.architecture.output_activation",
        17,
        "softmax",
        "no classes",
    ),
    (
        "shares that do not sum to 1",
        BASE + "training: {data_split: {train: 0.70001, validation: 0.15, test: 0.15}}",
        "training.data_split",
        14,
        "1.00001",
        "sum to 1",
    ),
    (
        "both keys of a split",
        BASE + "training: {validation_split: 0.2, data_split: {train: 0.7}}",
        "training",
        14,
        "both data_split and validation_split",
        "keep",
    ),
    (
        "classes that are not the labels'",
        BASE + "decisions: {num_classes: 2}",
        "decisions.num_classes",
        14,
        "2",
        "3 classes",
    ),
    (
        "a format that is not the labels'",
        BASE + "decisions: {output_format: regression}",
        "decisions.output_format",
        14,
        "regression",
        "classification",
    ),
    ("a loss that is not the labels'", BASE + "training: {loss: mse}", "training", 14, "loss mse", "cross_entropy"),
    (
        "regression without costs",
        BASE + "training: {labels: {source: forward_return}}",
        "decisions",
        None,
        "no cost_model",
        "round_trip_cost",
    ),
    (
        "two spellings of one parameter",
        BASE + "training: {labels: {source: triple_barrier, vol_span: 5, atr_period: 5}}",
        "training.labels",
        14,
        "vol_span and atr_period",
        "keep vol_span",
    ),
    (
        "a barrier's alias elsewhere",
        BASE + "training: {labels: {source: zigzag, atr_period: 5}}",
        "training.labels.atr_period",
        14,
        "unknown key",
        "zigzag_threshold",
    ),
    (
        "features that collide",
        instead("  - fuzzy_set: rsi\n", "  - fuzzy_set: rsi\n  - {fuzzy_set: rsi, timeframes: 4h}\n"),
        "nn_inputs",
        12,
        "the feature 4h_rsi_low comes twice",
        "rename",
    ),
    ("sets and memberships that collide", COLLIDING, "nn_inputs", 13, "1h_rsi_a_b comes twice", "rename"),
    (
        "dates in two places",
        instead("indicators:", "  start_date: 2017-01-01\nindicators:") + "training: {date_range: {start: 2017-01-01}}",
        "training",
        15,
        "date_range beside",
        "keep",
    ),
    (
        "an architecture in two places",
        BASE + "model: {dropout: 0.1, architecture: {dropout: 0.2}}",
        "model",
        14,
        "dropout beside and inside",
        "keep",
    ),
    (
        "an unknown key of an older section",
        BASE + "model:\n  training:\n    epochs: 3\n    epoch: 3\n",
        "model.training.epoch",
        17,
        "unknown key",
        "epochs",
    ),
    (
        "a wrong value of an older section",
        BASE + "model:\n  training: {epochs: many}\n",
        "model.training.epochs",
        15,
        "'many'",
        "whole number",
    ),
    ("a wrong value beside the type", BASE + "model:\n  hidden_layers: [0]\n", "model.hidden_layers.0", 15, "0", "1"),
    (
        "a wrong date inside training",
        BASE + "training:\n  date_range: {start: soon}\n",
        "training.date_range.start",
        15,
        "'soon'",
        "2017-01-31",
    ),
    (
        "a key with its word inside",
        BASE + "training: {loss_function: focal}",
        "training.loss_function",
        14,
        "unknown key",
        "did you mean loss?",
    ),
    (
        "a misspelled older key",
        BASE + "training: {date_rang: 1}",
        "training.date_rang",
        14,
        "unknown key",
        "did you mean date_range?",
    ),
    (
        "an output beside the indicator",
        instead("    low:", "    output: rsi\n    low:"),
        "fuzzy_sets.rsi",
        8,
        "output: rsi",
        "indicator: rsi_14.rsi",
    ),
    (
        "a membership that is a text",
        instead("low: [0, 0, 40]", "low: small"),
        "fuzzy_sets.rsi.low",
        10,
        "'small'",
        "[a, b, c]",
    ),
    ("an id with a dot", instead("  rsi_14: {", "  rsi.14: {"), "indicators", 5, "'rsi.14'", "no dots"),
    (
        "both kinds of input",
        instead("- fuzzy_set: rsi", "- {fuzzy_set: rsi, raw_indicator: rsi_14}"),
        "nn_inputs.0",
        13,
        "both fuzzy_set and raw_indicator",
        "exactly one",
    ),
    (
        "neither kind of input",
        instead("- fuzzy_set: rsi", "- {timeframes: all}"),
        "nn_inputs.0",
        13,
        "neither",
        "exactly one",
    ),
    (
        "a normalised membership",
        instead("- fuzzy_set: rsi", "- {fuzzy_set: rsi, normalization: minmax}"),
        "nn_inputs.0",
        13,
        "normalization",
        "0 to 1 already",
    ),
    ("momentum of adam", BASE + "training: {momentum: 0.9}", "training", 14, "momentum 0.9", "sgd"),
]


@pytest.mark.parametrize(
    ("text", "path", "line", "found", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_it_is_refused_with_its_place(text: str, path: str, line: int | None, found: str, expected: str) -> None:
    told = problems(text)
    assert len(told) == 1, told
    assert (told[0].path, told[0].line) == (path, line)
    assert found in told[0].found
    assert expected in told[0].expected


@pytest.mark.parametrize(
    ("text", "count"),
    [(BASE + "training: {validation_split: 0.25}", (0.6375, 0.2125, 0.15)), (BASE, (0.7, 0.15, 0.15))],
)
def test_shares_are_of_the_whole(text: str, count: tuple[float, ...]) -> None:
    """`validation_split: v` takes v · 0.85 for validation."""
    split = read(text).training.data_split
    assert (split.train, split.validation, split.test) == pytest.approx(count)


@pytest.mark.parametrize("indicator", ["rsi_14", "rsi_14.rsi"])
def test_a_bare_id_is_the_first_output(indicator: str) -> None:
    strategy = read(instead("indicator: rsi_14", f"indicator: {indicator}"))
    assert strategy.feature_names == ["1h_rsi_low", "1h_rsi_high", "4h_rsi_low", "4h_rsi_high"]
