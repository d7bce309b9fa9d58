"""All reflectors of the operator and their health, for readiness, for the metric, and for leader election.

An operator that cannot watch some kind of object does no harm, because critical facts are read live before it acts, but
it makes no progress. Another replica may have working watches, so it must report the problem and release the Lease.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from podrelay.kube.client import Client
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import (
    CONFIG_MAPS,
    PODS,
    TASK_DEFINITIONS,
    TASK_ITERATIONS,
    TASK_RUNS,
    TASK_SCHEDULES,
    TASK_SIGNALS,
    Resource,
)
from podrelay.operator.cache.recoveries import Recoveries
from podrelay.operator.cache.retention import Retentions
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.metadata import Named
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import TaskSchedule
from podrelay.operator.objects.settings import NamespaceSettings
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.pods import Pod
from podrelay.operator.resources import POD_SELECTOR, SETTINGS_FIELDS

READY_SECONDS: Final = 5.0
"""Readiness fails when a watch has been broken for longer: the restart of an API server takes a moment."""


class Watch(Protocol):
    """The interface of a reflector."""

    synced: asyncio.Event
    broken_since: float | None
    problem: str | None
    name: str
    namespace: str | None

    async def run(self) -> None:
        """Reflect until cancelled."""


@dataclass(frozen=True)
class Watches:
    """The reflectors: those that planning needs, and the optional ones.

    Attributes:
        needed: planning starts when all of them have listed their objects once.
        optional: not waited for: with a chart that was not upgraded, the operator is not allowed to read these.
        interrupted: is set whenever a watch breaks.
    """

    needed: tuple[Watch, ...]
    optional: tuple[Watch, ...]
    interrupted: asyncio.Event

    @property
    def is_synced(self) -> bool:
        """Whether all needed objects have been listed once."""
        return all(watch.synced.is_set() for watch in self.needed)

    async def wait_synced_signals(self) -> None:
        """Wait until all signals have been listed once."""
        for watch in self.optional:
            if watch.name == TASK_SIGNALS.plural:
                await watch.synced.wait()

    async def wait_synced_schedules(self) -> None:
        """Wait until all schedules have been listed once."""
        for watch in self._of_schedules:
            await watch.synced.wait()

    def has_schedules(self) -> bool:
        """Return whether all schedules have been listed once."""
        return all(watch.synced.is_set() for watch in self._of_schedules)

    @property
    def _of_schedules(self) -> tuple[Watch, ...]:
        return tuple(watch for watch in self.optional if watch.name == TASK_SCHEDULES.plural)

    async def wait_synced(self) -> None:
        """Wait until all needed objects have been listed once."""
        for watch in self.needed:
            await watch.synced.wait()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines to run."""
        return [*(watch.run() for watch in self.needed), *(self._after_the_others(watch) for watch in self.optional)]

    async def _after_the_others(self, watch: Watch) -> None:
        # While roles are being installed, everything is refused; if only this watch is refused, it stays that way.
        await self.wait_synced()
        await watch.run()

    def problem(self) -> str | None:
        """Return which watches are broken, as a message for readiness; None if all is well."""
        broken = [watch for watch in self.needed if _broken_seconds(watch) > READY_SECONDS]
        if broken:
            return "; ".join(map(_in_words, broken))
        return None if self.is_synced else "caches are filling"

    def can_see(self) -> bool:
        """Return whether this operator has the working watches that a leader needs."""
        return self.is_synced and all(any(watch.broken_since is None for watch in kind) for kind in self._kinds())

    async def until_blind(self, seconds: float) -> str:
        """Wait until all watches of some kind have been broken for so long, in every namespace, and return the problem.

        One of several namespaces may have been deleted, or may have removed the operator's rights; the others continue.
        """
        while True:
            self.interrupted.clear()
            left = {kind: seconds - min(map(_broken_seconds, kind)) for kind in self._kinds() if _is_broken(kind)}
            for kind, remaining in left.items():
                if remaining <= 0:
                    return "; ".join(map(_in_words, kind))
            try:
                async with asyncio.timeout(min(left.values(), default=None)):
                    await self.interrupted.wait()
            except TimeoutError:
                pass

    def broken_seconds(self) -> dict[str, float]:
        """Return by resource for how long a watch has been broken, the longest time of all namespaces; 0: none is."""
        found: dict[str, float] = {}
        for watch in (*self.needed, *self.optional):
            found[watch.name] = max(found.get(watch.name, 0.0), _broken_seconds(watch))
        return found

    def _kinds(self) -> Iterator[tuple[Watch, ...]]:
        for name in dict.fromkeys(watch.name for watch in self.needed):
            yield tuple(watch for watch in self.needed if watch.name == name)


def watches_into(
    client: Client,
    store: Store,
    retentions: Retentions,
    recoveries: Mapping[Resource, Recoveries],
    schedules: ScheduleCache,
    namespaces: tuple[str, ...],
) -> Watches:
    """Return the watches that fill these caches, for these namespaces or the cluster."""
    interrupted = asyncio.Event()
    needed: list[Watch] = []
    optional: list[Watch] = []
    for namespace in namespaces or (None,):
        reflect = partial(Reflector, client, namespace=namespace, restored=store.restored, interrupted=interrupted.set)
        needed += (
            reflect(TASK_DEFINITIONS, TaskDefinition, store.definitions),
            reflect(TASK_RUNS, TaskRun, store.runs),
            reflect(TASK_ITERATIONS, Record, store.records),
            reflect(PODS, Pod, store.pods, selector=POD_SELECTOR),
        )
        optional.append(reflect(TASK_SIGNALS, TaskSignal, store.inboxes.signals))
        optional.append(reflect(TASK_SCHEDULES, TaskSchedule, schedules.schedules))
        denied = partial(retentions.denied, namespace)
        optional.append(reflect(CONFIG_MAPS, NamespaceSettings, retentions, fields=SETTINGS_FIELDS, denied=denied))
        for resource, sink in recoveries.items():
            optional.append(reflect(resource, Named, sink, denied=partial(sink.denied, resource.plural)))
    return Watches(tuple(needed), tuple(optional), interrupted)


def _is_broken(kind: tuple[Watch, ...]) -> bool:
    return all(watch.broken_since is not None for watch in kind)


def _broken_seconds(watch: Watch) -> float:
    if watch.broken_since is None:
        return 0.0
    return max(0.0, asyncio.get_running_loop().time() - watch.broken_since)


def _in_words(watch: Watch) -> str:
    where = f" in namespace {watch.namespace}" if watch.namespace is not None else ""
    return f"the watch of {watch.name}{where} has been broken for {_broken_seconds(watch):.0f} s: {watch.problem}"
