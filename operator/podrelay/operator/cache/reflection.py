"""All reflectors of the operator, and what they can see: for readiness, for the metric, and for who may lead.

An operator that cannot see some kind of object does no harm, as whatever matters is read live before it acts; but it
gets nowhere. Another replica may see, so it has to tell, and not to keep the Lease.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from podrelay.kube.client import Client
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import CONFIG_MAPS, PODS, TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, Resource
from podrelay.operator.cache.recoveries import Recoveries
from podrelay.operator.cache.retention import Retentions
from podrelay.operator.cache.store import Store
from podrelay.operator.objects import Named, NamespaceSettings, Record, TaskDefinition, TaskRun
from podrelay.operator.pods import Pod
from podrelay.operator.resources import POD_SELECTOR, SETTINGS_FIELDS

READY_SECONDS: Final = 5.0
"""Readiness fails when a watch has been broken for longer: whatever restarts an API server takes a moment."""


class Watch(Protocol):
    """What is asked of a reflector."""

    synced: asyncio.Event
    broken_since: float | None
    problem: str | None
    name: str
    namespace: str | None

    async def run(self) -> None:
        """Reflect until cancelled."""


@dataclass(frozen=True)
class Watches:
    """The reflectors, by whether anything can be planned without them.

    Attributes:
        needed: all of them have to have listed once before anything is planned.
        optional: nobody waits for these: an operator of a chart that was not upgraded may not read them.
        interrupted: is set whenever nothing is seen of something any more.
    """

    needed: tuple[Watch, ...]
    optional: tuple[Watch, ...]
    interrupted: asyncio.Event

    @property
    def is_synced(self) -> bool:
        """Whether all that is needed was listed once."""
        return all(watch.synced.is_set() for watch in self.needed)

    async def wait_synced(self) -> None:
        """Wait for that."""
        for watch in self.needed:
            await watch.synced.wait()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run."""
        return [*(watch.run() for watch in self.needed), *(self._after_the_others(watch) for watch in self.optional)]

    async def _after_the_others(self, watch: Watch) -> None:
        # While roles are being installed everything is refused; if only this is, it is for good.
        await self.wait_synced()
        await watch.run()

    def problem(self) -> str | None:
        """Return what is not seen, in words, for readiness; None while all is well."""
        broken = [watch for watch in self.needed if _broken_seconds(watch) > READY_SECONDS]
        if broken:
            return "; ".join(map(_in_words, broken))
        return None if self.is_synced else "caches are filling"

    def can_see(self) -> bool:
        """Tell whether this operator could do the work at this moment."""
        return self.is_synced and all(any(watch.broken_since is None for watch in kind) for kind in self._kinds())

    async def until_blind(self, seconds: float) -> str:
        """Wait until nothing of some kind was seen for so long, in any namespace, and return why not.

        One namespace of several may be gone, or may have taken its rights back; the others go on.
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
        """Return by resource for how long nothing was seen of it, where it was longest; 0: all is well."""
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
    namespaces: tuple[str, ...],
) -> Watches:
    """Return the watches that fill `store`, `retentions` and `recoveries`: of these namespaces, or of the cluster."""
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
    return f"nothing seen of {watch.name}{where} for {_broken_seconds(watch):.0f} s: {watch.problem}"
