"""A namespace in which the relay runs: operator, kubelet, definitions, and methods for tests."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_ITERATIONS, TASK_RUNS, Manifest, task_definition, task_run
from dev.harness.waiting import eventually
from podrelay.api.hooks import METHODS
from tests.support import tasks

TASKS_FILE = Path(tasks.__file__)
FINISHED = {"Succeeded", "Failed", "Aborted"}


@dataclass(frozen=True)
class Relay:
    """A namespace with an operator.

    Attributes:
        kubectl: kubectl in this namespace.
        folder: the folder for files of tasks.
    """

    kubectl: Kubectl
    folder: Path

    def define(self, task: str, name: str | None = None, *, module: Path = TASKS_FILE, **spec: Any) -> None:
        """Apply the definition of a class of tests/support/tasks.py, or of another module."""
        name = name or task.lower()
        applied = self.kubectl.apply(task_definition(name, **{"template": self.template(task, module), **spec}))
        assert applied, str(applied)

    @staticmethod
    def template(task: str, module: Path = TASKS_FILE) -> Manifest:
        """Return the pod template for a class of a module."""
        container = {"name": "task", "image": "local", "command": ["podrelay-runner", f"{module}:{task}"]}
        return {"spec": {"containers": [container]}}

    def define_script(self, definition: str, script: str, **spec: Any) -> None:
        """Apply a definition whose pods run a shell script that reports by termination message."""
        container = {"name": "task", "image": "local", "command": ["sh", "-eu", "-c", script]}
        template = {"spec": {"containers": [container]}}
        values = {"template": template, "reporting": "TerminationMessage", **spec}
        applied = self.kubectl.apply(task_definition(definition, **values))
        assert applied, str(applied)

    def run(self, name: str, definition: str, **spec: Any) -> None:
        """Create a TaskRun whose task writes a trace."""
        spec.setdefault("input", {})
        spec["input"] = {"trace": str(self.trace(name)), **spec["input"]}
        applied = self.kubectl.create(task_run(name, definition, **spec))  # apply would drop nulls
        assert applied, str(applied)

    def trace(self, name: str) -> Path:
        return self.folder / f"{name}.trace"

    def calls(self, name: str) -> list[tuple[int, int]]:
        """Return the iteration and attempt of each call of run(), in order."""
        if not self.trace(name).exists():
            return []
        lines = map(str.split, self.trace(name).read_text().splitlines())
        return [(int(line[0]), int(line[1])) for line in lines if line[0].isdigit()]

    def hook_calls(self, name: str) -> list[str]:
        """Return the hooks that were called, in order."""
        if not self.trace(name).exists():
            return []
        words = (line.split()[0] for line in self.trace(name).read_text().splitlines())
        return [word for word in words if word in METHODS]  # tasks write other lines, too

    def get(self, name: str) -> Manifest:
        return self.kubectl.get(TASK_RUNS, name)

    def status(self, name: str) -> Manifest:
        status: Manifest = self.get(name).get("status", {})
        return status

    def until(self, name: str, what: str, seconds: float = 90, **wanted: Any) -> Manifest:
        """Wait until the status has these values."""

        def has_them() -> Manifest | None:
            status = self.status(name)
            return status if all(status.get(key) == value for key, value in wanted.items()) else None

        try:
            return eventually(what, has_them, seconds) or {}
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe status is {self.status(name)}") from error

    def finished(self, name: str, seconds: float = 90) -> Manifest:
        """Wait until the run is finished, and return its status."""

        def ended() -> Manifest | None:
            status = self.status(name)
            return status if status.get("phase") in FINISHED else None

        try:
            return eventually(f"{name} is finished", ended, seconds) or {}
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe status is {self.status(name)}") from error

    def abort(self, name: str, message: str = "enough") -> None:
        patched = self.kubectl.patch(TASK_RUNS, name, {"spec": {"abort": {"message": message}}})
        assert patched, str(patched)

    def evict(self, pod: str) -> None:
        """Evict a pod like `kubectl drain`."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{self.kubectl.namespace}/pods/{pod}/eviction"
        self.kubectl.do("create", "--raw", path, "-f", "-", stdin=json.dumps(body))

    def pods(self, name: str) -> list[str]:
        return sorted(self.kubectl.names("pods", "--selector", f"podrelay.dev/run={name}"))

    def records(self, name: str) -> list[Manifest]:
        return [
            self.kubectl.get(TASK_ITERATIONS, record)
            for record in sorted(self.kubectl.names(TASK_ITERATIONS, "--selector", f"podrelay.dev/run={name}"))
        ]

    def record(self, name: str) -> Manifest:
        return self.kubectl.get(TASK_ITERATIONS, name)
