"""BarPins: a training reads the bars that it was sent, whatever happens to the store beside them."""

import dataclasses
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support import random_bars

from ktrdr.contracts.hosts import SeriesNeeded
from ktrdr.errors import DataNotFound, DataRefused, InvalidName, StorageFailed, TransferCorrupt
from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.pins import BarPins
from ktrdr.execution.data.store import BarStore, facts_of
from ktrdr.execution.data.timeframes import parse_timeframe

HOUR = parse_timeframe("1h")
BARS = random_bars(1, 300)


@pytest.fixture
def own(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "own")


@pytest.fixture
def pins(tmp_path: Path, own: BarStore) -> BarPins:
    return BarPins(tmp_path / "pins", own)


def save(store: BarStore, bars: Bars, **known: Any) -> Path:
    said = {"source": "a.csv", "source_sha256": "00", "imported_at": "2026-01-01T00:00:00+00:00", **known}
    return store.save(bars, facts_of(bars, **said))


def needed(bars: Bars, **changes: Any) -> SeriesNeeded:
    said = SeriesNeeded(symbol=bars.symbol, timeframe=bars.timeframe.name, digest=bars.digest(), calendar=bars.calendar)
    return said.model_copy(update=changes)


def digest_of(pins: BarPins, series: SeriesNeeded) -> str:
    """What a training reads that was sent this series."""
    return pins.source([series]).load(series.symbol, series.timeframe, start=None, end=None, history=0).digest()


def fetched(tmp_path: Path, bars: Bars, **known: Any) -> Path:
    """A file as it comes from the backend's store."""
    return save(BarStore(tmp_path / "backend"), bars, **known)


def held(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "pins").glob("*"))


def test_the_own_store_is_asked_first(pins: BarPins, own: BarStore) -> None:
    """The very same series needs no fetching, and stays where its store has it."""
    save(own, BARS)
    assert pins.has(needed(BARS))
    assert digest_of(pins, needed(BARS)) == BARS.digest()
    assert own.load("TEST", HOUR).digest() == BARS.digest()


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ({}, {"digest": "0" * 64}),
        ({}, {"calendar": "fx"}),
        ({}, {"jumps_accepted": True}),
        ({"jumps_accepted": True}, {}),
        ({}, {"symbol": "OTHER"}),
        ({}, {"timeframe": "4h"}),
    ],
    ids=str,
)
def test_other_bars_of_the_own_store_are_not_taken(
    tmp_path: Path, pins: BarPins, own: BarStore, stored: dict[str, Any], asked: dict[str, Any]
) -> None:
    """Nor the same bars of which something else is known: they would train another model."""
    save(own, BARS, **stored)
    assert not pins.has(needed(BARS, **asked))
    assert held(tmp_path) == []


def test_an_own_store_that_has_nothing_or_is_damaged_is_passed_over(
    tmp_path: Path, pins: BarPins, own: BarStore
) -> None:
    assert not pins.has(needed(BARS))
    path = save(own, BARS)
    for content in (b"", b"noise" * 100, flipped(path.read_bytes())):
        path.write_bytes(content)
        assert not pins.has(needed(BARS))
    assert held(tmp_path) == []


