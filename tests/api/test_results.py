"""The desk where hosts deliver, the bars that they fetch, the registry of hosts, and the metrics, over HTTP."""

import base64
import hashlib
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.cli.fake_client import FakeClient

from ktrdr.api.app import LARGER_BODIES, create_app
from ktrdr.contracts.hosts import LARGEST_INLINE, PackedFile, ResultPayload
from ktrdr.contracts.keys import Scope
from ktrdr.errors import Conflict, KtrdrError, StorageFailed, TransferCorrupt, Unauthorized, WrongModel
from ktrdr.orchestration.metrics import Metrics

RESULTS, TOKEN = "/api/v1/trainings/results", "ktrdr-callback.op.secret"
FILE = PackedFile(sha256="0" * 64, size=3_000, compressed_size=1_500)
KEYS = ("training_metrics", "test_metrics", "feature_importance", "config", "per_symbol_metrics", "model_info")
PAYLOAD = ResultPayload(
    session_id="op",
    model_state_dict=FILE,
    model_state_dict_b64="",
    context=FILE,
    context_b64="",
    feature_names=[],
    **{name: {} for name in (*KEYS, "data_summary", "resource_usage", "provenance")},
)
BODY = PAYLOAD.model_dump_json().encode()


class Desk:
    """A desk that answers as it is told to."""

    def __init__(self) -> None:
        self.path: str | None = "demo/FAKE_1h_v1"
        self.ended = False
        self.error: KtrdrError | None = None
        self.delivered: list[ResultPayload] = []
        self.missed: list[tuple[str, str]] = []

    async def check(self, token: str | None, *, going_on: bool = False) -> str:
        if token != TOKEN or (going_on and self.ended):
            raise Unauthorized("this is no callback token")
        return "op"

    async def deliver(self, operation_id: str, payload: ResultPayload) -> str | None:
        if self.error is not None:
            raise self.error
        self.delivered.append(payload)
        return self.path

    def failed(self, way: str, error: KtrdrError) -> None:
        self.missed.append((way, error.code))


@pytest.fixture
def served() -> SimpleNamespace:
    """A server that wants API keys, its desk and a way to deliver there."""

    async def scope_of(key: str | None) -> Scope:
        if key not in ("read", "train", "admin"):
            raise Unauthorized("the API key is not valid")
        return Scope(key)

    desk = Desk()
    http = TestClient(create_app(FakeClient(), desk=desk, scope_of=scope_of), raise_server_exceptions=False)

    def deliver(body: bytes = BODY, *, token: str = TOKEN, **headers: str) -> Any:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return http.post(RESULTS, content=body, headers={"Authorization": f"Bearer {token}", **named})

    return SimpleNamespace(desk=desk, http=http, deliver=deliver)


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def test_a_result_is_taken(served: SimpleNamespace) -> None:
    """200 with the path of the model; 202 for one whose files are to be fetched. No API key is wanted."""
    answer = served.deliver(content_digest=digest(BODY))
    assert (answer.status_code, answer.json()) == (200, {"model_path": "demo/FAKE_1h_v1"})
    served.desk.path = None
    answer = served.deliver()
    assert (answer.status_code, answer.json()) == (202, {"model_path": None})
    assert served.desk.delivered == [PAYLOAD, PAYLOAD]
    assert served.desk.missed == []


@pytest.mark.parametrize("token", ["", "admin", TOKEN[:-1], TOKEN + "x", "ktrdr-callback.other.secret"])
def test_only_the_bearer_of_the_token_is_heard(served: SimpleNamespace, token: str) -> None:
    """Not even who may do everything else here."""
    answer = served.deliver(token=token)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert served.desk.delivered == []
    assert served.desk.missed == [("callback", "unauthorized")]


