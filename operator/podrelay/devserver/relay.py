"""Puts the relay together: API server, node, operator, gateway and modules, in one process."""

import argparse
import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from podrelay.api import names
from podrelay.api.errors import PodrelayError
from podrelay.devserver import kubeconfig, leftovers
from podrelay.devserver.admission import Admission
from podrelay.devserver.api_server import ApiServer
from podrelay.devserver.modules import Listener as ModuleListener
from podrelay.devserver.modules import Modules
from podrelay.devserver.node import NAMESPACE, Node
from podrelay.devserver.options import MAX_PORT
from podrelay.devserver.state import State
from podrelay.gateway import main as gateway
from podrelay.gateway import options as gateway_options
from podrelay.gateway.http import dashboard, graphiql
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.errors import ApiError
from podrelay.local.history import Event
from podrelay.local.kinds import NAMESPACES
from podrelay.local.memory_api import MemoryApi, Object
from podrelay.local.processes import ProcessRuntime
from podrelay.operator import options as operator_options
from podrelay.operator.leader_election import LeaderElection
from podrelay.operator.manager import Manager
from podrelay.schemas.process import SchemaProcess

_HOST: Final = "127.0.0.1"
_SECRET: Final = "secret"  # noqa: S105 - the name of a setting


class AddressError(PodrelayError):
    """A port cannot be used; the message says which flag to set."""


class Listener(ModuleListener, Protocol):
    """Receives what happens."""

    def changed(self, event: Event) -> None:
        """An object has changed; called by one thread."""

    def printed(self, pod: str, line: str) -> None:
        """A container has printed a line; called by a thread of the container."""


@dataclass(frozen=True)
class Addresses:
    """Where the relay can be reached.

    Attributes:
        gateway: URL of the gateway.
        api: URL of the API server, which contains a secret.
        kubeconfig: a file for clients of the API server.
        has_graphiql: whether the gateway serves GraphiQL.
        has_dashboard: whether the gateway serves the dashboard.
    """

    gateway: str
    api: str
    kubeconfig: Path
    has_graphiql: bool
    has_dashboard: bool


