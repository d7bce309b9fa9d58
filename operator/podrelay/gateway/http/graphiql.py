"""GraphiQL at /graphiql: a page for writing and sending documents, enabled by --graphiql.

A token that is entered stays in the memory of the page.
"""

from html import escape
from pathlib import Path
from typing import Final

from aiohttp import web

from podrelay.api.errors import PodrelayError
from podrelay.gateway.http import static_files

FILES: Final = static_files.STATIC / "graphiql"

_HEADERS: Final = static_files.headers(
    worker_src="'self'",
    font_src="'self' data:",
    # GraphiQL's editor creates style elements at runtime.
    style_src="'self' 'unsafe-inline'",
)
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
    built = static_files.newest(folder)
    if built is None:
        raise MissingFilesError(
            "--graphiql: this installation of Podrelay does not contain GraphiQL. In a checkout, with npm installed, "
            "run `python -m dev.pages graphiql`; images and wheels that are built afterwards contain it."
        )
    asks = "true" if asks_for_token else "false"
    text = _PAGE.format(build=built.name, namespace=escape(namespace), asks_for_token=asks)
    return [static_files.page("/graphiql", text, _HEADERS), *static_files.files("/graphiql", built, _HEADERS)]
