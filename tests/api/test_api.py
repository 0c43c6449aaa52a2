"""The API as a program sees it: answers, errors as problem documents, streams, limits and who may call."""

import json
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from tests.cli.fake_client import FakeClient

from ktrdr.api.app import create_app
from ktrdr.contracts.keys import Scope
from ktrdr.contracts.operations import OperationStatus
from ktrdr.errors import KtrdrError, Unauthorized, restore
from ktrdr.web import limits

API = "/api/v1"
KEYS = {f"{scope}-key": scope for scope in Scope}


async def scope_of(key: str | None) -> Scope:
    if key not in KEYS:
        raise Unauthorized("the API key is not valid")
    return KEYS[key]


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def api(client: FakeClient) -> TestClient:
    return TestClient(create_app(client), raise_server_exceptions=False)


@pytest.fixture
def guarded(client: FakeClient) -> TestClient:
    app = create_app(client, scope_of=scope_of, hosts={"testserver"}, origins=["https://ours.example"])
    return TestClient(app, raise_server_exceptions=False)


def test_a_start_is_accepted_and_told_where_to_follow(api: TestClient, client: FakeClient) -> None:
    """202 with the id, the mode and why; the body becomes the request."""
    body = {"strategy_name": "momentum", "symbols": ["EURUSD"], "seed": 7, "start_date": "2017-01-01T00:00:00Z"}
    answer = api.post(f"{API}/trainings/start", json={**body, "priority": 5}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{API}/operations/op_1"
    assert answer.json()["operation_id"] == answer.json()["operation"]["operation_id"] == "op_1"
    assert answer.json()["execution_reason"] == "the default"
    (wanted,) = client.wanted
    assert (wanted.strategy_name, wanted.priority, wanted.idempotency_key) == ("momentum", 5, "k")
    assert (wanted.overrides.seed, wanted.overrides.symbols) == (7, ["EURUSD"])


def test_a_null_test_is_started_like_a_training(api: TestClient, client: FakeClient) -> None:
    """202 with the operation; 19 walks unless the body says how many."""
    for body, walks in (({}, 19), ({"null_test": 99, "seed": 3}, 99)):
        answer = api.post(f"{API}/trainings/null-tests", json={"strategy_name": "momentum", **body})
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"{API}/operations/op_1"
        assert answer.json()["operation"]["type"] == "null_test"
        assert (client.wanted[-1].type, client.wanted[-1].overrides.null_test) == ("null_test", walks)
    assert api.post(f"{API}/trainings/start", json={"strategy_name": "momentum", "null_test": 5}).status_code == 202
    assert (client.wanted[-1].type, client.wanted[-1].overrides.null_test) == ("training", 5)


MISTAKES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/trainings/start", {"json": {"strategy_name": "nowhere"}}, 404, "strategy_not_found"),
    ("POST", "/trainings/start", {"json": {}}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"json": {"strategy_name": "momentum", "odd": 1}}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"json": {"strategy_name": "momentum", "seed": -1}}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"json": {"strategy_name": "momentum", "symbols": []}}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"json": {"strategy_name": "momentum", "start_date": "2017"}}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"json": {"strategy_name": "m" * 201}}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"content": b"{"}, 422, "invalid_request"),
    ("POST", "/trainings/start", {"content": b"[" * 100_000}, 422, "invalid_request"),
    ("POST", "/trainings/null-tests", {"json": {"strategy_name": "nowhere"}}, 404, "strategy_not_found"),
    ("POST", "/trainings/null-tests", {"json": {"strategy_name": "a", "null_test": 0}}, 422, "invalid_request"),
    ("POST", "/strategies/validate", {"json": {"text": "x", "source": "wrong.yaml"}}, 422, "invalid_strategy"),
    ("GET", "/strategies/nowhere/coverage", {}, 404, "strategy_not_found"),
    ("POST", "/strategies/coverage", {"json": {}}, 422, "invalid_request"),
    ("POST", "/strategies/nowhere/leakcheck", {"json": {}}, 404, "strategy_not_found"),
    ("POST", "/strategies/momentum/leakcheck", {"json": {"cuts": 0}}, 422, "invalid_request"),
    ("POST", "/strategies/leakcheck", {"json": {"cuts": 5}}, 422, "invalid_request"),
    ("GET", "/operations/nobody", {}, 404, "operation_not_found"),
    ("GET", "/operations/nobody/events", {}, 404, "operation_not_found"),
    ("GET", "/operations?status=odd", {}, 422, "invalid_request"),
    ("GET", "/operations?limit=0", {}, 422, "invalid_request"),
    ("POST", "/operations/op_0/retry?from=nowhere", {}, 422, "invalid_request"),
    ("GET", "/trainings/op_0/performance", {}, 409, "conflict"),
    ("GET", "/models/other", {}, 404, "model_not_found"),
    ("GET", "/data/USDJPY/1h", {}, 404, "data_not_found"),
    ("GET", "/nowhere", {}, 404, "not_found"),
    ("PUT", "/operations", {}, 405, "method_not_allowed"),
    ("POST", "/data/imports", {}, 422, "invalid_request"),
    ("POST", "/data/series", {"files": {"file": ("a.csv", b"")}}, 422, "invalid_request"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), MISTAKES, ids=str)