class Relay:
    """The relay on this computer.

    Args:
        arguments: the flags.
        listener: is notified of what happens.

    Attributes:
        addresses: where it can be reached, while it runs.
    """

    addresses: Addresses

    def __init__(self, arguments: argparse.Namespace, listener: Listener) -> None:
        self._arguments = arguments
        self._listener = listener
        self._node: Node
        self._parts: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it in this event loop.

        Raises:
            PodrelayError: the state or an address cannot be used.
        """
        loop = asyncio.get_running_loop()
        leftovers.remove()
        async with contextlib.AsyncExitStack() as stack:
            state = State(self._arguments.state) if self._arguments.state else None
            if state is not None:
                stack.callback(state.close)
            folder = leftovers.Folder()
            stack.callback(folder.close)
            api, server, runtime, modules = self._api(loop, state, folder.path)
            stack.callback(runtime.close)
            loading = asyncio.create_task(modules.load())
            stack.push_async_callback(_end, [loading])
            url = await self._serve_api(stack, server)
            stack.enter_context(kubeconfig.written(self._arguments.kubeconfig, url, NAMESPACE))
            with contextlib.suppress(ApiError):  # it exists in the state
                api.create(NAMESPACES, "", {"metadata": {"name": NAMESPACE}})
            node = loop.run_in_executor(None, self._node.run)
            stack.push_async_callback(self._stop_node, node)
            client = await stack.enter_async_context(
                Client(config.load(self._arguments.kubeconfig), "podrelay-operator")
            )
            self._parts = [
                asyncio.create_task(part)
                for part in (self._operate(client), _following(loading, modules), _watching(node))
            ]
            stack.push_async_callback(_end, self._parts)
            with _explained("--port", self._arguments.port):
                address = await stack.enter_async_context(gateway.running(self._gateway_options()))
            self.addresses = Addresses(f"http://{address}", url, self._arguments.kubeconfig, *_pages())
            await loading
            yield

    async def wait(self) -> None:
        """Wait until a part fails.

        Raises:
            Exception: the error of the part.
        """
        done, _ = await asyncio.wait(self._parts, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def kill(self) -> None:
        """Do not wait any longer for containers, if the relay is being stopped."""
        self._node.stop()

    # --- the parts ----------------------------------------------------------------------------------------------------

    def _api(
        self, loop: asyncio.AbstractEventLoop, state: State | None, folder: Path
    ) -> tuple[MemoryApi, ApiServer, ProcessRuntime, Modules]:
        secret = (state.setting(_SECRET) if state else None) or secrets.token_urlsafe(16)
        if state is not None:
            state.set(_SECRET, secret)

        def notify(event: Event) -> None:
            if state is not None:
                state.store(event)
            self._node.take(event)
            server.news.ring()

        def has_namespace(name: str) -> bool:
            with contextlib.suppress(ApiError):
                return bool(api.get(NAMESPACES, "", name))
            return False

        def read_definition(namespace: str, name: str) -> Object:
            return api.get(names.TASK_DEFINITIONS, namespace, name)

        api = MemoryApi(
            lambda: datetime.now(UTC),
            notify,
            admit=Admission(has_namespace, read_definition),
            stored=state.load() if state else (),
            version=state.version if state else 100,
        )
        server = ApiServer(api, loop, secret)
        modules = Modules(self._arguments.modules, api, NAMESPACE, self._listener, self._wake, folder)
        runtime = ProcessRuntime(api, folder, lambda: 0.0, self._listener.printed, self._wake, modules.obstacle)
        self._node = Node(api, runtime, folder, self._listener.changed)
        return api, server, runtime, modules

    def _wake(self) -> None:
        self._node.wake()

    async def _serve_api(self, stack: contextlib.AsyncExitStack, server: ApiServer) -> str:
        runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        arguments = self._arguments
        following = arguments.port + 1 if 0 < arguments.port < MAX_PORT else 0
        wanted = following if arguments.api_port is None else arguments.api_port
        with _explained("--api-port", wanted):
            site = web.TCPSite(runner, _HOST, wanted)
            await site.start()
        port = runner.addresses[0][1]
        return f"http://{_HOST}:{port}/{server.secret}"

    async def _operate(self, client: Client) -> None:
        if self._arguments.without_operator:
            await asyncio.Event().wait()
        parser = argparse.ArgumentParser()
        operator_options.add_arguments(parser)
        options = parser.parse_args([f"--max-running-pods={self._arguments.max_pods}"])
        schemas = SchemaProcess()
        lease = LeaderElection(client, NAMESPACE, options.lease_name, secrets.token_hex(4), options.lease_duration)
        try:
            await Manager(options, client, lease, schemas).run()
        finally:
            await schemas.close()

    def _gateway_options(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        gateway_options.add_arguments(parser)
        flags = [
            "--auth=none",
            f"--kubeconfig={self._arguments.kubeconfig}",
            f"--listen={_HOST}:{self._arguments.port}",
        ]
        # Without its files, the gateway says at the address of the dashboard how to build it.
        return parser.parse_args([*flags, "--dashboard", *(["--graphiql"] if _pages()[0] else [])])

    async def _stop_node(self, node: "asyncio.Future[None]") -> None:
        self._node.stop()
        await asyncio.wait({node})


def _pages() -> tuple[bool, bool]:
    """Return whether GraphiQL, and whether the dashboard, are part of this installation."""
    return graphiql.FILES.exists(), dashboard.FILES.exists()


async def _following(loading: "asyncio.Task[None]", modules: Modules) -> None:
    await loading
    await modules.follow()
    await asyncio.Event().wait()  # there are no modules


async def _watching(node: "asyncio.Future[None]") -> None:
    await asyncio.shield(node)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _explained(flag: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else str(error)
        raise AddressError(f"port {port} cannot be used ({words}); choose another one with {flag}") from error
