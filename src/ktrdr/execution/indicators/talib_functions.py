"""The functions of TA-Lib under their own names, with their own parameters and outputs.

There are some two hundred: each becomes a class, made from TA-Lib's description of it, when a file first names it.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import talib
from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, Strict, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ktrdr.execution.component import also, refusal
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators import talib_facts
from ktrdr.execution.indicators.base import Array, Indicator, Source, all_zero, source_column

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[tuple(talib_facts.FUNCTIONS)]


class TaLibFunction(Indicator):
    """Any function of TA-Lib; validating one gives an instance of the function's own class.

    Where TA-Lib's own answer is no number (a division by 0, a logarithm of 0) the value is undefined.

    >>> TaLibFunction.model_validate({"type": "t3", "timeperiod": 10}).lookback
    54
    """

    type: Name
    function: ClassVar[str]
    series: ClassVar[tuple[str, ...]]
    """What it reads: columns of the bars, or names of the parameters that name one."""

    @model_validator(mode="wrap")
    @classmethod
    def _own_class(cls, written: Any, handler: ModelWrapValidatorHandler["TaLibFunction"]) -> "TaLibFunction":
        if cls is TaLibFunction and isinstance(written, dict):
            return talib_function(written["type"]).model_validate(written)
        return handler(written)

    @model_validator(mode="after")
    def _taken(self) -> "TaLibFunction":
        if self.lookback < 0:
            raise refusal("these parameters together", f"TA-Lib's {self.function} does not take them")
        return self

    @property
    def _parameters(self) -> tuple[float, ...]:
        return tuple(getattr(self, parameter.name) for parameter in talib_facts.parameters(self.function))

    @property
    def lookback(self) -> int:
        return talib_facts.lookback(self.function, self._parameters)

    def columns(self, bars: Bars) -> tuple[Array, ...]:
        return tuple(source_column(bars, self._column(name)) for name in self.series)

    def _column(self, name: str) -> Any:
        return getattr(self, name, name)

    def values(self, wanted: Collection[str], *columns: Array) -> Mapping[str, Array]:
        results = getattr(talib, self.function)(*columns, *self._parameters)
        named = zip(self.outputs, results if isinstance(results, tuple) else (results,), strict=True)
        return {name: self._defined(values, columns) for name, values in named if name in wanted}

    def _defined(self, values: Any, columns: tuple[Array, ...]) -> Array:
        """The values as numbers, undefined before the lookback (whole ones are 0 there) and where infinite."""
        if values.dtype != np.float64:
            values = values.astype(np.float64)
            values[: self.lookback] = np.nan
        values[np.isinf(values)] = np.nan
        if self.function in _DIVIDED_BY_VOLUME:
            nothing = all_zero(columns[-1], int(self._parameters[0]))
            values[np.roll(nothing, 1) if self.function == "RVOL" else nothing] = np.nan
        return np.asarray(values)

    @classmethod
    def tagged(cls, tag: Any) -> "Kind":
        return talib_function(tag)

    def __reduce__(self) -> tuple[Any, ...]:
        return TaLibFunction.model_validate, (self.model_dump(exclude_none=True),)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if cls is not TaLibFunction:
            return super().__get_pydantic_json_schema__(core, handler)
        return {"oneOf": [talib_function(name).model_json_schema() for name in talib_facts.FUNCTIONS]}


Kind = type[TaLibFunction]
_DIVIDED_BY_VOLUME = ("VWMA", "RVOL")
"""They divide by a running sum of volumes (RVOL by that of the bars before), whose rounding errors are not 0."""


@cache
def talib_function(name: str) -> Kind:
    """The class of the function of that name in a file.

    >>> talib_function("hma")(timeperiod=9).lookback
    10
    """
    function = talib_facts.FUNCTIONS[name]
    about = talib_facts.description(function)
    sources, series = _inputs(about["input_names"])
    fields: dict[str, Any] = {"type": (Literal[name], name), **sources}
    fields |= {parameter.name: _field(parameter) for parameter in talib_facts.parameters(function)}
    kind = create_model(name.upper(), __base__=TaLibFunction, **fields)
    kind.__module__ = __name__
    kind.__doc__ = f"""{about["display_name"]}: {function} of TA-Lib ({about["group"]}).

    >>> talib_function("{name}")().lookback
    {talib_facts.lookback(function, tuple(about["parameters"].values()))}
    """
    kind.function, kind.series = function, series
    kind.outputs = dict.fromkeys(about["output_names"], talib_facts.unit(function))
    kind.without_effect = () if "source" in sources else ("source",)
    return kind


def _inputs(names: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that name a column, and what the function reads in its order.

    TA-Lib's `price` is our `source`; two prices, or prices and the periods to average them over, are named apart.
    """
    fields: dict[str, Any] = {}
    series: list[str] = []
    for name, columns in names.items():
        if name == "prices":
            series += columns
            continue
        field = "source" if name == "price" else name
        default = columns if columns in get_args(Source) else "volume"
        fields[field] = (Source, default)
        series.append(field)
    return fields, tuple(series)


def _field(parameter: talib_facts.Parameter) -> Any:
    kind: Any = int if parameter.whole else float
    bounded = Annotated[kind, Strict(), Field(ge=parameter.low, le=parameter.high)]
    spellings = also("timeperiod", "period") if parameter.name == "timeperiod" else None
    return (bounded, Field(default=parameter.default, validation_alias=spellings))
