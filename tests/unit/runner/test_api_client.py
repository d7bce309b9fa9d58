"""Requests are retried until their deadline; permanent errors are raised immediately. With a real HTTP server."""

import math
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from podrelay.runner.api_client import ApiClient
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError
from tests.unit.runner.runner_fakes import LACKS_RIGHT, Clock, LocalServer

OK: Any = (200, {}, {"metadata": {"name": "shop"}})
STATUS = {"kind": "Status", "message": "not now"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def read(server: LocalServer, account: Path, clock: Clock, seconds: float = 60) -> Any:
    end = clock() + seconds
    return server.client(account, clock).read("default", "taskruns", "shop", lambda: end)


def test_an_object_is_read_with_the_token_of_the_service_account(tmp_path: Path, clock: Clock) -> None:
    with LocalServer(OK) as server:
        assert read(server, tmp_path, clock) == OK[2]

    method, url, headers, _ = server.requests[0]
    assert (method, url) == ("GET", "/apis/podrelay.dev/v1alpha1/namespaces/default/taskruns/shop")
    assert headers["Authorization"] == "Bearer token-1"


def test_the_token_is_read_for_every_request_and_the_connection_reused(tmp_path: Path, clock: Clock) -> None:
    with LocalServer(OK) as server:
        client = server.client(tmp_path, clock)
        client.read("default", "taskruns", "shop", lambda: 2000)
        (tmp_path / "token").write_text("token-2")
        client.read("default", "taskruns", "shop", lambda: 2000)

    assert [headers["Authorization"] for _, _, headers, _ in server.requests] == ["Bearer token-1", "Bearer token-2"]
    assert server.connections == 1


def test_a_missing_object_is_none_and_a_rejection_is_an_error(tmp_path: Path, clock: Clock) -> None:
    gone = {**STATUS, "reason": "NotFound", "details": {"name": "shop", "kind": "taskruns"}}
    with LocalServer((404, {}, gone), (403, {}, STATUS)) as server:
        assert read(server, tmp_path, clock) is None
        with pytest.raises(ApiRefusedError, match="403: not now"):
            read(server, tmp_path, clock)

    assert clock.naps == []


@pytest.mark.parametrize("trouble", [(500, {}, STATUS), (503, {}, b"upstream"), (429, {}, STATUS), "drop"], ids=str)
def test_transient_failures_are_retried(tmp_path: Path, clock: Clock, trouble: Any) -> None:
    with LocalServer(trouble, trouble, trouble, OK) as server:
        assert read(server, tmp_path, clock) == OK[2]

    assert len(server.requests) == 4


NO_RIGHT: Any = (403, {}, {"kind": "Status", "message": LACKS_RIGHT})
NO_RESOURCE: Any = (404, {"Content-Type": "text/plain"}, b"404 page not found\n")
NO_TOKEN: Any = (401, {}, {"kind": "Status", "message": "Unauthorized"})
NO_NAMESPACE: Any = (404, {}, {"kind": "Status", "details": {"name": "default", "kind": "namespaces"}})
MISSING = pytest.mark.parametrize("refusal", [NO_RIGHT, NO_RESOURCE, NO_TOKEN], ids=["403", "404", "401"])


@MISSING
def test_a_briefly_missing_permission_is_waited_for(tmp_path: Path, clock: Clock, refusal: Any) -> None:
    with LocalServer(refusal, refusal, refusal, OK) as server:
        assert read(server, tmp_path, clock) == OK[2]

    assert len(clock.naps) >= 3


@MISSING
def test_a_permission_that_is_missing_for_a_minute_is_an_error(tmp_path: Path, clock: Clock, refusal: Any) -> None:
    with LocalServer(refusal) as server, pytest.raises(ApiRefusedError, match=f"answered {refusal[0]}"):
        read(server, tmp_path, clock, seconds=900)

    assert 1040 < clock() <= 1060


@MISSING
def test_if_work_would_be_lost_a_permission_is_waited_for_until_the_deadline(
    tmp_path: Path, clock: Clock, refusal: Any
) -> None:
    with LocalServer(refusal) as server, pytest.raises(ApiUnreachableError, match=f"last response: {refusal[0]}"):
        server.client(tmp_path, clock).request("PUT", "/x/shop-i1", {}, lambda: 1900, math.inf)

    assert 1890 < clock() <= 1900


def test_a_create_request_waits_for_a_missing_namespace(tmp_path: Path, clock: Clock) -> None:
    with LocalServer(NO_NAMESPACE, OK) as server:
        assert server.client(tmp_path, clock).request("POST", "/x/taskiterations", {}, lambda: 1900) == (200, OK[2])


def test_a_new_token_is_used_while_the_old_one_is_rejected(tmp_path: Path, clock: Clock) -> None:
    with LocalServer(NO_TOKEN, NO_TOKEN, OK) as server:
        client = server.client(tmp_path, clock)
        renew = clock.sleep

        def sleep(seconds: float) -> None:
            (tmp_path / "token").write_text("token-2")
            renew(seconds)

        client._sleep = sleep
        client.read("default", "taskruns", "shop", lambda: 2000)

    tokens = [headers["Authorization"] for _, _, headers, _ in server.requests]
    assert tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_an_object_that_is_nested_too_deep_is_an_error(tmp_path: Path, clock: Clock) -> None:
    deep = b'{"a": ' * 20_000 + b"1" + b"}" * 20_000
    with (
        LocalServer((200, {}, deep)) as server,
        pytest.raises(ApiRefusedError, match=r"the object at /apis/.* is nested too deep"),
    ):
        read(server, tmp_path, clock)


def test_pauses_grow_with_jitter(tmp_path: Path, clock: Clock) -> None:
    with LocalServer((500, {}, STATUS)) as server, pytest.raises(ApiUnreachableError):
        read(server, tmp_path, clock)

    assert 0.1 <= clock.naps[0] <= 0.2
    assert 12 <= len(server.requests) <= 30, "60 s of pauses that grow to 5 s"


def test_retry_after_is_obeyed(tmp_path: Path, clock: Clock) -> None:
    with LocalServer((429, {"Retry-After": "7"}, STATUS), OK) as server:
        read(server, tmp_path, clock)

    assert clock() == pytest.approx(1007)


def test_after_the_deadline_the_last_problem_is_reported(tmp_path: Path, clock: Clock) -> None:
    with LocalServer((503, {}, STATUS)) as server, pytest.raises(ApiUnreachableError, match="503 not now"):
        read(server, tmp_path, clock, seconds=5)

    assert clock() <= 1005


def test_a_request_is_sent_once_even_after_the_deadline(tmp_path: Path, clock: Clock) -> None:
    with LocalServer(OK) as server:
        assert read(server, tmp_path, clock, seconds=-100) == OK[2]


@pytest.mark.parametrize(("left", "timeout"), [(100, 5.0), (2, 2.0), (0.1, 0.5), (-100, 0.5)])
def test_a_request_does_not_outlast_its_deadline_by_more_than_half_a_second(
    tmp_path: Path, clock: Clock, left: float, timeout: float
) -> None:
    """Otherwise the container would be killed while it waits, before the answer is in the termination message."""
    with LocalServer(OK) as server:
        client = server.client(tmp_path, clock)
        client.read("default", "taskruns", "shop", lambda: 9999)
        client.read("default", "taskruns", "shop", lambda: clock() + left)
        connection = client._connection
        assert connection is not None
        assert (connection.timeout, connection.sock.gettimeout()) == (timeout, timeout)


def test_an_earlier_deadline_ends_a_pause(tmp_path: Path, clock: Clock) -> None:
    """SIGTERM does this, here during a pause of an hour."""
    with LocalServer((429, {"Retry-After": "3600"}, STATUS)) as server, pytest.raises(ApiUnreachableError):
        server.client(tmp_path, clock).read("default", "taskruns", "shop", lambda: 1010 if clock() > 1003 else 9999)

    assert clock() < 1005


def test_a_stale_connection_is_reopened_without_a_pause(tmp_path: Path, clock: Clock) -> None:
    with LocalServer((200, {"X-Then": "close"}, {}), OK) as server:
        client = server.client(tmp_path, clock)
        client.read("default", "taskruns", "shop", lambda: 2000)
        assert client.read("default", "taskruns", "shop", lambda: 2000) == OK[2]

    assert clock.naps == []
    assert server.connections == 2


def test_an_unreachable_server_is_reported_after_the_deadline(tmp_path: Path, clock: Clock) -> None:
    server = LocalServer(OK)
    server._server.server_close()

    with pytest.raises(ApiUnreachableError, match="ConnectionRefusedError"):
        read(server, tmp_path, clock, seconds=3)


def test_a_pod_without_service_account_gets_immediate_advice(tmp_path: Path, clock: Clock) -> None:
    client = ApiClient("127.0.0.1", 1, tmp_path, clock, clock.sleep)

    with pytest.raises(ApiUnreachableError, match="automountServiceAccountToken must not be false"):
        client.read("default", "taskruns", "shop", lambda: 2000)

    assert clock.naps == []


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """A server with a certificate for 127.0.0.1, whose CA is in the account folder."""
    import ssl

    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "ca.crt")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"kind": "TaskRun"}')

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.crt", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_the_api_server_is_verified_by_the_ca_next_to_the_token(tmp_path: Path, clock: Clock, tls_port: int) -> None:
    (tmp_path / "token").write_text("x")
    variables = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(tls_port),
        "PODRELAY_SERVICE_ACCOUNT_DIR": str(tmp_path),
    }

    assert ApiClient.from_environment(variables).read("default", "taskruns", "shop", lambda: 0) == {"kind": "TaskRun"}

    other = ApiClient("localhost", tls_port, tmp_path, clock, clock.sleep)
    with pytest.raises(ApiUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        other.read("default", "taskruns", "shop", lambda: 1001)
