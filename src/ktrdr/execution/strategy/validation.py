"""The section `training.validation`: more splits than one to judge a strategy by."""

from math import comb
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ktrdr.execution.component import Int, Number, Section, refusal


class WalkForward(Section):
    """`folds` test ranges of equal length, one after the other, behind the first `train` share of the range.

    Each is predicted by a model that learnt from what lies before it: from all of it (`expanding`), or from the
    stretch of the first one's length (`rolling`). The end of that part is the validation.
    """

    type: Literal["walk_forward"]
    folds: Annotated[Int, Field(ge=2, le=100)] = 5
    train: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    mode: Literal["expanding", "rolling"] = "expanding"


class Combinatorial(Section):
    """Combinatorial purged cross-validation (López de Prado 2018, chapter 12): the range is cut into `groups` of equal
    length, and every choice of `test_groups` of them is a test once."""

    type: Literal["combinatorial"]
    groups: Annotated[Int, Field(ge=3, le=20)] = 6
    test_groups: Annotated[Int, Field(ge=1)] = 2

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> "Combinatorial":
        if self.test_groups >= self.groups:
            raise refusal(
                f"{self.test_groups} test_groups of {self.groups} groups", "leave at least one group to learn from"
            )
        if self.folds > MOST_FOLDS:
            raise refusal(
                f"{self.groups} groups with {self.test_groups} test_groups, {self.folds:,} trainings",
                f"choose numbers that make at most {MOST_FOLDS}",
            )
        return self

    @property
    def folds(self) -> int:
        """How many choices there are."""
        return comb(self.groups, self.test_groups)

    @property
    def paths(self) -> int:
        """How many ways through all groups the tests make."""
        return self.folds * self.test_groups // self.groups


MOST_FOLDS = 500

Validation = Annotated[WalkForward | Combinatorial, Field(discriminator="type")]
