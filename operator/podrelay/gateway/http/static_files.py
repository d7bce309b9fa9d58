"""The files of the gateway's web pages: GraphiQL and the dashboard.

They are built from npm packages when Podrelay is built (dev/pages). A page may load and call only this server.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

STATIC: Final = Path(__file__).parents[1] / "static"
"""Contains a folder for each page, and in it one folder with the files, named by a hash of their sources."""
MAIN: Final = "main.js"

_POLICY: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_COMPRESSED: Final = ".gz"
_TYPES: Final[Mapping[str, str]] = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
}


def headers(**policy: str) -> dict[str, str]:
    """Return the headers of a page and its files.

    Args:
        policy: directives of the Content-Security-Policy that differ, such as `worker_src="'self'"`.
    """
    directives = {**_POLICY} | {name.replace("_", "-"): values for name, values in policy.items()}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {values}" for name, values in directives.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def newest(folder: Path) -> Path | None:
    """Return the folder with the files of a page, or None if they were not built."""
    main = next(iter(sorted(folder.glob(f"*/{MAIN}"))), None)
    return main.parent if main else None


def page(path: str, text: str, sent: Mapping[str, str]) -> web.RouteDef:
    """Return the route of a page with its HTML; `sent` are its headers."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html", headers={**sent, "Cache-Control": "no-store"})

    return web.get(path, show)


def files(prefix: str, built: Path, sent: Mapping[str, str]) -> Iterator[web.RouteDef]:
    """Yield the routes of the files of a page, below `prefix` and the hash of their sources.

    Only files that exist when the gateway starts are served.
    """
    for file in built.iterdir():
        # aiohttp sends the compressed file next to it to clients that accept it.
        if file.suffix != _COMPRESSED:
            yield _file(f"{prefix}/{built.name}/{file.name}", file, sent)


def _file(path: str, file: Path, sent: Mapping[str, str]) -> web.RouteDef:
    # The path contains a hash that changes with the content.
    all_headers = {
        **sent,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Type": _TYPES.get(file.suffix, "application/octet-stream"),
    }

    async def send(_: web.Request) -> web.FileResponse:
        return web.FileResponse(file, headers=all_headers)

    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = send
    return web.get(path, handler)
