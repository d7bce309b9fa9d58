"""Metrics for alerts: runs by definition and state, and the last success and failure."""

from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dev.harness.metrics import samples
from podrelay.operator.cache.store import Store
from podrelay.operator.metrics import FINISHED, RUN_SECONDS
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.run_metrics import STATES, RunMetrics, state_of
from podrelay.operator.view import Settings

BEGAN = "2026-01-02T03:04:05Z"
ENDED = "2026-01-02T03:05:05Z"
AT = 1767323105.0
CURRENT = {"iteration": 1, "try": 1, "podName": "words-i1", "podUID": "uid-1"}


def store(*objects: TaskRun | TaskDefinition) -> Store:
    found = Store(lambda _key: None, Settings())
    for obj in objects:
        (found.runs if isinstance(obj, TaskRun) else found.definitions).apply(obj)  # type: ignore[arg-type]
    return found


def metadata(name: str, namespace: str = "shop") -> dict[str, Any]:
    about = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "resourceVersion": "5"}
    return about | {"creationTimestamp": BEGAN, "generation": 1}


def definition(name: str) -> TaskDefinition:
    spec = {"id": name, "template": {"spec": {"containers": [{"name": "task", "image": "x"}]}}}
    return msgspec.convert({"metadata": metadata(name), "spec": spec}, TaskDefinition)


def run(name: str, definition: str = "totals", **status: Any) -> TaskRun:
    return msgspec.convert({"metadata": metadata(name), "spec": {"definition": definition}, "status": status}, TaskRun)


async def exported(figures: RunMetrics, store: Store, *, leads: bool = True) -> dict[Any, float]:
    await figures.update(store, leads=leads)
    registry = CollectorRegistry()
    registry.register(figures)
    return samples(generate_latest(registry).decode())


def labels(definition: str, **more: str) -> frozenset[tuple[str, str]]:
    return frozenset({"namespace": "shop", "definition": definition, **more}.items())


async def test_runs_are_counted_by_definition_and_state() -> None:
    seen = await exported(
        RunMetrics(),
        store(
            definition("totals"),
            run("one", phase="Running", reason="IterationRunning", current=CURRENT),
            run("two", phase="Running", reason="IterationRunning", current=CURRENT),
            run("three", phase="Pending", reason="Queued"),
            run("four", phase="Succeeded", reason="Done", finishedAt=ENDED),
        ),
    )

    counts = {state: seen["podrelay_runs", labels("totals", state=state)] for state in STATES}
    assert counts == {"running": 2, "waiting": 0, "queued": 1, "suspended": 0, "stalled": 0, "pending": 0}


async def test_a_definition_without_runs_has_metrics_too_so_that_alerts_need_no_absent() -> None:
    seen = await exported(RunMetrics(), store(definition("idle")))

    assert seen["podrelay_runs", labels("idle", state="running")] == 0


async def test_the_last_ends_are_kept_after_the_deletion_of_their_runs() -> None:
    figures = RunMetrics()
    known = store(
        run("well", phase="Succeeded", reason="Done", finishedAt=ENDED),
        run("earlier", phase="Succeeded", reason="Done", finishedAt=BEGAN),
        run("badly", phase="Failed", reason="Error", finishedAt=BEGAN),
    )
    first = await exported(figures, known)
    second = await exported(figures, store())

    for seen in (first, second):
        assert seen["podrelay_last_success_timestamp_seconds", labels("totals")] == AT
        assert seen["podrelay_last_failure_timestamp_seconds", labels("totals")] == AT - 60


async def test_a_standby_exports_nothing() -> None:
    assert await exported(RunMetrics(), store(run("one", phase="Pending")), leads=False) == {}


async def test_definitions_beyond_the_limit_are_counted_together() -> None:
    runs = (run(f"run{number}", f"task{number}", phase="Pending", reason="Queued") for number in range(5))

    seen = await exported(RunMetrics(most=2), store(*runs))

    others = frozenset({"namespace": "", "definition": "(others)", "state": "queued"}.items())
    assert seen["podrelay_runs", others] == 3
    assert len([key for key in seen if key[0] == "podrelay_runs"]) == 3


def test_a_finished_run_is_counted_with_its_duration() -> None:
    unfinished = run("one", "counted")
    status = msgspec.convert({"phase": "Failed", "startedAt": BEGAN, "finishedAt": ENDED}, TaskRunStatus)

    RunMetrics().finished(unfinished, status)

    assert FINISHED.labels("shop", "counted", "Failed")._value.get() == 1
    assert RUN_SECONDS.labels("shop", "counted")._sum.get() == 60


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"reason": "IterationRunning", "current": CURRENT}, "running"),
        ({"reason": "WaitingForChildren"}, "waiting"),
        ({"reason": "Retrying"}, "waiting"),
        ({"reason": "DefinitionSuspended"}, "suspended"),
        ({"reason": "Restored"}, "pending"),
        ({}, "pending"),
        (
            {
                "reason": "QuotaExceeded",
                "conditions": [
                    {"type": "Stalled", "status": "True", "reason": "QuotaExceeded", "lastTransitionTime": BEGAN}
                ],
            },
            "stalled",
        ),
    ],
)
def test_a_run_is_in_one_state(status: dict[str, Any], state: str) -> None:
    assert state_of(msgspec.convert(status, TaskRunStatus)) == state
