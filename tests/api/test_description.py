"""The API keeps to its own description, whatever is sent: no 500, and no answer that it does not describe."""

import shutil
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support import ROOT

from ktrdr.api.app import create_app
from ktrdr.api.examples import EXAMPLES
from ktrdr.api.security import SCHEME
from ktrdr.wiring import open_client


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A real service with bars, a strategy and no model; whatever trains is cancelled at the end."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "strategies", home / "strategies")
    made = create_app(Reopened(home))  # type: ignore[arg-type]
    with TestClient(made) as client:
        bars = (ROOT / "examples" / "data" / "EURUSD_1h.csv.gz").read_bytes()
        assert client.post("/api/v1/data/imports", files={"file": ("EURUSD_1h.csv.gz", bars)}).status_code == 201
    return made


class Reopened:
    """A client of a service that is opened for each call, in whatever event loop the call comes."""

    def __init__(self, home: object) -> None:
        self._home = home

    def __getattr__(self, name: str) -> object:
        async def call(*arguments: object, **options: object) -> object:
            async with open_client(home=self._home) as client:
                return await getattr(client, name)(*arguments, **options)

        async def stream(*arguments: object, **options: object) -> object:
            async with open_client(home=self._home) as client:
                async for part in getattr(client, name)(*arguments, **options):
                    yield part

        return stream if name in ("watch", "series_file") else call


def test_it_has_an_example_of_everything_that_is_taken_and_answered(app: FastAPI) -> None:
    """And each is what its schema says; so are the problems, of which each status has one."""
    document = app.openapi()
    schemas = document["components"]["schemas"]

    def check(schema: dict[str, Any], examples: list[Any], where: str) -> None:
        assert examples, f"{where} has no example: give it one in api/examples.py"
        whole = {**schema, "components": document["components"]}
        for example in examples:
            jsonschema_rs.validate(whole, example)

    for name, example in EXAMPLES.items():
        check(schemas[name], [example], name)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    assert parameter["schema"]["examples"] or parameter["examples"], f"{path}: {parameter['name']}"
            for where, content in _contents(operation):
                schema = content["schema"].get("items", content["schema"])
                if "$ref" in schema and "Body_" not in schema["$ref"]:
                    named = schemas[schema["$ref"].rpartition("/")[2]]
                    check(schema, [*named.get("examples", ()), *filter(None, [content.get("example")])], where)
            assert {"401", "422", "500"} <= set(operation["responses"]) or path == "/health/live", (method, path)


def _contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a route takes and answers in JSON."""
    told = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for where, one in told.items():
        for kind, content in one.get("content", {}).items():
            if kind.endswith("json") and content.get("schema"):
                yield f"{operation['operationId']}: {where}", content


def test_whoever_needs_a_key_is_told_so(app: FastAPI) -> None:
    """Else a page of the description would not send it; none is needed for the probes, and a host has its own."""
    keyless = {"/health/live", "/health/ready", "/api/v1/trainings/results"}
    for path, methods in app.openapi()["paths"].items():
        for operation in methods.values():
            assert ({SCHEME: []} in operation.get("security", [])) is (path not in keyless), path


CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def test_every_answer_is_described(app: object) -> None:
    """Random requests, good ones and bad ones, over every route."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    routes = [found.ok() for found in schema.get_all_operations()]
    assert len(routes) > 20
    for route in routes:
        if route.path.endswith("/events"):
            continue  # a stream: tested on its own

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=st.one_of(route.as_strategy(), route.as_strategy(generation_mode=GenerationMode.NEGATIVE)))
        def keeps_to_it(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        keeps_to_it()
