"""The section `decisions`: what becomes of a model's answers, and whether that fits what it is trained to answer."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ktrdr.execution.component import Flag, Fraction, Int, Number, Section, refusal
from ktrdr.execution.labels.base import Labeler
from ktrdr.execution.strategy.learning import Training

NotNegative = Annotated[Number, Field(ge=0)]


class Filters(Section):
    """Which signals become trades."""

    min_signal_separation: Annotated[Int, Field(ge=0)] = 4
    volume_filter: Flag = False

    @model_validator(mode="after")
    def _no_volume_filter(self) -> "Filters":
        if self.volume_filter:
            raise refusal("volume_filter: true", "there is no volume filter: remove it or write false")
        return self


class CostModel(Section):
    """What a round trip costs, as a share of the notional."""

    round_trip_cost: NotNegative = 0.001
    min_edge_multiplier: NotNegative = 1.0


class Decisions(Section):
    """From answers to signals. A class needs `confidence_threshold`, else it is HOLD; a predicted return has to exceed
    `round_trip_cost` times `min_edge_multiplier`. A strategy without `output_format` has the one of its labels."""

    output_format: Literal["classification", "regression"] = "classification"
    num_classes: Annotated[Int, Field(ge=2)] | None = None
    confidence_threshold: Fraction = 0.5
    cost_model: CostModel | None = None
    position_awareness: Flag = True
    allow_short_from_flat: Flag = False
    filters: Filters = Filters()


def check_task(decisions: Decisions, labels: Labeler, output_activation: str | None) -> None:
    """Raises a refusal unless decisions and model fit the labels: classes, or a number to predict."""
    expected = "regression" if labels.regression() else "classification"
    if decisions.output_format != expected:
        raise refusal(
            f"decisions.output_format: {decisions.output_format}",
            f"{labels.source} labels are for {expected}: write that, or choose other labels",
        )
    if labels.regression():
        _check_regression(decisions, output_activation)
    elif decisions.num_classes not in (None, len(labels.classes)):
        raise refusal(
            f"decisions.num_classes: {decisions.num_classes}",
            f"{labels.source} labels have {len(labels.classes)} classes",
        )


def _check_regression(decisions: Decisions, output_activation: str | None) -> None:
    if decisions.cost_model is None:
        raise refusal(
            "decisions: no cost_model",
            "a regression trades where the predicted return exceeds its costs: add"
            " cost_model: {round_trip_cost: 0.001, min_edge_multiplier: 1.5}",
        )
    if decisions.num_classes is not None:
        raise refusal(f"decisions.num_classes: {decisions.num_classes}", "a regression predicts one number: remove it")
    if output_activation == "softmax":
        raise refusal("model.architecture.output_activation: softmax", "a regression has no classes: remove it")


def without_effect(decisions: Decisions, training: Training) -> list[str]:
    """Notices of settings that are not at their defaults and, for these labels, change nothing."""
    costs = decisions.cost_model or CostModel()
    if training.labels.regression():
        task, settings = (
            "regression",
            {
                "decisions.confidence_threshold": decisions.confidence_threshold != Decisions().confidence_threshold,
                "training.class_weights": training.class_weights != "balanced",
            },
        )
    else:
        task, settings = (
            "classification",
            {"decisions.cost_model.min_edge_multiplier": costs.min_edge_multiplier != CostModel().min_edge_multiplier},
        )
    return [f"{path} has no effect in {task}" for path, is_changed in settings.items() if is_changed]
