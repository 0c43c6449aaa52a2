"""What waits in the queue is placed anew when it leaves it: nobody waits in vain, and nobody is overtaken."""

import asyncio
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from ktrdr.contracts.hosts import Device, HostEntry, HostHealth, HostReport
from ktrdr.contracts.operations import OperationStatus as S
from ktrdr.errors import NotPlaced
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.execution.runners.local import LocalTrainingRunner
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector
from ktrdr.orchestration.training_queue import TrainingQueue


class Hosts:
    """A directory whose hosts come and go; `free` are the slots of each."""

    def __init__(self, gpu=False, **free):
        self.free = free
        self.gpu = gpu

    async def reports(self):
        devices = [Device(type="cuda" if self.gpu else "cpu", name="x")]
        told = {"version": "1", "uptime_seconds": 1.0, "devices": devices}
        return [
            HostReport(
                host=HostEntry(name=name, url=f"http://{name}:8100"),
                checked_at=datetime(2026, 1, 1, tzinfo=UTC),
                latency_seconds=0.1,
                health=HostHealth(**told, slots=max(free, 1), free_slots=free),
            )
            for name, free in self.free.items()
        ]


class HostRunner:
    """Trains on hosts whose slots it takes, as long as `go` is not set; full ones take nothing."""

    def __init__(self, hosts):
        self.hosts, self.ran, self.refuse = hosts, [], 0
        self.go = asyncio.Event()

    async def run(self, request, progress, cancellation):
        if self.refuse:
            self.refuse -= 1
            raise NotPlaced("its slots are taken")
        self.ran.append((request.operation_id, request.host))
        self.hosts.free[request.host] -= 1
        cancellation.on_cancel(self.go.set)
        await self.go.wait()
        self.hosts.free[request.host] += 1
        return FakeExecutor(epochs=1).execute(request, lambda *_, **__: None, lambda: False)


@pytest_asyncio.fixture
async def placed(operations, fakes):
    """A queue over those hosts, which looks again every few milliseconds, and its runner of mode host."""
    made = []

    def make(hosts, **options):
        async def default():
            return "auto"

        selector = ExecutionModeSelector(default_mode=default, local_has_gpu=lambda: False, hosts=hosts)
        runner = HostRunner(hosts)
        local = LocalTrainingRunner(lambda: FakeExecutor(epochs=1))
        queue = TrainingQueue(
            operations,
            {"local": local, "host": runner},
            fakes.saved,
            slots={"host": 9},
            select=selector.select,
            place_every=0.02,
            **options,
        )
        made.append(queue)
        return queue, runner

    yield make
    for queue in made:
        await queue.cancel_all()


async def queued(operations, request_for, queue, name, *, host=None, reason="as asked", priority=0, **asked):
    """An operation of mode host that was placed on `host` when it was asked for."""
    request = request_for(name, requested_mode="host", execution_mode="host", host=host, **asked)
    await operations.create(request, "host", reason, host=host, priority=priority)
    queue.wake()


async def test_a_busy_host_is_waited_for_in_the_order_of_the_queue(placed, operations, request_for, until):
    """The older one goes first, and the more important one before it; whoever comes later overtakes nobody."""
    hosts = Hosts(a=0)
    queue, runner = placed(hosts)
    await queued(operations, request_for, queue, "old")
    await queued(operations, request_for, queue, "important", priority=5)

    async def waits():
        return "waits for a slot" in (await operations.get("old")).execution_reason

    await until(waits)
    assert (await operations.get("old")).status is S.QUEUED
    hosts.free["a"] = 1
    await queued(operations, request_for, queue, "late")
    for count in range(1, 4):

        async def runs(count=count):
            return len(runner.ran) == count

        await until(runs)
        operation = await operations.get(runner.ran[-1][0])
        assert (operation.status, operation.host) == (S.RUNNING, "a")
        assert "host a is the least loaded" in operation.execution_reason
        runner.go.set()
        await asyncio.sleep(0)
        runner.go.clear()
    assert [name for name, _ in runner.ran] == ["important", "old", "late"]
    runner.go.set()


