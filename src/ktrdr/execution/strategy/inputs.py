"""The sections that say what a model sees: bars, indicators, fuzzy sets and the inputs in their order."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, field_validator, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ktrdr.errors import InvalidRequest
from ktrdr.execution.component import Int, Section, refusal
from ktrdr.execution.data.bars import check_symbol
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.fuzzy.memberships import AnyMembership
from ktrdr.execution.indicators.library import AnyIndicator


def _symbol(text: Any) -> str:
    if not isinstance(text, str):
        raise refusal(repr(text), "a symbol is a text, such as EURUSD")
    try:
        check_symbol(text)
    except InvalidRequest as error:
        raise refusal(repr(text), str(error)) from None
    return text


def _timeframe(text: Any) -> str:
    try:
        return parse_timeframe(str(text)).name
    except InvalidRequest as error:
        raise refusal(repr(text), str(error)) from None


def _instant(value: Any) -> Any:
    """Dates are UTC days; instants without a zone are UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise refusal(repr(value), "write a date as 2017-01-31, UTC") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


Symbol = Annotated[str, BeforeValidator(_symbol)]
TimeframeName = Annotated[str, BeforeValidator(_timeframe)]
Instant = Annotated[datetime, BeforeValidator(_instant)]


class Symbols(Section):
    """Which symbols to train on; one model learns from all of them."""

    mode: Literal["single", "multi_symbol"] = "single"
    symbol: Symbol | None = None
    list: Annotated[tuple[Symbol, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _agree(self) -> "Symbols":
        if self.mode == "single" and self.symbol is None and len(self.list or ()) != 1:
            raise refusal("mode single without a symbol", "add symbol: EURUSD, or mode: multi_symbol and a list")
        if self.mode == "multi_symbol" and not self.list:
            raise refusal("mode multi_symbol without a list", "add list: [EURUSD, GBPUSD]")
        if self.symbol is not None and self.list is not None:
            raise refusal("both symbol and list", "keep symbol in mode single, list in mode multi_symbol")
        if len(set(self.names)) != len(self.names):
            raise refusal("a symbol twice in the list", "name each symbol once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.list or (self.symbol or "",)


class Timeframes(Section):
    """Which bars to look at; labels and rows are of `base_timeframe`."""

    mode: Literal["single", "multi_timeframe"] = "single"
    timeframe: TimeframeName | None = None
    list: Annotated[tuple[TimeframeName, ...], Field(min_length=1)] | None = None
    base_timeframe: TimeframeName | None = None

    @model_validator(mode="after")
    def _agree(self) -> "Timeframes":
        if self.timeframe is None and not self.list:
            raise refusal("no timeframe", "add timeframe: 1h, or mode: multi_timeframe and a list")
        if self.timeframe is not None and self.list is not None:
            raise refusal("both timeframe and list", "keep timeframe in mode single, list in mode multi_timeframe")
        if self.mode == "single" and len(self.names) != 1:
            raise refusal(f"mode single with {len(self.names)} timeframes", "write mode: multi_timeframe")
        if len(set(self.names)) != len(self.names):
            raise refusal("a timeframe twice in the list", "name each timeframe once")
        if self.base not in self.names:
            raise refusal(f"base_timeframe {self.base}", f"name one of the list: {', '.join(self.names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.list or (self.timeframe or "",)

    @property
    def base(self) -> str:
        return self.base_timeframe or self.names[0]


class TrainingData(Section):
    """The bars to train on: [start_date, end_date) in UTC, all that are stored where no date is given."""

    symbols: Symbols
    timeframes: Timeframes
    history_required: Annotated[Int, Field(ge=0, le=1_000_000)] = 200
    start_date: Instant | None = None
    end_date: Instant | None = None

    @model_validator(mode="before")
    @classmethod
    def _date_range(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "date_range" not in data:
            return data
        span = data["date_range"]
        if not isinstance(span, dict) or (strangers := set(span) - {"start", "end"}):
            found = f"date_range with the key {sorted(strangers)[0]}" if isinstance(span, dict) else "date_range"
            raise refusal(found, "write date_range: {start: 2017-01-01, end: 2018-01-01}")
        if {"start_date", "end_date"} & set(data):
            raise refusal("both date_range and start_date or end_date", "keep one of the two spellings")
        rest = {key: value for key, value in data.items() if key != "date_range"}
        return {**rest, "start_date": span.get("start"), "end_date": span.get("end")}

    @model_validator(mode="after")
    def _in_order(self) -> "TrainingData":
        if self.start_date and self.end_date and self.start_date >= self.end_date:
            raise refusal(
                f"{self.start_date:%Y-%m-%d} to {self.end_date:%Y-%m-%d}", "the start has to lie before the end"
            )
        return self

    @classmethod
    def known_keys(cls) -> list[str]:
        return [*super().known_keys(), "date_range"]


def lowered(written: Any) -> Any:
    """Names of types may be written in any case."""
    if isinstance(written, dict) and isinstance(written.get("type"), str):
        return {**written, "type": written["type"].lower()}
    return written


IndicatorSection = Annotated[AnyIndicator, BeforeValidator(lowered)]


class FuzzySet(Section):
    """How an indicator is read: named memberships in their order, beside the key `indicator`."""

    indicator: str
    memberships: Annotated[dict[str, AnyMembership], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _split(cls, written: Any) -> Any:
        if not isinstance(written, dict) or "memberships" in written:
            return written
        if isinstance(written.get("output"), str):
            whole = f"{written.get('indicator', 'indicator_id')}.{written['output']}"
            raise refusal(f"output: {written['output']}", f"name the output with its indicator: indicator: {whole}")
        memberships = {name: shape for name, shape in written.items() if name != "indicator"}
        if not memberships:
            raise refusal("no membership", "add one, such as oversold: [0, 0, 30]")
        indicator = {"indicator": written["indicator"]} if "indicator" in written else {}
        return {**indicator, "memberships": memberships}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Memberships stand beside the key `indicator`."""
        schema = handler.resolve_ref_schema(handler(core))
        properties = schema.get("properties", {})
        if "memberships" in properties:
            memberships = properties.pop("memberships")
            schema["additionalProperties"] = memberships["additionalProperties"]
            schema |= {"required": ["indicator"], "minProperties": 2}
        return schema

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        shapes = {name: function.model_dump(mode="json") for name, function in self.memberships.items()}
        return {"indicator": self.indicator, **shapes}


class Input(Section):
    """One entry of `nn_inputs`: a fuzzy set or a raw indicator, on some timeframes."""

    fuzzy_set: str | None = None
    raw_indicator: str | None = None
    timeframes: tuple[TimeframeName, ...] | Literal["all"] = "all"
    normalization: Literal["minmax", "zscore", "none"] | None = None

    @field_validator("timeframes", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_or_many(cls, written: Any) -> Any:
        return [written] if isinstance(written, str) and written != "all" else written

    @model_validator(mode="after")
    def _exactly_one(self) -> "Input":
        if (self.fuzzy_set is None) == (self.raw_indicator is None):
            found = (
                "neither fuzzy_set nor raw_indicator" if self.fuzzy_set is None else "both fuzzy_set and raw_indicator"
            )
            raise refusal(found, "give exactly one of the two")
        if self.fuzzy_set is not None and self.normalization is not None:
            raise refusal("normalization of a fuzzy set", "memberships are 0 to 1 already: remove it")
        return self
