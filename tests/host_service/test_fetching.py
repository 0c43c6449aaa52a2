"""The bars of a session: those that are held already, else the backend's, proven before they count."""

import asyncio
import threading
from datetime import UTC, datetime

import httpx2
import pytest
from tests.host_service.parts import BACKEND, SERIES, TOKEN, start, until

from ktrdr.contracts.training import Phase
from ktrdr.errors import DataNotFound, TrainingCancelled, TransferCorrupt, Unavailable
from ktrdr.host_service.fetching import BarFetcher
from ktrdr.host_service.session import TrainingSession

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OTHER = SERIES.model_copy(update={"symbol": "A=F^.X", "digest": "1" * 64})
GOOD = b"the bars"


class Held:
    """Bars by the series that they are; only GOOD ones are."""

    def __init__(self, folder, *have):
        folder.mkdir()
        self.folder = folder
        self.have = set(have)
        self.puts = 0

    def has(self, needed):
        return needed in self.have

    def put(self, needed, file):
        self.puts += 1
        if file.read_bytes() != GOOD:
            raise TransferCorrupt("these are other bars: fetch them again")
        self.have.add(needed)

    def scratch(self, needed):
        return self.folder / needed.digest

    def keep_only(self, series):
        self.have &= set(series)


@pytest.fixture
def held(tmp_path):
    bars = Held(tmp_path / "bars")
    yield bars
    assert list(bars.folder.iterdir()) == []  # nothing that was fetched is left


@pytest.fixture
def session(tmp_path):
    return TrainingSession.begin(tmp_path / "sessions", start(series=[SERIES, OTHER]), NOW)


class Backend:
    """Answers as told, the last one again and again."""

    def __init__(self, *answers):
        self.requests = []
        self._answers = list(answers)

    async def __call__(self, request):
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, content = answer
        return httpx2.Response(status, content=content)


def refused(status):
    return status, b'{"code": "no", "detail": "other bars are stored"}'


async def fetch(session, held, backend, **options):
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(backend)) as http:
        await BarFetcher(http, held, wait=0.001, **options)(session)


async def test_what_is_held_is_not_asked_for(session, held):
    held.have = {SERIES, OTHER}
    backend = Backend((200, GOOD))
    await fetch(session, held, backend)
    assert backend.requests == []
    assert session.state.progress is None


async def test_what_is_missing_is_fetched_by_its_digest(session, held):
    """Under the session's token; a name that is odd in a URL is quoted. It is told what is waited for."""
    held.have = {SERIES}
    backend = Backend((200, GOOD))
    await fetch(session, held, backend)
    (request,) = backend.requests
    assert str(request.url) == f"{BACKEND}/api/v1/data/A%3DF%5E.X/1h?digest={'1' * 64}"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert held.have == {SERIES, OTHER}
    assert (session.state.progress.phase, session.state.progress.message) == (
        Phase.DATA_LOADING,
        "Fetching the bars of A=F^.X 1h",
    )


@pytest.mark.parametrize(
    "trouble",
    [(500, b"oops"), refused(503), (200, b"other"), (200, b""), httpx2.ReadError("cut"), httpx2.ConnectError("")],
)
async def test_what_may_be_better_next_time_is_fetched_again(session, held, trouble):
    """Three times; then the training fails for the reason that the last one had."""
    backend = Backend(trouble, trouble, (200, GOOD))
    await fetch(session, held, backend)
    assert len(backend.requests) == 4
    held.have.clear()
    backend = Backend(trouble)
    with pytest.raises(Unavailable, match="the bars of EURUSD 1h cannot be fetched"):
        await fetch(session, held, backend)
    assert len(backend.requests) == 3


@pytest.mark.parametrize("answer", [refused(404), refused(401), refused(422), (302, b""), (404, b"<html>")])
async def test_what_is_refused_is_not_asked_for_again(session, held, answer):
    """The backend does not have these bars any more, or does not know the token."""
    backend = Backend(answer)
    with pytest.raises(DataNotFound, match=r"does not give out the bars of EURUSD 1h: (other bars|it answers)"):
        await fetch(session, held, backend)
    assert len(backend.requests) == 1


async def test_with_nobody_to_ask(tmp_path, held):
    """The sentence says what to do."""
    alone = TrainingSession.begin(tmp_path / "s", start(callback_url=None, bars_url=None, callback_token=None), NOW)
    with pytest.raises(DataNotFound, match=r"through a server .* KTRDR_PUBLIC_URL.*import the same file"):
        await fetch(alone, held, Backend((200, GOOD)))


async def test_a_file_larger_than_any_series_is_refused(session, held, monkeypatch):
    monkeypatch.setattr("ktrdr.host_service.fetching._LARGEST_SERIES", 3)
    with pytest.raises(Unavailable, match="larger than"):
        await fetch(session, held, Backend((200, GOOD)))
    assert held.puts == 0


async def test_a_cancelled_session_fetches_nothing(session, held):
    session.cancellation.cancel()
    backend = Backend((200, GOOD))
    with pytest.raises(TrainingCancelled):
        await fetch(session, held, backend)
    assert backend.requests == []


async def test_a_cancel_is_heard_while_bars_come(session, held):
    """A large file is not waited for."""
    more = threading.Event()

    async def endless():
        while not more.is_set():
            yield b"x" * (1 << 20)
            session.cancellation.cancel()
            await asyncio.sleep(0.001)

    async with asyncio.timeout(5):
        try:
            with pytest.raises(TrainingCancelled):
                await fetch(session, held, Backend((200, endless())))
        finally:
            more.set()


async def test_two_sessions_fetch_the_same_bars_once(tmp_path, held):
    """Neither disturbs the other's file."""
    both = [TrainingSession.begin(tmp_path / "s", start(f"op_{number}"), NOW) for number in range(2)]
    going, asked = asyncio.Event(), []

    async def slowly(request):
        asked.append(request)

        async def content():
            yield GOOD[:3]
            await going.wait()
            yield GOOD[3:]

        return httpx2.Response(200, content=content())

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(slowly)) as http:
        fetcher = BarFetcher(http, held, wait=0.001)
        tasks = [asyncio.create_task(fetcher(session)) for session in both]
        await until(lambda: asked)
        await asyncio.sleep(0.02)
        going.set()
        await asyncio.gather(*tasks)
    assert len(asked) == held.puts == 1
