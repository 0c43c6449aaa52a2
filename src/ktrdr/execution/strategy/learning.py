"""The section `training`: how a model learns, and from which labels."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from ktrdr.execution.component import Flag, Int, Number, Positive, Section, refusal
from ktrdr.execution.labels.library import LABELERS, AnyLabeler
from ktrdr.execution.labels.zigzag import Zigzag
from ktrdr.execution.strategy.validation import Validation

Count = Annotated[Int, Field(ge=1, le=10_000_000)]
NotNegative = Annotated[Number, Field(ge=0)]
BelowOne = Annotated[Number, Field(gt=0, lt=1)]


class DataSplit(Section):
    """Shares of the time range, in order; `embargo` in bars (default: 1 % of the range)."""

    train: BelowOne = 0.7
    validation: BelowOne = 0.15
    test: BelowOne = 0.15
    embargo: Annotated[Int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "DataSplit":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise refusal(f"shares that sum to {total:g}", "train, validation and test have to sum to 1")
        return self


class EarlyStopping(Section):
    """Stop when the monitored value has not improved by `min_delta` for `patience` epochs."""

    enabled: Flag = True
    patience: Count = 10
    min_delta: NotNegative = 0.001
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"


class StepDecay(Section):
    """The learning rate times `gamma` every `step_size` epochs."""

    type: Literal["step"]
    step_size: Count = 30
    gamma: BelowOne = 0.1


class ExponentialDecay(Section):
    """The learning rate times `gamma` every epoch."""

    type: Literal["exponential"]
    gamma: BelowOne = 0.95


class ReduceOnPlateau(Section):
    """The learning rate times `factor` when the validation loss has not fallen for `patience` epochs."""

    type: Literal["reduce_on_plateau"]
    factor: BelowOne = 0.5
    patience: Annotated[Int, Field(ge=0)] = 5
    min_lr: NotNegative = 0.0


class Cosine(Section):
    """Half a cosine from the learning rate down to `min_lr` over `t_max` epochs (default: all of them)."""

    type: Literal["cosine"]
    t_max: Count | None = None
    min_lr: NotNegative = 0.0


class OneCycle(Section):
    """Up to `max_lr` (default: ten times the learning rate) and down again, stepped every batch (Smith 2018)."""

    type: Literal["one_cycle"]
    max_lr: Positive | None = None
    pct_start: BelowOne = 0.3


Scheduler = Annotated[StepDecay | ExponentialDecay | ReduceOnPlateau | Cosine | OneCycle, Field(discriminator="type")]


def _scheduler(written: Any) -> Any:
    if written is True:
        return {"type": "reduce_on_plateau"}
    return None if written is False else written


def _stopping(written: Any) -> Any:
    if isinstance(written, bool):
        return {"enabled": written}
    if not isinstance(written, (dict, EarlyStopping)):
        raise refusal(repr(written), "true, false, or {patience: 10, min_delta: 0.001}")
    return written


def predicts_numbers(labels: Any) -> bool:
    """Whether a section `labels`, as written or as a labeler, gives numbers."""
    source = labels.get("source") if isinstance(labels, dict) else getattr(labels, "source", None)
    named = [kind for kind in LABELERS if source in get_args(kind.model_fields["source"].annotation)]
    return any(kind.regression() for kind in named)


class Analytics(Section):
    """`enabled` adds a table of every epoch to the model, analytics.csv; older files ask for its forms too."""

    enabled: Flag = True
    export_csv: Flag | None = None
    export_json: Flag | None = None
    export_alerts: Flag | None = None

    def ineffective(self) -> list[str]:
        """Keys that were written and change nothing: the table is CSV, and its numbers are in metrics.json anyway."""
        return [key for key in ("export_csv", "export_json", "export_alerts") if getattr(self, key) is not None]


class Training(Section):
    """Everything the trainer reads; every key is honoured or named in a notice."""

    labels: AnyLabeler = Zigzag()
    data_split: DataSplit = DataSplit()
    validation: Validation | None = None
    epochs: Annotated[Int, Field(ge=1, le=1_000_000)] = 100
    batch_size: Annotated[Int, Field(ge=1, le=10_000_000)] | Literal["auto"] = 32
    learning_rate: Positive = 0.001
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    weight_decay: NotNegative = 0.0001
    loss: Literal["cross_entropy", "focal", "huber", "mse"] = "cross_entropy"
    focal_gamma: NotNegative = 2.0
    huber_delta: Positive = 0.01
    class_weights: Literal["balanced", "none"] = "balanced"
    early_stopping: Annotated[
        EarlyStopping, BeforeValidator(_stopping, json_schema_input_type=EarlyStopping | bool)
    ] = EarlyStopping(enabled=False)
    lr_scheduler: Annotated[
        Scheduler | None, BeforeValidator(_scheduler, json_schema_input_type=Scheduler | bool | None)
    ] = None
    gradient_clip: Positive | None = 1.0
    seed: Annotated[Int, Field(ge=0, lt=2**63)] = 42
    null_test: Annotated[Int, Field(ge=0, le=10_000)] | None = None
    method: str | None = None
    analytics: Analytics = Analytics(enabled=False)

    @model_validator(mode="before")
    @classmethod
    def _validation_split(cls, written: Any) -> Any:
        """`validation_split: v` leaves 15 % for the test and takes its share from the rest."""
        if not isinstance(written, dict) or "validation_split" not in written:
            return written
        if "data_split" in written:
            raise refusal("both data_split and validation_split", "keep data_split")
        share = written["validation_split"]
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
            raise refusal(f"validation_split: {share!r}", "a share between 0 and 1")
        rest = {key: value for key, value in written.items() if key != "validation_split"}
        split = {"train": 0.85 - share * 0.85, "validation": share * 0.85, "test": 0.15}
        return {**rest, "data_split": split}

    @model_validator(mode="before")
    @classmethod
    def _loss_of_the_labels(cls, written: Any) -> Any:
        """Without `loss`: huber for numbers, cross entropy for classes."""
        if not isinstance(written, dict) or written.get("loss") is not None:
            return written
        return {**written, "loss": "huber" if predicts_numbers(written.get("labels")) else "cross_entropy"}

    @model_validator(mode="after")
    def _loss_fits_the_labels(self) -> "Training":
        fitting = ("huber", "mse") if self.labels.regression() else ("cross_entropy", "focal")
        if self.loss not in fitting:
            what = "a number" if self.labels.regression() else "a class"
            raise refusal(
                f"loss {self.loss} for {self.labels.source} labels",
                f"they are {what}: write loss: {' or '.join(fitting)}, or leave it out",
            )
        return self

    @model_validator(mode="after")
    def _momentum_is_used(self) -> "Training":
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise refusal(
                f"momentum {self.momentum:g} with optimizer {self.optimizer}", "momentum belongs to sgd and rmsprop"
            )
        return self

    @classmethod
    def known_keys(cls) -> list[str]:
        return [*super().known_keys(), "validation_split"]

    @classmethod
    def older_keys(cls) -> list[str]:
        return ["date_range"]
