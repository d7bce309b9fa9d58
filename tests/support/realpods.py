"""A namespace of a real cluster, in which the tasks of tests/support/tasks.py run in real pods."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.harness.kubectl import Manifest
from dev.harness.manifests import camel_case, task_definition, task_run
from dev.images.build import EXAMPLES
from podrelay.cli.manifests import manifest
from tests.support import tasks
from tests.support.nodes import HOSTNAME
from tests.support.relay import Relay

MOUNT = {"name": "tasks", "mountPath": "/tasks", "readOnly": True}


@dataclass(frozen=True)
class RealRelay(Relay):
    """Like Relay, with pods on real nodes; tasks write no trace on this host."""

    folder: Path = Path("/unused")

    def define(self, task: str, name: str | None = None, *, module: Any = tasks, **spec: Any) -> None:
        """Apply the definition of a class, as `podrelay manifests` prints it.

        Args:
            task: the class.
            name: the name of the definition, if it differs from that of the class.
            module: the module of the class, one of those in the ConfigMap `tasks`.
            spec: fields of the definition; image and resources are those of the container, and `pod` has fields of the
                pod.
        """
        definition = manifest(
            getattr(module, task), f"/tasks/{Path(module.__file__).name}", spec.pop("image", EXAMPLES)
        )
        pod = definition["spec"]["template"]["spec"]
        pod["containers"][0]["volumeMounts"] = [MOUNT]
        pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = True
        pod["containers"][0]["resources"] |= spec.pop("resources", {})
        pod |= spec.pop("pod", {})
        pod["volumes"] = [{"name": "tasks", "configMap": {"name": "tasks"}}]
        definition["spec"] |= spec
        if name is not None:
            definition["metadata"]["name"], definition["spec"]["id"] = name, camel_case(name)
        applied = self.kubectl.apply(definition)
        assert applied, str(applied)

    def define_script(self, definition: str, script: str, **spec: Any) -> None:
        """Apply a definition whose pods run a shell script that reports by termination message."""
        security = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        command = ["sh", "-eu", "-c", script]
        container = {"name": "task", "image": EXAMPLES, "command": command, "securityContext": security}
        values = {"template": {"spec": {"containers": [container]}}, "reporting": "TerminationMessage", **spec}
        applied = self.kubectl.apply(task_definition(definition, **values))
        assert applied, str(applied)

    def run(self, name: str, definition: str, **spec: Any) -> None:
        """Create a TaskRun."""
        created = self.kubectl.create(task_run(name, definition, **{"input": {}, **spec}))
        assert created, str(created)

    def logs(self, pod: str) -> str:
        return self.kubectl.do("logs", pod)

    def pod(self, name: str) -> Manifest:
        return self.kubectl.get("pod", name)

    @contextmanager
    def important_pod(self, node: str, cpu: str) -> Iterator[None]:
        """Run a pod that preempts other pods on a node."""
        name = f"important-{self.kubectl.namespace}"
        priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        container = {"name": "one", "image": EXAMPLES, "command": ["sleep", "600"]}
        spec = {
            "priorityClassName": name,
            "nodeSelector": {HOSTNAME: node},
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                container
                | {
                    "resources": {"requests": {"cpu": cpu}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "important"}, "spec": spec}
        try:
            self.kubectl.do("create", "-f", "-", stdin=[priority | {"value": 1000}, pod])
            yield
        finally:
            self.kubectl("delete", "pod", "important", "--wait=false")
            self.kubectl("delete", "priorityclass", name)
