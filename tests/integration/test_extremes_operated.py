"""Whatever the CRDs let in, the operator can write a status for it: no run is stuck for what its spec says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.test_extremes import parts_of, schema_of
from tests.support import extremes
from tests.support.kubectl import Kubectl
from tests.support.manifests import TASK_DEFINITIONS, TASK_RUNS, Manifest, owner_reference, task_definition
from tests.support.operator import OperatorProcess
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl, collection
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

FINISHED = {"Succeeded", "Failed", "Aborted"}
MANY = 60
NOWHERE: Manifest = {"nodeSelector": {"example.com/node": "none"}}


def some_of(strategy: st.SearchStrategy[Manifest]) -> list[Manifest]:
    """What hypothesis draws, always the same."""
    found: list[Manifest] = []

    @settings(
        max_examples=MANY,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(parts: Manifest) -> None:
        found.append(parts)

    collect()
    return found


def items(kubectl: QuickKubectl, resource: str) -> dict[str, Manifest]:
    found = kubectl.ask("GET", collection(resource, kubectl.namespace))
    assert found, str(found)
    return {item["metadata"]["name"]: item for item in json.loads(found.stdout)["items"]}


def define(kubectl: Kubectl, name: str, **spec: Any) -> None:
    """A definition whose pods no node takes."""
    pod = task_definition()["spec"]["template"]["spec"] | NOWHERE
    assert kubectl.create(task_definition(name, template={"spec": pod}, **spec))


def create(kubectl: QuickKubectl, manifests: list[Manifest]) -> set[str]:
    """Create what the API server takes; return the names."""
    return {manifest["metadata"]["name"] for manifest in manifests if kubectl.create(manifest)}


def records() -> st.SearchStrategy[Manifest]:
    """Records but for what the pod is, and for what must not stand beside an answer."""
    schema = extremes.without(schema_of("taskiterations"), "hook", "checkpoint", "response")
    return extremes.of_schema(extremes.without(schema, "apiVersion", "kind", "metadata"))


def run(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "podrelay.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": name}, "spec": spec}


def test_every_spec_gets_a_status_and_an_end(kubectl: Kubectl, tmp_path: Path) -> None:
    quick = QuickKubectl.instead_of(kubectl)
    add_runner(quick)
    define(kubectl, "extreme", triggers=["*"])
    specs = [parts["spec"] | {"definition": "extreme"} for parts in some_of(parts_of("taskruns"))]
    with OperatorProcess(kubectl, tmp_path / "operator") as operator:
        names = create(quick, [run(f"e{number}", spec) for number, spec in enumerate(specs)])
        assert len(names) > MANY / 3

        def unseen() -> list[str]:
            runs = items(quick, TASK_RUNS)
            return [n for n in names & runs.keys() if runs[n]["status"].get("observedGeneration", -1) < 1]

        eventually("all have a status", lambda: not unseen(), 60)
        for name in names:
            quick.patch(TASK_RUNS, name, {"spec": {"abort": {"message": "enough"}}})  # some have ended already

        def going_on() -> list[str]:
            runs = items(quick, TASK_RUNS)
            return [n for n in names & runs.keys() if runs[n]["status"].get("phase") not in FINISHED]

        eventually("all have ended", lambda: not going_on(), 60)
        assert "reconcile failed" not in operator.text
        assert "StatusRefused" not in kubectl.do("get", "events")
        quick.delete_all(TASK_RUNS)
        eventually("all have gone", lambda: not items(quick, TASK_RUNS), 60)


def test_every_record_of_a_pod_gets_its_run_on(kubectl: Kubectl, tmp_path: Path) -> None:
    quick = QuickKubectl.instead_of(kubectl)
    add_runner(quick)
    define(kubectl, "extreme", triggers=["*"], podCleanup="Never")
    responses = extremes.of_schema(schema_of("taskiterations")["properties"]["response"])
    drawn = some_of(st.builds(lambda parts, response: parts | {"response": response}, records(), responses))
    with OperatorProcess(kubectl, tmp_path / "operator") as operator:
        names = [f"e{number}" for number in range(len(drawn))]
        create(quick, [run(name, {"definition": "extreme"}) for name in names])
        eventually("all have a pod", lambda: len(items(quick, "pods")) >= len(names), 60)
        runs, pods, told = items(quick, TASK_RUNS), items(quick, "pods"), set()
        for name, parts in zip(names, drawn, strict=True):
            pod = pods[f"{name}-i1"]
            own = {"runName": name, "podName": f"{name}-i1", "podUID": pod["metadata"]["uid"], "iteration": 1, "try": 1}
            metadata = {
                "name": f"{name}-i1",
                "labels": pod["metadata"]["labels"],
                "ownerReferences": [owner_reference(runs[name])],
            }
            kind = {"apiVersion": "podrelay.dev/v1alpha1", "kind": "TaskIteration"}
            if quick.create(kind | {"metadata": metadata} | parts | own):
                told.add(name)
                has_ended(quick, pod)
        assert len(told) > MANY / 3

        def stuck() -> list[str]:
            found = items(quick, TASK_RUNS)
            return [
                name
                for name in told & found.keys()
                if not found[name]["status"].get("recentIterations") and found[name]["status"]["phase"] not in FINISHED
            ]

        eventually("all answers are applied", lambda: not stuck(), 60)
        assert "reconcile failed" not in operator.text
        assert "StatusRefused" not in kubectl.do("get", "events")
    assert kubectl.get(TASK_DEFINITIONS, "extreme")


def has_ended(kubectl: QuickKubectl, pod: Manifest) -> None:
    """What a kubelet says of a pod whose container has ended well."""
    terminated = {"exitCode": 0, "reason": "Completed", "startedAt": NOW, "finishedAt": NOW}
    status = {"name": "task", "ready": False, "restartCount": 0, "image": "i", "imageID": "", "state": {}}
    status["state"] = {"terminated": terminated}
    ended = kubectl.set_status(
        "pods", pod["metadata"]["name"], {"phase": "Succeeded", "startTime": NOW, "containerStatuses": [status]}
    )
    assert ended, str(ended)


NOW = "2026-01-02T03:04:05Z"
