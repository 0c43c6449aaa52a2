"""What models are called: the names a folder may have, and the parts of a version's name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ktrdr.errors import InvalidName

_DOTS = r"(?!\.)(?!.*\.\.)"  # neither hidden nor on the way up
_STRATEGY = re.compile(_DOTS + r"[A-Za-z0-9_.-]{1,100}")
_SYMBOL = re.compile(_DOTS + r"[A-Za-z0-9_.^=-]{1,64}")
_TIMEFRAME = re.compile(r"[0-9]{1,4}[A-Za-z]{1,5}")
_PART = re.compile(_DOTS + r"[A-Za-z0-9_.^=-]{1,200}")
_VERSION = re.compile(_DOTS + r"(?P<family>[A-Za-z0-9_.^=-]+)_v(?P<number>[1-9][0-9]{0,8})")
_LATEST = "_latest"


def check_strategy_name(name: str) -> str:
    """The name itself when it may become a folder; else InvalidName."""
    if not _STRATEGY.fullmatch(name):
        raise InvalidName(
            f"the strategy name {name!r} cannot become a folder: "
            "use letters, digits, _, - and . (at most 100, no dot first, no two dots in a row)"
        )
    return name


def family_name(symbols: Sequence[str], base_timeframe: str) -> str:
    """`{symbol}_{timeframe}`, or `multi_{timeframe}` for several symbols: what the versions of a model share.

    Raises InvalidName for a symbol or timeframe that may not become part of a folder's name.
    """
    if not symbols:
        raise InvalidName("a model needs at least one symbol: name the symbols it was trained on")
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise InvalidName(
                f"the symbol {symbol!r} cannot become a folder: "
                "use letters, digits, _, -, ., ^ and = (at most 64, no dot first, no two dots in a row)"
            )
    if not _TIMEFRAME.fullmatch(base_timeframe):
        raise InvalidName(f"the timeframe {base_timeframe!r} cannot become a folder: write it like 5m, 1h or 1d")
    return f"{symbols[0] if len(symbols) == 1 else 'multi'}_{base_timeframe}"


def is_strategy_name(text: str) -> bool:
    """Whether `text` may be the name of a strategy's folder."""
    return _STRATEGY.fullmatch(text) is not None


def is_model_part(text: str) -> bool:
    """Whether `text` may stand after the `/` of a model's name."""
    return _PART.fullmatch(text) is not None


@dataclass(frozen=True, order=True)
class Family:
    """All versions of one strategy on one symbol (or several) and timeframe; one writer at a time."""

    strategy: str
    name: str

    @property
    def latest(self) -> str:
        """The name of the link to the highest version."""
        return f"{self.name}{_LATEST}"

    def hidden(self, purpose: str) -> str:
        """A name that no model and no other family has: `purpose` is a word without dots."""
        return f".{self.name}.{purpose}"

    def answers_to(self, text: str) -> bool:
        """Whether a person who writes `text` after the strategy means the latest of this family."""
        return text in (self.name, self.latest)


@dataclass(frozen=True, order=True)
class Version:
    """One stored version, by its place. What it was trained on stands in its metadata, never in its name."""

    family: Family
    number: int

    @classmethod
    def read(cls, strategy: str, folder: str) -> "Version | None":
        """The version that a folder's name means; None for anything else that lies there."""
        match = _VERSION.fullmatch(folder)
        return cls(Family(strategy, match["family"]), int(match["number"])) if match else None

    @property
    def folder(self) -> str:
        """`{symbol}_{timeframe}_v{N}`."""
        return f"{self.family.name}_v{self.number}"

    @property
    def name(self) -> str:
        """`{strategy}/{symbol}_{timeframe}_v{N}`, as commands call it."""
        return f"{self.family.strategy}/{self.folder}"
