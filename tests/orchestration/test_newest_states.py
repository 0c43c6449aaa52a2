"""Reads of operations: from memory while they may be, and never older than what this process has written."""

import asyncio

import pytest_asyncio

from ktrdr.contracts.operations import OperationStatus
from ktrdr.contracts.training import CancellationToken
from ktrdr.orchestration import migrate
from ktrdr.orchestration.newest_states import NewestStates
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.operations_service import OperationsService

S = OperationStatus


@pytest_asyncio.fixture
async def queued(operations, request_for):
    await operations.create(request_for("a"), "local", "asked for")
    return operations


async def test_readers_do_not_wait_for_a_write_that_is_under_way(queued, store):
    """Those of a queued operation, of one that starts and of one that ends are answered while the disk is busy."""
    for change, status in (
        (None, S.QUEUED),
        (lambda: queued.start("a", 1, CancellationToken()), S.RUNNING),
        (lambda: queued.fail("a", 1, {}), S.FAILED),
    ):
        if change:
            await change()
        async with store.database.writing(), asyncio.timeout(5):
            assert (await queued.get("a")).status is status


async def test_what_another_process_does_is_seen_soon(store, url, request_for):
    """Once what was read is too old to be held."""
    now = 0.0
    states = NewestStates(store, hold=0.5, clock=lambda: now)
    await OperationsService(store).create(request_for("a"), "local", "asked for")
    assert (await states.get("a")).queue_position == 1
    other = await OperationStore.open(url, migrate.upgrade, owner="other")
    await OperationsService(other).request_cancel("a")
    await other.aclose()
    now = 0.4
    assert (await states.get("a")).status is S.QUEUED
    now = 0.6
    assert (await states.get("a")).status is S.CANCELLED


async def test_what_this_process_does_is_seen_at_once(queued, store, request_for, monkeypatch):
    """Also by a reader whose look at the store began before the change and ended after it."""
    await queued.create(request_for("b"), "local", "asked for", priority=1)
    assert [(await queued.get(one)).queue_position for one in ("a", "b")] == [2, 1]
    old, begun, go_on = await store.get("a"), asyncio.Event(), asyncio.Event()

    async def slow(operation_id):
        begun.set()
        await go_on.wait()
        return old

    queued._states.changed()
    with monkeypatch.context() as patched:
        patched.setattr(store, "get", slow)
        reader = asyncio.create_task(queued.get("a"))
        await begun.wait()
        await queued.request_cancel("a")
        go_on.set()
        await reader
    assert (await queued.get("a")).status is S.CANCELLED
    assert (await queued.get("b")).queue_position == 1
    await queued.request_cancel("b")
    assert (await queued.retry("a")).queue_position == 1


async def test_many_readers_cost_the_store_one_visit(queued, store, monkeypatch):
    """And what is remembered is bounded."""
    states, visits = NewestStates(store), []
    real = store.get

    async def counted(operation_id):
        visits.append(operation_id)
        return await real(operation_id)

    monkeypatch.setattr(store, "get", counted)
    for _ in range(20):
        await states.get("a")
    assert visits == ["a"]
    one = await real("a")
    for number in range(1000):
        states._put(one.model_copy(update={"operation_id": f"{number}"}))
    assert len(states._held) <= 256
