"""kopf on a real API server: it gets only names, by lists and watches, also for empty collections."""

import asyncio
from typing import Any

import kopf
import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_definition, task_run
from podrelay.kube import config
from podrelay.kube.resources import Key
from podrelay.operator.kopf_shell import KopfShell
from podrelay.operator.metrics import KOPF_RESTARTS

pytestmark = pytest.mark.integration


async def test_kopf_sees_objects_without_their_contents(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    # given one definition and no run
    assert kubectl.create(task_definition("count-words"))
    seen: asyncio.Queue[Key] = asyncio.Queue()
    bodies: list[Any] = []
    loop = asyncio.get_running_loop()

    def note(key: Key) -> None:
        loop.call_soon_threadsafe(seen.put_nowait, key)

    registry = KopfShell._registry

    def noting(self: KopfShell, session: Any) -> kopf.OperatorRegistry:
        made = registry(self, session)

        @kopf.on.event("podrelay.dev", "v1alpha1", kopf.EVERYTHING, registry=made)
        async def body(*, event: kopf.RawEvent, **_: Any) -> None:
            bodies.append(event["object"])

        return made

    monkeypatch.setattr(KopfShell, "_registry", noting)
    shell = KopfShell(config.load(kubectl.kubeconfig), (kubectl.namespace,), note, note)
    restarts = KOPF_RESTARTS._value.get()
    running = asyncio.create_task(shell.run())

    async def next_one() -> str:
        return (await asyncio.wait_for(seen.get(), 30)).name

    # then the definition is listed, and a run is watched
    assert await next_one() == "count-words"
    assert await asyncio.to_thread(kubectl.create, task_run("large", input={"text": "x" * 200_000}))
    assert await next_one() == "large"

    running.cancel()
    await shell.close()
    assert KOPF_RESTARTS._value.get() == restarts
    assert {body["metadata"]["name"] for body in bodies} == {"count-words", "large"}
    assert not any({"spec", "status"} & body.keys() for body in bodies)
