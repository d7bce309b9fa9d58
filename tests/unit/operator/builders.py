"""Small valid objects as the operator stores them; a test changes the fields that it needs."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import Plan
from podrelay.operator.planner import due_pod, planner
from podrelay.operator.pods import Pod
from podrelay.operator.view import View
from tests.support.projections import seen

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = Key("shop", "words")
RUN_UID = "uid-run"
_versions = itertools.count(1000)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def metadata(name: str, uid: str = "", version: int | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": KEY.namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(next(_versions) if version is None else version),
        "creationTimestamp": ago(60),
        "generation": 1,
        **fields,
    }


def owned(name: str, uid: str = "", version: int | None = None, **fields: Any) -> dict[str, Any]:
    owner = {"kind": "TaskRun", "name": fields.pop("run", KEY.name), "uid": fields.pop("run_uid", RUN_UID)}
    return metadata(name, uid, version, ownerReferences=[owner], **fields)


def task_run(
    status: dict[str, Any] | None = None,
    *,
    name: str = KEY.name,
    uid: str = RUN_UID,
    version: int | None = None,
    created: datetime | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> TaskRun:
    """A run; by default it has the annotations that it gets a minute after its start and its end."""
    about = metadata(name, uid, version) | ({"creationTimestamp": created} if created else {})
    about["annotations"] = annotations_of(status or {}) if annotations is None else annotations
    body = {"metadata": about, "spec": {"definition": "count-words", **spec}, "status": status or {}}
    return seen(body, TaskRun)


def annotations_of(status: dict[str, Any]) -> dict[str, str]:
    annotations = {names.ANNOTATION_BEGAN: "2026-03-01T11:59:00Z"} if "startedAt" in status else {}
    if status.get("phase") in FINISHED:
        annotations[names.ANNOTATION_ENDED] = status["phase"]
    return annotations


def task_definition(name: str = "count-words", *, version: int | None = None, **spec: Any) -> TaskDefinition:
    template = {"spec": {"containers": [{"name": "task", "image": "words:1"}]}}
    body = {"metadata": metadata(name, version=version), "spec": {"id": "countWords", "template": template, **spec}}
    return msgspec.convert(body, TaskDefinition)


def pod(
    name: str = "words-i1",
    uid: str = "",
    *,
    state: dict[str, Any] | None = None,
    phase: str = "Pending",
    version: int | None = None,
    grace: int = 60,
    about: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    **status: Any,
) -> Pod:
    """A pod; `state` is the state of its container, for example running()."""
    containers = [{"name": "task", "state": state}] if state else []
    known = {
        names.ANNOTATION_ITERATION_TIMEOUT: "900",
        names.ANNOTATION_PENDING_TIMEOUT: "900",
        names.ANNOTATION_NODE_LOST_TIMEOUT: "600",
        names.ANNOTATION_POD_CLEANUP: "OnSuccess",
        names.ANNOTATION_CONTAINER: "task",
    }
    body = {
        "metadata": owned(name, uid, version, **{"labels": {names.LABEL_RUN: KEY.name}, **(about or {})})
        | {"annotations": known | (annotations or {})},
        "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": grace},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }
    return msgspec.convert(body, Pod)


def running(since: datetime | None = None) -> dict[str, Any]:
    return {"running": {"startedAt": since or ago(30)}}


def terminated(code: int = 0, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "startedAt": ago(30), "finishedAt": at or NOW, **fields}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def record(
    name: str = "words-i1",
    response: dict[str, Any] | None = None,
    *,
    pod_uid: str = "",
    cause: str | None = None,
    version: int | None = None,
    **fields: Any,
) -> Record:
    iteration, _, attempt = name.rpartition("-i")[2].partition("t")
    about = owned(name, f"uid-of-record-{name}", version)
    if cause:
        about["annotations"] = {names.ANNOTATION_CAUSE: cause}
    body = {
        "metadata": about,
        "runName": KEY.name,
        "iteration": int(iteration),
        "try": int(attempt or 1),
        "podName": name,
        "podUID": pod_uid or f"uid-{name}",
        "startedAt": ago(30),
        "response": response,
        "finishedAt": NOW if response else None,
    }
    return msgspec.convert(body | fields, Record)


def current(name: str = "words-i1", iteration: int = 1, attempt: int = 1) -> dict[str, Any]:
    return {"iteration": iteration, "try": attempt, "podName": name, "podUID": f"uid-{name}"}


LOOKED_AT = frozenset({"words-i1", "words-i1t2", "words-i1t3"})
"""Attempts that left no answer, according to a live read."""


def plan(view: View, now: datetime) -> Plan:
    """The plan for a view at another time."""
    return planner.plan(replace(view, now=now))


def view(run: TaskRun | None = None, definition: TaskDefinition | None = None, **rest: Any) -> View:
    """A view; by default a live read has not found the pod that is due."""
    view = View(run or task_run(), definition or task_definition(), NOW, **rest)
    return view if "absent" in rest else replace(view, absent=due_pod.due_target(view, view.run.status).name)
