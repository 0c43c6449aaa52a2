"""Brings the bars of a session to this host: from its own store where it has the very same, else from the backend."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx2

from ktrdr.contracts.hosts import SeriesNeeded
from ktrdr.contracts.training import Phase
from ktrdr.errors import DataNotFound, KtrdrError, TrainingCancelled, TransferCorrupt, Unavailable
from ktrdr.host_service.session import TrainingSession

_LARGEST_SERIES = 4_000_000_000
"""Bytes; a file of bars beyond is refused."""


class HeldBars(Protocol):
    """The bars that this host holds. Blocks."""

    def has(self, needed: SeriesNeeded) -> bool: ...

    def put(self, needed: SeriesNeeded, file: Path) -> None:
        """Raises TransferCorrupt when they are other bars than were named."""

    def scratch(self, needed: SeriesNeeded) -> Path: ...

    def keep_only(self, series: Sequence[SeriesNeeded]) -> None: ...


class BarFetcher:
    """What `Sessions` calls to prepare a session."""

    def __init__(self, http: httpx2.AsyncClient, bars: HeldBars, *, attempts: int = 3, wait: float = 1.0) -> None:
        self._http = http
        self._bars = bars
        self._attempts = attempts
        self._wait = wait
        self._fetching: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by digest

    async def __call__(self, session: TrainingSession) -> None:
        """Hold every series of the session, or raise what is wrong with one."""
        for needed in session.wanted.series:
            async with self._fetching[needed.digest]:  # what two sessions need comes once
                if await asyncio.to_thread(self._bars.has, needed):
                    continue
                session.note(Phase.DATA_LOADING, f"Fetching the bars of {needed.symbol} {needed.timeframe}")
                await self._fetch(session, needed)

    async def _fetch(self, session: TrainingSession, needed: SeriesNeeded) -> None:
        what = f"{needed.symbol} {needed.timeframe}"
        for attempt in range(1, self._attempts + 1):
            _go_on(session)
            file = await asyncio.to_thread(self._bars.scratch, needed)
            try:
                await self._download(session, needed, file)
                await asyncio.to_thread(self._bars.put, needed, file)
            except (httpx2.TransportError, TransferCorrupt) as error:
                if attempt == self._attempts:
                    reason = str(error) or type(error).__name__
                    raise Unavailable(f"the bars of {what} cannot be fetched from the backend: {reason}") from None
                await asyncio.sleep(self._wait * attempt)
            else:
                return
            finally:
                file.unlink(missing_ok=True)

    async def _download(self, session: TrainingSession, needed: SeriesNeeded, file: Path) -> None:
        url, token = session.wanted.bars_url, session.wanted.callback_token
        if url is None or token is None:
            raise DataNotFound(
                f"this host has not the bars of {needed.symbol} {needed.timeframe} with the digest"
                f" {needed.digest[:12]}…, and nobody to fetch them from: send the training through a server"
                " (`ktrdr serve`) that has its KTRDR_PUBLIC_URL, or import the same file on the host"
            )
        path = f"{url}/{quote(needed.symbol, safe='')}/{quote(needed.timeframe, safe='')}"
        headers, size = {"Authorization": f"Bearer {token.get_secret_value()}"}, 0
        params = {"digest": needed.digest}
        async with self._http.stream("GET", path, params=params, headers=headers, follow_redirects=False) as response:
            if not response.is_success:
                await response.aread()
                raise _refused(needed, response)
            with file.open("wb") as target:
                async for piece in response.aiter_bytes(1 << 20):
                    _go_on(session)
                    size += len(piece)
                    if size > _LARGEST_SERIES:
                        raise TransferCorrupt(f"a file of bars is larger than {_LARGEST_SERIES:,} bytes")
                    await asyncio.to_thread(target.write, piece)


def _go_on(session: TrainingSession) -> None:
    if session.cancellation.cancelled:
        raise TrainingCancelled("the training was cancelled")


def _refused(needed: SeriesNeeded, response: httpx2.Response) -> KtrdrError:
    try:
        why = str(response.json()["detail"])
    except (ValueError, LookupError, TypeError):
        why = f"it answers {response.status_code}"
    if response.status_code >= 500:
        return TransferCorrupt(why)  # tried again
    return DataNotFound(f"the backend does not give out the bars of {needed.symbol} {needed.timeframe}: {why}")
