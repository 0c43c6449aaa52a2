"""What a leak check has found: the worst of each input, a verdict on the whole, and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.contracts.leaks import InputVerdict, LeakVerdict
from ktrdr.execution.data.bars import instant


class Tally:
    """Keeps, of each input, the most harmful verdict and within it the largest difference."""

    def __init__(self, names: Sequence[tuple[str, str]]) -> None:
        """`names` are those of the inputs, each with its timeframe, in their order."""
        self._worst = [InputVerdict(name=name, timeframe=frame, verdict=LeakVerdict.PASS) for name, frame in names]

    def note(
        self,
        verdict: LeakVerdict,
        found: NDArray[np.bool_],
        difference: NDArray[np.float64],
        *,
        symbol: str,
        moment: int,
    ) -> None:
        """Of the inputs that were `found` out that is the verdict; all others pass. One entry an input; a difference
        is NaN where only one of two values was there."""
        for index, (guilty, much) in enumerate(zip(found.tolist(), difference.tolist(), strict=True)):
            new = InputVerdict(
                name=self._worst[index].name,
                timeframe=self._worst[index].timeframe,
                verdict=verdict if guilty else LeakVerdict.PASS,
                difference=None if isnan(much) else much,
                symbol=symbol,
                at=instant(moment),
            )
            if _harm(new) > _harm(self._worst[index]):
                self._worst[index] = new

    @property
    def verdicts(self) -> tuple[InputVerdict, ...]:
        return tuple(self._worst)


def _harm(one: InputVerdict) -> tuple[int, float]:
    return one.verdict.harm, inf if one.difference is None else one.difference


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The verdict on each input in its order and on the labels, and at how many moments they were looked for."""

    inputs: tuple[InputVerdict, ...]
    labels: InputVerdict
    cuts: int

    @property
    def verdict(self) -> LeakVerdict:
        """The most harmful one."""
        return max((one.verdict for one in (*self.inputs, self.labels)), key=lambda verdict: verdict.harm)

    @property
    def found_out(self) -> list[InputVerdict]:
        """What does not pass."""
        return [one for one in (*self.inputs, self.labels) if one.verdict is not LeakVerdict.PASS]

    def summary(self) -> dict[str, Any]:
        """For the report of a training."""
        found = [one.model_dump(mode="json") for one in self.found_out]
        return {"verdict": self.verdict.value, "cuts": self.cuts, "found": found}

    def notices(self, history_required: int) -> list[str]:
        """A sentence on each kind of trouble."""
        leaks = [one.name for one in self.inputs if one.verdict is LeakVerdict.LEAK]
        said = [f"leak: {_listed(leaks)} with bars that had not closed by then: believe no number"] if leaks else []
        if self.labels.verdict is LeakVerdict.LEAK:
            said.append("leak: labels change after the bar at which they were said to be known: believe no number")
        unsettled = [one for one in self.inputs if one.verdict is LeakVerdict.WARM_UP_ERROR]
        if unsettled:
            names = _listed([one.name for one in unsettled])
            said.append(f"warm-up error: {names} with bars before the {history_required} of history_required")
        return said


def _listed(names: Sequence[str]) -> str:
    """The first three, and how many more change."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} change{'s' if len(names) == 1 else ''}"
