"""The in-process client: the service opens once and late, closes in order, and no blocking call holds the loop up."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from ktrdr.client.in_process import InProcessClient, OpenServices, Services
from ktrdr.contracts.bars import SeriesImport, SeriesWanted
from ktrdr.contracts.leaks import CheckLeaks
from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails
from ktrdr.contracts.training import StartTraining
from ktrdr.errors import DataNotFound


class Part:
    """Stands for any collaborator: writes down each call and its thread, and answers with the call."""

    def __init__(self, calls: list[str], *, breaks: str = "") -> None:
        self._calls = calls
        self._breaks = breaks
        self.threads: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.threads.add(threading.get_ident())
            self._calls.append(name)
            return (name, arguments, options)

        return call


class AsyncPart(Part):
    """The same for a service."""

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            self._calls.append(name)
            if name == self._breaks:
                raise RuntimeError(name)
            return (name, arguments, {})

        return call


class Training(AsyncPart):
    async def aclose(self) -> None:
        self._calls.append("close training")
        if self._breaks == "aclose":
            raise RuntimeError


class Operations(AsyncPart):
    async def aclose(self) -> None:
        self._calls.append("close operations")

    async def watch(self, operation_id: str) -> AsyncIterator[str]:
        for state in ("running", "completed"):
            yield f"{operation_id} {state}"


class House:
    """A client on such parts, and what was called."""

    def __init__(self, *, breaks: str = "") -> None:
        self.calls: list[str] = []
        self.part = Part(self.calls)
        self.services = Services(*cast("Any", (Training(self.calls, breaks=breaks), Operations(self.calls), self.part)))
        self.opened = 0

        async def services() -> Any:
            await asyncio.sleep(0)
            self.opened += 1
            return self.services

        part = cast("Any", self.part)
        self.client = InProcessClient(
            services=cast("OpenServices", services),
            strategies=part,
            bars=part,
            models=part,
            model_user=part,
            coverage=part,
            leaks=part,
            logs=part,
        )


WANTED = StartTraining(strategy_name="momentum")
GIVEN = GivenStrategy(strategy_name="momentum")
VALUES = SeriesImport(name="fred_DGS2", lag="1d")
LEAKS = CheckLeaks(strategy_name="momentum")


async def test_the_service_is_opened_once_and_closed_in_order() -> None:
    """Two first uses at the same time share one service; the trainings end before what records them."""
    house = House()
    async with house.client as client:
        await asyncio.gather(client.plan_training(WANTED), client.start_training(WANTED), client.operation("op"))
    assert house.opened == 1
    assert house.calls[-2:] == ["close training", "close operations"]


async def test_a_service_that_nobody_used_is_never_opened() -> None:
    """Reading files needs no database."""
    house = House()
    async with house.client as client:
        await client.strategies()
    assert house.opened == 0
    assert house.calls == ["summaries"]


async def test_operations_are_closed_when_trainings_cannot_be() -> None:
    """What breaks in one close does not keep the other from closing."""
    house = House(breaks="aclose")
    with pytest.raises(RuntimeError):
        async with house.client as client:
            await client.cancel("op")
    assert house.calls == ["cancel", "close training", "close operations"]


async def test_watching_yields_every_state() -> None:
    """To the last one."""
    async with House().client as client:
        assert [str(state) async for state in client.watch("op")] == ["op running", "op completed"]


async def test_long_calls_keep_only_long_calls_waiting() -> None:
    """Two evaluations at a time, however many are asked for; lists are answered meanwhile."""
    house, most = House(), 0
    running, lock, go_on = 0, threading.Lock(), threading.Event()

    def evaluate(*_: Any, **__: Any) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert go_on.wait(60)
        with lock:
            running -= 1
        return "judged"

    house.part.evaluate = evaluate
    none: dict[str, Any] = {"symbols": None, "start": None, "end": None}
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with house.client as client:
        judged = asyncio.gather(*(client.evaluate_model("m", **none) for _ in range(6)))
        assert await asyncio.wait_for(client.series(), 10) == cast("Any", ("series", (), {}))
        go_on.set()
        assert await judged == cast("Any", ["judged"] * 6)
    assert most <= 2


async def test_blocking_calls_leave_the_loop_alone() -> None:
    """Each call reaches its part with its arguments, in another thread."""
    house, none = House(), {"symbols": None, "start": None, "end": None}
    detected = dict.fromkeys(("symbol", "timeframe", "timezone", "calendar"))
    async with house.client as client:
        said = [
            await client.strategies(),
            await client.strategy("momentum"),
            await client.check_leaks(LEAKS),
            await client.coverage(GIVEN),
            await client.models("momentum"),
            await client.model("m"),
            await client.delete_model("m"),
            await client.evaluate_model("m", **none),
            await client.predict("m", **none, last=3),
            await client.series(),
            await client.check_series("EURUSD", "1h"),
            await client.import_bars(Path("a.csv"), replace=True),
            await client.import_series(Path("a.csv"), VALUES),
        ]
        described = await client.describe_series("EURUSD", "1h")
    assert cast("list[Any]", said) == [
        ("summaries", (), {}),
        ("read", ("momentum",), {}),
        ("check", (LEAKS,), {}),
        ("read", (GIVEN,), {}),
        ("records", ("momentum",), {}),
        ("show", ("m",), {}),
        ("delete", ("m",), {}),
        ("evaluate", ("m",), none),
        ("predict", ("m",), {**none, "last": 3}),
        ("series", (), {}),
        ("check", ("EURUSD", "1h"), {}),
        ("import_file", (Path("a.csv"),), {**detected, "accept_jumps": False, "replace": True}),
        ("import_series", (Path("a.csv"), VALUES), {}),
    ]
    assert cast("Any", described) == ("details", ("EURUSD", "1h"), {})
    assert threading.get_ident() not in house.part.threads


async def test_a_valid_strategy_says_what_a_training_would_miss() -> None:
    """A notice for each series that is not there, one a line."""
    house = House()
    said = {"name": "a", "source": "a.yaml", "text": "", "resolved": {}, "start_date": None, "end_date": None}
    bars = {"symbols": ["X"], "timeframes": ["1h"], "base_timeframe": "1h", "feature_names": [], "notices": ["n"]}
    details = StrategyDetails.model_validate({**said, **bars, "series": [{"symbol": "X", "timeframe": "1h"}]})

    def readings(series: list[SeriesWanted], start: None, end: None) -> None:
        assert (series, start, end) == (details.series, None, None)
        raise DataNotFound("there are no bars\nthere is no series")

    parts: Any = house.part
    parts.read_text = lambda text, source: details
    async with house.client as client:
        assert await client.validate("name: a", "a.yaml") == details
        parts.readings = readings
        assert (await client.validate("name: a", "a.yaml")).notices == ["n", "there are no bars", "there is no series"]
