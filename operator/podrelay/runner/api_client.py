"""Requests to the API server with the pod's service account, retried until a deadline.

It is only for reads and for writes that may be repeated: each write has a resource version or a fixed name, so
repeating a write that has already succeeded results in a conflict, which the caller handles.
"""

import http.client
import json
import math
import random
import re
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from podrelay.api import names, numbers
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError

SERVICE_ACCOUNT_DIR: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
ENV_SERVICE_ACCOUNT_DIR: Final = "PODRELAY_SERVICE_ACCOUNT_DIR"
REQUEST_TIMEOUT_SECONDS: Final = 5.0
_SHORTEST_TIMEOUT_SECONDS: Final = 0.5
_SHORTEST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_NAP_SECONDS: Final = 0.5
CONFLICT_PAUSE_SECONDS: Final = 0.1
_FAILURES_TO_REPORT: Final = 3
_WATCH_SECONDS: Final = 60
"""After this time at the latest, a watch whose API server has vanished without a word is replaced."""
_CHANGES: Final = frozenset({"ADDED", "MODIFIED"})
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
RIGHTS_SECONDS: Final = 60.0
"""How long to wait for a missing permission if no work would be lost: replacing a RoleBinding takes a moment."""
_LACKS_RIGHT: Final = re.compile(r'User "[^"]*" cannot \w+ resource\b')
"""The message of an authorizer. Policies, webhooks and quotas also answer 403, but because of the request's content."""

Deadline = Callable[[], float]
"""Returns a time of the clock. It is called repeatedly, because SIGTERM makes the deadline earlier."""


