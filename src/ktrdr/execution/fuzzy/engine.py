"""FuzzyEngine: reads indicators through fuzzy sets, bar by bar."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.fuzzy.base import Membership


class FuzzyEngine:
    """Applies the memberships of one fuzzy set to the values of its indicator."""

    def memberships(
        self, values: NDArray[np.float64], functions: Mapping[str, Membership]
    ) -> dict[str, NDArray[np.float32]]:
        """The membership of every value in each function, float32, of the values' shape; NaN where undefined."""
        return {name: function.column(values) for name, function in functions.items()}
