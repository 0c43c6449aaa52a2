"""What a host answers, or what stands between, becomes an error that says whether it may be right next time."""

import json

import httpx2
import pytest
from pydantic import SecretStr
from tests.host_service.parts import start

from ktrdr.contracts.hosts import HostEntry
from ktrdr.errors import (
    Forbidden,
    InternalError,
    InvalidSettings,
    NotPlaced,
    SessionNotFound,
    TransferCorrupt,
    Unauthorized,
    Unavailable,
)
from ktrdr.execution.runners.host_link import HostLinks

HOST = HostEntry(name="h1", url="http://127.0.0.1:1")


def links(answer, **options):
    """To hosts that all answer so; `asked` has the requests."""
    made, asked = HostLinks(**{"key": SecretStr("k"), **options}), []

    def respond(request):
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made._http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    return made, asked


async def streamed(content):
    yield content


def problem(status, code):
    return httpx2.Response(status, json={"code": code, "detail": "as told"})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(503, "not_placed"), NotPlaced),
        (problem(401, "unauthorized"), Unauthorized),
        (problem(403, "forbidden"), Forbidden),
        (problem(404, "session_not_found"), SessionNotFound),
        (httpx2.ConnectError("refused"), NotPlaced),
        (httpx2.ConnectTimeout(""), NotPlaced),
        (httpx2.ReadTimeout(""), Unavailable),
        (httpx2.RemoteProtocolError("it hung up"), Unavailable),
        (httpx2.Response(502, text="<html>bad gateway"), Unavailable),
        (httpx2.Response(503, text="<html>"), Unavailable),
        (httpx2.Response(504), Unavailable),
        (httpx2.Response(500, text="oops"), InternalError),
        (httpx2.Response(404, text="<html>"), InternalError),
        (httpx2.Response(302, headers={"location": "http://evil.example"}), InternalError),
        (httpx2.Response(200, text="<html>hello"), InternalError),
        (httpx2.Response(200, json={"ok": True}), InternalError),
        (httpx2.Response(200, json=[]), InternalError),
    ],
    ids=str,
)
async def test_what_a_start_may_meet(answer, error):
    """Only where nobody can have heard is it placed elsewhere."""
    link, asked = links(answer)
    with pytest.raises(error) as raised:
        await link.start(HOST, start())
    assert type(raised.value) is error
    (request,) = asked
    assert request.headers["authorization"] == "Bearer k"
    assert json.loads(request.content)["callback_token"] == "ktrdr-callback.op_1.secret"


@pytest.mark.parametrize("trusted", [(), ("lan",)])
async def test_secrets_go_nowhere_in_plain_text(trusted):
    """Not the key, not a callback token, not even to see how the host does; but to machines that are trusted."""
    there = HostEntry(name="h1", url="http://lan:8100")
    link, asked = links(httpx2.Response(200, json={}), trusted=trusted)
    calls = (
        lambda: link.health(there),
        lambda: link.start(there, start()),
        lambda: link.status(there, "op_1"),
        lambda: link.result(there, "op_1"),
    )
    for call in calls:
        with pytest.raises((InternalError, TransferCorrupt) if trusted else InvalidSettings):
            await call()
    assert len(asked) == (4 if trusted else 0)
    without_key, asked = links(httpx2.Response(200, json={}), key=None)
    with pytest.raises(InvalidSettings, match="on the backend"):
        await without_key.start(there, start())
    with pytest.raises(InvalidSettings):
        await without_key.health(there)
    assert asked == []


async def test_a_result_has_a_limit(monkeypatch):
    """As it is read: it is never in memory as a whole."""
    monkeypatch.setattr("ktrdr.execution.runners.host_link._LARGEST_RESULT", 10)
    link, _ = links(httpx2.Response(200, text="x" * 11))
    with pytest.raises(TransferCorrupt, match="larger than 10 bytes"):
        await link.result(HOST, "op_1")
    link, _ = links(httpx2.Response(200, text="{}"))
    with pytest.raises(TransferCorrupt, match="not whole"):
        await link.result(HOST, "op_1")


@pytest.mark.parametrize(("status", "content", "left"), [(206, b"defgh", b"abcdefgh"), (200, b"ABCDEFGH", b"ABCDEFGH")])
async def test_a_host_that_knows_no_ranges_sends_the_whole(tmp_path, status, content, left):
    link, asked = links(httpx2.Response(status, content=streamed(content)))
    target = tmp_path / "file"
    target.write_bytes(b"abc")
    await link.download(HOST, "op_1", "file", target, 8)
    assert target.read_bytes() == left
    assert asked[0].headers["range"] == "bytes=3-"
    assert asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [206, 416])
async def test_more_or_less_than_was_said_is_corrupt(tmp_path, status):
    link, _ = links(httpx2.Response(status, content=streamed(b"x" * 9)))
    with pytest.raises(TransferCorrupt):
        await link.download(HOST, "op_1", "file", tmp_path / "file", 8)


async def test_lines_of_a_log_that_are_none_are_left_out():
    link, _ = links(httpx2.Response(200, json=[{"event": "a"}, 3]))
    assert await link.log(HOST, "op_1") == [{"event": "a"}]
    link, _ = links(httpx2.Response(200, json={}))
    assert await link.log(HOST, "op_1") == []


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path):
    with pytest.raises(InvalidSettings, match="certificates"):
        HostLinks(ca_file=tmp_path / "nowhere.pem")
