"""The courier: three attempts, to the backend and nowhere else; what the backend answers decides on another one."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime

import httpx2
import pytest
from tests.host_service.parts import BACKEND, TOKEN, leave, start

from ktrdr.contracts.hosts import Delivery, ResultPayload, SessionStatus
from ktrdr.execution.transfer.sending import read_payload
from ktrdr.host_service.delivery import ResultCourier
from ktrdr.host_service.session import TrainingSession

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Backend:
    """Answers as told, the last one again and again, and keeps what it was sent."""

    def __init__(self, *answers):
        self.requests = []
        self._answers = list(answers)

    def __call__(self, request):
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status, code=None, **headers):
    """As a backend answers."""
    json = {"code": code, "detail": "as told"} if code else {"model_path": "demo/FAKE_1h_v1"}
    return httpx2.Response(status, json=json, headers=headers)


@pytest.fixture
def finished(tmp_path):
    """A session whose result waits to be brought."""

    def make(**changes):
        session = TrainingSession.begin(tmp_path / "sessions", start(**changes), NOW)
        leave(tmp_path / "sessions", session.wanted.request)
        session.end(SessionStatus.FINISHED, NOW)
        return session

    return make


async def delivered(backend, session, **options):
    """What becomes of the session's result, and how long the courier waited between its attempts."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(backend)) as http:
        courier = ResultCourier(http, origins=[BACKEND], sleep=sleep, **options)
        return await courier.deliver(session), waits


async def test_what_is_posted(finished):
    """The result with its digest, under the session's token, once."""
    backend, session = Backend(answer(200)), finished()
    assert await delivered(backend, session) == (Delivery.DELIVERED, [])
    (request,) = backend.requests
    assert (request.method, str(request.url)) == ("POST", f"{BACKEND}/api/v1/trainings/results")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    digest = base64.b64encode(hashlib.sha256(request.content).digest()).decode()
    assert request.headers["content-digest"] == f"sha-256=:{digest}:"
    payload = ResultPayload.model_validate_json(request.content)
    assert payload == read_payload(session.folder, "op_1")
    assert payload.model_state_dict_b64 is not None
    assert TOKEN.encode() not in request.content


async def test_a_large_result_is_announced(finished):
    """Without its files, which the backend fetches; until then they are kept."""
    backend = Backend(answer(202))
    assert await delivered(backend, finished(), largest_inline=10) == (Delivery.KEPT, [])
    payload = ResultPayload.model_validate_json(backend.requests[0].content)
    assert (payload.model_state_dict_b64, payload.context_b64) == (None, None)
    assert payload.model_state_dict.compressed_size > 0


FINAL = [
    answer(200),
    answer(201),
    answer(202),
    answer(302, location="http://evil.example/"),
    answer(307, location=f"{BACKEND}/elsewhere"),
    answer(400, "bad_request"),
    answer(401, "unauthorized"),
    answer(403, "forbidden"),
    answer(404, "not_found"),
    answer(409, "conflict"),
    answer(413, "too_large"),
    answer(422, "wrong_model"),
    answer(422, "invalid_request"),
    httpx2.Response(413, text="<html>too large</html>"),
    httpx2.Response(422, json=["no document"]),
]


@pytest.mark.parametrize("told", FINAL, ids=lambda told: f"{told.status_code} {told.text[:24]}")
async def test_an_answer_that_stays_the_same_is_final(finished, told):
    """It is asked for once, and a redirect leads nowhere."""
    backend = Backend(told)
    became, waits = await delivered(backend, finished())
    kept = {200: Delivery.DELIVERED, 201: Delivery.DELIVERED, 202: Delivery.KEPT}
    assert became is kept.get(told.status_code, Delivery.REFUSED)
    assert (len(backend.requests), waits) == (1, [])


