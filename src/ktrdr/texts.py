"""Strategy files as text, read on the machine of whoever names them."""

from pathlib import Path

from ktrdr.errors import InvalidRequest, StorageFailed, StrategyNotFound

LONGEST_STRATEGY = 200_000
"""Characters of a strategy file; one that is written by hand has a few thousand."""


def read_strategy_file(path: Path) -> str:
    """The text of the file. Raises StrategyNotFound, InvalidRequest (not UTF-8) and StorageFailed."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StrategyNotFound(f"there is no strategy file {path}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path} is not a text in UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise StorageFailed(f"cannot read {path}: {error.strerror}") from None
