"""Coverage: how often each membership fires on the training rows, and what a reader should know of it.

Warnings and nothing else: a membership that never fires is a column of zeros, which teaches a model nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.features.columns import FeatureColumn

HARDLY = 0.01
"""A membership that is nowhere above this says almost nothing."""

SPARSE = 0.5
"""A fuzzy set that reads fewer of the rows than this share is worth a notice."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What memberships do on a set of rows.

    `memberships` has for each column the share of rows in which it `fires` (is above 0), its `mean` and its `highest`
    value; `fuzzy_sets` has for each set on each timeframe the share of rows that are `covered` by one of its
    memberships, and that are `overlapping`, read by two of them or more.
    """

    memberships: dict[str, dict[str, float]]
    fuzzy_sets: dict[str, dict[str, float]]
    notices: list[str]


def coverage_of(columns: Sequence[FeatureColumn], features: NDArray[np.float32]) -> Coverage:
    """The coverage on `features`, (rows, columns); the rows are those of the training."""
    memberships = {
        column.name: _membership(features[:, index]) for index, column in enumerate(columns) if column.set_on
    }
    sets = {}
    for name in dict.fromkeys(column.set_on for column in columns if column.set_on):
        own = [index for index, column in enumerate(columns) if column.set_on == name]
        firing = (features[:, own] > 0).sum(axis=1)
        sets[name] = {"covered": float((firing > 0).mean()), "overlapping": float((firing > 1).mean())}
    notices = [
        *_of_memberships(columns, memberships, sets),
        *_of_sets(columns, memberships, sets),
        *_twins(columns, features),
    ]
    return Coverage(memberships=memberships, fuzzy_sets=sets, notices=notices)


def _membership(values: NDArray[np.float32]) -> dict[str, float]:
    mean = float(values.mean(dtype=np.float64))
    return {"fires": float((values > 0).mean()), "mean": mean, "highest": float(values.max())}


def _of_memberships(
    columns: Sequence[FeatureColumn],
    memberships: dict[str, dict[str, float]],
    sets: dict[str, dict[str, float]],
) -> list[str]:
    notices = []
    for column in columns:
        if column.set_on and sets[column.set_on]["covered"]:
            highest = memberships[column.name]["highest"]
            if not highest:
                notices.append(f"{column.name} never fires on the training rows")
            elif highest < HARDLY:
                notices.append(f"{column.name} hardly fires on the training rows: it is {highest:.2g} at most")
    return notices


def _of_sets(
    columns: Sequence[FeatureColumn],
    memberships: dict[str, dict[str, float]],
    sets: dict[str, dict[str, float]],
) -> list[str]:
    notices = []
    for name, shares in sets.items():
        firing = [column.name for column in columns if column.set_on == name and memberships[column.name]["fires"]]
        if not shares["covered"]:
            notices.append(f"{name} covers none of the training rows: all of its memberships are 0 there")
            continue
        if shares["covered"] < SPARSE:
            covered = f"{100 * shares['covered']:.2g} %"
            notices.append(f"{name} covers {covered} of the training rows: on the others its memberships are 0")
        if len(firing) > 1 and not shares["overlapping"]:
            notices.append(f"the memberships of {name} overlap nowhere on the training rows")
    return notices


def _twins(columns: Sequence[FeatureColumn], features: NDArray[np.float32]) -> list[str]:
    """Columns that say the same; those that say nothing have a notice already."""
    notices: list[str] = []
    seen: dict[bytes, str] = {}
    for index, column in enumerate(columns):
        values = np.ascontiguousarray(features[:, index])
        if not values.any():
            continue
        twin = seen.setdefault(values.tobytes(), column.name)
        if twin != column.name:
            notices.append(f"{column.name} is identical to {twin} on the training rows")
    return notices
