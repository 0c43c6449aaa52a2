"""The rules by which a strategy's decisions become trades, in one frozen value."""

from dataclasses import dataclass

from ktrdr.execution.strategy.decisions import Decisions

ASSUMED_COST = 0.001
"""What a round trip costs, as a share of the notional, when the strategy says nothing."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """`threshold` is the probability that a signal needs, in regression the return that it has to exceed;
    `separation` counts base bars between two fills; `shorts` says whether SELL opens a position."""

    regression: bool
    threshold: float
    round_trip_cost: float
    cost_assumed: bool
    separation: int
    shorts: bool


def rules_of(decisions: Decisions) -> Rules:
    """The rules that the section `decisions` spells out.

    A regression needs an edge beyond `round_trip_cost` times `min_edge_multiplier`; its `confidence_threshold` has no
    effect, nor has `min_edge_multiplier` in a classification. A short may be opened by regressions, with
    `allow_short_from_flat`, and without `position_awareness`.
    """
    regression = decisions.output_format == "regression"
    model = decisions.cost_model
    cost = ASSUMED_COST if model is None else model.round_trip_cost
    multiplier = 1.0 if model is None else model.min_edge_multiplier
    return Rules(
        regression=regression,
        threshold=cost * multiplier if regression else decisions.confidence_threshold,
        round_trip_cost=cost,
        cost_assumed=model is None,
        separation=decisions.filters.min_signal_separation,
        shorts=regression or decisions.allow_short_from_flat or not decisions.position_awareness,
    )
