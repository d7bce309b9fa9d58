"""The lines of a run as one stream, independent of GraphQL: what its task has logged, and what its pods print.

Lines wait in records and logs of pods until the subscriber has room for them, so a slow one misses only what a record
drops meanwhile.
Logs are read with the caller's token. Access to the records is checked again every ten seconds.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from podrelay.api import hooks, names
from podrelay.gateway import podlogs
from podrelay.gateway.cache import Change
from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError
from podrelay.gateway.metrics import SKIPPED
from podrelay.gateway.objects import Record, Run
from podrelay.gateway.payloads import Object, fetch
from podrelay.gateway.query.attempts import place_of
from podrelay.gateway.query.buffers import Closed, Newest
from podrelay.gateway.query.following import while_allowed
from podrelay.gateway.query.log_cursor import Positions
from podrelay.kube.resources import TASK_ITERATIONS, Key

PENDING_LINES: Final = 2000
_RETRY_SECONDS: Final = 2.0
"""How long to wait before reading a log again, while the API server does not respond."""
_HOOKS_SECONDS: Final = 60.0
"""How long a finished run is followed for the log lines of its hooks."""
_SILENT_SECONDS: Final = 10.0
"""How long a silent pod may delay the output of the next one: the log of a pod on a lost node may never end."""
_LAST_SECONDS: Final = 60.0
"""How long a pod of a finished run may be silent, for the same reason."""


@dataclass(frozen=True)
class Line:
    """A line of a log, a line that a pod prints, or (with `dropped`) a gap where lines are missing.

    Attributes:
        pod: name of the pod.
        item: the structured line.
        text: what the pod has printed, or why lines are missing.
        at: when it was printed.
        dropped: how many lines are missing; 1 if it is not known how many.
        number: how many lines of the record, or of the output in it, have been sent with this one.
        is_kept: whether it is from the output in the record of a deleted pod.
    """

    pod: str | None
    item: Object | None = None
    text: str | None = None
    at: datetime | None = None
    dropped: int = 0
    number: int = 0
    is_kept: bool = False

    @property
    def is_printed(self) -> bool:
        """Whether a pod has printed it."""
        return self.item is None and not self.dropped and self.text is not None


@dataclass(frozen=True)
class Wanted:
    """Which lines to send.

    Attributes:
        pod_output: whether to include what the pods print.
        iteration: only those of this iteration; None: all.
        attempt: only those of attempts with this number; None: all.
        type: only structured lines of this type, and no output of pods; None: all.
    """

    pod_output: bool = False
    iteration: int | None = None
    attempt: int | None = None
    type: str | None = None

    def is_of(self, pod: str) -> bool:
        """Return whether lines of this pod are wanted."""
        _, iteration, attempt = place_of(pod)
        return self.iteration in {None, iteration} and self.attempt in {None, attempt}

    def includes(self, line: Line) -> bool:
        """Return whether a line of a wanted pod is wanted; gaps always are."""
        return self.type is None or line.dropped > 0 or (line.item is not None and line.item["type"] == self.type)


async def lines(
    call: Call, key: Key, wanted: Wanted, positions: Positions
) -> AsyncGenerator[tuple[Line, Positions], None]:
    """Yield the lines of a run, first the existing ones, until the run has finished, each with its position.

    Args:
        call: the call of the subscriber, whose access is checked at the start and repeatedly.
        key: the run.
        wanted: which lines.
        positions: where to continue; it is updated with each line, so copy it to keep it.

    Raises:
        GatewayError: the caller does not have access, or no longer has it.
    """

    async def check() -> None:
        await call.may("watch", names.TASK_ITERATIONS, fresh=True)

    await check()
    buffer: Newest[Line] = Newest(PENDING_LINES)
    follower = _LogFollower(call, key, buffer, wanted, positions.copy())
    task = asyncio.create_task(follower.run())
    try:
        with contextlib.suppress(Closed):
            async for line, dropped in while_allowed(buffer.get, check):
                SKIPPED.labels("lines").inc(dropped)
                found = line if line is not None else Line(None, dropped=dropped)
                _advance(positions, found)
                if wanted.includes(found):
                    yield found, positions
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _advance(positions: Positions, line: Line) -> None:
    if line.pod is None:
        return
    if line.is_kept:
        positions.has_kept(line.pod, line.number)
    elif line.number:
        positions.has_logged(line.pod, line.number)
    elif line.is_printed:
        positions.has_printed(line.pod, line.at)


class _LogFollower:
    """Puts the lines of one run into a buffer, until the run has finished."""

    def __init__(self, call: Call, key: Key, buffer: Newest[Line], wanted: Wanted, positions: Positions) -> None:
        self._call = call
        self._key = key
        self._buffer = buffer
        self._wanted = wanted
        self._positions = positions
        """Where this follower is; that of the subscriber may be behind."""
        self._changed: dict[Key, None] = {}
        """Records to read, in order."""
        self._wake = asyncio.Event()
        self._pods: set[str] = set()
        """Pods whose output was followed, or will be."""
        self._to_print: asyncio.Queue[str | None] = asyncio.Queue()
        self._printing: set[asyncio.Task[None]] = set()
        self._heard = 0
        """Lines that pods have printed."""
        self._deleted: set[str] = set()
        """Deleted pods whose records have no output yet."""

    async def run(self) -> None:
        """Follow the run; an error closes the buffer."""
        cache = self._call.cache
        stop = [cache.records.listen(self._hear_record), cache.runs.listen(self._hear_run)]
        known = cache.records.indexed("run", self._key.namespace, self._key.name)
        for record in sorted(known, key=lambda record: place_of(record.pod_name)):
            self._changed[record.key] = None
        printer = asyncio.create_task(self._print_all())
        try:
            await self._follow()
            self._to_print.put_nowait(None)
            await printer
            self._buffer.close()
        except Exception as error:  # noqa: BLE001 - the subscriber gets it
            self._buffer.close(error)
        finally:
            for end in stop:
                end()
            under_way = [printer, *self._printing]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        hooks_until: float | None = None
        while True:
            self._wake.clear()
            run = self._call.cache.runs.get(self._key)
            pod = run.status.current.pod_name if run and run.status.current else None
            if run is not None and run.is_finished and pod is not None:
                # The watch of runs may be ahead of the watch of records.
                self._changed[Key(self._key.namespace, pod)] = None
            await self._read_changed()
            if pod is not None:
                self._follow_pod(pod)
            if run is None or (run.is_finished and not self._awaits_hooks(run)):
                return
            if run.is_finished and hooks_until is None:
                hooks_until = loop.time() + _HOOKS_SECONDS
            try:
                async with asyncio.timeout_at(hooks_until):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _awaits_hooks(self, run: Run) -> bool:
        definition = self._call.cache.definitions.get(Key(self._key.namespace, run.spec.definition))
        declared = set(definition.spec.hooks) if definition else set()
        called = {outcome.name for outcome in run.status.hooks}
        return bool(declared & set(hooks.due_after(run.status.phase, run.status.reason)) - called)

    async def _read_changed(self) -> None:
        while self._changed:
            key = next(iter(self._changed))
            if not self._wanted.is_of(key.name) or self._has_all(key.name):
                self._changed.pop(key, None)
                continue
            try:
                stored = await fetch(self._call, TASK_ITERATIONS, key)
            except UnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._changed.pop(key, None)
            if stored:
                await self._put_new(key.name, stored)

    def _has_all(self, pod: str) -> bool:
        has_printed_all = not self._wanted.pod_output or self._positions.printed(pod) is None
        return has_printed_all and self._positions.logged(pod) is None

    async def _put_new(self, pod: str, stored: Object) -> None:
        """Put the new lines. Lines are numbered, including those that the record has dropped."""
        items: list[Object] = stored.get("logs") or []
        first, seen = stored.get("droppedLogs") or 0, self._positions.logged(pod)
        if seen is not None:
            if first > seen:
                self._buffer.put(Line(pod, dropped=first - seen, number=first))
            for number, item in enumerate(items[max(0, seen - first) :], max(seen, first) + 1):
                await self._buffer.room()
                self._buffer.put(Line(pod, item, number=number))
            self._positions.has_logged(pod, max(seen, first + len(items)))
        if pod in self._deleted:
            await self._put_kept(pod, stored)
        self._follow_pod(pod)

    def _follow_pod(self, pod: str) -> None:
        """Follow the output of a pod, after that of the pods before it."""
        if not self._wanted.pod_output or pod in self._pods or not self._wanted.is_of(pod):
            return
        self._pods.add(pod)
        self._to_print.put_nowait(pod)

    async def _print_all(self) -> None:
        """Print the output of one pod after the other, as they run; a silent one delays the next only for a while."""
        while (pod := await self._to_print.get()) is not None:
            task = asyncio.create_task(self._print(pod))
            self._printing.add(task)
            task.add_done_callback(self._printing.discard)
            while not task.done():
                heard = self._heard
                await asyncio.wait({task}, timeout=_SILENT_SECONDS)
                if self._is_silent_since(heard) and not self._to_print.empty():
                    break
        while self._printing:
            heard = self._heard
            done, _ = await asyncio.wait(self._printing, timeout=_LAST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done and self._is_silent_since(heard):
                self._buffer.put(Line(None, text="the output of a pod does not end", dropped=1))
                return

    def _is_silent_since(self, heard: int) -> bool:
        return heard == self._heard and not self._buffer.is_full

    async def _print(self, pod: str) -> None:
        try:
            await self._print_live(pod)
        except podlogs.PodNotFoundError:
            await self._print_kept(pod)
        except UnavailableError:
            # It is unknown how many lines are missing; what the task itself logs still arrives.
            self._buffer.put(Line(pod, text="what the pod has printed cannot be read", dropped=1))
        except Exception as error:  # noqa: BLE001 - the subscriber gets it
            self._buffer.close(error)

    async def _print_live(self, pod: str) -> None:
        start = self._positions.printed(pod)
        if start is None:
            return
        if start.kept:
            raise podlogs.PodNotFoundError(pod)
        repeated = 0
        async for printed in podlogs.follow(self._call, Key(self._key.namespace, pod), start.at):
            if start.at is not None and printed.at is not None:
                if printed.at < start.at:
                    continue
                if printed.at == start.at and repeated < start.same:
                    repeated += 1
                    continue
                if repeated < start.same:
                    repeated = start.same
                    why = (
                        "lines may be missing: the last line before the interruption is no longer in the log of the pod"
                    )
                    self._buffer.put(Line(pod, text=why, dropped=1))
            self._heard += 1
            self._positions.has_printed(pod, printed.at)
            await self._buffer.room()
            self._buffer.put(Line(pod, text=printed.text, at=printed.at))

    async def _print_kept(self, pod: str) -> None:
        """Put the output in the record of a pod that was deleted."""
        stored = await fetch(self._call, TASK_ITERATIONS, Key(self._key.namespace, pod))
        if stored.get("console") is not None:
            await self._put_kept(pod, stored)
        else:
            self._deleted.add(pod)

    async def _put_kept(self, pod: str, stored: Object) -> None:
        console, start = stored.get("console"), self._positions.printed(pod)
        if console is None or start is None:
            return
        self._deleted.discard(pod)
        for line in _kept_lines(pod, console, has_seen_some=start.at is not None):
            if line.number > start.kept:
                self._positions.has_kept(pod, line.number)
                await self._buffer.room()
                self._buffer.put(line)

    def _hear_record(self, change: Change[Record]) -> None:
        if change.obj.run_key == self._key and not change.gone:
            self._changed[change.obj.key] = None
            self._wake.set()

    def _hear_run(self, change: Change[Run]) -> None:
        if change.obj.key == self._key:
            self._wake.set()


def _kept_lines(pod: str, console: Object, *, has_seen_some: bool) -> Iterator[Line]:
    """Yield the lines of the output in a record, after a gap that says what is missing."""
    why = None
    if console.get("problem"):
        why = f"what the pod has printed is not kept: {console['problem']}"
    elif has_seen_some:
        why = "the pod was deleted meanwhile; the following end of its output may repeat lines, or leave some out"
    elif console.get("droppedBytes"):
        why = f"{console['droppedBytes']} bytes before this are not kept"
    number = 0
    if why is not None:
        number += 1
        yield Line(pod, text=why, dropped=1, number=number, is_kept=True)
    for text in (console.get("text") or "").splitlines():
        number += 1
        yield Line(pod, text=text, number=number, is_kept=True)
