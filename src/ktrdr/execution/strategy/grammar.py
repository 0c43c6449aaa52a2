"""The strategy as a whole: its sections, what they have to agree on, and the features that follow from them."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ktrdr.contracts.bars import SeriesWanted
from ktrdr.execution.component import Section, refusal
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.indicators.engine import split
from ktrdr.execution.models.library import AnyModel
from ktrdr.execution.models.mlp import Mlp
from ktrdr.execution.strategy.context import ContextEntry
from ktrdr.execution.strategy.decisions import Decisions, check_task, without_effect
from ktrdr.execution.strategy.inputs import FuzzySet, IndicatorSection, Input, TimeframeName, TrainingData, lowered
from ktrdr.execution.strategy.learning import Training, predicts_numbers
from ktrdr.execution.strategy.older import modernised

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")


def check_strategy_name(name: Any) -> str:
    """The name itself; raises a refusal unless it can be a folder's name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise refusal(repr(name), "use letters, digits, _, - and single dots, at most 100, no leading dot")
    return name


def _version(written: Any) -> Any:
    return str(written) if isinstance(written, (int, float)) and not isinstance(written, bool) else written


def _model(written: Any) -> Any:
    """A section that names no type is a multi-layer perceptron's."""
    return lowered({"type": "mlp", **written} if isinstance(written, dict) else written)


def _identifiers(section: dict[str, Any]) -> dict[str, Any]:
    for name in section:
        if not _IDENTIFIER.fullmatch(name):
            raise refusal(repr(name), "an id has letters, digits, _ and -, no dots")
    return section


class Deployment(Section):
    """Where the model is meant to be used; stored with it."""

    target_symbols: dict[str, Any] | list[str] | None = None
    target_timeframes: dict[str, Any] | list[str] | None = None


