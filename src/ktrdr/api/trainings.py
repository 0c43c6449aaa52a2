"""`/trainings`: start one, plan one, read how one did."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import Field

from ktrdr.api.shared import ADMIN, READ, TRAIN, Body, Instant, Names, OperationId, Service
from ktrdr.contracts.operations import Operation
from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.contracts.training import OperationType, StartTraining, TrainingConfig, TrainingPlan
from ktrdr.errors import Conflict
from ktrdr.texts import LONGEST_STRATEGY
from ktrdr.web.problems import answers

router = APIRouter(prefix="/trainings", tags=["trainings"])


_AS_ASKED = {
    "source",
    "execution_mode",
    "require_gpu",
    "queue_if_unavailable",
    "detailed_analytics",
    "priority",
}


IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=255, description="the same key again starts nothing again")
]


class TrainingStart(Body):
    """Which strategy to train, by name or as the text of its file, and what to change of it for this training."""

    strategy_name: str | None = Field(default=None, max_length=200, examples=["eurusd_momentum"])
    strategy: str | None = Field(default=None, max_length=LONGEST_STRATEGY, description="a strategy file's text")
    source: str = Field(default="strategy", max_length=1_000, description="what messages call the text")
    symbols: Names | None = Field(default=None, examples=[["EURUSD"]])
    timeframes: Names | None = Field(default=None, examples=[["1h"]])
    start_date: Instant | None = Field(default=None, examples=["2017-01-01T00:00:00Z"])
    end_date: Instant | None = Field(default=None, examples=["2018-01-01T00:00:00Z"])
    seed: int | None = Field(default=None, ge=0, lt=2**63, examples=[42])
    null_test: int | None = Field(default=None, ge=1, le=10_000, description="walks to judge the model beside")
    execution_mode: str | None = Field(default=None, max_length=20, examples=["auto"])
    require_gpu: bool = False
    queue_if_unavailable: bool = Field(default=False, description="wait for a GPU instead of being refused")
    detailed_analytics: bool = Field(default=False, description="add a table of every epoch to the model's folder")
    priority: int = Field(default=0, ge=-100, le=100, description="higher runs first")

    def wanted(self, idempotency_key: str | None = None, type: OperationType = "training") -> StartTraining:
        """As the service takes it."""
        return StartTraining(
            type=type,
            strategy_name=self.strategy_name,
            strategy_text=self.strategy,
            overrides=StrategyOverrides.model_validate(self.model_dump(include=set(StrategyOverrides.model_fields))),
            idempotency_key=idempotency_key,
            **self.model_dump(include=_AS_ASKED),
        )


class NullTestStart(TrainingStart):
    """Which strategy to train on walks without direction, as a training would be."""

    null_test: int = Field(default=19, ge=1, le=10_000, description="how many walks; 99 for a claim")


class Started(Body):
    """A training or a null test that is stored and will run."""

    operation_id: str
    execution_mode: str = Field(examples=["local"])
    execution_reason: str = Field(description="why it runs there")
    operation: Operation


class Performance(Body):
    """How a finished training did."""

    model_path: str | None
    training_metrics: dict[str, Any]
    test_metrics: dict[str, Any]
    per_symbol_metrics: dict[str, Any]


@router.post("/start", status_code=202, responses=answers(404, 409), dependencies=[TRAIN])
async def start_training(
    body: TrainingStart, client: Service, response: Response, idempotency_key: IdempotencyKey = None
) -> Started:
    """Start a training. It is stored before this answers; `Location` says where to follow it."""
    return _started(await client.start_training(body.wanted(idempotency_key)), response)


@router.post("/null-tests", status_code=202, responses=answers(404, 409), dependencies=[TRAIN])
async def start_null_test(
    body: NullTestStart, client: Service, response: Response, idempotency_key: IdempotencyKey = None
) -> Started:
    """Train a strategy on its bars and on walks without direction, to see what its test is worth; keeps no model."""
    return _started(await client.start_training(body.wanted(idempotency_key, "null_test")), response)


def _started(operation: Operation, response: Response) -> Started:
    response.headers["Location"] = f"/api/v1/operations/{operation.operation_id}"
    return Started(
        operation_id=operation.operation_id,
        execution_mode=operation.execution_mode,
        execution_reason=operation.execution_reason,
        operation=operation,
    )


@router.post("/plan", responses=answers(404, 409), dependencies=[READ])
async def plan_training(body: TrainingStart, client: Service) -> TrainingPlan:
    """What a training would do; nothing is started."""
    return await client.plan_training(body.wanted())


class ConfigChange(Body):
    """What is to hold from now on."""

    default_execution_mode: str = Field(max_length=20, examples=["auto"])


@router.get("/config", responses=answers(), dependencies=[READ])
async def read_config(client: Service) -> TrainingConfig:
    """The execution mode of trainings that name none."""
    return await client.training_config()


@router.put("/config", responses=answers(), dependencies=[ADMIN])
async def change_config(body: ConfigChange, client: Service) -> TrainingConfig:
    """Choose another one; it is stored, and wins over the environment."""
    return await client.set_default_mode(body.default_execution_mode)


@router.get("/{operation_id}/performance", responses=answers(404, 409), dependencies=[READ])
async def performance(operation_id: OperationId, client: Service) -> Performance:
    """The metrics of a finished training."""
    result = (await client.operation(operation_id)).result
    if result is None:
        raise Conflict(f"the training {operation_id} has no result: GET /api/v1/operations/{operation_id} tells why")
    return Performance.model_validate(result.model_dump(include=set(Performance.model_fields)))
