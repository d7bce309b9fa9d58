"""Tasks for tests, run by the real runner. Each call of run() writes a line to the file that the input names."""

import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from podrelay import Controller, TaskDefinition, TaskRun, TriggerData


def note(input: dict[str, Any], line: str) -> None:
    """Write a line to the pod's log, and to the trace if there is one: a pod on a real node has none."""
    print(line, flush=True)
    if "trace" in input:
        with Path(input["trace"]).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def leave_trace(input: dict[str, Any], controller: Controller) -> None:
    note(input, f"{controller.task.iteration} {controller.task.attempt}")


def eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(16 * 1024 * 1024))


def ignore_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(600)


class Chain(TaskDefinition):
    """Continues until it has been called `length` times; `works` for some seconds each time."""

    id = "chain"
    title = "Chain"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        time.sleep(input.get("works", 0))
        done = input.get("done", 0) + 1
        if done < input.get("length", 2):
            return controller.response.continue_({"done": done}, **self.wait(input))
        return controller.response.done("all done", {"done": done, "input": input})

    @staticmethod
    def wait(input: dict[str, Any]) -> dict[str, Any]:
        if "seconds" in input:
            return {"seconds": input["seconds"]}
        if "date_in" in input:
            return {"date": datetime.now(UTC) + timedelta(seconds=input["date_in"])}
        return {}


class Answer(TaskDefinition):
    """Answers immediately in the way that the input says, which may be a list with one way for each attempt."""

    id = "answer"
    title = "Answer"

    async def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        response = controller.response
        how = input["how"]
        match how if isinstance(how, str) else how[controller.task.attempt - 1]:
            case "nothing":
                return None
            case "done":
                return response.done(input.get("output", {}))
            case "error":
                return response.error({"message": "no such file", "code": "NoFile", "data": {"path": "/x"}})
            case "raise":
                raise ValueError("the number is odd")
            case "aborted":
                return response.aborted()
            case "set":
                return response.done({"bad": {1, 2}})
            case "huge":
                return response.done({"text": "x" * (256 * 1024)})
            case "large":
                return response.done({"text": "x" * (64 * 1024)})
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hear nothing":
                ignore_signals()
        return None


class Overriding(TaskDefinition):
    """Starts a child with the overrides in its input."""

    id = "overriding"
    title = "Overriding"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        child = controller.task.trigger("answer", {"how": "done"}, overrides=input["overrides"])
        return controller.response.done({"child": child.id})


class Hooked(TaskDefinition):
    """Answers as the input says. Each hook writes a line to the trace, and may raise an exception, or die once."""

    id = "hooked"
    title = "Hooked"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        match input["how"]:
            case "raise":
                raise ValueError("the number is odd")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "eat":
                eat_memory()
            case "continue":
                return controller.response.continue_({}, seconds=input.get("seconds"))
            case "sleep":
                while not controller.runtime.is_aborted():
                    time.sleep(0.02)
                return controller.response.aborted()
        return controller.response.done("worked", {"rows": 3})

    def on_before_trigger(self, data: TriggerData) -> None:
        self._note("onBeforeTrigger", data.input, f"{data.definition} {data.id}")

    async def on_done(self, task: TaskRun) -> None:
        self._note("onDone", task.input, f"{task.status} {task.output}")

    def on_error(self, task: TaskRun) -> None:
        self._note("onError", task.input, f"{task.status} {(task.error or {})['message']}")

    def on_abort(self, task: TaskRun) -> None:
        self._note("onAbort", task.input, f"{task.status} {task.message}")

    def on_max_iterations(self, task: TaskRun) -> None:
        self._note("onMaxIterations", task.input, f"{task.status} {task.iterations}")

    @staticmethod
    def _note(hook: str, input: dict[str, Any], what: str) -> None:
        note(input, f"{hook} {what}")
        if hook in input.get("throws", ()):
            raise RuntimeError(f"{hook} does not work")
        if hook in input.get("dies", ()) and Path(input["trace"]).read_text(encoding="utf-8").count(hook) == 1:
            os.kill(os.getpid(), signal.SIGKILL)


class SlowHook(TaskDefinition):
    """Has a hook that ignores signals and never ends, in its first pod, and with `slow` also in later ones."""

    id = "slowHook"
    title = "Slow hook"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return None

    def on_abort(self, task: TaskRun) -> None:
        trace = Path(task.input["trace"])
        calls = len(trace.read_text(encoding="utf-8").splitlines()) + 1 if trace.exists() else 1
        with trace.open("a", encoding="utf-8") as file:
            file.write(f"onAbort {calls}\n")
        if calls == 1 or task.input.get("slow"):
            ignore_signals()


