"""GraphiQL at /graphiql: a page for writing and sending documents, enabled by --graphiql.

Its files are built from npm packages when Podrelay is built (dev/tools/graphiql). The page may load and call only this
server. A token that is entered stays in the memory of the page.
"""

from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from typing import Final

from aiohttp import web

from podrelay.api.errors import PodrelayError

FILES: Final = Path(__file__).parents[1] / "static" / "graphiql"
"""Contains one folder with the files, named by a hash of their sources."""
MAIN: Final = "main.js"

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "connect-src": "'self'",
    "font-src": "'self' data:",
    "img-src": "'self' data:",
    # GraphiQL's editor creates style elements at runtime.
    "style-src": "'self' 'unsafe-inline'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{name} {values}" for name, values in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".ttf": "font/ttf", ".txt": "text/plain"}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Podrelay GraphiQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="graphiql/{build}/main.css">
</head>
<body>
<div id="page" data-namespace="{namespace}" data-asks-for-token="{asks_for_token}"></div>
<script type="module" src="graphiql/{build}/main.js"></script>
</body>
</html>
"""


class MissingFilesError(PodrelayError):
    """This installation of Podrelay was built without GraphiQL."""


def pages(namespace: str, *, asks_for_token: bool, folder: Path = FILES) -> list[web.RouteDef]:
    """Return the routes of the page and its files.

    Args:
        namespace: the namespace of requests that do not name one.
        asks_for_token: whether callers need a token.
        folder: where the files are.

    Raises:
        MissingFilesError: the files are missing.
    """
    main = next(iter(sorted(folder.glob(f"*/{MAIN}"))), None)
    if main is None:
        raise MissingFilesError(
            "--graphiql: this installation of Podrelay does not contain GraphiQL. In a checkout, with npm installed, "
            "run `python -m dev.tools.graphiql`; images and wheels that are built afterwards contain it."
        )
    build = main.parent.name
    page = _PAGE.format(build=build, namespace=escape(namespace), asks_for_token="true" if asks_for_token else "false")

    async def show(_: web.Request) -> web.Response:
        headers = _HEADERS | {"Cache-Control": "no-store"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return [web.get("/graphiql", show), *(_file(build, file) for file in main.parent.iterdir())]


def _file(build: str, file: Path) -> web.RouteDef:
    """Return the route of one file; only files that exist when the gateway starts are served."""
    # The path contains a hash that changes with the content.
    headers = _HEADERS | {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Type": _TYPES.get(file.suffix, "application/octet-stream"),
    }

    async def send(_: web.Request) -> web.FileResponse:
        return web.FileResponse(file, headers=headers)

    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = send
    return web.get(f"/graphiql/{build}/{file.name}", handler)