def test_a_mistake_is_a_problem_document(
    api: TestClient, method: str, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """With its status and a stable code; what is wrong with a strategy is listed."""
    answer = api.request(method, f"{API}{path}", **body)
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["detail"]
    assert code != "invalid_strategy" or document["problems"][0]["line"] == 12


def test_an_error_is_the_same_on_both_sides_of_the_wire(api: TestClient) -> None:
    """What the server tells becomes the error that it raised; a bug keeps its secrets."""
    document = api.post(f"{API}/strategies/validate", json={"text": "x", "source": "wrong.yaml"}).json()
    error = restore({**document, "message": document["detail"]})
    assert error.details()["problems"][0]["path"] == "training.epochs"
    assert type(restore({"code": "no_such_code", "message": "m"})) is KtrdrError


def test_a_bug_is_told_without_its_secrets(api: TestClient, client: FakeClient) -> None:
    """500, and the stack trace in the log alone."""
    client.broken = ZeroDivisionError("secret")
    with structlog.testing.capture_logs() as lines:
        answer = api.post(f"{API}/trainings/start", json={"strategy_name": "momentum"})
    assert lines[0]["exc_info"] is client.broken
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_a_body_that_is_too_large_is_refused(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it says of itself, and by what it turns out to be."""
    monkeypatch.setattr(limits, "LARGEST_BODY", 1_000)
    large = json.dumps({"strategy": "x" * 1_000}).encode()

    def parts() -> Any:
        yield from (large[:600], large[600:])

    for content in (large, parts()):
        answer = api.post(f"{API}/trainings/start", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_events_are_states_to_the_last(api: TestClient) -> None:
    """Each with its revision, without request and result; the last one has ended, and the stream closes."""
    api.post(f"{API}/trainings/start", json={"strategy_name": "momentum"})
    with api.stream("GET", f"{API}/operations/op_1/events", headers={"Last-Event-ID": "1"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line]
    states = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [line for line in lines if line.startswith("id: ")] == [f"id: {state['revision']}" for state in states]
    assert states[-1]["status"] == "completed"
    assert "request" not in states[0]
    assert "result" not in states[-1]


def test_a_websocket_says_the_same(api: TestClient, guarded: TestClient) -> None:
    """One JSON message a state; an operation that is not there closes it."""
    api.post(f"{API}/trainings/start", json={"strategy_name": "momentum"})
    with api.websocket_connect(f"{API}/operations/op_1/ws") as socket:
        states = []
        while not states or states[-1]["status"] not in ("completed", "failed"):
            states.append(socket.receive_json())
    assert states[-1]["status"] == "completed"
    for refused, path, headers in (
        (api, "nobody", {}),
        (guarded, "op_0", {}),
        (guarded, "op_0", {"Origin": "https://evil.example", "Authorization": "Bearer read-key"}),
    ):
        with pytest.raises(Exception), refused.websocket_connect(f"{API}/operations/{path}/ws", headers=headers):  # noqa: B017, PT011
            pytest.fail("it was opened")
    key = {"Authorization": "Bearer read-key"}
    with guarded.websocket_connect(f"{API}/operations/op_0/ws", headers=key) as socket:
        assert socket.receive_json()["operation_id"] == "op_0"


def test_operations_are_listed_read_cancelled_and_retried(api: TestClient, client: FakeClient) -> None:
    """Filters and paging reach the client."""
    page = api.get(f"{API}/operations?status=running&status=queued&strategy=m&type=null_test&limit=7&offset=3").json()
    assert (page["limit"], page["offset"], page["items"][0]["operation_id"]) == (7, 3, "op_0")
    asked = client.asked["operations"]
    assert asked["statuses"] == [OperationStatus.RUNNING, OperationStatus.QUEUED]
    assert (asked["strategy"], asked["type"]) == ("m", "null_test")
    assert api.get(f"{API}/operations/op_0").json()["request"]["strategy_name"] == "momentum"
    assert api.get(f"{API}/operations/op_0/logs").json()[0]["event"] == "Step [1]/12"
    assert api.post(f"{API}/operations/op_0/retry?from=start").status_code == 202
    assert client.asked["retry"] == {"from_start": True}
    cancelled = api.delete(f"{API}/operations/op_0")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelling")


def test_bars_are_uploaded_under_their_own_name(api: TestClient, client: FakeClient) -> None:
    """Whatever path the name claims."""
    upload = {"file": ("../../EURUSD_1h.csv", b"time,open\n")}
    answer = api.post(f"{API}/data/imports", files=upload, data={"symbol": "EURUSD", "replace": "true"})
    assert answer.status_code == 201
    ((path, options),) = client.imported
    assert path.name == "EURUSD_1h.csv"
    assert not path.exists()
    assert (options["symbol"], options["replace"], options["calendar"]) == ("EURUSD", True, None)


def test_a_series_is_uploaded_with_what_is_said_of_it(api: TestClient, client: FakeClient) -> None:
    """What is not said is not made up; an odd word is refused."""
    said = {"name": "fred_DGS2", "lag": "1d", "stamped": "start"}
    answer = api.post(f"{API}/data/series", files={"file": ("EURUSD.csv", b"date,value\n")}, data=said)
    assert (answer.status_code, answer.json()["series"]["symbol"]) == (201, "fred_DGS2")
    ((path, options),) = client.imported
    assert not path.exists()
    assert options == {**said, "column": None, "frequency": None, "timezone": None, "replace": False}
    odd = api.post(f"{API}/data/series", files={"file": ("EURUSD.csv", b"")}, data={**said, "stamped": "middle"})
    assert odd.status_code == 422


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "a\tb.csv", "..", ""])
def test_no_name_of_an_upload_breaks_the_server(api: TestClient, name: str) -> None:
    """And what is wrong with a file is told of its name, not of where the server has put it."""
    answer = api.post(f"{API}/data/imports", files={"file": (name, b"time,open\n")})
    assert answer.status_code in (404, 422)
    assert "/" not in answer.json()["detail"]


ALLOWED = [
    ("GET", "/operations", Scope.READ),
    ("GET", "/operations/op_0", Scope.READ),
    ("GET", "/operations/op_0/logs", Scope.READ),
    ("GET", "/models", Scope.READ),
    ("GET", "/strategies", Scope.READ),
    ("GET", "/data", Scope.READ),
    ("POST", "/trainings/start", Scope.TRAIN),
    ("POST", "/operations/op_0/retry", Scope.TRAIN),
    ("DELETE", "/operations/op_0", Scope.TRAIN),
    ("POST", "/data/imports", Scope.TRAIN),
    ("POST", "/data/series", Scope.TRAIN),
    ("DELETE", "/models/momentum/EURUSD_1h_v1", Scope.ADMIN),
]


@pytest.mark.parametrize(("method", "path", "needed"), ALLOWED, ids=str)
def test_a_key_of_that_scope_or_more_is_needed(guarded: TestClient, method: str, path: str, needed: Scope) -> None:
    """No key 401, too small a scope 403; what is told says what is needed."""
    assert guarded.request(method, f"{API}{path}").status_code == 401
    assert guarded.request(method, f"{API}{path}", headers={"Authorization": "Bearer x"}).status_code == 401
    for key, scope in KEYS.items():
        answer = guarded.request(method, f"{API}{path}", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code == 403) is not scope.allows(needed)
        if answer.status_code == 403:
            assert needed.value in answer.json()["detail"]


def test_every_route_but_the_probes_and_pages_wants_a_key(guarded: TestClient) -> None:
    """Whatever is added later."""
    description = guarded.get(f"{API}/openapi.json").json()
    for path, methods in description["paths"].items():
        for method in methods:
            answer = guarded.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == (200 if path.startswith("/health") else 401), (method, path)


def test_a_page_of_elsewhere_can_do_nothing(guarded: TestClient) -> None:
    """Not send, not read, and not by a name that leads here; a page that the settings name can."""
    key = {"Authorization": "Bearer admin-key"}
    evil, ours = {**key, "Origin": "https://evil.example"}, {**key, "Origin": "https://ours.example"}
    assert guarded.post(f"{API}/operations/op_0/retry", headers=evil).status_code == 403
    assert "access-control-allow-origin" not in guarded.get(f"{API}/operations", headers=evil).headers
    assert guarded.post(f"{API}/operations/op_0/retry", headers=ours).status_code == 202
    allowed = guarded.get(f"{API}/operations", headers=ours).headers
    assert allowed["access-control-allow-origin"] == "https://ours.example"
    same = {**key, "Origin": "http://testserver"}
    assert guarded.post(f"{API}/operations/op_0/retry", headers=same).status_code == 202
    answer = guarded.get(f"{API}/operations", headers={**key, "Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")


def test_every_answer_has_its_headers(api: TestClient) -> None:
    """Errors too."""
    for path in ("/operations", "/nowhere"):
        headers = api.get(f"{API}{path}").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]


def test_the_docs_load_nothing_from_elsewhere(api: TestClient) -> None:
    """The page, its script, and Swagger UI's files come from here."""
    page = api.get("/docs").text
    assert "//" not in page.replace("</", "")
    assert f'"{API}/openapi.json"' in api.get("/docs/start.js").text
    for file in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert file in page
        assert len(api.get(f"/docs/files/{file}").content) > 100_000


def test_ready_means_it(api: TestClient, client: FakeClient) -> None:
    """Alive is not ready: not while starting or stopping, nor when the database does not answer."""
    assert api.get("/health/ready").json() == {"status": "ready"}
    api.app.state.unready = "it is stopping"  # type: ignore[attr-defined]
    answer = api.get("/health/ready")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert "it is stopping" in answer.json()["detail"]
    assert api.get("/health/live").json() == {"status": "alive"}


def test_the_default_mode_is_read_and_changed(api: TestClient, guarded: TestClient) -> None:
    """A change says what was before, and is for those who run the server."""
    assert api.get(f"{API}/trainings/config").json()["default_execution_mode"] == "auto"
    changed = api.put(f"{API}/trainings/config", json={"default_execution_mode": "local"})
    assert (changed.json()["default_execution_mode"], changed.json()["previous"]) == ("local", "auto")
    assert api.put(f"{API}/trainings/config", json={"default_execution_mode": "moon"}).status_code == 422
    headers = {"Authorization": "Bearer train-key"}
    assert guarded.put(f"{API}/trainings/config", json={}, headers=headers).status_code == 403


def test_a_series_is_handed_out_by_its_digest(api: TestClient) -> None:
    """The file itself, or a problem before anything of it."""
    answer = api.get(f"{API}/data/EURUSD/1h?digest=d1")
    assert (answer.content, answer.headers["content-type"]) == (b"PAR1rest", "application/vnd.apache.parquet")
    other = api.get(f"{API}/data/EURUSD/1h?digest=d2")
    assert (other.status_code, other.json()["code"]) == (404, "data_not_found")


def test_the_schema_of_strategies_is_served(api: TestClient) -> None:
    """Before any strategy of that name."""
    assert api.get(f"{API}/strategies/schema").json() == {"title": "KTRDR strategy"}