class ApiClient:
    """A client for the API server. It keeps one connection open and is not thread-safe.

    Args:
        host, port: the API server.
        account: directory with `token` and `ca.crt`.
        clock, sleep: time, in seconds.
        connect: returns a connection that is not open yet; default: TLS, verified with `ca.crt`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        account: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        connect: Callable[[], http.client.HTTPConnection] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._account = account
        self._clock = clock
        self._sleep = sleep
        self._connect = connect
        self._tls: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._has_read_token = False

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "ApiClient":
        """Return a client that is configured from the environment variables and files that the kubelet provides."""
        account = Path(variables.get(ENV_SERVICE_ACCOUNT_DIR) or SERVICE_ACCOUNT_DIR)
        host = variables.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        return cls(host, int(variables.get("KUBERNETES_SERVICE_PORT", "443")), account)

    def another(self) -> "ApiClient":
        """Return a client with a connection of its own, for another thread."""
        return ApiClient(self._host, self._port, self._account, self._clock, self._sleep, self._connect)

    def read(
        self, namespace: str, plural: str, name: str, deadline: Deadline, patience: float = RIGHTS_SECONDS
    ) -> dict[str, Any] | None:
        """Return an object, or None if there is none.

        Raises:
            ApiRefusedError: this pod may not read it.
            ApiUnreachableError: there was no response before the deadline.
        """
        url = path(namespace, plural, name)
        status, body = self.request("GET", url, None, deadline, patience)
        if status == 404 and not lacks_right("GET", url, status, body):
            return None
        if status != 200:
            raise ApiRefusedError(status, str(body.get("message", "")))
        return body

    def wait_for_change(self, namespace: str, plural: str, name: str, version: str) -> dict[str, Any] | None:
        """Watch an object until it changes, and return it; None if the watch is refused, fails, or reports an error.

        Args:
            namespace: its namespace.
            plural: its kind.
            name: its name.
            version: its known resourceVersion.
        """
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        connection = (self._connect or self._connect_tls)()
        connection.timeout = _WATCH_SECONDS + REQUEST_TIMEOUT_SECONDS
        headers = {"Authorization": f"Bearer {self._token()}", "User-Agent": "podrelay-runner"}
        try:
            connection.request("GET", f"{path(namespace, plural)}?{urlencode(query)}", headers=headers)
            with connection.getresponse() as answer:
                event = numbers.loads(answer.readline() or b"{}") if answer.status == 200 else {}
        except (OSError, http.client.HTTPException, ValueError, RecursionError):
            return None
        finally:
            connection.close()
        changed = event.get("object") if isinstance(event, dict) and event.get("type") in _CHANGES else None
        return changed if isinstance(changed, dict) else None

    def request(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        deadline: Deadline,
        patience: float = RIGHTS_SECONDS,
    ) -> tuple[int, dict[str, Any]]:
        """Retry a request until the response is final; return its status and body.

        A missing permission is not final: a RoleBinding may be replaced, a namespace put back into the chart's
        taskNamespaces, a release rolled back.

        Args:
            method: the HTTP method.
            url: path and query.
            body: JSON, or None.
            deadline: when to stop retrying.
            patience: for how many seconds to wait for a missing permission before that response is returned; infinite:
                until the deadline, and then raise ApiUnreachableError.

        Raises:
            ApiUnreachableError: there was no final response before the deadline; the message has the last problem.
        """
        end = self._clock() + patience
        refusals = 0
        while True:
            status, answer = self._answer(method, url, body, deadline)
            if not lacks_right(method, url, status, answer):
                return status, answer
            refusals += 1
            problem = f"{status} {answer.get('message', '')}"
            if refusals == _FAILURES_TO_REPORT:
                print(f"podrelay-runner: {method} {url} is refused, retrying: {problem}", file=sys.stderr, flush=True)
            if not self.pause(_backoff(refusals), lambda: min(end, deadline())):
                if math.isfinite(patience):
                    return status, answer
                raise ApiUnreachableError(f"{method} {url} was refused {refusals} time(s); last response: {problem}")

    def _answer(
        self, method: str, url: str, body: dict[str, Any] | None, deadline: Deadline
    ) -> tuple[int, dict[str, Any]]:
        failures = 0
        while True:
            was_open = self._connection is not None
            try:
                status, answer, retry_after = self._once(method, url, body, self._timeout(deadline))
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if was_open and failures == 0:
                    failures = 1
                    continue  # the API server closes idle connections; try a new one
                problem, retry_after = f"{type(error).__name__}: {error}", 0.0
            else:
                if status not in _TRANSIENT:
                    return status, answer
                problem = f"{status} {answer.get('message', '')}"
            failures += 1
            if failures == _FAILURES_TO_REPORT:
                print(f"podrelay-runner: {method} {url} fails, retrying: {problem}", file=sys.stderr, flush=True)
            if not self.pause(max(_backoff(failures), retry_after), deadline):
                raise ApiUnreachableError(f"{method} {url} failed {failures} time(s); last problem: {problem}")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def pause(self, seconds: float, deadline: Deadline) -> bool:
        """Sleep in short steps, because the deadline may become earlier; return False at once if it comes first."""
        end = self._clock() + seconds
        while (now := self._clock()) < end:
            if end >= deadline():
                return False
            self._sleep(min(_NAP_SECONDS, end - now))
        return True

    def wait_after_conflict(self, answer: dict[str, Any], deadline: Deadline) -> None:
        """Wait a moment before retrying a write after a conflict.

        Raises:
            ApiUnreachableError: the deadline comes first.
        """
        if not self.pause(CONFLICT_PAUSE_SECONDS, deadline):
            raise ApiUnreachableError(f"conflicts until the deadline; last conflict: {answer.get('message', '')}")

    def _timeout(self, deadline: Deadline) -> float:
        return max(_SHORTEST_TIMEOUT_SECONDS, min(REQUEST_TIMEOUT_SECONDS, deadline() - self._clock()))

    def _once(
        self, method: str, url: str, body: dict[str, Any] | None, timeout: float
    ) -> tuple[int, dict[str, Any], float]:
        data = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        headers["User-Agent"] = "podrelay-runner"
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self._connection is None:
            self._connection = (self._connect or self._connect_tls)()
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.request(method, url, data, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        retry_after = answer.getheader("Retry-After", "")
        try:
            decoded = numbers.loads(content) if content else {}
        except ValueError:
            decoded = {"message": content[:500].decode(errors="replace")}
        except RecursionError:
            raise ApiRefusedError(answer.status, f"the object at {url} is nested too deep") from None
        if not isinstance(decoded, dict):
            decoded = {}
        return answer.status, decoded, float(retry_after) if retry_after.isdigit() else 0.0

    def _token(self) -> str:
        # Read for every request: the kubelet renews the token, and the old one may be rejected at once.
        try:
            token = (self._account / "token").read_text(encoding="utf-8").strip()
        except OSError as error:
            if self._has_read_token:
                raise
            raise _no_account(error) from error  # waiting would not help
        self._has_read_token = True
        return token

    def _connect_tls(self) -> http.client.HTTPConnection:
        if self._tls is None:
            try:
                self._tls = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
            except OSError as error:
                raise _no_account(error) from error
        # An IPv6 address has no brackets here; http.client adds them in the Host header.
        return http.client.HTTPSConnection(self._host, self._port, timeout=REQUEST_TIMEOUT_SECONDS, context=self._tls)


def _backoff(failures: int) -> float:
    pause = min(_LONGEST_PAUSE_SECONDS, _SHORTEST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def lacks_right(method: str, url: str, status: int, answer: dict[str, Any]) -> bool:
    """Return whether a response means that a permission, the resource type or the namespace is missing.

    A 404 that names the object means that the object does not exist; otherwise, the resource type or the namespace is
    missing.
    """
    if status == 403:
        return _LACKS_RIGHT.search(str(answer.get("message", ""))) is not None
    if status == 404:
        name = urlsplit(url).path.rsplit("/", 1)[1]
        details = answer.get("details")
        return method == "POST" or not isinstance(details, dict) or details.get("name") != name
    return status == 401


def _no_account(error: OSError) -> ApiUnreachableError:
    return ApiUnreachableError(
        f"this pod has no service account token for the API server, {error}; "
        "automountServiceAccountToken must not be false in the TaskDefinition's template or its service account"
    )


def path(namespace: str, plural: str, name: str = "") -> str:
    """Return the URL path of a Podrelay resource."""
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
