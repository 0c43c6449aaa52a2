"""Bars that are held fast: whatever happens to the store that they come from, a training reads those it was sent."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ktrdr.contracts.hosts import SeriesNeeded
from ktrdr.errors import DataNotFound, DataRefused, TransferCorrupt
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.manager import DataManager
from ktrdr.execution.data.store import BarStore, SeriesFacts
from ktrdr.execution.data.timeframes import Timeframe, parse_timeframe
from ktrdr.execution.files import fsync_folder, make_folder, remove_tree, storage_failures


class BarPins:
    """A folder of single series, each under the name of what it is. Any thread may use it."""

    def __init__(self, root: Path, own: BarStore) -> None:
        """`own` is the store of this machine, whose bars need not be fetched."""
        self._root = root
        self._own = own

    def has(self, needed: SeriesNeeded) -> bool:
        """Whether these bars are held, taking them from this machine's own store if it has them."""
        place = self._place(needed)
        if place.is_dir():
            try:
                _prove(BarStore(place), needed)
            except TransferCorrupt:
                with storage_failures("let go of damaged bars", place):
                    remove_tree(place)
            else:
                return True
        frame = parse_timeframe(needed.timeframe)
        try:
            facts = self._own.facts(needed.symbol, frame)
            if _told(facts.digest, facts) != _known(needed):
                return False
            self.put(needed, self._own.path(needed.symbol, frame))
        except (DataNotFound, DataRefused, TransferCorrupt):
            return False
        return True

    def put(self, needed: SeriesNeeded, file: Path) -> None:
        """Hold the series in that file. Raises TransferCorrupt when they are other bars than were named."""
        place = self._place(needed)
        with storage_failures("hold bars", self._root):
            make_folder(self._root)
            beside = Path(tempfile.mkdtemp(dir=self._root, prefix="."))
            try:
                store, frame = BarStore(beside), parse_timeframe(needed.timeframe)
                path = store.path(needed.symbol, frame)
                path.parent.mkdir()
                _link(file, path)
                _prove(store, needed)
                if not place.exists():
                    beside.rename(place)
                    fsync_folder(self._root)
            except OSError:
                if not place.is_dir():  # else another thread was faster
                    raise
            finally:
                remove_tree(beside)

    def scratch(self, needed: SeriesNeeded) -> Path:
        """Where a file may be fetched to, on the same disk."""
        make_folder(self._root)
        return self._root / f".{self._place(needed).name}.fetched"

    def source(self, series: Sequence[SeriesNeeded]) -> DataManager:
        """The bars of a training that was sent these series."""
        return DataManager(PinnedBars({(one.symbol, one.timeframe): BarStore(self._place(one)) for one in series}))

    def keep_only(self, series: Sequence[SeriesNeeded]) -> None:
        """Let go of everything else."""
        kept = {self._place(one) for one in series}
        with storage_failures("let go of bars", self._root):
            for place in self._root.glob("[!.]*"):
                if place not in kept:
                    remove_tree(place)

    def _place(self, needed: SeriesNeeded) -> Path:
        return self._root / hashlib.sha256(needed.model_dump_json().encode()).hexdigest()


class PinnedBars:
    """The stored series that a training was sent, and no others: a StoredSeries."""

    def __init__(self, stores: dict[tuple[str, str], BarStore]) -> None:
        self._stores = stores

    def timeframes(self, symbol: str) -> list[Timeframe]:
        """Those that were sent of a symbol, the shortest first."""
        return sorted(parse_timeframe(timeframe) for name, timeframe in self._stores if name == symbol)

    def load(self, symbol: str, timeframe: Timeframe) -> Bars:
        """As BarStore's."""
        return self._store(symbol, timeframe).load(symbol, timeframe)

    def facts(self, symbol: str, timeframe: Timeframe) -> SeriesFacts:
        """As BarStore's."""
        return self._store(symbol, timeframe).facts(symbol, timeframe)

    def _store(self, symbol: str, timeframe: Timeframe) -> BarStore:
        store = self._stores.get((symbol, timeframe.name))
        if store is None:
            raise DataNotFound(f"the bars of {symbol} {timeframe.name} were not named when the training was sent here")
        return store


def _link(file: Path, path: Path) -> None:
    """The same bytes under another name; a store replaces its files and never writes into them."""
    try:
        os.link(file, path)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, path)


def _prove(store: BarStore, needed: SeriesNeeded) -> None:
    frame = parse_timeframe(needed.timeframe)
    what = f"the bars of {needed.symbol} {needed.timeframe}"
    try:
        bars, facts = store.load(needed.symbol, frame), store.facts(needed.symbol, frame)
    except (DataNotFound, DataRefused):
        raise TransferCorrupt(f"{what} are damaged on their way: fetch them again") from None
    if _told(bars.digest(), facts) != _known(needed):
        raise TransferCorrupt(f"{what} are not those that the training was planned with: fetch them again")


def _known(needed: SeriesNeeded) -> tuple[str, str, bool, str | None]:
    return needed.digest, needed.calendar, needed.jumps_accepted, needed.lag


def _told(digest: str, facts: SeriesFacts) -> tuple[str, str, bool, str | None]:
    return digest, facts.calendar, facts.jumps_accepted, facts.lag
