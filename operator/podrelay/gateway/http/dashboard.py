"""The dashboard at /: a page for following, starting and aborting tasks, enabled by --dashboard.

The page gets all data from /graphql, with the rights of its user. A token that is entered stays in the tab that it was
entered in. The server keeps no state for it.
"""

import logging
import shutil
from html import escape
from pathlib import Path
from typing import Final

from aiohttp import web

from podrelay.gateway.http import static_files

log = logging.getLogger(__name__)

FILES: Final = static_files.STATIC / "dashboard"
PATHS: Final = (
    "/",
    "/runs",
    "/runs/{namespace}/{name}",
    "/definitions",
    "/definitions/{namespace}/{name}",
    "/trigger/{namespace}/{name}",
    "/schedules",
    "/schedules/{namespace}/{name}",
    "/inbox",
    "/queue",
    "/settings",
)
"""The addresses of its views. All of them get the same page, whose script reads the address."""

_HEADERS: Final = static_files.headers(require_trusted_types_for="'script'", trusted_types="'none'")
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Podrelay</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/dashboard/{build}/main.css">
</head>
<body>
<div id="page" data-namespace="{namespace}" data-graphiql="{graphiql}"></div>
<noscript>The dashboard of Podrelay needs JavaScript.</noscript>
<script type="module" src="/dashboard/{build}/main.js"></script>
</body>
</html>
"""
_CHECKOUT: Final = static_files.STATIC.parents[3]
"""The root of the repository, if this is a checkout."""
_COMMAND: Final = "python -m dev.pages dashboard"


def pages(namespace: str, *, has_graphiql: bool = False, folder: Path = FILES) -> list[web.RouteDef]:
    """Return the routes of the page and its files; without its files, routes that say how to get them.

    Args:
        namespace: the namespace of requests that do not name one.
        has_graphiql: whether the page may link to GraphiQL.
        folder: where the files are.
    """
    built = static_files.newest(folder)
    if built is None:
        text = f"the dashboard is not served: {how_to_build()}"
        log.warning(text)
        return [_explanation(path, text) for path in PATHS]
    graphiql = "true" if has_graphiql else "false"
    text = _PAGE.format(build=built.name, namespace=escape(namespace), graphiql=graphiql)
    return [
        *(static_files.page(path, text, _HEADERS) for path in PATHS),
        *static_files.files("/dashboard", built, _HEADERS),
    ]


def how_to_build(checkout: Path = _CHECKOUT) -> str:
    """Return what to do to get the page: one line."""
    if not (checkout / "dev" / "pages" / "dashboard").is_dir():
        return (
            f"this installation was built without npm; in a checkout with npm, `{_COMMAND}` builds it, and images and "
            "wheels that are built afterwards contain it"
        )
    if shutil.which("npm") is None:
        return f"install Node.js 18 with npm, run `{_COMMAND}` in {checkout}, then start this again"
    return f"run `{_COMMAND}` in {checkout}, then start this again"


def _explanation(path: str, text: str) -> web.RouteDef:
    async def explain(_: web.Request) -> web.Response:
        return web.Response(status=404, text=f"{text[:1].upper()}{text[1:]}.\n")

    return web.get(path, explain)
