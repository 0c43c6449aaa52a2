"""`/data`: list, show, check and import bars, and other series."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import StreamingResponse

from ktrdr.api.security import Key, require
from ktrdr.api.shared import READ, TRAIN, Service, Symbol, TimeframeName
from ktrdr.contracts.bars import CheckReport, SeriesDetails, SeriesImport, SeriesInfo
from ktrdr.contracts.hosts import CALLBACK_PREFIX
from ktrdr.contracts.keys import Scope
from ktrdr.errors import KtrdrError, restore
from ktrdr.web.problems import answers

router = APIRouter(prefix="/data", tags=["data"])


async def _reader(request: Request, shown: Key) -> None:
    """A key that may read, or the callback token of a training that goes on: its host fetches bars that it lacks."""
    token, desk = shown.credentials if shown else None, request.app.state.desk
    if token and token.startswith(CALLBACK_PREFIX) and desk is not None and "digest" in request.query_params:
        await desk.check(token, going_on=True)
    else:
        await require(request, Scope.READ, token)


Digest = Annotated[str | None, Query(max_length=128, description="of the bars that are wanted as a file")]
Text = Annotated[str | None, Form(max_length=100)]


@router.get("", responses=answers(), dependencies=[READ])
async def list_series(client: Service) -> list[SeriesInfo]:
    """The series that are stored."""
    return await client.series()


@router.get(
    "/{symbol}/{timeframe}",
    response_model=SeriesDetails,
    responses={
        200: {"description": "The series, or its file", "content": {"application/vnd.apache.parquet": {}}},
        **answers(404),
    },
    dependencies=[Depends(_reader)],
)
async def read_series(
    symbol: Symbol,
    timeframe: TimeframeName,
    client: Service,
    digest: Annotated[str | None, Query(max_length=128)] = None,
) -> SeriesDetails | StreamingResponse:
    """A series with its first and last bars; with the `digest` of its bars, the Parquet file that has just these."""
    if digest is None:
        return await client.describe_series(symbol, timeframe)
    pieces = client.series_file(symbol, timeframe, digest)
    first = await anext(pieces)  # whatever is wrong is told before the answer begins

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(whole(), media_type="application/vnd.apache.parquet")


@router.get("/{symbol}/{timeframe}/check", responses=answers(404), dependencies=[READ])
async def check_series(symbol: Symbol, timeframe: TimeframeName, client: Service) -> CheckReport:
    """What is odd in a series."""
    return await client.check_series(symbol, timeframe)


@router.post("/imports", status_code=201, responses=answers(409), dependencies=[TRAIN])
async def import_bars(
    client: Service,
    file: Annotated[UploadFile, File(description="CSV (also .gz) or Parquet")],
    symbol: Text = None,
    timeframe: Text = None,
    timezone: Text = None,
    calendar: Text = None,
    accept_jumps: Annotated[bool, Form()] = False,
    replace: Annotated[bool, Form()] = False,
) -> CheckReport:
    """Store a file's bars and say what was found in them; symbol and timeframe may come from the file's name."""
    async with _uploaded(file) as path:
        return await client.import_bars(
            path,
            symbol=symbol,
            timeframe=timeframe,
            timezone=timezone,
            calendar=calendar,
            accept_jumps=accept_jumps,
            replace=replace,
        )


@router.post("/series", status_code=201, responses=answers(409), dependencies=[TRAIN])
async def import_series(
    client: Service,
    file: Annotated[UploadFile, File(description="CSV (also .gz) or Parquet")],
    name: Annotated[str, Form(max_length=100, examples=["fred_DGS2"])],
    lag: Annotated[str | None, Form(max_length=50, description="how long after its period a value is known")] = None,
    column: Text = None,
    stamped: Annotated[Literal["start", "end"] | None, Form(description="what the times are of periods")] = None,
    frequency: Text = None,
    timezone: Text = None,
    replace: Annotated[bool, Form()] = False,
) -> CheckReport:
    """Store a file's values, each with the moment at which it was known: that of a column `known_at`, or the end of its
    period and `lag`. Strategies read them through `context_data`."""
    async with _uploaded(file) as path:
        said = SeriesImport(
            name=name,
            lag=lag,
            column=column,
            stamped=stamped,
            frequency=frequency,
            timezone=timezone,
            replace=replace,
        )
        return await client.import_series(path, said)


@asynccontextmanager
async def _uploaded(file: UploadFile) -> AsyncIterator[Path]:
    """A copy of an upload; where it lies is nobody's business."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / _safe_name(file.filename or "")
        await asyncio.to_thread(_copy, file, path)
        try:
            yield path
        except KtrdrError as error:
            raise restore({**error.details(), "message": str(error).replace(f"{folder}/", "")}) from None


def _safe_name(name: str) -> str:
    """The end of an upload's name, from which symbol and format may be read, as a file may be called."""
    kept = "".join(mark for mark in PurePath(name).name if mark.isprintable())[-100:]
    return kept if kept.strip(".") else "upload.csv"


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