AGAIN = [
    answer(500, "internal_error"),
    answer(503, "unavailable"),
    answer(507, "storage_failed"),
    httpx2.Response(502, text="<html>bad gateway</html>"),
    answer(408, "timeout"),
    answer(429, "too_many"),
    answer(422, "transfer_corrupt"),
    httpx2.ConnectError("nobody is there"),
    httpx2.ConnectTimeout(""),
    httpx2.ReadTimeout("no answer"),
    httpx2.WriteTimeout("it does not read"),
    httpx2.RemoteProtocolError("it hung up"),
]


@pytest.mark.parametrize("told", AGAIN, ids=lambda told: repr(told)[:60])
async def test_what_may_be_better_next_time_is_tried_three_times(finished, told):
    """With one and two seconds between, give or take a quarter; then the result waits to be fetched."""
    backend = Backend(told)
    became, waits = await delivered(backend, finished())
    assert became is Delivery.KEPT
    assert len({request.content for request in backend.requests}) == 1
    assert len(backend.requests) == 3
    assert [wait == pytest.approx(middle, rel=0.25) for wait, middle in zip(waits, (1.0, 2.0), strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("answers", "became", "attempts"),
    [
        ([answer(503, "unavailable"), answer(200)], Delivery.DELIVERED, 2),
        ([httpx2.ReadTimeout(""), answer(422, "transfer_corrupt"), answer(200)], Delivery.DELIVERED, 3),
        ([httpx2.ConnectError(""), answer(409, "conflict")], Delivery.REFUSED, 2),
        ([answer(500, "internal_error"), answer(202)], Delivery.KEPT, 2),
    ],
)
async def test_the_next_attempt_counts(finished, answers, became, attempts):
    """Whatever came before."""
    backend = Backend(*answers)
    assert (await delivered(backend, finished()))[0] is became
    assert len(backend.requests) == attempts


async def test_the_pauses_are_not_the_same_every_time(finished):
    """So that many hosts do not come back at once."""
    session = finished()
    found = {(await delivered(Backend(answer(503)), session))[1][0] for _ in range(5)}
    assert len(found) > 1


async def test_waits_are_as_told(finished):
    """No wait but those: `waits` has one less than there are attempts."""
    backend = Backend(answer(503, "unavailable"))
    assert await delivered(backend, finished(), waits=()) == (Delivery.KEPT, [])
    assert len(backend.requests) == 1


async def test_without_a_callback_nothing_is_sent(finished):
    backend = Backend(answer(200))
    assert await delivered(backend, finished(callback_url=None)) == (Delivery.KEPT, [])
    assert backend.requests == []


async def test_a_result_that_was_fetched_meanwhile_is_not_sent_again(finished):
    """The backend has it."""
    session = finished()
    backend = Backend(answer(503, "unavailable"))

    async def fetch(_):
        session.change(delivery=Delivery.DELIVERED)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(backend)) as http:
        await ResultCourier(http, origins=[BACKEND], sleep=fetch).deliver(session)
    assert len(backend.requests) == 2  # the one that was under way, and the one that saw it


@pytest.mark.parametrize("damage", ["no files", "no documents", "torn documents"])
async def test_a_result_that_cannot_be_read_is_kept(finished, damage):
    """Whoever fetches it is told why."""
    session, backend = finished(), Backend(answer(200))
    document = session.folder / "artifact.json"
    match damage:
        case "no files":
            (session.folder / "model.pt.gz").unlink()
        case "no documents":
            document.unlink()
        case "torn documents":
            document.write_bytes(document.read_bytes()[:-20])
    assert await delivered(backend, session) == (Delivery.KEPT, [])
    assert backend.requests == []


async def test_real_time_passes_between_attempts(finished):
    """The courier of a real host does wait."""
    backend = Backend(answer(503, "unavailable"), answer(200))
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(backend)) as http:
        begun = asyncio.get_running_loop().time()
        assert await ResultCourier(http, origins=[BACKEND], waits=(0.1,)).deliver(finished()) is Delivery.DELIVERED
        assert asyncio.get_running_loop().time() - begun >= 0.07
