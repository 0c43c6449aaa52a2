"""A server gets ready once it can."""

import asyncio

import pytest
from fastapi import FastAPI

from ktrdr.errors import StorageFailed
from ktrdr.web import server


@pytest.fixture
def app():
    made = FastAPI()
    made.state.unready = "it is starting"
    return made


async def test_what_fails_at_the_start_is_tried_again(app, monkeypatch):
    """It says why it is not ready, and is ready as soon as the trouble is over."""
    monkeypatch.setattr(server, "_AGAIN_SECONDS", 0.01)
    tried, often, away = [], asyncio.Event(), asyncio.Event()

    async def prepare():
        tried.append(app.state.unready)
        if len(tried) == 3:
            often.set()
        if not away.is_set():
            raise StorageFailed("the database is away")

    preparing = asyncio.create_task(server._prepare(app, prepare))
    await asyncio.wait_for(often.wait(), 10)
    assert app.state.unready == "it cannot start yet: the database is away"
    away.set()
    await asyncio.wait_for(preparing, 10)
    assert app.state.unready == ""


async def test_a_bug_at_the_start_is_no_secret_and_no_success(app):
    """Its details are for the log."""

    async def prepare():
        raise ZeroDivisionError("secret")

    with pytest.raises(ZeroDivisionError):
        await server._prepare(app, prepare)
    assert app.state.unready == "it could not start: the log has the details"
