"""Fakes for the runner's tests: a virtual clock, an API server in memory, a pod's environment."""

import copy
import json
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from podrelay.api import names, numbers
from podrelay.local.schema import is_same
from podrelay.runner import environment
from podrelay.runner.api_client import ApiClient, Deadline
from podrelay.sdk.errors import ApiUnreachableError

LACKS_RIGHT = (
    'taskiterations.podrelay.dev "shop-i2" is forbidden: User "system:serviceaccount:default:podrelay-runner" cannot '
    'update resource "taskiterations" in API group "podrelay.dev" in the namespace "default"'
)
"""The message of the API server if no RoleBinding grants a permission."""
RUN_UID = "uid-of-run"
POD_UID = "uid-of-pod"


class Clock:
    """A clock whose time passes only in sleep()."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def variables(**changes: str) -> dict[str, str]:
    """The environment of iteration 2, attempt 1 of the run `shop`."""
    return {
        names.ENV_NAMESPACE: "default",
        names.ENV_RUN: "shop",
        names.ENV_RUN_UID: RUN_UID,
        names.ENV_DEFINITION: "import-products",
        names.ENV_ITERATION: "2",
        names.ENV_TRY: "1",
        names.ENV_MAX_ITERATIONS: "50",
        names.ENV_POD_NAME: "shop-i2",
        names.ENV_POD_UID: POD_UID,
        names.ENV_NODE_NAME: "node-1",
        names.ENV_IMAGE: "shop:1",
        names.ENV_ITERATION_TIMEOUT: "900",
        names.ENV_GRACE_PERIOD: "60",
        names.ENV_STATE: "",
        names.ENV_CHECKPOINT: "",
        names.ENV_FINAL_ATTEMPT: "true",
        names.ENV_RECORD_LOGS: "true",
        **changes,
    }


def me(**changes: str) -> environment.Environment:
    return environment.read(variables(**changes))


def task_run(**changes: Any) -> dict[str, Any]:
    """The TaskRun `shop` while its iteration 2 runs."""
    return {
        "metadata": {"name": "shop", "uid": RUN_UID},
        "spec": {"definition": "import-products", "input": {"cursor": 0}},
        "status": {
            "phase": "Running",
            "lastRecord": "shop-i1",
            "current": {"iteration": 2, "try": 1, "podName": "shop-i2", "podUID": POD_UID},
        },
        **changes,
    }


class FakeApi(ApiClient):
    """The parts of the API server that the runner uses: objects by name, resource versions, rejections set by a test.

    `before` is called with method and object name before each request; its result is the answer, unless it is None.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        super().__init__("unused", 0, Path("/unused"), self.clock, self.clock.sleep)
        self.objects: dict[str, dict[str, Any]] = {"shop": task_run()}
        self.calls: list[str] = []
        self.before: Callable[[str, str], tuple[int, dict[str, Any]] | None] = lambda _method, _name: None
        self.after: Callable[[str, str], tuple[int, dict[str, Any]] | None] = lambda _method, _name: None
        self.changes: list[Callable[[], dict[str, Any] | None]] = []
        """What each watch returns; the last one is repeated."""
        self._version = 0

    @property
    def record(self) -> dict[str, Any]:
        return self.objects["shop-i2"]

    def another(self) -> ApiClient:
        return self

    def _answer(
        self, method: str, url: str, body: dict[str, Any] | None, deadline: Deadline
    ) -> tuple[int, dict[str, Any]]:
        name = body["metadata"]["name"] if body else url.rsplit("/", 1)[1]
        self.calls.append(f"{method} {name}")
        answer = self.before(method, name) or self._do(method, name, json.loads(json.dumps(body)))
        return self.after(method, name) or answer

    def wait_for_change(self, namespace: str, plural: str, name: str, version: str) -> dict[str, Any] | None:
        self.calls.append(f"WATCH {name}")
        return (self.changes.pop(0) if len(self.changes) > 1 else self.changes[0])()

    def put(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        """Store an object as another client."""
        self._version += 1
        stored: dict[str, Any] = numbers.as_stored(value)
        stored.setdefault("metadata", {})["resourceVersion"] = str(self._version)
        self.objects[name] = stored
        return stored

    def _do(self, method: str, name: str, body: Any) -> tuple[int, dict[str, Any]]:
        stored = self.objects.get(name)
        match method:
            case "GET" if "?" in name:
                return self._list({key: values[0] for key, values in parse_qs(name.partition("?")[2]).items()})
            case "GET" | "PUT" if stored is None:
                return 404, {"message": "not found", "details": {"name": name}}
            case "GET":
                return 200, copy.deepcopy(stored or {})
            case "POST" if stored is not None:
                return 409, {"reason": "AlreadyExists", "message": "already exists"}
            case "PUT" if (stored or {})["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
                return 409, {"reason": "Conflict", "message": "the object has been modified"}
            case "PUT" if "response" in (stored or {}) and not is_same(
                (stored or {})["response"], body.get("response")
            ):
                return 422, {"message": "the first stored response wins"}
        return 200, copy.deepcopy(self.put(name, body))

    def _list(self, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return TaskRuns by their spec, page by page; `continue` is the start of the next page."""
        wanted = {term.removeprefix("spec.") for term in query["fieldSelector"].split(",")}
        found = [
            stored
            for stored in self.objects.values()
            if wanted <= {f"{key}={value}" for key, value in stored.get("spec", {}).items()}
        ]
        start = int(query.get("continue", "0"))
        end = start + int(query["limit"])
        metadata = {"continue": str(end) if end < len(found) else ""}
        return 200, {"metadata": metadata, "items": copy.deepcopy(found[start:end])}


def unreachable(_method: str, _name: str) -> Any:
    raise ApiUnreachableError("no server responds")


class LocalServer:
    """A real HTTP server. It sends `answers` one after the other, and repeats the last one.

    An answer is (status, headers, body); the word "drop" closes the connection without an answer.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # otherwise the body waits 40 ms until the headers are acknowledged

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def _answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.loads(content) if content else None
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if answer == "drop":
                    self.close_connection = True
                    return
                status, headers, reply = answer
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                if headers.get("X-Then") == "close":  # without a header that announces it: the connection becomes stale
                    self.close_connection = True

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names of http.server

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> "LocalServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self, account: Path, clock: Clock) -> ApiClient:
        (account / "token").write_text("token-1\n")
        return ApiClient(
            "127.0.0.1",
            self.port,
            account,
            clock,
            clock.sleep,
            lambda: HTTPConnection("127.0.0.1", self.port, timeout=5),
        )
