"""BarStore: what is stored comes back bit for bit, whole or not at all, whatever the disk and other writers do."""

import errno
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.support import random_bars

from ktrdr.errors import Conflict, DataNotFound, DataRefused, InvalidName, StorageFailed
from ktrdr.execution.data.bars import COLUMNS, Bars
from ktrdr.execution.data.store import BarStore, SeriesFacts, facts_of
from ktrdr.execution.data.timeframes import parse_timeframe

HOUR = parse_timeframe("1h")


def facts(bars: Bars) -> SeriesFacts:
    return facts_of(bars, source="a.csv", source_sha256="00", imported_at="2026-01-01T00:00:00+00:00")


def save(store: BarStore, bars: Bars, **options: Any) -> Path:
    return store.save(bars, facts(bars), **options)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@st.composite
def any_bars(draw: st.DrawFn) -> Bars:
    count = draw(st.integers(1, 40))
    numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
    columns = [draw(hnp.arrays(np.float64, count, elements=numbers)) for _ in COLUMNS[1:]]
    steps = draw(hnp.arrays(np.int64, count, elements=st.integers(1, 10**12)))
    calendar = draw(st.sampled_from(["fx", "24/7", "XNYS"]))
    timeframe = parse_timeframe(draw(st.sampled_from(["1m", "1h", "1M"])))
    return Bars("TEST", timeframe, calendar, np.cumsum(steps), *columns)


@settings(max_examples=40)
@given(any_bars())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, bars: Bars) -> None:
    store = BarStore(tmp_path_factory.mktemp("bars"))
    save(store, bars)
    back = store.load("TEST", bars.timeframe)
    assert all(np.array_equal(getattr(back, name), getattr(bars, name)) for name in COLUMNS)
    assert all(getattr(back, name).flags.c_contiguous for name in COLUMNS)
    assert (back.symbol, back.timeframe, back.calendar) == ("TEST", bars.timeframe, bars.calendar)
    assert back.digest() == bars.digest() == store.facts("TEST", bars.timeframe).digest
    assert store.facts("TEST", bars.timeframe) == facts(bars)


def test_minutes_and_months_do_not_share_a_name(tmp_path: Path) -> None:
    """Not even on a file system that does not tell 1m from 1M."""
    store = BarStore(tmp_path)
    names = [store.path("A", parse_timeframe(one)).name.lower() for one in ("1m", "1M", "1h")]
    assert len(set(names)) == 3
    save(store, random_bars(1, 5, timeframe="1h"))
    month = random_bars(1, 5)
    save(store, Bars("TEST", parse_timeframe("1M"), "fx", *(getattr(month, name) for name in COLUMNS)))
    assert [one.name for _, one in store.series()] == ["1h", "1M"]


