"""A place to write files for an import."""

from pathlib import Path

import pytest
from tests.execution.data.bar_files import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def into(content: str | bytes, name: str = "EURUSD_1h.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return into