def test_a_server_without_a_desk_takes_nothing() -> None:
    answer = TestClient(create_app(FakeClient())).post(RESULTS, content=BODY)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (BODY[:-1], {"content_digest": digest(BODY)}, "transfer_corrupt"),
        (BODY, {"content_digest": digest(b"")}, "transfer_corrupt"),
        (BODY, {"content_digest": "sha-256=:?:"}, "transfer_corrupt"),
        (BODY, {"content_digest": digest(BODY).replace("sha-256", "md5")}, "transfer_corrupt"),
        (BODY[:-1], {}, "transfer_corrupt"),
        (b"", {}, "transfer_corrupt"),
        (b"{}", {"content_digest": digest(b"{}")}, "invalid_request"),
        (b"[]", {"content_digest": digest(b"[]")}, "invalid_request"),
    ],
)
def test_what_did_not_come_whole_may_be_sent_again(
    served: SimpleNamespace, body: bytes, headers: Mapping[str, str], code: str
) -> None:
    """What came whole and is no result may not: its digest tells one from the other."""
    answer = served.deliver(body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert served.desk.delivered == []
    assert served.desk.missed == [("callback", code)]


def test_what_a_newer_host_says_more_is_passed_over(served: SimpleNamespace) -> None:
    body = json.dumps({**json.loads(BODY), "more": 1}).encode()
    assert served.deliver(body, content_digest=digest(body)).status_code == 200


def test_a_body_too_large_is_refused_before_it_is_read(served: SimpleNamespace) -> None:
    """The limit has room for the largest result that goes into JSON, and not for much more."""
    assert LARGEST_INLINE * 4 / 3 < LARGER_BODIES[RESULTS] < LARGEST_INLINE * 3
    answer = served.deliver(bytes(LARGER_BODIES[RESULTS] + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("error", "status"),
    [(TransferCorrupt("x"), 422), (WrongModel("x"), 422), (Conflict("x"), 409), (StorageFailed("x"), 507)],
)
def test_the_desk_says_what_is_wrong(served: SimpleNamespace, error: KtrdrError, status: int) -> None:
    """With a code that says whether it may be tried again."""
    served.desk.error = error
    answer = served.deliver(content_digest=digest(BODY))
    assert (answer.status_code, answer.json()["code"]) == (status, error.code)


def test_bars_are_given_to_the_bearer_of_a_callback_token(served: SimpleNamespace) -> None:
    """Those that it names by their digest, while its training goes on, and nothing else."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    path = "/api/v1/data/EURUSD/1h"
    assert served.http.get(path, params={"digest": "0" * 64}, headers=bearer).status_code != 401
    for refused in (path, "/api/v1/data", "/api/v1/models", f"{path}/check", "/api/v1/hosts"):
        assert served.http.get(refused, headers=bearer).status_code == 401
    served.desk.ended = True
    assert served.http.get(path, params={"digest": "0" * 64}, headers=bearer).status_code == 401
    assert served.deliver().status_code == 200  # a repeat gets its answer all the same
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    assert served.http.get(path, params={"digest": "0" * 64}, headers=wrong).status_code == 401
    assert served.http.get(path, params={"digest": "0" * 64}).status_code == 401


def test_the_registry_is_read_by_all_and_changed_by_admins(served: SimpleNamespace) -> None:
    """A host is an origin with a name and perhaps a price."""
    host = {"name": "gpu2", "url": "https://gpu2:8100/", "price_per_hour": 0.5}
    for key, status in (("read", 403), ("train", 403), ("admin", 201)):
        answer = served.http.post("/api/v1/hosts", json=host, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    assert answer.json() == {**host, "url": "https://gpu2:8100"}
    reader, admin = ({"Authorization": f"Bearer {key}"} for key in ("read", "admin"))
    listed = served.http.get("/api/v1/hosts", headers=reader).json()
    assert [one["host"]["name"] for one in listed] == ["gpu1", "gpu2"]
    assert listed[0]["health"]["slots"] == 2
    assert served.http.post("/api/v1/hosts", json={**host, "url": "gpu2"}, headers=admin).status_code == 422
    assert served.http.delete("/api/v1/hosts/gpu2", headers=reader).status_code == 403
    assert served.http.delete("/api/v1/hosts/gpu2", headers=admin).json()["name"] == "gpu2"
    assert served.http.delete("/api/v1/hosts/gpu2", headers=admin).status_code == 404


def test_metrics_tell_the_hosts_that_there_are() -> None:
    """Asked when they are scraped: one that has gone is told of no more."""

    class Store:
        database = SimpleNamespace(errors=0)

        async def counts(self) -> list[Any]:
            return []

    client, metrics = FakeClient(), Metrics(Store())  # type: ignore[arg-type]
    http = TestClient(create_app(client, metrics=metrics))
    text = http.get("/metrics").text
    assert 'ktrdr_host_up{host="gpu1"} 1.0' in text
    assert 'ktrdr_host_free_slots{host="gpu1"} 1.0' in text
    assert 'ktrdr_host_uptime_seconds{host="gpu1"}' in text
    client.silent = {"gpu1"}
    assert 'ktrdr_host_up{host="gpu1"} 0.0' in http.get("/metrics").text
    client.registered.clear()
    assert "gpu1" not in http.get("/metrics").text
