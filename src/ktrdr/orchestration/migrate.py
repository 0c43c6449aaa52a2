"""Brings a database to the tables that the code expects.

Apart from the store, because importing Alembic costs a third of a second that most starts need not pay.
"""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from ktrdr.errors import StorageFailed
from ktrdr.orchestration.database import Database

_MIGRATIONS = Path(__file__).with_name("migrations")


async def upgrade(url: str) -> None:
    """Run the migrations that the database lacks, in one transaction."""
    await _run(url, lambda config: command.upgrade(config, "head"))


async def check(url: str) -> None:
    """Raise StorageFailed unless the migrations lead to exactly the tables in the code."""
    await _run(url, command.check)


def config() -> Config:
    """Alembic's configuration: where the migrations lie, and nothing printed."""
    made = Config(stdout=StringIO())
    made.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


async def _run(url: str, work: Callable[[Config], object]) -> None:
    database = Database(url)

    def on(connection: Connection) -> None:
        made = config()
        made.attributes["connection"] = connection
        work(made)

    try:
        async with database.writing() as connection:
            await connection.run_sync(on)
    except CommandError as error:
        raise StorageFailed(f"the database {database.name} cannot be migrated: {error}") from None
    finally:
        await database.aclose()
