"""HTTP as servers send it, in pieces and broken: which answers are read, and when a connection is reused."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from podrelay.kube import connections
from podrelay.kube.connections import Answer, Connections
from podrelay.kube.errors import AnswerTooLargeError, TransportError

Reply = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Responds to each request with `reply`, and counts connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.reply: Reply = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), b": 0")
                body = await reader.readexactly(int(length.split()[-1]))
                self.requests.append(head + body)
                await self.reply(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def says(*parts: bytes, close: bool = False) -> Reply:
    """A reply that is sent in these parts."""

    async def reply(_head: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()

    return reply


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Connections]:
    client = Connections(f"http://127.0.0.1:{server.port}", tls=True)
    yield client
    client.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",), Answer(200, b"hello", None)),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", b"llo"), Answer(200, b"hello", None)),
        ((CHUNKED,), Answer(200, b"hello world", None)),
        (tuple(bytes([byte]) for byte in CHUNKED), Answer(200, b"hello world", None)),
        ((b"HTTP/1.1 429 Slow\r\nretry-AFTER: 3\r\nContent-Length: 0\r\n\r\n",), Answer(429, b"", "3")),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), Answer(204, b"", None)),
        ((b"HTTP/1.1 103 Early\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), Answer(200, b"x", None)),
    ],
    ids=["one piece", "two pieces", "chunked", "byte by byte", "retry-after", "no body", "early hints"],
)
async def test_an_answer_is_read_in_any_form(
    client: Connections, server: Server, reply: tuple[bytes, ...], answer: Answer
) -> None:
    server.reply = says(*reply)

    assert [await client.send("GET", "/a", {}) for _ in range(3)] == [answer] * 3
    assert server.connections == 1


async def test_a_request_is_complete(server: Server) -> None:
    client = Connections(f"http://user@127.0.0.1:{server.port}/prefix/", tls=True)

    await client.send("PATCH", "/a?b=c", {"Accept": "application/json"}, '{"ü": 1}'.encode())

    head = f"PATCH /prefix/a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAccept: application/json\r\n"
    assert server.requests == [f'{head}Content-Length: 9\r\n\r\n{{"ü": 1}}'.encode()]
    client.close()


@pytest.mark.parametrize(
    "reply",
    [
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", close=True),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    ],
    ids=["says close", "closes", "sends more than was requested"],
)
async def test_a_connection_that_may_be_out_of_sync_is_not_reused(
    client: Connections, server: Server, reply: Reply
) -> None:
    server.reply = reply

    for _ in range(2):
        assert (await client.send("GET", "/a", {})).body == b"{}"
        async with asyncio.timeout(5):
            while any(exchange.is_open for exchange in client._idle):  # noqa: ASYNC110 - what comes is the server's doing
                await asyncio.sleep(0.001)

    assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_reused(
    client: Connections, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.send("GET", "/a", {})
    monkeypatch.setattr(connections, "IDLE_SECONDS", -1.0)
    await client.send("GET", "/a", {})

    assert server.connections == 2


async def test_concurrent_requests_have_separate_connections(client: Connections, server: Server) -> None:
    for _ in range(2):
        await asyncio.gather(*(client.send("GET", "/a", {}) for _ in range(5)))

    assert server.connections == 5


async def test_a_late_answer_is_not_used_for_the_next_request(client: Connections, server: Server) -> None:
    go_on = asyncio.Event()

    async def late(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    server.reply = late
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await client.send("GET", "/slow", {})
    server.reply = says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
    go_on.set()

    assert (await client.send("GET", "/next", {})).body == b"next"
    assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        says(close=True),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", close=True),
        says(CHUNKED[:-7], close=True),
        says(b"SSH-2.0-OpenSSH\r\n"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n"),
    ],
    ids=["nothing", "an incomplete body", "incomplete chunks", "another protocol", "no chunks"],
)
async def test_an_incomplete_answer_is_an_error(client: Connections, server: Server, reply: Reply) -> None:
    server.reply = reply

    with pytest.raises(TransportError):
        await client.send("GET", "/a", {})

    server.reply = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert (await client.send("GET", "/a", {})).body == b"{}"


async def test_an_unreachable_server_is_an_error() -> None:
    with pytest.raises(TransportError, match=r"cannot connect to 127\.0\.0\.1:1"):
        await Connections("http://127.0.0.1:1", tls=True).send("GET", "/a", {})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and a certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_the_certificate_and_name_of_the_server_are_verified(certificate: Path, run: Callable[..., Any]) -> None:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate / "crt", certificate / "key")
    trusting = ssl.create_default_context(cafile=str(certificate / "crt"))

    async def check() -> None:
        server = Server()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=own)
        port = listening.sockets[0].getsockname()[1]
        client = Connections(f"https://127.0.0.1:{port}", trusting)
        assert [(await client.send("GET", "/a", {})).body for _ in range(2)] == [b"{}", b"{}"]
        assert server.connections == 1
        client.close()
        for host, trust in (("127.0.0.1", True), ("localhost", trusting)):
            with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
                await Connections(f"https://{host}:{port}", trust).send("GET", "/a", {})
        listening.close()

    run(check())


@pytest.mark.parametrize(("target", "headers"), [("/a\r\nX: y", {}), ("/a", {"Authorization": "Bearer a\nX: y"})])
async def test_lines_cannot_be_injected_into_a_request(
    client: Connections, server: Server, target: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="control characters"):
        await client.send("GET", target, headers)
    assert server.connections == 0


@pytest.mark.parametrize("kind", ["chunked", "with a length"])
async def test_an_endless_answer_does_not_exhaust_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(connections, "LARGEST_ANSWER", 100_000)
    sent = 0

    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = b"Transfer-Encoding: chunked" if kind == "chunked" else b"Content-Length: 100000000"
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n")
        part = b"x" * 10_000
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if kind == "chunked" else part)
            sent += len(part)
            await writer.drain()

    server.reply = endless
    asking = Connections(f"http://127.0.0.1:{server.port}", tls=False)

    with pytest.raises(AnswerTooLargeError, match="100000 bytes"):
        await asking.send("GET", "/large", {})

    server.reply = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert (await asking.send("GET", "/next", {})).body == b"{}"
    assert server.connections == 2, "the rest of the answer is not read as the next one"
    asking.close()
