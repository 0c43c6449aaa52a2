"""What one column of the feature matrix is."""

from dataclasses import dataclass, field
from typing import Literal

from ktrdr.execution.fuzzy.base import Membership

Normalization = Literal["minmax", "zscore", "none"]


@dataclass(frozen=True)
class FeatureColumn:
    """A membership of an indicator, or the indicator's raw value when `membership` is None, on one timeframe; of
    another series when there is a `source`."""

    name: str
    timeframe: str
    reference: str
    membership: Membership | None
    normalization: Normalization
    fuzzy_set: str | None = None
    source: str | None = field(default=None, kw_only=True)

    @property
    def series(self) -> str:
        """The name of the bars that it is computed on: another series', or its timeframe."""
        return self.source or self.timeframe

    @property
    def indicator(self) -> str:
        """The indicator's id, without its output."""
        return self.reference.partition(".")[0]

    @property
    def set_on(self) -> str | None:
        """The fuzzy set on this column's timeframe, None for a raw value."""
        return None if self.fuzzy_set is None else f"{self.timeframe}_{self.fuzzy_set}"
