"""A gateway with its own event loop, in a thread that measures how long each iteration of the loop takes.

The measure is the CPU time of that thread, which does not depend on other load of the machine: it is the delay that
other requests would have on an idle machine.
"""

import asyncio
import gc
import http.client
import json
import random
import sys
import threading
import time
from collections import UserDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from aiohttp import web

from podrelay.gateway.access import Access
from podrelay.gateway.apiclient import CountingClient
from podrelay.gateway.cache import Cache
from podrelay.gateway.call import Services
from podrelay.gateway.event_loop.garbage import THRESHOLDS
from podrelay.gateway.http.server import ServerOptions, application
from podrelay.gateway.main import TURN_SECONDS
from podrelay.gateway.objects import Run
from podrelay.gateway.schema.build import build
from podrelay.kube.config import Connection
from tests.support.gatewayapi import EVERYTHING, ApiServer
from tests.unit.gateway.builders import NOW, definition, record, run

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Aborted")
SECONDS = 60.0
"""The timeout of a request, even on a slow machine."""


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        status: the HTTP status.
        held: the CPU time of the longest iteration of the loop meanwhile, in seconds.
        body: the raw body.
    """

    status: int
    held: float
    body: bytes


class _Encoded(UserDict[str, Any]):
    """Objects in JSON, so that the garbage collector of the gateway does not visit those of the API server."""

    def __setitem__(self, path: str, manifest: Any) -> None:
        self.data[path] = json.dumps(manifest)

    def __getitem__(self, path: str) -> Any:
        return json.loads(self.data[path])


class HeldLoop:
    """The gateway, its API server, and a client.

    Args:
        runs: the number of runs.
        seed: determines the fields of the runs.
    """

    def __init__(self, runs: int, seed: int = 0) -> None:
        chance = random.Random(seed)
        self._definitions = [definition(f"d-{n}", f"d{n}", f"Definition {n}") for n in range(100)]
        self._runs = [_run(n, chance) for n in range(runs)]
        self._records = [record(one.metadata.name) for one in self._runs[: runs // 5]]
        self._longest = 0.0
        self._ports: dict[str, int] = {}
        self._loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, threading.Thread]] = []

    def __enter__(self) -> Self:
        self._settings = gc.get_threshold(), sys.getswitchinterval()
        gc.set_threshold(*THRESHOLDS)  # like the gateway itself
        sys.setswitchinterval(TURN_SECONDS)
        self._start("api", self._serve_api)
        self._start("gateway", self._serve_gateway)
        self._client = http.client.HTTPConnection("127.0.0.1", self._ports["gateway"], timeout=SECONDS)
        gc.collect()
        gc.freeze()  # like the gateway itself
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        self._client.close()
        for loop, stop, thread in reversed(self._loops):
            loop.call_soon_threadsafe(stop.set)
            thread.join(SECONDS)
        gc.unfreeze()
        gc.set_threshold(*self._settings[0])
        sys.setswitchinterval(self._settings[1])

    def post(self, body: bytes) -> Answer:
        """Send a body, and measure the loop."""
        self._longest = 0.0
        headers = {"Content-Type": "application/json", "Authorization": "Bearer alice"}
        for _ in range(2):  # the gateway closes a connection if it has not read the whole body
            try:
                self._client.request("POST", "/graphql", body, headers)
                with self._client.getresponse() as response:
                    return Answer(response.status, self._longest, response.read())
            except (http.client.HTTPException, ConnectionError):
                self._client.close()
        return Answer(0, self._longest, b"")

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> Answer:
        """Send a document, and measure the loop."""
        return self.post(json.dumps({"query": query, "variables": variables or {}}).encode())

    def _start(self, name: str, serve: Any) -> None:
        started = threading.Event()

        async def main() -> None:
            stop = asyncio.Event()
            self._loops.append((asyncio.get_running_loop(), stop, threading.current_thread()))
            await serve(name, started, stop)

        threading.Thread(target=lambda: asyncio.run(main()), name=name, daemon=True).start()
        assert started.wait(SECONDS), name

    async def _serve_api(self, name: str, started: threading.Event, stop: asyncio.Event) -> None:
        api = ApiServer(rights={"alice": set(EVERYTHING)}, objects=_Encoded())
        backend = web.Application()
        backend.router.add_route("*", "/{path:.*}", api.handle)
        await self._serve(name, backend, started, stop)

    async def _serve_gateway(self, name: str, started: threading.Event, stop: asyncio.Event) -> None:
        connection = Connection(f"http://127.0.0.1:{self._ports['api']}", None, lambda: None, "default")
        async with CountingClient(connection) as client:
            cache = Cache()
            services = Services(cache, Access(client, client, lambda: False, time.monotonic))
            app = application(build(), services, ServerOptions("shop"), lambda: True)
            cache.definitions.replace(self._definitions, "1")
            cache.runs.replace(self._runs, "1")
            cache.records.replace(self._records, "1")
            gc.collect()
            gc.freeze()
            watching = asyncio.create_task(self._watch())
            await self._serve(name, app, started, stop)
            watching.cancel()

    async def _serve(self, name: str, app: web.Application, started: threading.Event, stop: asyncio.Event) -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._ports[name] = runner.addresses[0][1]
        started.set()
        await stop.wait()
        await runner.cleanup()

    async def _watch(self) -> None:
        """Read the clock in every iteration of the loop."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self._longest = max(self._longest, now - last)
            last = now


def _run(number: int, chance: random.Random) -> Run:
    phase = chance.choice(PHASES)
    ended = NOW - timedelta(seconds=chance.randrange(10**6)) if phase in PHASES[2:] else None
    return run(
        f"run-{number}",
        f"d-{chance.randrange(100)}",
        spec={"display_name": f"Import {number} of many", "parent": f"run-{number // 50}" if number % 3 else None},
        about={"age": chance.randrange(10**6), "version": str(number + 1), "by": "alice"},
        phase=phase,
        reason="Queued" if phase == "Pending" else "OOMKilled",
        iterations=number % 10,
        started_at=ended and ended - timedelta(seconds=chance.randrange(1000)),
        finished_at=ended,
        pod=f"run-{number}-i1",
    )
