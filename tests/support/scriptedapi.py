"""A scripted HTTP server in the place of an API server, for rare behaviour of real ones."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml


@dataclass(frozen=True)
class Request:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: 0: the connection is dropped.
        body: JSON; a list is sent as the lines of a watch, a str as it is.
        headers: further headers.
        stays: whether a watch stays open after its last line, until the server ends.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    stays: bool = False


class ScriptedApi:
    """The server.

    Args:
        script: returns the answer; gets the request and the number of earlier requests with its method and path.
    """

    def __init__(self, script: Callable[[Request, int], Reply]) -> None:
        self._script = script
        self._end = threading.Event()
        self.requests: list[Request] = []

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Path]:
        """Serve; yield a kubeconfig for the server."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names of http.server

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        path = folder / "scripted.kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                    "users": [{"name": "u", "user": {"token": "t"}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
                    "current-context": "x",
                }
            )
        )
        try:
            yield path
        finally:
            self._end.set()
            server.shutdown()
            server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler.command, parts.path, dict(parse_qsl(parts.query)), json.loads(raw) if raw else None)
        before = sum(1 for r in self.requests if (r.method, r.path) == (request.method, request.path))
        self.requests.append(request)
        reply = self._script(request, before)
        if reply.status == 0:
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if isinstance(reply.body, list):
            self._stream(handler, reply)
            return
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body or {})
        handler.send_header("Content-Length", str(len(text.encode())))
        handler.end_headers()
        handler.wfile.write(text.encode())

    def _stream(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in reply.body:
            line = json.dumps(event).encode() + b"\n"
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            handler.wfile.flush()
        if reply.stays:
            self._end.wait(30)
        handler.close_connection = True


def failure(status: int, message: str = "no", **more: Any) -> Reply:
    """Return an error in the format of the API server."""
    headers = more.pop("headers", {})
    return Reply(status, {"kind": "Status", "status": "Failure", "message": message, "code": status, **more}, headers)
