"""The gateway as a separate process, as `podrelay gateway` starts it, and its clients."""

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from dev.harness import forked
from dev.harness.metrics import Samples, samples
from dev.harness.operator import PODRELAY, Process
from dev.harness.waiting import eventually

PROTOCOL = "graphql-transport-ws"


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def data(self) -> Any:
        """Return the answer of `backgroundTasks`; fails if there are GraphQL errors."""
        assert "errors" not in self.body, self.body
        return self.body["data"]["backgroundTasks"]

    @property
    def refusals(self) -> list[str]:
        """Return the codes of errors inside `backgroundTasks`."""
        return [answer["error"]["code"] for answer in self.data.values() if answer["error"] is not None]

    @property
    def error_codes(self) -> list[str]:
        return [error.get("extensions", {}).get("code") for error in self.body.get("errors", [])]


@dataclass(frozen=True)
class GraphQL:
    """A client of a user in a namespace.

    Attributes:
        address: host:port.
        token: the token of the user; None: no token is sent.
        namespace: the namespace in the header; None: no header is sent.
        tls: the context with the trusted CA; None: no TLS.
    """

    address: str
    token: str | None = None
    namespace: str | None = None
    tls: ssl.SSLContext | None = None

    @property
    def base(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.namespace is not None:
            headers["X-Podrelay-Namespace"] = self.namespace
        return headers

    def ask(self, document: str, **variables: Any) -> Answer:
        """Send a query or mutation."""
        return self.post(json.dumps({"query": document, "variables": variables}).encode())

    def post(
        self, body: bytes | None, path: str = "/graphql", method: str = "POST", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send any request."""
        request = urllib.request.Request(
            f"{self.base}{path}", data=body, headers=self.headers() | (headers or {}), method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.tls) as response:
                return Answer(response.status, dict(response.headers), json.loads(response.read()))
        except urllib.error.HTTPError as error:
            text = error.read()
            return Answer(
                error.code, dict(error.headers), json.loads(text) if text.startswith(b"{") else {"text": text}
            )

    def inside(self, fields: str, **variables: Any) -> Any:
        """Send a query of the fields inside backgroundTasks, without variables in it."""
        return self.ask(f"{{ backgroundTasks {{ {fields} }} }}", **variables).data

    @contextlib.asynccontextmanager
    async def subscribe(self, document: str, **variables: Any) -> AsyncIterator["Subscription"]:
        """Open a WebSocket with one subscription; the token is in the first message, as in browsers."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.base}/graphql", protocols=[PROTOCOL], ssl=self.tls or True) as socket,
        ):
            params: dict[str, str] = {}
            if self.token is not None:
                params["Authorization"] = f"Bearer {self.token}"
            if self.namespace is not None:
                params["X-Podrelay-Namespace"] = self.namespace
            await socket.send_json({"type": "connection_init", "payload": params})
            subscription = Subscription(socket)
            if (await subscription.receive())["type"] == "connection_ack":
                payload = {"query": document, "variables": variables}
                await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
            yield subscription


@dataclass
class Subscription:
    """A subscription on a separate WebSocket."""

    socket: aiohttp.ClientWebSocketResponse
    received: list[dict[str, Any]] = field(default_factory=list)

    async def receive(self, seconds: float = 30) -> dict[str, Any]:
        """Return the next message; a closed connection is {"type": "closed", "code": ...}."""
        async with asyncio.timeout(seconds):
            message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.CLOSE:
            # Not the socket's close_code: that also depends on the delivery of the client's answer to this message.
            return {"type": "closed", "code": message.data}
        if message.type is not aiohttp.WSMsgType.TEXT:
            return {"type": "closed", "code": self.socket.close_code}
        found: dict[str, Any] = json.loads(message.data)
        self.received.append(found)
        return found

    async def next(self, seconds: float = 30) -> Any:
        """Return the data of the next event."""
        message = await self.receive(seconds)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def until(self, what: str, check: Any, seconds: float = 30) -> Any:
        """Return the first event for which `check` is true."""
        async with asyncio.timeout(seconds):
            seen = []
            try:
                while True:
                    seen.append(await self.next())
                    if check(seen[-1]):
                        return seen[-1]
            except TimeoutError:
                raise AssertionError(f"{what} did not arrive: {seen}") from None


@dataclass
class GatewayProcess:
    """A gateway in a separate process.

    Attributes:
        kubeconfig: its own credentials and the address of the API server.
        folder: the folder for the log.
        flags: further flags.
    """

    kubeconfig: Path
    folder: Path
    flags: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "gateway.log"
        arguments = ["gateway", f"--kubeconfig={self.kubeconfig}", "--listen=127.0.0.1:0", *self.flags]
        self.process = self.launch(arguments)
        eventually("the gateway has its caches filled", lambda: self.has_ended or "caches filled" in self.text, 30)
        assert not self.has_ended, self.text
        return self

    def launch(self, arguments: list[str]) -> Process:
        """Run `podrelay` with these arguments."""
        return forked.podrelay(arguments, os.environ | self.environment, self.log)

    def __exit__(self, *_: object) -> None:
        if not self.has_ended:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                raise AssertionError(f"the gateway did not stop:\n{self.text}") from None

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def address(self) -> str:
        found = re.search(r"listen=(\S+)", self.text)
        assert found is not None, self.text
        return found[1]

    def as_token(self, token: str | None, namespace: str | None = None) -> GraphQL:
        """Return a client for one user."""
        return GraphQL(self.address, token, namespace)

    def scrape(self) -> Samples:
        """Return the metrics; needs the flag --metrics-listen."""
        found = re.search(r"metrics=(\S+)", self.text)
        assert found is not None, self.text
        with urllib.request.urlopen(f"http://{found[1]}/metrics") as answer:
            return samples(answer.read().decode())


class SpawnedGateway(GatewayProcess):
    """A gateway that is started like from a shell, without sharing memory with this process."""

    def launch(self, arguments: list[str]) -> Process:
        with self.log.open("wb") as log:
            environment = os.environ | self.environment
            return subprocess.Popen([PODRELAY, *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT)
