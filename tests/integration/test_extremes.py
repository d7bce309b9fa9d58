"""All objects that the CRDs accept stay manageable: their status can be written, and they can be changed and deleted.

The objects are drawn from the generated schemas, so fields and patterns that are added later are tested as well.
"""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, Manifest
from podrelay.api import crd
from tests.support import extremes
from tests.support.quick import QuickKubectl, collection

pytestmark = pytest.mark.integration

BOUNDED = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FINALIZER = "example.com/stay"


@pytest.fixture(scope="module")
def shared(shared: Kubectl) -> QuickKubectl:
    return QuickKubectl.instead_of(shared)


def schema_of(plural: str) -> extremes.Schema:
    (definition,) = (
        item for item in crd.custom_resource_definitions().values() if item["spec"]["names"]["plural"] == plural
    )
    schema: extremes.Schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def parts_of(plural: str) -> st.SearchStrategy[Manifest]:
    """Draw an object without identity: all top-level fields except the status."""
    schema = extremes.without(schema_of(plural), "apiVersion", "kind", "metadata", "status")
    if plural == "taskruns":
        # A rule enforces this, with a better message than a pattern; hypothesis cannot draw values from a rule.
        schema["properties"]["spec"]["properties"]["definition"]["pattern"] = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    return extremes.of_schema(schema)


def statuses_of(plural: str) -> st.SearchStrategy[Manifest]:
    statuses: st.SearchStrategy[Manifest] = extremes.of_schema(schema_of(plural)["properties"]["status"])
    return statuses


def stored(kubectl: QuickKubectl, kind: str, name: str, parts: Manifest) -> bool:
    """Create an object; return False if the CRD rejects it, which is allowed."""
    manifest = {"apiVersion": "podrelay.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, **parts}
    created = kubectl.create(manifest)
    assert created or "(Invalid)" in created.stderr or "is too large" in created.stderr, str(created)
    return bool(created)


def must(result: Any, about: Any) -> None:
    assert result, f"{result}\n{about}"


def ends(kubectl: QuickKubectl, resource: str, name: str, about: Any) -> None:
    """Check that a foreground deletion with a finalizer waits only for that finalizer."""
    must(kubectl.patch(resource, name, {"metadata": {"finalizers": [FINALIZER]}}), about)
    path = f"{collection(resource, kubectl.namespace)}/{name}"
    must(kubectl.ask("DELETE", f"{path}?propagationPolicy=Foreground"), about)
    must(kubectl.patch(resource, name, {"metadata": {"labels": {"seen": "true"}}}), about)
    must(kubectl.patch(resource, name, {"metadata": {"finalizers": None}}), about)
    left = kubectl.ask("GET", path)
    assert "(NotFound)" in left.stderr, f"{left}\n{about}"


def test_an_accepted_run_gets_status_and_abort_and_can_be_deleted(shared: QuickKubectl) -> None:
    numbers, let_in = itertools.count(), 0

    @BOUNDED
    @given(parts_of("taskruns"), statuses_of("taskruns"))
    def each(parts: Manifest, status: Manifest) -> None:
        nonlocal let_in
        name = f"extreme-{next(numbers)}"
        if not stored(shared, "TaskRun", name, parts):
            return
        let_in += 1
        about = (parts, status)
        must(shared.set_status(TASK_RUNS, name, {"observedGeneration": 1, "phase": "Running"}), about)
        shared.set_status(TASK_RUNS, name, status)  # accepted or not, the run must not be stuck
        finished = shared.get(TASK_RUNS, name)["status"].get("phase") in {"Succeeded", "Failed", "Aborted"}
        if "abort" not in parts["spec"] and not finished:
            must(shared.patch(TASK_RUNS, name, {"spec": {"abort": {"message": "enough"}}}), about)
        must(shared.set_status(TASK_RUNS, name, {"message": "on its way out"}), about)
        ends(shared, TASK_RUNS, name, about)

    each()
    assert let_in > 25, "the values of the schema are rejected: nothing was tested"


def test_an_accepted_definition_gets_its_status_and_can_be_deleted(shared: QuickKubectl) -> None:
    numbers, let_in = itertools.count(), 0

    @BOUNDED
    @given(parts_of("taskdefinitions"), statuses_of("taskdefinitions"))
    def each(parts: Manifest, status: Manifest) -> None:
        nonlocal let_in
        number = next(numbers)
        name, parts = f"extreme-{number}", {"spec": parts["spec"] | {"id": f"extreme{number}"}}
        if not stored(shared, "TaskDefinition", name, parts):
            return
        let_in += 1
        must(shared.set_status(TASK_DEFINITIONS, name, {"observedGeneration": 1, "activeRuns": 0}), parts)
        shared.set_status(TASK_DEFINITIONS, name, status)
        must(shared.set_status(TASK_DEFINITIONS, name, {"queuedRuns": 0}), (parts, status))
        must(shared.patch(TASK_DEFINITIONS, name, {"spec": {"title": "changed"}}), parts)
        ends(shared, TASK_DEFINITIONS, name, (parts, status))

    each()
    assert let_in > 25, "the values of the schema are rejected: nothing was tested"


def test_an_accepted_record_can_be_changed_and_deleted(shared: QuickKubectl) -> None:
    numbers, let_in = itertools.count(), 0

    @BOUNDED
    @given(parts_of("taskiterations"))
    def each(parts: Manifest) -> None:
        nonlocal let_in
        run = f"extreme-{next(numbers)}"
        name = f"{run}-i1"
        parts = parts | {"runName": run, "podName": name}
        if not stored(shared, "TaskIteration", name, parts):
            return
        let_in += 1
        must(shared.patch(TASK_ITERATIONS, name, {"droppedLogs": 1}), parts)
        ends(shared, TASK_ITERATIONS, name, parts)

    each()
    assert let_in > 25, "the values of the schema are rejected: nothing was tested"
