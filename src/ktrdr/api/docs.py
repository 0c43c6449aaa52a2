"""`/docs`: Swagger UI over the API's own description, its files served from here and nowhere else."""

from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>KTRDR API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({url: "%s", dom_id: "#api", deepLinking: true, displayRequestDuration: true});
"""


def add_pages(app: FastAPI) -> None:
    """The page, its script and Swagger UI's files, which the package fastapi-offline carries."""

    def page() -> HTMLResponse:
        return HTMLResponse(_PAGE)

    def start() -> Response:
        return Response(_START % app.openapi_url, media_type="text/javascript")

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/start.js", start, include_in_schema=False)
    app.mount("/docs/files", StaticFiles(directory=str(files("fastapi_offline") / "static")))
