"""Serves the API server in memory on a Unix socket, for containers that are processes on this computer.

The socket is in a directory to which only this user has access. Nothing listens on the network, so no TLS is needed;
over a network, the runner supports only TLS. The token is required nevertheless.
"""

import json
import secrets
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from podrelay.kube.errors import ApiError
from podrelay.local import history, rest, selectors
from podrelay.local.memory_api import MemoryApi
from podrelay.local.unix import SOCKET_FILE, TOKEN_FILE


class Server:
    """Serves requests until it is closed.

    Args:
        api: the API server.
        folder: directory for socket and token; only this user may have access to it.
    """

    def __init__(self, api: MemoryApi, folder: Path) -> None:
        token = secrets.token_urlsafe()
        (folder / TOKEN_FILE).write_text(token, encoding="utf-8")
        self._server = _UnixServer(str(folder / SOCKET_FILE), _handler(api, token))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="podrelay-api", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def _handler(api: MemoryApi, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not secrets.compare_digest(self.headers.get("Authorization", ""), f"Bearer {token}"):
                self._send(401, {"kind": "Status", "code": 401, "message": "wrong token"})
                return
            query = dict(parse_qsl(urlsplit(self.path).query))
            if self.command == "GET" and query.get("watch") == "true":
                self._watch(query)
                return
            answer = rest.answer(api, self.command, self.path, json.loads(content) if content else None)
            self._send(answer.status, answer.body)

        def _watch(self, query: dict[str, str]) -> None:
            """Send the changes after a version, as the runner watches its own run."""
            self.close_connection = True
            try:
                place = rest.place(self.path)
                matches = selectors.of(query.get("fieldSelector", ""), query.get("labelSelector", ""))
                version, end = int(query["resourceVersion"]), time.monotonic() + float(query["timeoutSeconds"])
                self.send_response(200)
                self.end_headers()
                while (left := end - time.monotonic()) > 0:
                    for event in api.wait_for_changes(version, left):
                        version = int(event.object["metadata"]["resourceVersion"])
                        kind = history.shown(event, place.plural, place.namespace, matches)
                        if kind is not None:
                            line = json.dumps({"type": kind, "object": event.object}, ensure_ascii=False)
                            self.wfile.write(f"{line}\n".encode())
            except (ApiError, KeyError, ValueError, OSError):
                return  # the client lists again

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of http.server

        def _send(self, status: int, body: Any) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of http.server
            """Log nothing: stdout and stderr belong to the user."""

    return Handler
