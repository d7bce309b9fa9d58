import asyncio
import time
from typing import Any

import msgspec
import pytest

from dev.benchmarks.observer import LABEL_ITERATION, LABEL_RUN, Observer, Pod


def pod(iteration: int, phase: str, **labels: str) -> Pod:
    labels = labels or {LABEL_RUN: "a", LABEL_ITERATION: str(iteration)}
    found: dict[str, Any] = {
        "metadata": {"name": f"a-i{iteration}", "resourceVersion": "1", "labels": labels},
        "status": {"phase": phase},
    }
    return msgspec.convert(found, Pod)


def test_a_handover_lasts_from_the_end_of_a_pod_to_the_creation_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    observer = Observer()
    for seen in (pod(1, "Pending"), pod(1, "Running"), pod(1, "Succeeded")):
        observer.apply(seen)
    assert observer.handovers() == []
    now = 100.25
    observer.apply(pod(1, "Succeeded"))
    observer.apply(pod(2, "Pending"))
    assert observer.handovers() == [0.25]


async def test_the_end_can_be_waited_for_before_and_after_it_is_seen() -> None:
    observer = Observer()
    waiting = asyncio.create_task(observer.ended("a", 1))
    await asyncio.sleep(0)
    observer.apply(pod(1, "Succeeded"))
    await waiting
    await observer.ended("a", 1)


def test_pods_of_task_runs_are_known_by_the_labels_of_the_relay() -> None:
    observer = Observer()
    observer.apply(pod(1, "Pending", **{"podrelay.dev/run": "b", "podrelay.dev/iteration": "3"}))
    observer.apply(pod(1, "Pending", app="other"))
    assert list(observer.seen) == [("b", 3)]