def test_the_list_holds_series_only(tmp_path: Path) -> None:
    """Files of other kinds, hidden ones and folders of no symbol are passed over."""
    store = BarStore(tmp_path)
    assert store.series() == []
    save(store, random_bars(1, 5))
    for name in ("TEST/notes.parquet", ".hidden/1h.parquet", "TEST/.4h.parquet", "a b/1h.parquet", "TEST/01h.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "TEST" / "1d.parquet").mkdir()
    assert store.series() == [("TEST", HOUR)]
    assert store.exists("TEST", HOUR)
    assert not store.exists("TEST", parse_timeframe("1d"))


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "/etc"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    store = BarStore(tmp_path / "data")
    with pytest.raises(InvalidName):
        store.load(name, HOUR)
    with pytest.raises(InvalidName):
        save(store, random_bars(1, 5, symbol=name))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_series_is_told_with_those_there(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    with pytest.raises(DataNotFound, match="nothing yet"):
        store.load("TEST", HOUR)
    save(store, random_bars(1, 5))
    with pytest.raises(DataNotFound, match=r"stored: TEST 1h.*ktrdr data import FILE --symbol EURUSD"):
        store.load("EURUSD", HOUR)


@settings(max_examples=60)
@given(st.data())
def test_a_flipped_byte_never_becomes_a_price(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Parquet itself would hand out most of them without a word."""
    store, bars = BarStore(tmp_path_factory.mktemp("bars")), random_bars(2, 200)
    path = save(store, bars)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        back = store.load("TEST", HOUR)
    except DataRefused:
        return
    assert back.digest() == bars.digest()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_torn_file_is_refused(tmp_path: Path, share: float) -> None:
    store = BarStore(tmp_path)
    path = save(store, random_bars(2, 200))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataRefused, match="import"):
        store.load("TEST", HOUR)


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "TEST").mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "TEST" / "1h.parquet")
    for read in (BarStore(tmp_path).load, BarStore(tmp_path).facts):
        with pytest.raises(DataRefused, match="import"):
            read("TEST", HOUR)


def failing(number: int) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("before", ["nothing", "older bars"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.open", "pathlib.Path.replace"])
def test_what_the_disk_refuses_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int, before: str
) -> None:
    store = BarStore(tmp_path / "data")
    if before == "older bars":
        save(store, random_bars(1, 50))
    held = everything(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(where, failing(number))
        with pytest.raises(StorageFailed, match="cannot store the bars"):
            save(store, random_bars(2, 60))
    assert everything(tmp_path) == held
    assert not (tmp_path / "data" / "TEST").exists() or before == "older bars"
    save(store, random_bars(2, 60))
    assert len(store.load("TEST", HOUR)) == 60


def test_a_write_cut_in_the_middle_leaves_the_old_bars(tmp_path: Path) -> None:
    """The system stops the write after some bytes, as a full disk does."""
    store, old = BarStore(tmp_path), random_bars(1, 50)
    save(store, old)
    held = everything(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(StorageFailed, match="larger than the system allows"):
            save(store, random_bars(2, 5_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert everything(tmp_path) == held
    assert store.load("TEST", HOUR).digest() == old.digest()


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(StorageFailed, match="move it away or choose another"):
        save(BarStore(tmp_path / "data"), random_bars(1, 5))
    assert (tmp_path / "data").read_text() == "mine"


def test_a_leftover_of_a_killed_writer_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "TEST").mkdir()
    (tmp_path / "TEST" / ".1h.parquet.new").write_bytes(b"half")
    (tmp_path / "TEST" / ".lock").touch()
    store = BarStore(tmp_path)
    assert store.series() == []
    save(store, random_bars(1, 5))
    assert list(everything(tmp_path)) == ["TEST/1h.parquet"]


def test_other_bars_are_kept_unless_overwritten(tmp_path: Path) -> None:
    store, old, new = BarStore(tmp_path), random_bars(1, 50), random_bars(2, 50)
    save(store, old, overwrite=False)
    save(store, old, overwrite=False)
    with pytest.raises(Conflict, match="--replace"):
        save(store, new, overwrite=False)
    assert store.load("TEST", HOUR).digest() == old.digest()
    save(store, new)
    assert store.load("TEST", HOUR).digest() == new.digest()


def test_writers_and_readers_at_once(tmp_path: Path) -> None:
    """Every load sees one of the whole versions; of writers that may not overwrite, exactly one wins."""
    store, versions = BarStore(tmp_path), [random_bars(seed, 300 + seed) for seed in range(6)]
    digests = {bars.digest() for bars in versions}
    outcomes: list[str] = []

    def write(bars: Bars) -> None:
        try:
            save(store, bars, overwrite=False)
            outcomes.append("stored")
        except Conflict:
            outcomes.append("conflict")

    in_threads([lambda bars=bars: write(bars) for bars in versions])
    assert sorted(outcomes) == ["conflict"] * 5 + ["stored"]

    seen: set[str] = set()
    read = lambda: seen.update(store.load("TEST", HOUR).digest() for _ in range(10))  # noqa: E731
    in_threads([*(lambda bars=bars: save(store, bars) for bars in versions), read, read])
    assert seen <= digests
    assert list(everything(tmp_path)) == ["TEST/1h.parquet"]


def in_threads(tasks: list[Callable[[], object]]) -> None:
    failures: list[BaseException] = []

    def guarded(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
