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

        An indicator is computed once, for all of its outputs that are referred to. Every value depends on its own bar
        and on earlier ones alone.
        """
        outputs = {reference: self._output(reference) for reference in references}
        wanted: dict[str, dict[str, None]] = {}
        for name, output in outputs.values():
            wanted.setdefault(name, {})[output] = None
        computed = {name: self.indicators[name].compute(bars, needed) for name, needed in wanted.items()}
        return {reference: computed[name][output] for reference, (name, output) in outputs.items()}

    def _output(self, reference: str) -> tuple[str, str]:
        name, output = split(reference)
        found = self.indicators[name].output_named(output)
        if found is None:
            raise KeyError(reference)
        return name, found


def split(reference: str) -> tuple[str, str | None]:
    """The indicator's id and its output, None when the reference names none."""
    name, _, output = reference.partition(".")
    return name, output or None
