"""The Client of a server: the same calls, over HTTP."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter

from ktrdr.contracts.bars import CheckReport, SeriesDetails, SeriesImport, SeriesInfo
from ktrdr.contracts.coverage import CoverageReport
from ktrdr.contracts.hosts import HostEntry, HostReport
from ktrdr.contracts.leaks import CheckLeaks, LeakReport
from ktrdr.contracts.models import Evaluation, ModelDetails, ModelRecord, Prediction
from ktrdr.contracts.operations import Operation, OperationPage, OperationStatus, OperationSummary
from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails, StrategySummary
from ktrdr.contracts.training import OperationType, StartTraining, TrainingConfig, TrainingPlan
from ktrdr.errors import DataNotFound, InternalError, InvalidName, InvalidSettings, StorageFailed, Unavailable, restore

Model = TypeVar("Model", bound=BaseModel)
_READ_SECONDS = 30.0
_WORK_SECONDS = 3600.0
"""For what a server computes before it answers: an import, an evaluation, a prediction."""


class HttpClient:
    """A client of the server at `url`. Raises the errors of `ktrdr.errors`, Unavailable when there is no answer.

    A watch goes on when the server is restarted: it tries again for `patience` seconds.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, ca_file: Path | None = None, patience: float = 60.0
    ) -> None:
        self._patience = patience
        self._url = url.rstrip("/")
        if api_key and not re.fullmatch(r"[!-~]+", api_key):
            raise InvalidSettings("KTRDR_API_KEY holds characters that no key has: copy it again, without spaces")
        verify = _trusted(ca_file) if ca_file else True
        try:
            self._http = httpx2.AsyncClient(
                base_url=f"{self._url}/api/v1",
                headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
                timeout=httpx2.Timeout(_READ_SECONDS, connect=5.0),
                verify=verify,
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise InvalidSettings(f"the server {url!r} cannot be used ({error}): write http://host:8000") from None
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            raise InvalidSettings(f"the server {url!r} is no address: write http://host:8000 or https://host")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def plan_training(self, wanted: StartTraining) -> TrainingPlan:
        return _read(TrainingPlan, await self._ask("POST", "/trainings/plan", json=_start(wanted)))

    async def start_training(self, wanted: StartTraining) -> Operation:
        key = wanted.idempotency_key
        headers = {"Idempotency-Key": key} if key else {}
        path = "/trainings/start" if wanted.type == "training" else "/trainings/null-tests"
        started = await self._ask("POST", path, json=_start(wanted), headers=headers)
        return _read(Operation, started["operation"])

    async def training_config(self) -> TrainingConfig:
        return _read(TrainingConfig, await self._ask("GET", "/trainings/config"))

    async def set_default_mode(self, mode: str) -> TrainingConfig:
        return _read(TrainingConfig, await self._ask("PUT", "/trainings/config", json={"default_execution_mode": mode}))

    async def hosts(self, *, fresh: bool = False) -> list[HostReport]:
        return _list(HostReport, await self._ask("GET", "/hosts", params={"fresh": fresh}))

    async def add_host(self, host: HostEntry) -> HostEntry:
        return _read(HostEntry, await self._ask("POST", "/hosts", json=host.model_dump(mode="json")))

    async def remove_host(self, name: str) -> HostEntry:
        return _read(HostEntry, await self._ask("DELETE", f"/hosts/{_part('host', name)}"))

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        operation = await self.operation(operation_id)
        yield operation
        lost: float | None = None
        while not operation.status.ended:
            try:
                async for summary in self._events(operation_id):
                    lost = None
                    if summary.status.ended:
                        operation = await self.operation(operation_id)
                        yield operation
                        return
                    operation = operation.model_copy(update=dict(summary))
                    yield operation
            except Unavailable:
                now = asyncio.get_running_loop().time()
                lost = now if lost is None else lost
                if now - lost > self._patience:
                    raise
            await asyncio.sleep(0.5)

    async def operation(self, operation_id: str) -> Operation:
        return _read(Operation, await self._ask("GET", f"/operations/{_part('operation', operation_id)}"))

    async def operations(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: OperationType | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> OperationPage:
        given = {"strategy": strategy, "type": type, "limit": limit, "offset": offset}
        params: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        params["status"] = [status.value for status in statuses]
        return _read(OperationPage, await self._ask("GET", "/operations", params=params))

    async def operation_log(self, operation_id: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = await self._ask("GET", f"/operations/{_part('operation', operation_id)}/logs")
        return lines

    async def cancel(self, operation_id: str) -> Operation:
        return _read(Operation, await self._ask("DELETE", f"/operations/{_part('operation', operation_id)}"))

    async def retry(self, operation_id: str, *, from_start: bool = False) -> Operation:
        params = {"from": "start" if from_start else "checkpoint"}
        answer = await self._ask("POST", f"/operations/{_part('operation', operation_id)}/retry", params=params)
        return _read(Operation, answer)

    async def strategies(self) -> list[StrategySummary]:
        return _list(StrategySummary, await self._ask("GET", "/strategies"))

    async def strategy_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = await self._ask("GET", "/strategies/schema")
        return schema

    async def strategy(self, name: str) -> StrategyDetails:
        return _read(StrategyDetails, await self._ask("GET", f"/strategies/{_part('strategy', name)}"))

    async def validate(self, text: str, source: str) -> StrategyDetails:
        answer = await self._ask("POST", "/strategies/validate", json={"text": text, "source": source})
        return _read(StrategyDetails, answer)

    async def coverage(self, given: GivenStrategy) -> CoverageReport:
        if given.strategy_name is not None:
            path = f"/strategies/{_part('strategy', given.strategy_name)}/coverage"
            return _read(CoverageReport, await self._ask("GET", path, timeout=_WORK_SECONDS))
        body = {"text": given.strategy_text, "source": given.source}
        answer = await self._ask("POST", "/strategies/coverage", json=body, timeout=_WORK_SECONDS)
        return _read(CoverageReport, answer)

    async def check_leaks(self, wanted: CheckLeaks) -> LeakReport:
        body: dict[str, Any] = {"cuts": wanted.cuts, **wanted.overrides.model_dump(mode="json", exclude={"null_test"})}
        path = "/strategies/leakcheck"
        if wanted.strategy_name is not None:
            path = f"/strategies/{_part('strategy', wanted.strategy_name)}/leakcheck"
        else:
            body |= {"text": wanted.strategy_text, "source": wanted.source}
        return _read(LeakReport, await self._ask("POST", path, json=body, timeout=_WORK_SECONDS))

    async def models(self, strategy: str | None = None) -> list[ModelRecord]:
        params = {"strategy": strategy} if strategy else {}
        return _list(ModelRecord, await self._ask("GET", "/models", params=params))

    async def model(self, name: str) -> ModelDetails:
        return _read(ModelDetails, await self._ask("GET", f"/models/{_model(name)}"))

    async def delete_model(self, name: str) -> ModelRecord:
        return _read(ModelRecord, await self._ask("DELETE", f"/models/{_model(name)}"))

    async def evaluate_model(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation:
        body = {"symbols": symbols, "start_date": _iso(start), "end_date": _iso(end)}
        answer = await self._ask("POST", f"/models/{_model(name)}/evaluate", json=body, timeout=_WORK_SECONDS)
        return _read(Evaluation, answer)

    async def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction:
        body = {"symbols": symbols, "start_date": _iso(start), "end_date": _iso(end), "last": last}
        answer = await self._ask("POST", f"/models/{_model(name)}/predict", json=body, timeout=_WORK_SECONDS)
        return _read(Prediction, answer)

    async def series(self) -> list[SeriesInfo]:
        return _list(SeriesInfo, await self._ask("GET", "/data"))

    async def describe_series(self, symbol: str, timeframe: str) -> SeriesDetails:
        return _read(SeriesDetails, await self._ask("GET", _series(symbol, timeframe)))

    async def check_series(self, symbol: str, timeframe: str) -> CheckReport:
        return _read(CheckReport, await self._ask("GET", f"{_series(symbol, timeframe)}/check"))

    async def series_file(self, symbol: str, timeframe: str, digest: str) -> AsyncIterator[bytes]:
        try:
            path, params = _series(symbol, timeframe), {"digest": digest}
            async with self._http.stream("GET", path, params=params) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._failure(response)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    async def import_bars(
        self,
        path: Path,
        *,
        symbol: str | None = None,
        timeframe: str | None = None,
        timezone: str | None = None,
        calendar: str | None = None,
        accept_jumps: bool = False,
        replace: bool = False,
    ) -> CheckReport:
        given = {"symbol": symbol, "timeframe": timeframe, "timezone": timezone, "calendar": calendar}
        return await self._upload("/data/imports", path, {**given, "accept_jumps": accept_jumps, "replace": replace})

    async def import_series(self, path: Path, said: SeriesImport) -> CheckReport:
        return await self._upload("/data/series", path, said.model_dump())

    async def _upload(self, route: str, path: Path, said: Mapping[str, str | bool | None]) -> CheckReport:
        """A file with what is said of it."""
        form = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in said.items()
            if value is not None
        }
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError:
            raise DataNotFound(f"there is no file {path}") from None
        except OSError as error:
            raise StorageFailed(f"cannot read {path}: {error.strerror}") from None
        with file:
            upload = {"file": (path.name, file)}
            answer = await self._ask("POST", route, data=form, files=upload, timeout=_WORK_SECONDS)
        return _read(CheckReport, answer)

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of the answer. Raises what the server's problem document tells."""
        try:
            response = await self._http.request(method, path, **more)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None
        if response.is_success:
            return response.json()
        raise self._failure(response)

    async def _events(self, operation_id: str) -> AsyncIterator[OperationSummary]:
        try:
            path = f"/operations/{_part('operation', operation_id)}/events"
            async with self._http.stream("GET", path, timeout=_READ_SECONDS) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._failure(response)
                async for event in httpx2.EventSource(response):
                    yield OperationSummary.model_validate_json(event.data, extra="ignore")
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    def _failure(self, response: httpx2.Response) -> Exception:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict) or "code" not in document:
            return InternalError(f"{self._url} answered {response.status_code} and not as a KTRDR server does")
        return restore({**document, "message": document.get("detail", "")})

    def _unreachable(self, error: Exception) -> Unavailable:
        reason = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return Unavailable(
                f"the certificate of the server {self._url} is not trusted ({reason.rpartition('failed: ')[2]}): "
                "set KTRDR_CA_FILE to the certificate (PEM) of who has signed it"
            )
        return Unavailable(
            f"the server {self._url} does not answer ({reason}): check its address, or start one with `ktrdr serve`"
        )


def _trusted(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise InvalidSettings(
            f"KTRDR_CA_FILE={ca_file} cannot be used ({error.strerror or error}): name a file of certificates (PEM)"
        ) from None


def _start(wanted: StartTraining) -> dict[str, Any]:
    """The body of a start, as the API takes it."""
    body = wanted.model_dump(mode="json", exclude={"type", "overrides", "strategy_text", "idempotency_key"})
    return {**body, "strategy": wanted.strategy_text, **wanted.overrides.model_dump(mode="json")}


def _read(kind: type[Model], answer: Any) -> Model:
    """A value of an answer; what a newer server says more is passed over."""
    return kind.model_validate(answer, extra="ignore")


def _list(kind: type[Model], rows: list[Mapping[str, Any]]) -> list[Model]:
    return TypeAdapter(list[kind]).validate_python(rows, extra="ignore")  # type: ignore[valid-type]


def _part(what: str, name: str) -> str:
    """A name as one part of a path. Raises InvalidName for one that cannot be, and would lead elsewhere."""
    if "/" in name or name in ("", ".", ".."):
        raise InvalidName(f"there is no {what} {name!r}: such a name holds letters, digits, and no /")
    return quote(name, safe="")


def _series(symbol: str, timeframe: str) -> str:
    return f"/data/{_part('symbol', symbol)}/{_part('timeframe', timeframe)}"


def _model(name: str) -> str:
    """A model's name as the parts of a path."""
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise InvalidName(f"there is no model {name!r}: `ktrdr models list` names those there are")
    return quote(name)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
