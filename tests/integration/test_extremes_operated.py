"""The operator can write a status for all objects that the CRDs accept: no run is stuck because of its spec."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, Manifest, owner_reference, task_definition
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.integration.test_extremes import parts_of, schema_of
from tests.support import extremes
from tests.support.audit import dry_runs_of_the_operator, writes_of_definitions, writes_of_the_operator
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl, collection

pytestmark = pytest.mark.integration

REVIEWS = 5
"""This number of reviews of a definition without service account takes 15 s, with pauses of 1 s, 2 s, 4 s and 8 s."""
FINISHED = {"Succeeded", "Failed", "Aborted"}
MANY = 60
NOWHERE: Manifest = {"nodeSelector": {"example.com/node": "none"}}


def some_of(strategy: st.SearchStrategy[Manifest]) -> list[Manifest]:
    """Return values drawn by hypothesis, always the same ones."""
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
    """Create a definition whose pods fit no node."""
    pod = task_definition()["spec"]["template"]["spec"] | NOWHERE
    assert kubectl.create(task_definition(name, template={"spec": pod}, **spec))


def create(kubectl: QuickKubectl, manifests: list[Manifest]) -> set[str]:
    """Create the objects that the API server accepts; return their names."""
    return {manifest["metadata"]["name"] for manifest in manifests if kubectl.create(manifest)}


def records() -> st.SearchStrategy[Manifest]:
    """Draw records without the identity of the pod, and without fields that exclude an answer."""
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

        def unfinished() -> list[str]:
            runs = items(quick, TASK_RUNS)
            return [n for n in names & runs.keys() if runs[n]["status"].get("phase") not in FINISHED]

        eventually("all have ended", lambda: not unfinished(), 60)
        assert "reconcile failed" not in operator.text
        assert "StatusRefused" not in kubectl.do("get", "events")
        quick.delete_all(TASK_RUNS)
        eventually("all have gone", lambda: not items(quick, TASK_RUNS), 60)


def test_a_run_continues_after_any_record_of_its_pod(kubectl: Kubectl, tmp_path: Path) -> None:
    quick = QuickKubectl.instead_of(kubectl)
    add_runner(quick)
    define(kubectl, "extreme", triggers=["*"], podCleanup="Never")
    responses = extremes.of_schema(schema_of("taskiterations")["properties"]["response"])
    drawn = some_of(st.builds(lambda parts, response: parts | {"response": response}, records(), responses))
    with OperatorProcess(kubectl, tmp_path / "operator") as operator:
        names = [f"e{number}" for number in range(len(drawn))]
        create(quick, [run(name, {"definition": "extreme"}) for name in names])
        eventually("all have a pod", lambda: len(items(quick, "pods")) >= len(names), 60)
        runs, pods, answered = items(quick, TASK_RUNS), items(quick, "pods"), set()
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
                answered.add(name)
                has_ended(quick, pod)
        assert len(answered) > MANY / 3

        def stuck() -> list[str]:
            found = items(quick, TASK_RUNS)
            return [
                name
                for name in answered & found.keys()
                if not found[name]["status"].get("recentIterations") and found[name]["status"]["phase"] not in FINISHED
            ]

        eventually("all answers are applied", lambda: not stuck(), 60)
        assert "reconcile failed" not in operator.text
        assert "StatusRefused" not in kubectl.do("get", "events")
    assert kubectl.get(TASK_DEFINITIONS, "extreme")


def has_ended(kubectl: QuickKubectl, pod: Manifest) -> None:
    """Report a pod whose container has succeeded, like a kubelet."""
    terminated = {"exitCode": 0, "reason": "Completed", "startedAt": NOW, "finishedAt": NOW}
    status = {"name": "task", "ready": False, "restartCount": 0, "image": "i", "imageID": "", "state": {}}
    status["state"] = {"terminated": terminated}
    ended = kubectl.set_status(
        "pods", pod["metadata"]["name"], {"phase": "Succeeded", "startTime": NOW, "containerStatuses": [status]}
    )
    assert ended, str(ended)


NOW = "2026-01-02T03:04:05Z"


# --- templates: objects that the schema of pods accepts ---------------------------------------------------------------

CONTAINER_FIELDS: dict[str, list[Any]] = {
    "image": ["local", "", "UPPER:case", "x" * 300],
    "command": [["true"], [], ["$(NAME)", "\u0000"]],
    "env": [[{"name": "A", "value": "$(A)"}], [{"name": "A=B", "value": ""}], [{"name": "PODRELAY_RUN", "value": "x"}]],
    "resources": [
        {"requests": {"cpu": "1m"}},
        {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
        {"limits": {"example.com/gpu": "1"}},
    ],
    "securityContext": [{"privileged": True}, {"runAsUser": 0}, {"capabilities": {"add": ["SYS_ADMIN"]}}],
    "volumeMounts": [[{"name": "missing", "mountPath": "/x"}], [{"name": "v", "mountPath": "relative"}]],
    "ports": [[{"containerPort": 0}], [{"containerPort": 8080, "hostPort": 8080}]],
    "restartPolicy": ["Always", "Never"],
    "livenessProbe": [{"exec": {"command": ["false"]}}, {}],
    "unheardOf": [1],
}
POD_FIELDS: dict[str, list[Any]] = {
    "serviceAccountName": ["default", "missing", "Not_A_Name"],
    "priorityClassName": ["system-node-critical", "missing"],
    "runtimeClassName": ["missing"],
    "hostPID": [True],
    "hostNetwork": [True],
    "dnsPolicy": ["None", "Unknown"],
    "nodeName": ["nowhere"],
    "nodeSelector": [{"a b": "c"}, {"example.com/x": "y"}],
    "tolerations": [[{"operator": "Exists"}], [{"key": "x", "operator": "Unknown"}]],
    "volumes": [[{"name": "v", "hostPath": {"path": "/"}}], [{"name": "v", "secret": {"secretName": "missing"}}]],
    "initContainers": [[{"name": "task", "image": "x"}], [{"name": "side", "image": "x", "restartPolicy": "Always"}]],
    "ephemeralContainers": [[{"name": "e", "image": "x"}]],
    "schedulingGates": [[{"name": "example.com/x"}], [{"name": "podrelay.dev/claim"}]],
    "restartPolicy": ["Always"],
    "activeDeadlineSeconds": [-1],
    "terminationGracePeriodSeconds": [-1],
    "automountServiceAccountToken": [False],
    "resourceClaims": [[{"name": "c", "resourceClaimName": "missing"}]],
    "os": [{"name": "windows"}],
    "unheardOf": [{"deep": [{"er": None}]}],
}
METADATA_FIELDS: dict[str, list[Any]] = {
    "labels": [{"a/b/c": "x"}, {"podrelay.dev/run": "other"}, {"x": "y" * 64}],
    "annotations": [{"podrelay.dev/ending-since": "2026-01-01T00:00:00Z"}, {"x": "y" * 100_000}, {"": ""}],
    "finalizers": [["example.com/stay"]],
    "generateName": ["other-"],
}


def some_fields(fields: dict[str, list[Any]], most: int) -> st.SearchStrategy[Manifest]:
    """Draw a few of these fields, each with one of its values."""
    names = st.lists(st.sampled_from(sorted(fields)), max_size=most, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: st.sampled_from(fields[name]) for name in chosen}))


def templates() -> st.SearchStrategy[Manifest]:
    """Draw valid and invalid templates, as users write them; the CRD accepts any object."""
    return st.builds(
        lambda container, pod, metadata: {
            "metadata": metadata,
            "spec": NOWHERE | {"containers": [{"name": "task", "image": "local"} | container]} | pod,
        },
        some_fields(CONTAINER_FIELDS, 2),
        some_fields(POD_FIELDS, 2),
        some_fields(METADATA_FIELDS, 1),
    )


@pytest.mark.parametrize("security", ["privileged", "restricted"])
def test_no_template_causes_endless_writes_of_the_operator(
    kubectl: Kubectl, cluster: Cluster, tmp_path: Path, security: str
) -> None:
    quick, log = QuickKubectl.instead_of(kubectl), cluster.audit_log
    assert log is not None
    add_runner(quick)
    kubectl.do("label", "namespace", kubectl.namespace, f"pod-security.kubernetes.io/enforce={security}")
    kubectl.do("create", "-f", "-", stdin=LIMIT_RANGE)
    drawn = [{"spec": {"containers": [{"name": "task", "image": "x"}], "serviceAccountName": "missing"}}]
    drawn += some_of(templates())
    with OperatorProcess(kubectl, tmp_path / "operator") as operator:
        definitions = create(quick, [task_definition(f"d-{n}", template=template) for n, template in enumerate(drawn)])
        assert definitions == {f"d-{number}" for number in range(len(drawn))}
        create(quick, [run(name, {"definition": name}) for name in definitions])

        def undecided() -> list[str]:
            known, runs = items(quick, TASK_DEFINITIONS), items(quick, TASK_RUNS)
            unseen = [name for name in definitions if not known[name]["status"].get("conditions")]
            return unseen + [name for name in definitions if not runs[name]["status"].get("reason")]

        eventually("all have a status", lambda: not undecided(), 120)
        ready = items(quick, TASK_DEFINITIONS)
        verdicts = Counter(item["status"]["conditions"][0]["reason"] for item in ready.values())
        assert verdicts.keys() >= {"PodRejected", "InvalidTemplate"}, verdicts
        asked = sum(verdicts[reason] for reason in ("PodRejected", "PodAccepted"))
        # Each rejected definition is reviewed again; the others are not.
        wanted = asked + (REVIEWS - 1) * verdicts["PodRejected"]
        eventually("they were reviewed again", lambda: dry_runs_of_the_operator(log, kubectl.namespace) >= wanted, 120)

        of_definitions = Counter(writes_of_definitions(log, kubectl.namespace))
        of_runs = Counter(write for write in writes_of_the_operator(log, kubectl.namespace) if "status" in write)
        # For a definition: the condition and the numbers of runs. For a run: at most four pods, because the cluster
        # accepts pods for a node that does not exist; for each pod its creation and its end.
        assert max(of_definitions.values()) <= 4, of_definitions.most_common(5)
        often = {write.split()[-1]: count for write, count in of_runs.items() if count > 9}
        assert often == {}, [(kubectl.get(TASK_RUNS, name)["status"], ready[name]["spec"]) for name in often]
        assert "reconcile failed" not in operator.text
        assert "StatusRefused" not in kubectl.do("get", "events")


LIMIT_RANGE: Manifest = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "small"},
    "spec": {"limits": [{"type": "Container", "max": {"cpu": "500m"}, "defaultRequest": {"cpu": "1m"}}]},
}
