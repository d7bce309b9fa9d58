"""A task that stops before each write until its test lets it continue."""

import time
from pathlib import Path
from typing import Any

from podrelay import Answer, Controller, TaskDefinition, TaskRun
from tests.support.tasks import leave_trace, note


class Gated(TaskDefinition):
    """Stops at each of the steps `checkpoint`, `answer` and `hook` that its input names."""

    id = "gated"
    title = "Gated"

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        leave_trace(input, controller)
        stop_at("checkpoint", input)
        controller.state.update_output({"saved": 1.0})
        stop_at("answer", input)
        return controller.response.done({"x": 1.0, "saved": controller.state.get_output()})

    def on_done(self, task: TaskRun) -> None:
        note(task.input, f"onDone {task.output}")
        stop_at("hook", task.input)


def stop_at(step: str, input: dict[str, Any]) -> None:
    if step in input.get("stops", ()):
        reached, gate = gates(Path(input["trace"]), step)
        reached.touch()
        while not gate.exists():
            time.sleep(0.02)


def gates(trace: Path, step: str) -> tuple[Path, Path]:
    """Return the file that shows that a step is reached, and the one that allows it to continue."""
    return trace.with_suffix(f".{step}.reached"), trace.with_suffix(f".{step}.go")
