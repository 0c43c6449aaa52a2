"""Coverage: shares and means counted by hand, and a notice for each thing that a reader should know, no other."""

import numpy as np
import pytest

from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.features.coverage import coverage_of
from ktrdr.execution.fuzzy.memberships import Triangular

OVERLAP = "the memberships of 1h_rsi overlap nowhere on the training rows"
SHAPE = Triangular(parameters=(0, 1, 2))


def columns(*names: str, fuzzy_set: str = "rsi") -> tuple[FeatureColumn, ...]:
    """Columns of one set, and raw ones for names that end in `raw`."""
    return tuple(
        FeatureColumn(f"1h_{name}", "1h", "rsi", None, "none")
        if name.endswith("raw")
        else FeatureColumn(f"1h_{fuzzy_set}_{name}", "1h", "rsi", SHAPE, "none", fuzzy_set)
        for name in names
    )


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_shares_and_means_are_those_of_the_rows() -> None:
    """Raw columns have no coverage."""
    found = coverage_of(columns("low", "high", "rsi_raw"), rows([0.5, 0, 7], [0.25, 0.75, 0], [0, 0, 3], [0, 0.5, 4]))
    assert found.memberships == {
        "1h_rsi_low": {"fires": 0.5, "mean": 0.1875, "highest": 0.5},
        "1h_rsi_high": {"fires": 0.5, "mean": 0.3125, "highest": 0.75},
    }
    assert found.fuzzy_sets == {"1h_rsi": {"covered": 0.75, "overlapping": 0.25}}
    assert found.notices == []


@pytest.mark.parametrize(
    ("values", "notices"),
    [
        (rows([1, 0], [0.5, 0]), ["1h_rsi_high never fires on the training rows"]),
        (rows([1, 0.004], [0.5, 0]), ["1h_rsi_high hardly fires on the training rows: it is 0.004 at most"]),
        (rows([0, 0], [0, 0]), ["1h_rsi covers none of the training rows: all of its memberships are 0 there"]),
        (rows([1, 0.5], [0, 0], [0, 0]), ["1h_rsi covers 33 % of the training rows: on the others"]),
        (rows([1, 0], [0, 1]), [OVERLAP]),
        (rows([1, 1], [0.5, 0.5]), ["1h_rsi_high is identical to 1h_rsi_low on the training rows"]),
        (rows([1, 0.5], [0.5, 1]), []),
    ],
)
def test_what_a_reader_should_know_is_told(values: np.ndarray, notices: list[str]) -> None:
    found = coverage_of(columns("low", "high"), values).notices
    assert [told for told in found if told.startswith(tuple(notices))] == found
    assert len(found) == len(notices)


def test_a_set_of_one_membership_has_nothing_to_overlap() -> None:
    assert coverage_of(columns("low"), rows([0.5], [1])).notices == []


def test_sets_are_judged_one_by_one_and_timeframe_by_timeframe() -> None:
    """Two memberships of different sets that fire together do not overlap."""
    two = (*columns("low", "high"), *columns("up", fuzzy_set="trend"))
    found = coverage_of(two, rows([1, 0, 0.5], [0, 1, 0.25]))
    assert found.fuzzy_sets["1h_rsi"]["overlapping"] == 0
    assert found.notices == [OVERLAP]
