"""The routes of a host service: for backends that have its key, and for nobody else."""

import asyncio

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr
from tests.host_service.parts import Leaves, Notes, ended, sessions_in, start

from ktrdr.contracts.hosts import Delivery, Device, HostHealth, ResultPayload, SessionState
from ktrdr.execution.transfer.sending import CONTEXT, STATE, read_payload
from ktrdr.host_service import app as module
from ktrdr.host_service.app import create_app
from ktrdr.logs import OperationLogs

KEY = "the key"


@pytest_asyncio.fixture
async def sessions(tmp_path):
    root = tmp_path / "sessions"
    made = sessions_in(root, Leaves(root), Notes(Delivery.KEPT), slots=2)
    await made.open()
    yield made
    await made.suspend()


@pytest_asyncio.fixture
async def host(sessions, tmp_path):
    """HTTP to it, with its key."""
    app = create_app(
        sessions,
        key=SecretStr(KEY),
        devices=lambda: [Device(type="cuda", name="GPU 0", memory_bytes=7)],
        memory=9,
        logs=OperationLogs(tmp_path / "logs"),
    )
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://host", headers=bearer) as http:
        yield http


def body(**changes):
    wanted = start(**changes)
    return {**wanted.model_dump(mode="json"), "callback_token": wanted.callback_token.get_secret_value()}


ROUTES = [
    ("GET", "/health"),
    ("POST", "/training/start"),
    ("GET", "/training/status/op_1"),
    ("GET", "/training/logs/op_1"),
    ("POST", "/training/stop/op_1"),
    ("GET", "/training/result/op_1"),
    ("DELETE", "/training/result/op_1"),
    ("GET", f"/training/result/op_1/{STATE}"),
    ("GET", f"/training/result/op_1/{CONTEXT}"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_the_key(host, sessions, method, path):
    """And says so; without one nothing is begun."""
    for wrong in ("", "Bearer", "Bearer the ke", "Bearer the keyy", "Basic the key"):
        answer = await host.request(method, path, headers={"Authorization": wrong}, json=body())
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert "KTRDR_HOST_KEY" in answer.json()["detail"]
    assert sessions.free_slots == 2


async def test_there_are_no_other_routes(host):
    """Least of all pages that describe it to strangers."""
    for path in ("/docs", "/redoc", "/openapi.json", "/"):
        assert (await host.get(path)).status_code == 404


async def test_health(host):
    """What a backend chooses by."""
    health = HostHealth.model_validate((await host.get("/health")).json())
    assert (health.slots, health.free_slots, health.memory_bytes) == (2, 2, 9)
    assert health.devices == [Device(type="cuda", name="GPU 0", memory_bytes=7)]
    assert health.has_gpu
    assert health.uptime_seconds >= 0


async def test_a_session_from_its_start_to_its_result(host, sessions):
    """202, then how far it is, and at the end what it came to; the token is told to nobody."""
    answer = await host.post("/training/start", json=body())
    assert answer.status_code == 202
    assert "secret" not in answer.text
    await ended(sessions)
    state = SessionState.model_validate((await host.get("/training/status/op_1")).json())
    assert (state.status, state.delivery) == ("finished", "kept")
    result = await host.get("/training/result/op_1")
    assert ResultPayload.model_validate_json(result.content) == read_payload(sessions._root / "op_1", "op_1")
    told = (await host.delete("/training/result/op_1")).json()
    assert told["delivery"] == "delivered"
    assert (await host.post("/training/stop/op_1")).json()["status"] == "finished"


async def test_files_are_given_out_in_parts(host, sessions):
    """`Range`, as a fetch that was cut asks for; one beyond the end is refused."""
    await sessions.start(start())
    await ended(sessions)
    for name in (STATE, CONTEXT):
        content = (sessions._root / "op_1" / name).read_bytes()
        path = f"/training/result/op_1/{name}"
        assert (await host.get(path)).content == content
        part = await host.get(path, headers={"Range": "bytes=10-"})
        assert (part.status_code, part.content) == (206, content[10:])
        assert (await host.get(path, headers={"Range": f"bytes={len(content)}-"})).status_code == 416
        (sessions._root / "op_1" / name).unlink()
        lost = await host.get(path)
        assert (lost.status_code, lost.json()["code"]) == (507, "storage_failed")


async def test_what_is_not_there_is_told_apart(host, sessions):
    """No such session, and none that has finished."""
    for method, path in ROUTES[2:]:
        answer = await host.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    executor = sessions._runner._make_executor()
    executor.hold.clear()
    await sessions.start(start())
    for name in ("", f"/{STATE}", f"/{CONTEXT}"):
        answer = await host.get(f"/training/result/op_1{name}")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    executor.hold.set()
    await ended(sessions)


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "another"},
        {"series": [{"symbol": "X"}]},
        {"more": 1},
        {"callback_token": None},
        {"callback_url": "x" * 501},
    ],
)
async def test_a_start_that_cannot_be_is_refused(host, sessions, changes):
    answer = await host.post("/training/start", json={**body(), **changes})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert sessions.free_slots == 2


async def test_bodies_have_a_limit(host, monkeypatch):
    """What a start may carry, and not a byte more."""
    answer = await host.post("/training/start", content=b" " * (module.LARGEST_START + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_the_newest_lines_of_the_log(host, sessions, tmp_path, monkeypatch):
    """Not more than are asked for at once."""
    monkeypatch.setattr(module, "MOST_LINES", 2)
    await sessions.start(start())
    await ended(sessions)
    await asyncio.to_thread((tmp_path / "logs").mkdir)
    lines = "".join(f'{{"event": "{number}"}}\n' for number in range(3))
    (tmp_path / "logs" / "op_1.jsonl").write_text(lines)
    assert [line["event"] for line in (await host.get("/training/logs/op_1")).json()] == ["1", "2"]
