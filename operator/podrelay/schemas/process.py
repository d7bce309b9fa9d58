"""Asynchronous client of the process that checks inputs against schemas (`program.py`), for operator and gateway.

The process is started on first use, and ends when it is idle for a while. If it ends because a request exceeded its
limits, it is started again for the next request.
"""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

from podrelay.api.errors import PodrelayError
from podrelay.schemas.protocol import PROGRAM, READY, TOO_COMPLEX, TOO_MUCH
from podrelay.schemas.verdict import Verdict

_PROGRAM: Final = PROGRAM
_IDLE_SECONDS: Final = 60.0
_LINE_BYTES: Final = 1024 * 1024


class SchemaProcessError(PodrelayError):
    """The process cannot be started, or has ended unexpectedly; its output is in the operator's log."""


class SchemaProcess:
    """Sends requests to the process, one after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def check(self, schema: dict[str, Any], input: dict[str, Any] | None = None) -> Verdict:
        """Check `input` against `schema`; without an input, check only `schema`.

        Raises:
            SchemaProcessError: the process cannot be started, or has failed.
        """
        async with self._lock:
            verdict = await self._ask({"schema": schema} if input is None else {"schema": schema, "input": input})
            if verdict is not None:
                return verdict
            if input is not None and (of_schema := await self._ask({"schema": schema})) is not None:
                return Verdict(of_schema.problem, {} if of_schema.problem else TOO_COMPLEX)
            return Verdict("spec.inputSchema: it is too large or too complex to be read within a second and 256 MiB")

    async def close(self) -> None:
        """End the process, if there is one."""
        if self._idle is not None:
            self._idle.cancel()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._ended()

    async def _ended(self) -> int:
        """Wait until the process has ended; return its exit code, or minus the signal. There must be a process."""
        process, self._process = self._process, None
        assert process is not None  # noqa: S101 - checked by the caller
        return await process.wait()

    async def _ask(self, request: dict[str, Any]) -> Verdict | None:
        """Return the response; None if the process has ended because of the request."""
        process = self._process
        if process is None or process.returncode is not None:
            process = await self._start()
        if self._idle is not None:
            self._idle.cancel()
        assert process.stdin is not None  # noqa: S101 - a pipe
        assert process.stdout is not None  # noqa: S101 - a pipe
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(msgspec.json.encode(request) + b"\n")
                await process.stdin.drain()
            line = await process.stdout.readline()
        except BaseException:
            await self.close()  # a late response would be taken for that of the next request
            raise
        if not line.endswith(b"\n"):
            code = await self._ended()
            if code not in TOO_MUCH:
                raise SchemaProcessError(f"the process that checks inputs against schemas has ended with {code}")
            return None
        self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end)
        return msgspec.json.decode(line, type=Verdict)

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *_PROGRAM,
            stdin=pipe,
            stdout=pipe,
            limit=_LINE_BYTES,
            start_new_session=True,  # signals of the operator's terminal must not reach it
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 - a pipe
        if await process.stdout.readline() != READY:
            code = await self._ended()
            raise SchemaProcessError(f"the process that checks inputs against schemas has ended at once, with {code}")
        return process

    def _end(self) -> None:
        """Release the process: it ends at the end of its input."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