class Sleep(TaskDefinition):
    """Works until it is aborted or stopped, and then cleans up."""

    id = "sleep"
    title = "Sleep"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        print("sleeping", flush=True)
        runtime = controller.runtime
        while not runtime.is_aborted():
            if runtime.is_close_to_timeout(0) and not input.get("stubborn"):
                return controller.response.continue_(input)
            time.sleep(0.02)
        print("cleaned up", flush=True)
        controller.state.update_output({"cleaned": True})
        return controller.response.aborted()


class Stubborn(TaskDefinition):
    """Ignores signals."""

    id = "stubborn"
    title = "Stubborn"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        note(input, f"process {os.getpid()}")
        ignore_signals()


class Held(TaskDefinition):
    """Has three iterations; the first attempt of the second one works until it is stopped."""

    id = "held"
    title = "Held"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        if controller.task.iteration == 3:
            return controller.response.done({"row": input["row"]})
        while (controller.task.iteration, controller.task.attempt) == (2, 1):
            if controller.runtime.is_aborted():
                return controller.response.aborted()
            time.sleep(0.05)
        return controller.response.continue_({"row": controller.task.iteration})


class Confidential(TaskDefinition):
    """Returns the keys of its Secret and the length of the password."""

    id = "confidential"
    title = "Confidential"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.logger.info(f"has {controller.secret}")
        password = controller.secret["password"]
        return controller.response.done({"keys": list(controller.secret), "length": len(password)})


class Checkpoint(TaskDefinition):
    """Saves its progress, dies, and continues from there in its next attempt."""

    id = "checkpoint"
    title = "Checkpoint"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        if controller.task.attempt == 1:
            controller.state.update_input({"row": 42})
            controller.state.update_output({"rows": 42})
            os.kill(os.getpid(), signal.SIGKILL)
        return controller.response.done({"began_at": input.get("row"), **(controller.state.get_output() or {})})


class Progress(TaskDefinition):
    """Reports progress."""

    id = "progress"
    title = "Progress"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.progress(3, 4, message="rows")
        while not controller.runtime.is_aborted():
            time.sleep(0.02)
        return controller.response.aborted()


class Hungry(TaskDefinition):
    """Needs more memory than its limit."""

    id = "hungry"
    title = "Hungry"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        eat_memory()


class Talk(TaskDefinition):
    """Logs and prints in each of two iterations."""

    id = "talk"
    title = "Talk"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        iteration = controller.task.iteration
        print(f"printed in iteration {iteration}", flush=True)
        controller.logger.info(f"logged in iteration {iteration}")
        if iteration == 1:
            return controller.response.continue_(input)
        return controller.response.done({"iterations": iteration})


class Scribble(TaskDefinition):
    """Writes more than its limit."""

    id = "scribble"
    title = "Scribble"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        for _ in range(4096):
            print("x" * 1023, flush=False)
        print(flush=True)
        time.sleep(600)


class Parent(TaskDefinition):
    """Starts the children that the input describes, and returns their results in its second iteration.

    `start` is a list of arguments of trigger; with `dies` its first attempt dies after starting them; `wait` is the
    argument of wait_for_children, or false for a run that does not wait.
    """

    id = "parent"
    title = "Parent"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        if controller.task.iteration == 2:
            children = controller.task.list_children(input.get("list"))
            return controller.response.done({"children": [self.summary(child) for child in children]})
        started = [
            controller.task.trigger(**child).id for child in input["start"] for _ in range(child.pop("times", 1))
        ]
        if input.get("dies") and controller.task.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if input.get("wait") is False:
            return controller.response.done({"started": started})
        return controller.response.wait_for_children({"started": started}, input.get("wait"))

    @staticmethod
    def summary(child: TaskRun) -> dict[str, Any]:
        size = len(str((child.output or {}).get("text", "")))
        output = {"text": size} if size else child.output
        return {"id": child.id, "status": child.status, "output": output, "error": child.error}


class Prints(TaskDefinition):
    """Prints to both streams."""

    id = "prints"
    title = "Prints"

    def run(self, input: dict[str, Any], controller: Controller) -> None:
        print("printed", flush=True)
        print("to stderr", file=sys.stderr)
