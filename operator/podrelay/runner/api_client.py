"""Requests to the API server with the pod's service account, tried again until a deadline.

Only reads and writes that may be repeated go through here: whoever writes carries a resource version or a fixed name,
so a repeated write that had succeeded already shows as a conflict, which the caller understands.
"""

import http.client
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from podrelay.api import names
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError

SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
ENV_SERVICE_ACCOUNT_DIR = "PODRELAY_SERVICE_ACCOUNT_DIR"
REQUEST_TIMEOUT_SECONDS = 5.0
_BACKOFF_SECONDS = (0.1, 5.0)
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


class ApiClient:
    """The API server as this pod may use it. One connection, kept open; not for several threads.

    Args:
        host, port: the API server.
        account: folder with `token` and `ca.crt`.
        clock, sleep: time, in seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        account: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._port = port
        self._account = account
        self._clock = clock
        self._sleep = sleep
        self._tls: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "ApiClient":
        """Return the client that the kubelet's variables and files describe."""
        account = Path(variables.get(ENV_SERVICE_ACCOUNT_DIR) or SERVICE_ACCOUNT_DIR)
        host = variables.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        return cls(host, int(variables.get("KUBERNETES_SERVICE_PORT", "443")), account)

    def another(self) -> "ApiClient":
        """Return a client with a connection of its own, for another thread."""
        return ApiClient(self._host, self._port, self._account, self._clock, self._sleep)

    def read(self, namespace: str, plural: str, name: str, deadline: float) -> dict[str, Any] | None:
        """Return an object, or None if there is none; `deadline` is a time of the clock."""
        status, body = self.request("GET", path(namespace, plural, name), None, deadline)
        if status == 404:
            return None
        if status != 200:
            raise ApiRefusedError(status, str(body.get("message", "")))
        return body

    def request(
        self, method: str, url: str, body: dict[str, Any] | None, deadline: float
    ) -> tuple[int, dict[str, Any]]:
        """Send a request until there is an answer that will not change by itself; return its status and body.

        Raises:
            ApiUnreachableError: there was none until `deadline`; the last problem is in the message.
        """
        shortest, longest = _BACKOFF_SECONDS
        failures = 0
        while True:
            try:
                status, answer, retry_after = self._once(method, url, body)
            except (OSError, http.client.HTTPException) as error:
                problem, retry_after = f"{type(error).__name__}: {error}", 0.0
                self.close()
            else:
                if status not in _TRANSIENT:
                    return status, answer
                problem = f"{status} {answer.get('message', '')}"
            failures += 1
            pause = min(longest, shortest * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            pause = max(pause, retry_after)
            if self._clock() + pause >= deadline:
                raise ApiUnreachableError(f"{method} {url} failed {failures} time(s), the last answer: {problem}")
            self._sleep(pause)

    def close(self) -> None:
        """Drop the connection; the next request opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, method: str, url: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any], float]:
        data = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        # Tokens are renewed under our feet, and the old one may be refused at once: it is read for every request.
        token = (self._account / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "podrelay-runner"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection or self._connect()
        connection.request(method, url, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        retry_after = answer.getheader("Retry-After", "")
        try:
            decoded = json.loads(content) if content else {}
        except ValueError:
            decoded = {"message": content[:500].decode(errors="replace")}
        if not isinstance(decoded, dict):
            decoded = {}
        return answer.status, decoded, float(retry_after) if retry_after.isdigit() else 0.0

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        self._connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=REQUEST_TIMEOUT_SECONDS, context=self._tls
        )
        return self._connection


def path(namespace: str, plural: str, name: str = "") -> str:
    """Return the URL path of one of our resources."""
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