class Strategy(Section):
    """One strategy file, validated: live indicators, memberships, labeler and model."""

    name: Annotated[str, BeforeValidator(check_strategy_name)]
    version: Annotated[
        Literal["3.0", "3"], BeforeValidator(_version, json_schema_input_type=Literal["3.0", "3"] | float)
    ] = "3.0"
    description: str | None = None
    hypothesis: str | None = None
    scope: str | None = None
    training_data: TrainingData
    deployment: Deployment | None = None
    context_data: tuple[ContextEntry, ...] = ()
    indicators: Annotated[dict[str, IndicatorSection], Field(min_length=1)]
    fuzzy_sets: dict[str, FuzzySet] = Field(default_factory=dict)
    nn_inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    model: Annotated[AnyModel, BeforeValidator(_model, json_schema_input_type=AnyModel)] = Mlp()
    decisions: Decisions = Decisions()
    training: Training = Training()

    @model_validator(mode="before")
    @classmethod
    def _as_written_now(cls, written: Any) -> Any:
        """What older files keep elsewhere is put in its place; decisions without a format have that of the labels."""
        if not isinstance(written, dict):
            return written
        written = modernised(written)
        training, decisions = written.get("training"), written.get("decisions", {})
        labels = training.get("labels") if isinstance(training, dict) else getattr(training, "labels", None)
        if predicts_numbers(labels) and isinstance(decisions, dict):
            return {**written, "decisions": {"output_format": "regression", **decisions}}
        return written

    @field_validator("indicators", "fuzzy_sets", mode="after")
    @classmethod
    def _ids(cls, section: dict[str, Any]) -> dict[str, Any]:
        return _identifiers(section)

    @model_validator(mode="after")
    def _agree(self) -> "Strategy":
        self._check_sources()
        for name, fuzzy_set in self.fuzzy_sets.items():
            self._check_reference(fuzzy_set.indicator, f"fuzzy_sets.{name}.indicator")
        for index, entry in enumerate(self.nn_inputs):
            self._check_input(entry, f"nn_inputs.{index}")
        names = self.feature_names
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise refusal(f"nn_inputs: the feature {twice} comes twice", "rename a set or a membership, or remove one")
        check_task(self.decisions, self.training.labels, self.model.architecture.output_activation)
        return self

    def _check_input(self, entry: Input, path: str) -> None:
        if entry.fuzzy_set is not None and entry.fuzzy_set not in self.fuzzy_sets:
            known = ", ".join(self.fuzzy_sets) or "none"
            raise refusal(f"{path}.fuzzy_set: {entry.fuzzy_set}", f"name one of fuzzy_sets: {known}")
        if entry.raw_indicator is not None:
            self._check_reference(entry.raw_indicator, f"{path}.raw_indicator")
        strangers = [name for name in self._timeframes(entry) if name not in self.timeframes]
        if strangers:
            listed = ", ".join(self.timeframes)
            raise refusal(f"{path}.timeframes: {strangers[0]}", f"name timeframes of training_data: {listed}")
        if self._source(entry) and self._timeframes(entry) != (self.base_timeframe,):
            raise refusal(
                f"{path}.timeframes: another series has none of these",
                f"write all, or {self.base_timeframe}, the timeframe of the rows that it is read for",
            )

    def _check_sources(self) -> None:
        known: dict[str, ContextSource] = {}
        for index, entry in enumerate(self.context_data):
            for source in entry.sources(self.base_timeframe):
                if source.name in known:
                    raise refusal(f"context_data.{index}: {source.name} comes twice", "keep one of the two entries")
                known[source.name] = source
        for name, indicator in self.indicators.items():
            if indicator.data_source is not None and indicator.data_source not in known:
                listed = f"name one of context_data: {', '.join(known)}" if known else "add its entry to context_data"
                raise refusal(f"indicators.{name}.data_source: {indicator.data_source}", listed)

    def _check_reference(self, reference: str, path: str) -> None:
        name, output = split(reference)
        if name not in self.indicators:
            raise refusal(f"{path}: {reference}", f"name one of indicators: {', '.join(self.indicators)}")
        indicator = self.indicators[name]
        found = indicator.output_named(output)
        if found is None:
            raise refusal(f"{path}: {reference}", f"{name} has the outputs {', '.join(indicator.outputs)}")
        if found in indicator.needs_future:
            usable = [one for one in indicator.outputs if one not in indicator.needs_future]
            advice = f"name {', '.join(usable)}" if usable else "name another indicator"
            raise refusal(
                f"{path}: {reference} needs the future, {indicator.needs_future[found]}, and a model may not see it",
                advice,
            )

    def _grows_with_price(self, reference: str) -> bool:
        name, output = split(reference)
        found = self.indicators[name].output_named(output)
        return found is not None and self.indicators[name].grows_with_price(found)

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.training_data.symbols.names

    @property
    def timeframes(self) -> tuple[str, ...]:
        return self.training_data.timeframes.names

    @property
    def base_timeframe(self) -> str:
        return self.training_data.timeframes.base

    def _timeframes(self, entry: Input) -> tuple[TimeframeName, ...]:
        """Those that an input is read on; another series is read once, for the rows of the base timeframe."""
        if entry.timeframes == "all":
            return (self.base_timeframe,) if self._source(entry) else self.timeframes
        return entry.timeframes

    def _source(self, entry: Input) -> str | None:
        """The other series that an input reads, None for the symbol's own bars."""
        reference = entry.raw_indicator or self.fuzzy_sets[entry.fuzzy_set or ""].indicator
        return self.indicators[split(reference)[0]].data_source

    def sources(self) -> list[ContextSource]:
        """The other series that inputs read."""
        used = {column.source for column in self.columns()}
        every = [source for entry in self.context_data for source in entry.sources(self.base_timeframe)]
        return [source for source in every if source.name in used]

    def columns(self) -> Iterator[FeatureColumn]:
        """The features in their order: of `nn_inputs`, then of the timeframes, then of the memberships as written."""
        for entry in self.nn_inputs:
            for timeframe in self._timeframes(entry):
                if entry.fuzzy_set is None:
                    reference = entry.raw_indicator or ""
                    name = f"{timeframe}_{reference}_raw"
                    how = entry.normalization or "none"
                    yield FeatureColumn(name, timeframe, reference, None, how, source=self._source(entry))
                    continue
                fuzzy_set = self.fuzzy_sets[entry.fuzzy_set]
                for membership, function in fuzzy_set.memberships.items():
                    name = f"{timeframe}_{entry.fuzzy_set}_{membership}"
                    yield FeatureColumn(
                        name,
                        timeframe,
                        fuzzy_set.indicator,
                        function,
                        "none",
                        entry.fuzzy_set,
                        source=self._source(entry),
                    )

    def series(self) -> list[SeriesWanted]:
        """Every series that a training reads."""
        own = [
            SeriesWanted(symbol=symbol, timeframe=timeframe) for symbol in self.symbols for timeframe in self.timeframes
        ]
        return list(dict.fromkeys([*own, *(wanted for source in self.sources() for wanted in source.wanted())]))

    @property
    def feature_names(self) -> list[str]:
        return [column.name for column in self.columns()]

    def notices(self) -> list[str]:
        """What a reader should know: keys stored without effect, and indicators that nothing uses."""
        notices = []
        used = {split(column.reference)[0] for column in self.columns()}
        for name in self.indicators:
            if name not in used:
                notices.append(f"indicators.{name} is not used by any input")
        read = {entry.fuzzy_set for entry in self.nn_inputs}
        notices += [f"fuzzy_sets.{name} is not used by any input" for name in self.fuzzy_sets if name not in read]
        for name, indicator in self.indicators.items():
            notices += [
                f"indicators.{name}.{key} is stored and has no effect on {indicator.type}"
                for key in indicator.ineffective()
            ]
        notices += self._context_notices()
        for path, written in (
            ("training.labels.label_lookahead", getattr(self.training.labels, "label_lookahead", None)),
            ("model.features", self.model.features),
            ("training.method", self.training.method),
            *((f"training.analytics.{key}", True) for key in self.training.analytics.ineffective()),
            ("scope", self.scope),
        ):
            if written is not None:
                notices.append(f"{path} is stored and has no effect")
        if len(self.symbols) > 1:
            notices += [
                f"{column.name} is in the unit of the price, which differs between symbols that share one scaler"
                for column in self.columns()
                if column.membership is None and not column.source and self._grows_with_price(column.reference)
            ]
        return notices + without_effect(self.decisions, self.training)

    def _context_notices(self) -> list[str]:
        used, notices = {source.name for source in self.sources()}, []
        for index, entry in enumerate(self.context_data):
            sources = entry.sources(self.base_timeframe)
            notices += entry.notices(f"context_data.{index}")
            if sources and not used & {source.name for source in sources}:
                notices.append(f"context_data.{index} is not used by any input")
        observed = {source.name for source in self.sources() if source.symbol is None}
        return notices + [
            f"indicators.{name} reads highs, lows or volume, and {indicator.data_source} has single values: highs"
            " and lows are equal, volume is 0"
            for name, indicator in self.indicators.items()
            if indicator.data_source in observed and not indicator.reads_only("open", "close")
        ]
