"""The API keeps to its own description, whatever is sent: no 500, and no answer that it does not describe."""

import shutil

import pytest
import schemathesis
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
