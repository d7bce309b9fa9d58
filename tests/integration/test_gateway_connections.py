"""Many connections: those without a token are closed, those of a user are counted, and others are still served."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from dev.harness.gateway import PROTOCOL, GraphQL, SpawnedGateway
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_definition, task_run
from dev.harness.waiting import eventually

pytestmark = pytest.mark.integration

MOST = 300
HELLO = "{ __typename }"
MEMORY = 128 * 2**20
"""What the chart requests for the gateway."""


@pytest.fixture
def gateway(admin: Kubectl, installed: None, tmp_path: Path) -> Iterator[SpawnedGateway]:
    with SpawnedGateway(admin.kubeconfig, tmp_path / "gateway", (f"--max-connections={MOST}",)) as gateway:
        yield gateway
        assert "Traceback" not in gateway.text, gateway.text
        assert "internal error" not in gateway.text, gateway.text


@pytest.fixture
def tokens(kubectl: Kubectl) -> list[str]:
    """Two tokens of one user."""
    kubectl.do("create", "serviceaccount", "caller")
    kubectl.do(
        "create",
        "rolebinding",
        "caller",
        "--clusterrole=podrelay-user",
        f"--serviceaccount={kubectl.namespace}:caller",
    )
    return [kubectl.do("create", "token", "caller", f"--duration={hours}h") for hours in (1, 2)]


def resident(gateway: SpawnedGateway) -> int:
    """Return the resident memory of the process in bytes."""
    pages = int(Path(f"/proc/{gateway.process.pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def connect(gateway: SpawnedGateway, sent: bytes) -> socket.socket:
    host, _, port = gateway.address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    with contextlib.suppress(OSError):
        connection.sendall(sent)
    connection.setblocking(False)
    return connection


def is_open(connection: socket.socket) -> bool:
    received = b"?"
    try:
        while received:
            received = connection.recv(65536)  # possibly an error response
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def ask(caller: GraphQL) -> None:
    assert caller.ask(HELLO).body == {"data": {"__typename": "Query"}}


def test_incomplete_handshakes_are_also_counted(
    admin: Kubectl, installed: None, tokens: list[str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    pair = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    pair.cert_chain_pems[0].write_to_path(str(certificate))
    pair.private_key_pem.write_to_path(str(key))
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    flags = (f"--max-connections={MOST}", f"--tls-cert={certificate}", f"--tls-key={key}")
    with SpawnedGateway(admin.kubeconfig, tmp_path / "gateway", flags) as gateway, contextlib.ExitStack() as stack:
        caller = replace(gateway.as_token(tokens[0]), tls=trusted)
        ask(caller)
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        crowd = [stack.enter_context(contextlib.closing(connect(gateway, hello))) for _ in range(MOST + 100)]
        ask(caller)
        assert sum(map(is_open, crowd)) <= MOST
        eventually("all of them are closed", lambda: not any(map(is_open, crowd)), 30)
        ask(caller)
        assert resident(gateway) < MEMORY
        assert "Traceback" not in gateway.text, gateway.text


@pytest.mark.parametrize("sent", [b"", b"POST /graphql HTTP/1.1\r\nHost: x\r\nX-Half", b"\x16\x03\x01"])
def test_silent_connections_make_room_and_are_closed(gateway: SpawnedGateway, tokens: list[str], sent: bytes) -> None:
    caller = gateway.as_token(tokens[0])
    ask(caller)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(contextlib.closing(connect(gateway, sent))) for _ in range(MOST + 100)]
        eventually("there are not more than allowed", lambda: sum(map(is_open, crowd)) <= MOST, 10)
        ask(caller)
        assert sum(map(is_open, crowd)) <= MOST
        eventually("all of them are closed", lambda: not any(map(is_open, crowd)), 30)
    ask(caller)
    assert resident(gateway) < MEMORY


async def open_socket(
    session: aiohttp.ClientSession, gateway: SpawnedGateway, token: str, namespace: str = "default"
) -> tuple[Any, Any]:
    ws = await session.ws_connect(f"http://{gateway.address}/graphql", protocols=[PROTOCOL])
    params = {"Authorization": f"Bearer {token}", "X-Podrelay-Namespace": namespace}
    await ws.send_json({"type": "connection_init", "payload": params})
    return ws, await ws.receive()


async def test_websockets_are_counted_by_user_and_not_by_token(
    gateway: SpawnedGateway, tokens: list[str], admin: Kubectl
) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        opened = [await open_socket(session, gateway, tokens[number % 2]) for number in range(101)]
        assert [json.loads(answer.data)["type"] for _, answer in opened[:100]] == ["connection_ack"] * 100
        _, refused = opened[100]
        assert (refused.type, refused.data) == (aiohttp.WSMsgType.CLOSE, 4429)
        assert "100 WebSockets" in refused.extra
        await opened[0][0].close()
        deadline = time.monotonic() + 10
        while (await open_socket(session, gateway, tokens[1]))[1].type is aiohttp.WSMsgType.CLOSE:
            assert time.monotonic() < deadline
        assert resident(gateway) < MEMORY


async def subscribed(ws: Any, number: int) -> Any:
    """Subscribe to one task; return the first message, with its current state."""
    payload = {"query": 'subscription { taskUpdated(id: "watched") { id } }'}
    await ws.send_json({"id": str(number), "type": "subscribe", "payload": payload})
    async with asyncio.timeout(30):
        while True:
            message = json.loads((await ws.receive()).data)
            if message["id"] == str(number):
                return message


async def test_subscriptions_are_counted_by_user_and_not_by_token(
    gateway: SpawnedGateway, tokens: list[str], kubectl: Kubectl
) -> None:
    assert kubectl.apply(task_definition("count-words"))
    assert kubectl.create(task_run("watched"))
    caller = gateway.as_token(tokens[0], kubectl.namespace)
    eventually("the task is seen", lambda: caller.inside("listTasks { data { id } }")["listTasks"]["data"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        opened = [(await open_socket(session, gateway, token, kubectl.namespace))[0] for token in tokens]
        for number in range(100):
            assert "errors" not in (await subscribed(opened[number % 2], number))["payload"]
        third, _ = await open_socket(session, gateway, tokens[0], kubectl.namespace)
        (refused,) = (await subscribed(third, 100))["payload"]["errors"]
        assert refused["extensions"]["code"] == "BackgroundTasks/LimitExceeded"
        assert "100 subscriptions" in refused["message"]


def test_callers_that_disconnect_early_cause_no_internal_error(gateway: SpawnedGateway, tokens: list[str]) -> None:
    header = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tokens[0]}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    for sent in (header, header + b"{", header[:40], b"nonsense\r\n\r\n", header.replace(b"1000", b"x")):
        for _ in range(20):
            connect(gateway, sent).close()
    ask(gateway.as_token(tokens[0]))  # the fixture checks the log afterwards


def test_it_stops_while_there_are_many_connections(gateway: SpawnedGateway, tokens: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(contextlib.closing(connect(gateway, b"POST /graphql HTTP/1.1\r\nX-Half")))
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=15) == 0
