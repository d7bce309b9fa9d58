"""A namespace of a real cluster in which the tasks of tests/support/tasks.py run in real pods."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.build import EXAMPLES
from podrelay.cli.manifests import manifest
from tests.support import tasks
from tests.support.kubectl import Manifest
from tests.support.relay import Relay

MOUNT = {"name": "tasks", "mountPath": "/tasks", "readOnly": True}


@dataclass(frozen=True)
class RealRelay(Relay):
    """Like Relay, with pods of kubelets; tasks leave no trace on this host."""

    folder: Path = Path("/unused")

    def define(self, task: str, name: str | None = None, **spec: Any) -> None:
        """Apply the definition of a class of tests/support/tasks.py, as `podrelay manifests` prints it."""
        definition = manifest(getattr(tasks, task), "/tasks/tasks.py", spec.pop("image", EXAMPLES))
        definition["metadata"]["name"] = name or definition["metadata"]["name"]
        pod = definition["spec"]["template"]["spec"]
        pod["containers"][0]["volumeMounts"] = [MOUNT]
        pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = True
        pod["containers"][0]["resources"] |= spec.pop("resources", {})
        pod["volumes"] = [{"name": "tasks", "configMap": {"name": "tasks"}}]
        definition["spec"] |= spec
        applied = self.kubectl.apply(definition)
        assert applied, str(applied)

    def run(self, name: str, definition: str, **spec: Any) -> None:
        """Create a TaskRun."""
        body = {"definition": definition, "input": {}, **spec}
        self.kubectl.do("create", "-f", "-", stdin=json.dumps(_task_run(name, body)))

    def logs(self, pod: str) -> str:
        return self.kubectl.do("logs", pod)


def _task_run(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "podrelay.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": name}, "spec": spec}
