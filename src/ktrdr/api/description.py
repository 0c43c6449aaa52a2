"""The OpenAPI description: what FastAPI finds out by itself, with problems, examples, and who may call what."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from ktrdr.api.examples import EXAMPLES
from ktrdr.api.security import SCHEME
from ktrdr.web.problems import ProblemDocument

_ABOUT = """\
Trains strategy files into models. `POST /api/v1/trainings/start` answers with an operation, which is stored before it
answers; `GET /api/v1/operations/{id}` tells how far it is, `…/events` (server-sent events) and `…/ws` (WebSocket) tell
each change.

A failure is a problem document (RFC 9457) with a stable `code` and a `detail` that says what to do. On a loopback
address nobody needs a key; elsewhere send `Authorization: Bearer KEY`, a key of `ktrdr keys create`.
"""


def describe(app: FastAPI) -> None:
    """Complete the description that the app gives of itself."""
    made = app.openapi
    app.description = _ABOUT

    def described() -> dict[str, Any]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("ProblemDocument", ProblemDocument.model_json_schema())
        for name, example in EXAMPLES.items():
            if name in schemas:
                schemas[name]["examples"] = [example]
        for operation in _operations(document):
            if {SCHEME: []} in operation.get("security", []):
                operation["security"] = [{SCHEME: []}, {}]  # {}: where the server wants no keys
        return document

    app.openapi = described  # type: ignore[method-assign]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()