def flipped(content: bytes) -> bytes:
    """With one bit of its prices changed, which Parquet does not notice."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_a_file_is_held_under_what_it_is(tmp_path: Path, pins: BarPins) -> None:
    """Whoever fetched it may remove it; held again, by many at once, it is there once."""
    file = fetched(tmp_path, BARS)
    pins.put(needed(BARS), file)
    file.unlink()
    assert pins.has(needed(BARS))
    assert digest_of(pins, needed(BARS)) == BARS.digest()
    failures: list[BaseException] = []

    def put() -> None:
        try:
            pins.put(needed(BARS), fetched(tmp_path, BARS))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=put) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list((tmp_path / "pins").iterdir())) == 1


@pytest.mark.parametrize("links", [True, False])
def test_a_replaced_own_file_does_not_change_what_is_held(
    tmp_path: Path, pins: BarPins, own: BarStore, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """New bars of the series are another series; with links and on disks that have none."""
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    save(own, BARS)
    assert pins.has(needed(BARS))
    other = random_bars(2, 400)
    save(own, other)
    assert digest_of(pins, needed(BARS)) == BARS.digest()
    assert pins.has(needed(other))
    assert [digest_of(pins, needed(bars)) for bars in (BARS, other)] == [BARS.digest(), other.digest()]
    assert len(held(tmp_path)) == 2


def no_links(*_: object, **__: object) -> None:
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "other bars", "another calendar", "jumps accepted"])
def test_a_file_of_other_bars_is_refused(tmp_path: Path, pins: BarPins, damage: str) -> None:
    """And nothing of it is left."""
    file = fetched(tmp_path, BARS)
    content = file.read_bytes()
    match damage:
        case "torn":
            file.write_bytes(content[: len(content) // 2])
        case "flipped":
            file.write_bytes(flipped(content))
        case "empty":
            file.write_bytes(b"")
        case "other bars":
            file = fetched(tmp_path, random_bars(3, 300))
        case "another calendar":
            file = fetched(tmp_path, dataclasses.replace(BARS, calendar="fx"))
        case "jumps accepted":
            file = fetched(tmp_path, BARS, jumps_accepted=True)
    with pytest.raises(TransferCorrupt, match="TEST 1h"):
        pins.put(needed(BARS), file)
    assert list((tmp_path / "pins").iterdir()) == []
    assert not pins.has(needed(BARS))


def test_held_bars_that_are_damaged_later_are_refused_and_fetched_anew(
    tmp_path: Path, pins: BarPins, own: BarStore
) -> None:
    """A training never reads them, and the next one does not meet them again."""
    pins.put(needed(BARS), fetched(tmp_path, BARS))
    (path,) = (tmp_path / "pins").rglob("*.parquet")
    path.write_bytes(flipped(path.read_bytes()))
    with pytest.raises(DataRefused):
        digest_of(pins, needed(BARS))
    assert not pins.has(needed(BARS))
    assert held(tmp_path) == []
    save(own, BARS)
    assert pins.has(needed(BARS))
    assert digest_of(pins, needed(BARS)) == BARS.digest()


def test_a_series_that_was_not_named_is_not_there(pins: BarPins, own: BarStore) -> None:
    """Not even if the store beside has it."""
    save(own, BARS)
    assert pins.has(needed(BARS))
    source = pins.source([needed(BARS)])
    for symbol, timeframe in (("OTHER", "1h"), ("TEST", "5m")):
        with pytest.raises(DataNotFound, match=f"{symbol} {timeframe} were not named"):
            source.load(symbol, timeframe, start=None, end=None, history=0)
    with pytest.raises(DataNotFound):
        pins.source([needed(BARS, digest="0" * 64)]).load("TEST", "1h", start=None, end=None, history=0)


def test_a_longer_timeframe_is_made_of_what_was_sent_as_of_any_store(pins: BarPins, own: BarStore) -> None:
    """Bit for bit: the store and the pins hand out one digest."""
    save(own, BARS)
    assert pins.has(needed(BARS))
    here, there = (
        source.load("TEST", "4h", start=None, end=None, history=0)
        for source in (pins.source([needed(BARS)]), DataManager(own))
    )
    assert here.digest() == there.digest()
    assert here.resampling is not None


def test_a_range_is_read_as_from_any_store(pins: BarPins, own: BarStore) -> None:
    save(own, BARS)
    assert pins.has(needed(BARS))
    source = pins.source([needed(BARS)])
    start, end = instant(int(BARS.time[100])), instant(int(BARS.time[150]))
    assert len(source.load("TEST", "1h", start=start, end=end, history=7)) == 57


def test_what_is_not_needed_is_let_go_of(tmp_path: Path, pins: BarPins) -> None:
    """What is being fetched stays; no folder at all is fine."""
    pins.keep_only([])
    both = [BARS, random_bars(2, 50)]
    for bars in both:
        pins.put(needed(bars), fetched(tmp_path, bars))
    pins.scratch(needed(BARS)).touch()
    pins.keep_only([needed(BARS), needed(random_bars(9, 9))])
    assert [pins.has(needed(bars)) for bars in both] == [True, False]
    assert pins.scratch(needed(BARS)).exists()
    pins.keep_only([])
    assert held(tmp_path) == [pins.scratch(needed(BARS))]


@pytest.mark.parametrize("symbol", ["../own", "a/b", ".hidden"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, pins: BarPins, symbol: str) -> None:
    """Names come from a backend."""
    for act in (lambda: pins.has(needed(BARS, symbol=symbol)), lambda: pins.put(needed(BARS, symbol=symbol), tmp_path)):
        with pytest.raises(InvalidName):
            act()
    assert held(tmp_path) == []


def test_what_the_disk_refuses_is_told(tmp_path: Path, pins: BarPins) -> None:
    (tmp_path / "pins").write_text("mine")
    with pytest.raises(StorageFailed, match="hold bars"):
        pins.put(needed(BARS), fetched(tmp_path, BARS))
