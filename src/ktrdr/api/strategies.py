"""`/strategies`: list, show and validate."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from ktrdr.api.shared import READ, Body, Service
from ktrdr.contracts.strategies import StrategyDetails, StrategySummary
from ktrdr.web.problems import answers

router = APIRouter(prefix="/strategies", tags=["strategies"])


class StrategyText(Body):
    """A strategy file's text, and what messages call it."""

    text: str = Field(max_length=1_000_000, examples=["name: my_strategy\n"])
    source: str = Field(default="strategy", max_length=1_000)


@router.get("", responses=answers(), dependencies=[READ])
async def list_strategies(client: Service) -> list[StrategySummary]:
    """The strategy files of the server; one that cannot be read says why."""
    return await client.strategies()


@router.get("/schema", responses=answers(), dependencies=[READ])
async def read_schema(client: Service) -> dict[str, Any]:
    """The JSON Schema of strategy files, for editors."""
    return await client.strategy_schema()


@router.get("/{name}", responses=answers(404, 409), dependencies=[READ])
async def read_strategy(name: str, client: Service) -> StrategyDetails:
    """A strategy, resolved."""
    return await client.strategy(name)


@router.post("/validate", responses=answers(), dependencies=[READ])
async def validate_strategy(body: StrategyText, client: Service) -> StrategyDetails:
    """The strategy resolved, or every mistake in it."""
    return await client.validate(body.text, body.source)
