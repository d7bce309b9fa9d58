"""A tunnel to the API server that can be closed: it forwards bytes unchanged, including TLS and tokens."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Tunnel:
    """A tunnel, in a separate thread.

    Args:
        kubeconfig: the kubeconfig of the API server.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._settings = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        server = urlsplit(self._settings["clusters"][0]["cluster"]["server"])
        self._target = (server.hostname or "", server.port or 443)
        self._is_closed = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0

    @contextmanager
    def open(self) -> Iterator["Tunnel"]:
        """Forward connections."""
        ready = threading.Event()

        async def serve() -> None:
            self._loop, stop = asyncio.get_running_loop(), asyncio.Event()
            self._stop = stop
            server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
            self._port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            self._abort_all()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(15)

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig that uses the tunnel."""
        self._settings["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self._port}"
        path = folder / "tunnel.kubeconfig"
        path.write_text(yaml.safe_dump(self._settings), encoding="utf-8")
        return path

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Close all connections and refuse new ones, like an API server that is restarting."""
        self._is_closed = True
        self._loop.call_soon_threadsafe(self._abort_all)
        try:
            yield
        finally:
            self._is_closed = False

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            self._writers -= {writer, back}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
