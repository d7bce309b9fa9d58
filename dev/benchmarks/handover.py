"""The hand-over on real pods, on a kind cluster of one node: AfterEnd, ahead, standby, and a Job for each step.

A hand-over is the time from an answer to the next call of the task's code, both by the clock of the node: of Podrelay,
from `finishedAt` of a record, which is the time of the answer, to `startedAt` of the next one, which is written right
before run() is called; of Jobs, between the times that their programs print. The next Job is created when a watch
reports that the one before is complete.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.figures import percentile
from dev.cluster import Cluster, load, up
from dev.harness.chart import deploy
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_ITERATIONS, TASK_RUNS, task_run
from dev.harness.waiting import eventually
from dev.images.build import EXAMPLES, OPERATOR, build
from podrelay.api import task_namespace
from podrelay.api.phases import FINISHED
from podrelay.cli.manifests import manifest
from podrelay.client.packages import kubernetes

NAMESPACE: Final = "handover"
TASK: Final = Path(__file__).parent / "hops.py"
_SECONDS: Final = 600
_STANDBY_WORKS: Final = 6.0
"""Seconds of an iteration; a standby starts within that time."""
_kubernetes: Any = kubernetes
"""Its functions have no types, or types that do not accept manifests."""
_PROGRAM: Final = "import time; print(time.time(), flush=True)"


@dataclass(frozen=True)
class Variant:
    """One way to hand over."""

    name: str
    spec: dict[str, Any]
    works: float = 0.0


VARIANTS: Final = (
    Variant("AfterEnd", {"handover": "AfterEnd"}),
    Variant("ahead", {}),
    Variant("standby", {"standby": {"afterSeconds": 0}}, _STANDBY_WORKS),
)


@dataclass(frozen=True)
class Result:
    """The hand-overs of one variant, in seconds."""

    name: str
    seconds: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON."""
        return asdict(self)


def start(folder: Path) -> Cluster:
    """Start the kind cluster with the operator and the image of the task.

    Raises:
        ClusterError: it cannot be started.
    """
    cluster = up("kind")
    build(("operator", "examples"))
    load([OPERATOR, EXAMPLES])
    repository, _, tag = OPERATOR.partition(":")
    deploy(Kubectl.of(cluster, folder), {"image.repository": repository, "image.tag": tag, "operator.replicas": 1})
    return cluster


def measure(cluster: Cluster, folder: Path, length: int, report: Callable[[Result], None]) -> list[Result]:
    """Measure all variants, one after the other.

    Args:
        cluster: the cluster.
        folder: a folder for logs.
        length: the iterations of each run, and the number of Jobs.
        report: called with each result.

    Raises:
        BenchmarkError: a run or a Job did not succeed.
    """
    admin = Kubectl.of(cluster, folder)
    kubectl = admin.in_namespace(NAMESPACE)
    admin("delete", "namespace", NAMESPACE, "--ignore-not-found")
    admin.do("create", "namespace", NAMESPACE)
    kubectl.apply(*task_namespace.objects(NAMESPACE))
    kubectl.do("create", "configmap", "hops", f"--from-file={TASK}")
    results = []
    for variant in VARIANTS:
        results.append(Result(variant.name, _relay(kubectl, variant, length)))
        report(results[-1])
    results.append(Result("a Job a step", _jobs(kubectl.kubeconfig, length)))
    report(results[-1])
    return results


def text(results: list[Result]) -> str:
    """Return the results as lines."""
    lines = [f"{'hand-over on real pods':24} {'p50':>8} {'p99':>8} {'number':>7}"]
    for result in results:
        p50, p99 = (percentile(result.seconds, percent) or 0.0 for percent in (50, 99))
        lines.append(f"{result.name:24} {p50 * 1000:5.0f} ms {p99 * 1000:5.0f} ms {len(result.seconds):7}")
    return "\n".join(lines)


def _relay(kubectl: Kubectl, variant: Variant, length: int) -> tuple[float, ...]:
    name = variant.name.lower()
    definition = _definition(name, variant.spec, length)
    for created in (kubectl.apply(definition), kubectl.create(task_run(name, name, input=_input(variant, length)))):
        if not created:
            raise BenchmarkError(str(created))
    eventually(f"{name} is finished", lambda: kubectl.get(TASK_RUNS, name)["status"]["phase"] in FINISHED, _SECONDS)
    records = kubectl.do("get", TASK_ITERATIONS, "--selector", f"podrelay.dev/run={name}", "--output=json")
    found = sorted(json.loads(records)["items"], key=lambda record: record["iteration"])
    if len(found) != length:
        raise BenchmarkError(
            f"{name} has {len(found)} records instead of {length}; kubectl describe tr {name} says why"
        )
    return tuple(
        (datetime.fromisoformat(after["startedAt"]) - datetime.fromisoformat(before["finishedAt"])).total_seconds()
        for before, after in pairwise(found)
    )


def _input(variant: Variant, length: int) -> dict[str, Any]:
    return {"length": length, "works": variant.works}


def _definition(name: str, spec: dict[str, Any], length: int) -> dict[str, Any]:
    from dev.benchmarks.hops import Hops  # noqa: PLC0415 - only this benchmark needs it

    definition = manifest(Hops, "/tasks/hops.py", EXAMPLES)
    pod = definition["spec"]["template"]["spec"]
    pod["containers"][0]["volumeMounts"] = [{"name": "tasks", "mountPath": "/tasks", "readOnly": True}]
    pod["volumes"] = [{"name": "tasks", "configMap": {"name": "hops"}}]
    definition["metadata"]["name"], definition["spec"]["id"] = name, name
    definition["spec"] |= {"maxIterations": length, "historyLimit": {"iterations": length, "runs": 10}, **spec}
    return definition


def _jobs(kubeconfig: Path, length: int) -> tuple[float, ...]:
    connection = _kubernetes.config.new_client_from_config(str(kubeconfig))
    jobs, pods = _kubernetes.client.BatchV1Api(connection), _kubernetes.client.CoreV1Api(connection)
    printed = []
    for step in range(1, length + 1):
        name = f"step-{step}"
        jobs.create_namespaced_job(NAMESPACE, _job(name))
        _complete(jobs, name)
        pod = pods.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items[0]
        printed.append((name, pod.metadata.name))
    times = [float(pods.read_namespaced_pod_log(pod, NAMESPACE).strip()) for _, pod in printed]
    return tuple(after - before for before, after in pairwise(times))


def _complete(jobs: Any, name: str) -> None:
    watch = _kubernetes.watch.Watch()
    selector = {"field_selector": f"metadata.name={name}", "timeout_seconds": _SECONDS}
    for event in watch.stream(jobs.list_namespaced_job, NAMESPACE, **selector):
        states = {condition.type: condition.status for condition in event["object"].status.conditions or ()}
        if states.get("Failed") == "True":
            raise BenchmarkError(f"job {name} failed")
        if states.get("Complete") == "True":
            watch.stop()
            return
    raise BenchmarkError(f"job {name} is not complete after {_SECONDS} s")


def _job(name: str) -> dict[str, Any]:
    container = {"name": "step", "image": EXAMPLES, "command": ["python3", "-c", _PROGRAM]}
    pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}}
