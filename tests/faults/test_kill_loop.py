"""A short run of the kill loop: nothing that was accepted is lost, run to two models, or half-written."""

from pathlib import Path

import pytest

from tests.faults.kill_loop import loop, make_home


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL that the server is told; None for the file that it keeps itself."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.mark.timeout(300)
async def test_a_killed_server_loses_nothing(database: str | None, tmp_path: Path) -> None:
    """Two kills at random moments, on either database."""
    count = await loop(make_home(tmp_path / "home"), 2, database=database)
    assert count.good, count
    assert count.completed == count.asked > 0
