"""`/models`: list, show, delete, evaluate and predict. A model's name has one slash, as in the models folder."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from ktrdr.api.shared import ADMIN, READ, Body, Instant, ModelName, Names, Service
from ktrdr.contracts.models import Evaluation, ModelDetails, ModelRecord, Prediction
from ktrdr.web.problems import answers

router = APIRouter(prefix="/models", tags=["models"])


class EvaluateModel(Body):
    """What to judge the model on; its stored test rows when nothing is said."""

    symbols: Names | None = None
    start_date: Instant | None = None
    end_date: Instant | None = None


class Predict(EvaluateModel):
    """Which bars to say signals for; `last` keeps only the newest ones."""

    last: int | None = Field(default=None, ge=1, le=10_000_000)


@router.get("", responses=answers(), dependencies=[READ])
async def list_models(
    client: Service, strategy: Annotated[str | None, Query(max_length=100)] = None
) -> list[ModelRecord]:
    """Stored models, of one strategy or of all."""
    return await client.models(strategy)


@router.post("/{name:path}/evaluate", responses=answers(404, 409), dependencies=[READ])
async def evaluate_model(name: ModelName, body: EvaluateModel, client: Service) -> Evaluation:
    """Judge a model beside its baselines."""
    return await client.evaluate_model(name, symbols=body.symbols, start=body.start_date, end=body.end_date)


@router.post("/{name:path}/predict", responses=answers(404, 409), dependencies=[READ])
async def predict(name: ModelName, body: Predict, client: Service) -> Prediction:
    """Signals for stored bars, oldest first."""
    return await client.predict(name, symbols=body.symbols, start=body.start_date, end=body.end_date, last=body.last)


@router.get("/{name:path}", responses=answers(404, 409), dependencies=[READ])
async def read_model(name: ModelName, client: Service) -> ModelDetails:
    """A stored model with its documents, verified."""
    return await client.model(name)


@router.delete("/{name:path}", responses=answers(404, 409), dependencies=[ADMIN])
async def delete_model(name: ModelName, client: Service) -> ModelRecord:
    """Delete one version."""
    return await client.delete_model(name)
