"""A host service on a real port, a slow one, and backends that follow their sessions."""

import functools
import threading

import pytest
import pytest_asyncio
from tests.execution.runners.host_parts import KEY, Backend, host_in
from tests.host_service.parts import Leaves

from ktrdr.execution.runners.host_link import HostLinks
from ktrdr.execution.transfer.sending import read_payload


@pytest_asyncio.fixture
async def links():
    async with HostLinks(key=KEY) as made:
        yield made


@pytest_asyncio.fixture
async def host(tmp_path):
    async with host_in(tmp_path / "sessions") as made:
        yield made


@pytest.fixture
def slow(tmp_path):
    """Trains until it is told to go on."""
    return Leaves(tmp_path / "sessions", hold=threading.Event())


@pytest_asyncio.fixture
async def slow_host(tmp_path, slow):
    async with host_in(tmp_path / "sessions", executor=slow) as made:
        yield made


@pytest.fixture
def backend_of(links, tmp_path):
    return lambda host, **options: Backend(host, links, tmp_path / "incoming", **options)


@pytest.fixture
def large(monkeypatch):
    """Every result is too large for JSON."""
    inline = functools.partial(read_payload, largest_inline=0)
    monkeypatch.setattr("ktrdr.host_service.app.read_payload", inline)
