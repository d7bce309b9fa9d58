"""The process that checks inputs against schemas (`program.py`), as an event loop sees it: operator and gateway.

It is started when it is needed, and ends when it has not been for a while. One that ended itself over
a request, because it took too much, is started anew for the next one.
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
    """The process cannot be started, or has ended for no good reason; what it printed is in the operator's log."""

    reason = "SchemaProcessError"


class SchemaProcess:
    """Asks the process, one request after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def check(self, schema: dict[str, Any], input: dict[str, Any] | None = None) -> Verdict:
        """Return what is wrong with `input` by `schema`, or with `schema` alone.

        Raises:
            SchemaProcessError: there is no process to ask, or it has an error of its own.
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
        """Wait until the process, of which there is one, has ended; return its exit code, or minus the signal."""
        process, self._process = self._process, None
        assert process is not None  # noqa: S101 - the caller has looked
        return await process.wait()

    async def _ask(self, request: dict[str, Any]) -> Verdict | None:
        """Return the answer; None if the process has ended over the request."""
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
            await self.close()  # its answer would be taken for the next request's
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
            start_new_session=True,  # what a terminal sends to the operator is not for this one
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 - a pipe
        if await process.stdout.readline() != READY:
            code = await self._ended()
            raise SchemaProcessError(f"the process that checks inputs against schemas has ended at once, with {code}")
        return process

    def _end(self) -> None:
        """Let the process go: it ends when there is nobody to ask it any more."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
