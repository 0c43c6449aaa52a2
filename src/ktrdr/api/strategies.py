"""`/strategies`: list, show, validate, look at coverage, and check for leaks."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from ktrdr.api.shared import READ, Body, Instant, Names, Service, StrategyName
from ktrdr.contracts.coverage import CoverageReport
from ktrdr.contracts.leaks import CheckLeaks, LeakReport
from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails, StrategyOverrides, StrategySummary
from ktrdr.texts import LONGEST_STRATEGY
from ktrdr.web.problems import answers

router = APIRouter(prefix="/strategies", tags=["strategies"])


class StrategyText(Body):
    """A strategy file's text, and what messages call it."""

    text: str = Field(max_length=LONGEST_STRATEGY, examples=["name: my_strategy\n"])
    source: str = Field(default="strategy", max_length=1_000)


class LeakCheckBody(Body):
    """At how many moments of each symbol to cut the bars, and what to change of the strategy for this check."""

    cuts: int = Field(default=20, ge=1, le=1_000)
    symbols: Names | None = Field(default=None, examples=[["EURUSD"]])
    timeframes: Names | None = Field(default=None, examples=[["1h"]])
    start_date: Instant | None = None
    end_date: Instant | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**63, examples=[42])

    def wanted(self, **strategy: str) -> CheckLeaks:
        """As the service takes it."""
        overrides = StrategyOverrides.model_validate(self.model_dump(include=set(StrategyOverrides.model_fields)))
        return CheckLeaks(cuts=self.cuts, overrides=overrides, **strategy)


class LeakCheckOfText(LeakCheckBody, StrategyText):
    """The same for a strategy file's text."""


@router.get("", responses=answers(), dependencies=[READ])
async def list_strategies(client: Service) -> list[StrategySummary]:
    """The strategy files of the server; one that cannot be read says why."""
    return await client.strategies()


@router.get("/schema", responses=answers(), dependencies=[READ])
async def read_schema(client: Service) -> dict[str, Any]:
    """The JSON Schema of strategy files, for editors."""
    return await client.strategy_schema()


@router.get("/{name}", responses=answers(404, 409), dependencies=[READ])
async def read_strategy(name: StrategyName, client: Service) -> StrategyDetails:
    """A strategy, resolved."""
    return await client.strategy(name)


@router.post("/validate", responses=answers(), dependencies=[READ])
async def validate_strategy(body: StrategyText, client: Service) -> StrategyDetails:
    """The strategy resolved, or every mistake in it."""
    return await client.validate(body.text, body.source)


@router.post("/coverage", responses=answers(404), dependencies=[READ])
async def read_coverage_of_text(body: StrategyText, client: Service) -> CoverageReport:
    """The memberships of a strategy file over the values of its training rows."""
    return await client.coverage(GivenStrategy(strategy_text=body.text, source=body.source))


@router.get("/{name}/coverage", responses=answers(404, 409), dependencies=[READ])
async def read_coverage(name: StrategyName, client: Service) -> CoverageReport:
    """The memberships of a strategy over the values of its training rows, on the stored bars."""
    return await client.coverage(GivenStrategy(strategy_name=name))


@router.post("/leakcheck", responses=answers(404, 409), dependencies=[READ])
async def check_text_for_leaks(body: LeakCheckOfText, client: Service) -> LeakReport:
    """Whether inputs and labels of a strategy file know the future."""
    return await client.check_leaks(body.wanted(strategy_text=body.text, source=body.source))


@router.post("/{name}/leakcheck", responses=answers(404, 409), dependencies=[READ])
async def check_for_leaks(name: StrategyName, body: LeakCheckBody, client: Service) -> LeakReport:
    """Whether inputs and labels know the future, or have not settled: a verdict on each, on the stored bars."""
    return await client.check_leaks(body.wanted(strategy_name=name))
