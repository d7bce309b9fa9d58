"""Objects that an older CRD accepted: with a newer one they can still be changed, aborted and deleted."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import Manifest, record, task_run
from dev.harness.waiting import eventually
from podrelay.api import crd
from tests.support.namespaces import temporary_namespace

pytestmark = pytest.mark.integration

LOWER_CASE = "2026-01-01t00:00:00z"
"""CEL cannot read it; older patterns accepted it."""


@pytest.fixture(scope="module")
def group(admin: Kubectl) -> Iterator[str]:
    """A separate API group with Podrelay's resources under the old rules for times."""
    name = f"{uuid4().hex[:8]}.before.example"
    definitions = [of_group(name, definition) for definition in crd.custom_resource_definitions().values()]
    old = [with_old_times(definition) for definition in definitions]
    assert admin.apply(*old, flags=("--server-side",))
    names = [f"crd/{definition['metadata']['name']}" for definition in old]
    admin.do("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield name
    admin.do("delete", *names, "--wait=false")


def of_group(group: str, definition: Manifest) -> Manifest:
    """Return the CRD under another group."""
    spec = definition["spec"] | {"group": group}
    spec["names"] = {key: value for key, value in spec["names"].items() if key not in {"shortNames", "categories"}}
    return definition | {"metadata": {"name": f"{spec['names']['plural']}.{group}"}, "spec": spec}


def with_old_times(node: Any) -> Any:
    """Return the schema with times that have the format date-time and a case-insensitive pattern."""
    if isinstance(node, list):
        return [with_old_times(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "T([01]" in str(node.get("pattern", "")):
        rest = {key: value for key, value in node.items() if key != "x-kubernetes-validations"}
        pattern = r"^[12]\d{3}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$"
        return rest | {"format": "date-time", "pattern": pattern}
    return {key: with_old_times(value) for key, value in node.items()}


def test_objects_with_times_that_cel_cannot_read_can_be_changed_and_deleted(admin: Kubectl, group: str) -> None:
    version = {"apiVersion": f"{group}/v1alpha1"}
    runs, records = f"taskruns.{group}", f"taskiterations.{group}"
    with temporary_namespace(admin) as kubectl:
        finalizers = {"finalizers": ["example.com/stay"]}
        run = task_run("old", metadata=finalizers, startAt=LOWER_CASE) | version
        answer = {"status": "continue", "waitUntil": LOWER_CASE}
        old_record = record("old-i1", startedAt=LOWER_CASE, response=answer) | version
        old_record["metadata"] |= finalizers
        assert kubectl.create(run, old_record)
        noted = kubectl.patch(records, "old-i1", {"droppedLogs": 1})
        assert not noted, "with the old CRD the change of the record must fail"

        assert admin.apply(
            *(of_group(group, definition) for definition in crd.custom_resource_definitions().values()),
            flags=("--server-side", "--force-conflicts"),
        )
        eventually(
            "the new CRD in force", lambda: not kubectl.create(task_run("x", startAt=LOWER_CASE) | version, flags=DRY)
        )

        started = {"phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "observedGeneration": 1}
        assert kubectl.set_status(runs, "old", started)
        aborted = kubectl.patch(runs, "old", {"spec": {"abort": {}}})
        assert aborted, str(aborted)
        changed = kubectl.patch(runs, "old", {"spec": {"startAt": "2027-01-01T00:00:00Z"}})
        assert "spec.startAt and spec.delaySeconds cannot be changed" in changed.stderr
        noted = kubectl.patch(records, "old-i1", {"droppedLogs": 1})
        assert noted, str(noted)
        second = kubectl.patch(records, "old-i1", {"response": {"status": "done"}})
        assert "response cannot be changed" in second.stderr
        for kind, name in ((records, "old-i1"), (runs, "old")):
            kubectl.do("delete", kind, name, "--cascade=foreground", "--wait=false")
            freed = kubectl.patch(kind, name, {"metadata": {"finalizers": None}})
            assert freed, str(freed)
            kubectl.do("wait", "--for=delete", f"{kind}/{name}", "--timeout=20s")


DRY = ("--dry-run=server",)
