"""Builders of the planner's values: small, valid, with whatever a test wants to be different."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from podrelay.reconciler.objects import Pod, Record, TaskDefinition, TaskRun
from podrelay.reconciler.view import View

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN_UID = "uid-of-the-run"


def at(seconds: float) -> datetime:
    """A time relative to NOW."""
    return NOW + timedelta(seconds=seconds)


def metadata(name: str, *, owned: bool = False, uid: str = "", **fields: Any) -> dict[str, Any]:
    owner = [{"kind": "TaskRun", "name": "run", "uid": RUN_UID, "controller": True}] if owned else []
    return {
        "name": name,
        "namespace": "shop",
        "uid": uid or f"uid-of-{name}",
        "resourceVersion": "7",
        "creationTimestamp": at(-60),
        "generation": 1,
        "ownerReferences": owner,
        **fields,
    }


def task_run(status: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **spec: Any) -> TaskRun:
    body = {
        "metadata": metadata("run", uid=RUN_UID, **(meta or {})),
        "spec": {"definition": "work", **spec},
        "status": status or {},
    }
    return msgspec.convert(body, TaskRun)


def task_definition(**spec: Any) -> TaskDefinition:
    template = {"spec": {"containers": [{"name": "task", "image": "shop:1"}]}}
    body = {"metadata": metadata("work"), "spec": {"id": "work", "template": template, **spec}}
    return msgspec.convert(body, TaskDefinition)


def pod(
    name: str = "run-i1", state: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **status: Any
) -> Pod:
    """A pod of the run; `state` is that of its container."""
    containers = [{"name": "task", "state": state}] if state else []
    body = {
        "metadata": metadata(name, owned=True, **(meta or {})),
        "spec": {"nodeName": "node", "terminationGracePeriodSeconds": 20},
        "status": {"phase": "Running" if state else "Pending", "containerStatuses": containers, **status},
    }
    return msgspec.convert(body, Pod)


def running(since: float = -10) -> dict[str, Any]:
    return {"running": {"startedAt": at(since)}}


def terminated(exit_code: int = 0, **fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "startedAt": at(-10), "finishedAt": at(-1), **fields}}


def record(name: str = "run-i1", response: dict[str, Any] | None = None, **fields: Any) -> Record:
    iteration, _, attempt = name.rpartition("-i")[2].partition("t")
    body: dict[str, Any] = {
        "metadata": metadata(name, owned=True, **fields.pop("meta", {})),
        "runName": "run",
        "iteration": int(iteration),
        "try": int(attempt or 1),
        "podName": name,
        "podUID": f"uid-of-{name}",
        "startedAt": at(-10),
        **fields,
    }
    if response is not None:
        body |= {"response": response, "finishedAt": fields.get("finishedAt", at(-2))}
    return msgspec.convert(body, Record)


def current(name: str = "run-i1", iteration: int = 1, attempt: int = 1) -> dict[str, Any]:
    """A status in which this pod has the baton."""
    return {
        "phase": "Running",
        "iterations": iteration,
        "maxIterations": 50,
        "startedAt": at(-30),
        "current": {"iteration": iteration, "try": attempt, "podName": name, "podUID": f"uid-of-{name}"},
    }


def view(run: TaskRun, *others: Pod | Record, definition: TaskDefinition | None = None, **fields: Any) -> View:
    """What is known; without a definition given there is a plain one."""
    return View(
        run=run,
        definition=definition or task_definition(),
        pods=tuple(item for item in others if isinstance(item, Pod)),
        records=tuple(item for item in others if isinstance(item, Record)),
        **fields,
    )
