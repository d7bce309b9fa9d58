"""Observes pods: when each one was created and when it had ended, by the clock of this process.

Timestamps in objects have a resolution of seconds, so the arrival times of watch events are used. All contenders are
observed with the same kind of watch, so its delay is the same for all.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import msgspec

from podrelay.api import names

LABEL_RUN: Final = "bench.podrelay.dev/run"
LABEL_ITERATION: Final = "bench.podrelay.dev/iteration"


class _Metadata(msgspec.Struct, rename="camel", frozen=True):
    name: str
    resource_version: str
    labels: dict[str, str] = {}


class _Status(msgspec.Struct, frozen=True):
    phase: str = ""


class Pod(msgspec.Struct, frozen=True):
    """The required fields of a pod."""

    metadata: _Metadata
    status: _Status = _Status()


@dataclass(slots=True)
class Seen:
    """The times when a pod was first seen and when it was first seen as ended."""

    made: float
    ended: float | None = None


@dataclass
class Observer:
    """Observes the pods of one namespace; a `podrelay.kube.reflector.Sink`."""

    seen: dict[tuple[str, int], Seen] = field(default_factory=dict)
    """By run and iteration."""
    _waiting: dict[tuple[str, int], asyncio.Event] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget all pods."""
        self.seen.clear()
        self._waiting.clear()

    async def ended(self, run: str, iteration: int) -> None:
        """Wait until a pod is seen as ended."""
        await self._waiting.setdefault((run, iteration), asyncio.Event()).wait()

    def handovers(self) -> list[float]:
        """Return the seconds from the end of each pod to the creation of the next one of its run."""
        found = []
        for (run, iteration), seen in self.seen.items():
            following = self.seen.get((run, iteration + 1))
            if following is not None and seen.ended is not None:
                found.append(following.made - seen.ended)
        return found

    def apply(self, pod: Pod) -> None:
        """Store the times of one pod."""
        now = time.perf_counter()
        labels = pod.metadata.labels
        run = labels.get(LABEL_RUN) or labels.get(names.LABEL_RUN)
        if run is None:
            return
        key = (run, int(labels.get(LABEL_ITERATION) or labels.get(names.LABEL_ITERATION) or 1))
        seen = self.seen.setdefault(key, Seen(now))
        if seen.ended is None and pod.status.phase in {"Succeeded", "Failed"}:
            seen.ended = now
            self._waiting.setdefault(key, asyncio.Event()).set()

    def replace(self, objects: list[Pod], resource_version: str, namespace: str | None = None) -> None:
        """Apply a list; it is empty before the first pod."""
        del resource_version, namespace
        for pod in objects:
            self.apply(pod)

    def remove(self, pod: Pod) -> None:
        """Ignore a deletion."""
