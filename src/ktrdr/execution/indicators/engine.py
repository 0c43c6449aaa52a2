"""IndicatorEngine: each indicator of a strategy, computed once for each series of bars that a feature reads."""

from collections.abc import Iterable, Mapping

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.base import Array, Indicator


class IndicatorEngine:
    """Computes a strategy's indicators on bars.

    A reference is `indicator_id` (the first output) or `indicator_id.output`.
    """

    def __init__(self, indicators: Mapping[str, Indicator]) -> None:
        self.indicators = dict(indicators)

    def compute(self, bars: Bars, references: Iterable[str]) -> dict[str, Array]:
        """The values of each reference, float64, one a bar, NaN where undefined.

        Every value depends on its own bar and on earlier ones alone.
        """
        wanted = list(dict.fromkeys(references))
        computed = {name: self.indicators[name].compute(bars) for name in {split(ref)[0] for ref in wanted}}
        return {ref: self._output(computed, ref) for ref in wanted}

    def _output(self, computed: Mapping[str, Mapping[str, Array]], reference: str) -> Array:
        name, output = split(reference)
        return computed[name][output or self.indicators[name].outputs[0]]


def split(reference: str) -> tuple[str, str | None]:
    """The indicator's id and its output, None when the reference names none."""
    name, _, output = reference.partition(".")
    return name, output or None