async def test_a_slot_that_frees_in_the_middle_of_a_round_is_the_first_ones(placed, operations, request_for, until):
    """The first is told to wait, then a slot frees, then the second is asked: the place is still the first one's."""

    class Freeing(Hosts):
        asked = 0

        async def reports(self):
            told = await super().reports()
            self.asked += 1
            if self.asked == 1:
                self.free["a"] = 1
            return told

    hosts = Freeing(a=0)
    queue, runner = placed(hosts)
    for name in ("first", "second"):
        await operations.create(request_for(name, requested_mode="host", execution_mode="host"), "host", "as asked")
    queue.wake()

    async def runs():
        return runner.ran

    await until(runs)
    assert runner.ran == [("first", "a")]
    assert (await operations.get("second")).status is S.QUEUED
    runner.go.set()


async def test_a_training_whose_hosts_are_gone_runs_here(placed, operations, request_for, until):
    """As soon as that is known, with the reason, and it is told once that it fell back."""
    hosts, told = Hosts(a=0), []
    queue, runner = placed(hosts, on_fallback=lambda: told.append(1))
    await queued(operations, request_for, queue, "op")
    await asyncio.sleep(0.05)
    assert told == []
    hosts.free.clear()

    async def done():
        return (await operations.get("op")).status is S.COMPLETED

    await until(done)
    operation = await operations.get("op")
    assert (operation.execution_mode, operation.host, runner.ran) == ("local", None, [])
    assert operation.fell_back
    assert operation.result.resource_usage["mode"] == "local"
    assert told == [1]


async def test_a_training_that_needs_a_gpu_does_not_run_without_one(placed, operations, request_for, until):
    """It fails with the reason when the last one is gone, or waits for another when it was told to."""
    hosts = Hosts()
    queue, runner = placed(hosts)
    await queued(operations, request_for, queue, "no", host="a", require_gpu=True)
    await queued(operations, request_for, queue, "yes", host="a", require_gpu=True, queue_if_unavailable=True)

    async def told():
        return (await operations.get("no")).status is S.FAILED and "waits for a GPU" in (
            await operations.get("yes")
        ).execution_reason

    await until(told)
    assert (await operations.get("no")).error["code"] == "mode_unavailable"
    hosts.free["b"], hosts.gpu = 1, True

    async def runs():
        return runner.ran == [("yes", "b")]

    await until(runs)
    runner.go.set()


async def test_a_host_that_took_nothing_is_asked_again_in_a_while(placed, operations, request_for, until):
    """What its health had said was not so any more; the attempt is not used up."""
    queue, runner = placed(Hosts(a=1))
    runner.refuse = 2
    await queued(operations, request_for, queue, "op", host="a")

    async def runs():
        return runner.ran == [("op", "a")]

    await until(runs)
    assert (await operations.get("op")).attempt == 1
    runner.go.set()


async def test_what_has_a_session_goes_on_where_it_is(placed, operations, request_for, until):
    """After a restart it is followed there and started nowhere else, however free the others are."""
    queue, runner = placed(Hosts(a=1, b=9))
    await operations.create(
        request_for("op", requested_mode="host", execution_mode="host", host="a"), "host", "-", host="a"
    )
    await operations._store.change("op", allowed=(S.QUEUED,), callback_sha256="0" * 64)
    queue.wake()

    async def runs():
        return runner.ran == [("op", "a")]

    await until(runs)
    runner.go.set()


@pytest.mark.parametrize(("price", "cost"), [(None, None), (36.0, 0.02)])
async def test_what_it_cost(placed, operations, request_for, until, price, cost):
    """The seconds by device, and the money where a price is known for that host."""

    async def price_of(host):
        assert host == "a"
        return price

    queue, runner = placed(Hosts(a=1), price_of=price_of)
    usage = {"seconds": 2.0, "device": "cuda"}
    runner.run = lambda request, *_: _result(request, usage)
    await queued(operations, request_for, queue, "op", host="a")

    async def done():
        return (await operations.get("op")).status is S.COMPLETED

    await until(done)
    told = (await operations.get("op")).result.resource_usage
    assert told == {**usage, "device_seconds": {"cuda": 2.0}, "price_per_hour": price, "cost": cost}


async def _result(request, usage):
    result = FakeExecutor(epochs=1).execute(request, lambda *_, **__: None, lambda: False)
    return result.model_copy(update={"resource_usage": usage})
