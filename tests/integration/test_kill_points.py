"""The operator is killed between any two of its writes, and the next one brings the run to the same end.

Before a write, nothing of it has happened. After a write, the API server has stored it, but the operator has not seen
the answer. The stored objects after a write and before the next one are the same, but the next operator starts at
another time: while the pod still runs, or when it has ended. So the two sides alternate from gap to gap, and the first
side alternates from shape to shape.

The run without a kill must not exceed the writes that tests/support/budgets.py allows for its shape.
"""

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS
from dev.harness.operator import SHORT_LEASE, OperatorProcess
from dev.harness.waiting import eventually
from tests.support.budgets import check_budget
from tests.support.namespaces import temporary_namespace
from tests.support.podfiles import PodFiles
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay
from tests.support.shapes import SHAPES, Shape, check_ending, has_ended

pytestmark = pytest.mark.integration

DIE = {"before": "PODRELAY_TEST_DIE_BEFORE_WRITE", "after": "PODRELAY_TEST_DIE_AFTER_WRITE"}
AT_ONCE = 4


@dataclass
class Points:
    """Plays several shapes at a time, each in a namespace that no other one uses meanwhile."""

    pool: ThreadPoolExecutor
    free: "queue.SimpleQueue[Relay]"
    audit_log: Path
    defined: dict[str, str] = field(default_factory=dict)
    """The only shape with a definition in a namespace: an operator reviews each definition when it starts."""

    @contextmanager
    def relay(self, shape: Shape) -> Iterator[Relay]:
        relay = self.free.get()
        namespace = relay.kubectl.namespace
        try:
            if self.defined.get(namespace) != shape.name:
                relay.kubectl.delete_all(TASK_DEFINITIONS)
                shape.define(relay, shape.task.lower())
                self.defined[namespace] = shape.name
            yield relay
        finally:
            self.free.put(relay)

    def play(self, shape: Shape) -> dict[str, Future[None]]:
        """Play it without a kill, and then with a kill at each of its writes."""
        with self.relay(shape) as relay, operator(relay, shape.name) as undisturbed:
            shape.start(relay, shape.task.lower(), shape.name)
            shape.act(relay, shape.name)
            check_ending(relay, shape, shape.name)
            writes = undisturbed.writes()
        check_budget(self.audit_log, relay.kubectl.namespace, shape, shape.name)
        return {
            f"{side} {number}": self.pool.submit(self.survive, shape, side, number)
            for side, number in points_between(writes, SHAPES.index(shape))
        }

    def survive(self, shape: Shape, side: str, number: int) -> None:
        """Play it with a kill."""
        name = f"{shape.name}-{side}-{number}"
        with self.relay(shape) as relay, ThreadPoolExecutor(1) as executor:
            with operator(relay, f"{name}-killed", {DIE[side]: str(number)}) as victim:
                shape.start(relay, shape.task.lower(), name)
                acting = executor.submit(shape.act, relay, name)
                # The first play may have had an additional write to show a wait: then this one ends without a kill.
                eventually("it dies", lambda: victim.has_ended or has_ended(relay, shape, name), 90)
            with operator(relay, name):
                acting.result()
                check_ending(relay, shape, name)


def points_between(writes: int, turn: int) -> Iterator[tuple[str, int]]:
    """Yield one point in each gap: before the first write, between any two, after the last one."""
    yield "before", 1
    for number in range(1, writes):
        yield ("after", number) if (number + turn) % 2 else ("before", number + 1)
    yield "after", writes


def operator(relay: Relay, name: str, environment: dict[str, str] | None = None) -> OperatorProcess:
    # Each operator has a separate Lease, so that none has to wait until that of a killed one expires.
    return OperatorProcess(relay.kubectl, relay.folder / name, environment or {}, (f"--lease-name={name}", SHORT_LEASE))


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    admin: Kubectl,
    pod_logs: PodFiles,
    installed: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[dict[str, Future[None]]]]]:
    """The result of each kill point of the selected shapes."""
    asked = {item.callspec.params.get("shape") for item in request.session.items if hasattr(item, "callspec")}
    assert cluster.audit_log is not None
    with ExitStack() as namespaces, ThreadPoolExecutor(AT_ONCE) as pool:
        points = Points(pool, queue.SimpleQueue(), cluster.audit_log)
        for _ in range(AT_ONCE):
            kubectl = namespaces.enter_context(temporary_namespace(admin))
            add_runner(kubectl)
            points.free.put(Relay(QuickKubectl.instead_of(kubectl), tmp_path_factory.mktemp("points")))
        yield {shape.name: pool.submit(points.play, shape) for shape in SHAPES if shape.name in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("shape", [shape.name for shape in SHAPES])
def test_a_run_has_the_same_end_wherever_the_operator_dies(
    shape: str, played: dict[str, Future[dict[str, Future[None]]]]
) -> None:
    points = played[shape].result()
    failed = {point: outcome.exception() for point, outcome in points.items() if outcome.exception()}
    assert not failed, "\n".join(f"{point}: {error}" for point, error in failed.items())
