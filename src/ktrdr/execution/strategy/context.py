"""The section `context_data`: other series that indicators may read by `data_source`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from ktrdr.errors import InvalidRequest
from ktrdr.execution.component import Section, refusal
from ktrdr.execution.data.context import ContextSource
from ktrdr.execution.data.lags import parse_lag
from ktrdr.execution.strategy.inputs import Symbol, TimeframeName

FRED = "fred"


def _listed(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


def _lag(written: Any) -> Any:
    try:
        parse_lag(str(written))
    except InvalidRequest as error:
        raise refusal(repr(written), str(error)) from None
    return str(written)


Names = Annotated[tuple[Symbol, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class ContextEntry(Section):
    """Another series: bars of a `symbol`, stored `series`, or the positions of a `report` (Commitments of Traders)."""

    provider: str | None = None
    symbol: Symbol | None = None
    timeframe: TimeframeName | None = None
    instrument_type: str | None = None
    alignment: Literal["forward_fill"] = "forward_fill"
    frequency: str | None = None
    series: Names | None = None
    report: Symbol | None = None
    publication_lag: Annotated[str, BeforeValidator(_lag)] | None = None
    currencies: Any = None
    min_impact: Any = None
    broker: Any = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ContextEntry":
        given = [key for key in ("symbol", "series", "report") if getattr(self, key) is not None]
        if len(given) > 1:
            raise refusal(f"{' and '.join(given)} in one entry", "write an entry for each")
        if self.series == ():
            raise refusal("series without a name", "name one, such as series: [DGS2]")
        return self

    def sources(self, base_timeframe: str) -> list[ContextSource]:
        """What indicators may name."""
        if self.symbol is not None:
            return [ContextSource(name=self.symbol, symbol=self.symbol, timeframe=self.timeframe or base_timeframe)]
        lag = self.publication_lag
        if self.report is not None:
            stored = (f"cot_{self.report}_net_pos",)
            percentile = f"cot_{self.report}_net_pct"
            return [
                ContextSource(name=stored[0], series=stored, lag=lag),
                ContextSource(name=percentile, series=stored, derived="percentile", lag=lag),
            ]
        fred = (self.provider or "").lower() == FRED
        names = tuple(f"fred_{name}" if fred else name for name in self.series or ())
        found = [ContextSource(name=name, series=(name,), lag=lag) for name in names]
        if fred and self.series and len(names) >= 2:
            spread = f"yield_spread_{self.series[0]}_{self.series[1]}"
            found.append(ContextSource(name=spread, series=names[:2], derived="spread", lag=lag))
        return found

    def notices(self, path: str) -> list[str]:
        """What a reader should know of the entry."""
        said = [
            f"{path}.{key} is stored and has no effect"
            for key in ("currencies", "min_impact", "broker")
            if getattr(self, key) is not None
        ]
        if self.symbol is not None and self.publication_lag is not None:
            said.append(f"{path}.publication_lag has no effect on bars: they are known at their close")
        if not self.sources("1h"):
            said.append(
                f"{path} names no series: store its values with `ktrdr data import-series FILE --name NAME --lag 1d`"
                " and name them, series: [NAME]"
            )
        return said
