"""The tasks of tests/support/scenarios.py. They run in pods, and as calls in the process of a unit test.

They report their findings in their answers, because tests have no other access to a pod.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from podrelay import Controller, Fatal, Retry, TaskDefinition, TaskRun, TriggerData

TASK_TIMEOUT = 900
LONG = 3600


def pause(seconds: float) -> None:
    """Sleep; replaced in tests with virtual time."""
    time.sleep(seconds)


# --- answers ----------------------------------------------------------------------------------------------------------


class Scripted(TaskDefinition):
    """Answers as its input says: `answers` has, for each iteration, a method of the response and its arguments."""

    id = "scripted"
    title = "Scripted"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        method, arguments, *keywords = input["answers"][controller.task.iteration - 1]
        return getattr(controller.response, method)(*arguments, **(keywords[0] if keywords else {}))


class Overridable(TaskDefinition):
    """Allows some overrides; needs two iterations, and fails in the first attempt."""

    id = "overridable"
    title = "Overridable"
    max_iterations = 1
    allow_overrides: ClassVar = ["maxIterations", "retry", "timeouts", "env.SHOP_COLOUR"]

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        if controller.task.iteration == 1 and controller.task.attempt == 1:
            return controller.response.error("not yet")
        if controller.task.iteration == 1:
            return controller.response.continue_()
        return controller.response.done({"colour": os.environ.get("SHOP_COLOUR")})


class Handover(TaskDefinition):
    """Continues with the arguments in its input under `next`, and returns everything that its second iteration got."""

    id = "handover"
    title = "Hand over"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        if controller.task.iteration == 1:
            return controller.response.continue_(input["next"], **self._when(input.get("when", {})))
        return controller.response.done({"input": input, "task": controller.state.get_status()})

    @staticmethod
    def _when(when: dict[str, Any]) -> dict[str, Any]:
        if "date" in when:
            return {**when, "date": datetime.now(UTC) + timedelta(seconds=when["date"])}
        return when


class Returning(TaskDefinition):
    """Returns other values than an answer."""

    id = "returning"
    title = "Return"

    async def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return input.get("value")


class ShopError(Exception):
    """An error with a code and data."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = "E_SHOP"
        self.shop = 3


class Failing(TaskDefinition):
    """Fails, in the way that its input says."""

    id = "failing"
    title = "Fail"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.state.update_output({"rows": 1})
        match input["how"]:
            case "raise":
                raise ShopError("the shop is closed")
            case "return":
                return controller.response.error(ShopError("the shop is closed"))
            case "large":
                return controller.response.error({"message": "no", "data": {"text": "x" * 300_000}})
            case _:
                return controller.response.continue_({"text": "x" * 300_000})


class Endless(TaskDefinition):
    """Always continues."""

    id = "endless"
    title = "Endless"
    max_iterations = 2

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return controller.response.continue_({"calls": input.get("calls", 0) + 1})


# --- signals ----------------------------------------------------------------------------------------------------------


class Payment(BaseModel):
    """The payload of a signal."""

    amount: int


class Waiter(TaskDefinition):
    """Waits as its input says, one wait for each iteration, and returns what ended them."""

    id = "waiter"
    title = "Wait for signals"
    retry = {"limit": 1, "initialSeconds": 0}  # noqa: RUF012 - never changed
    triggers = ["scripted"]  # noqa: RUF012 - never changed
    signals = [  # noqa: RUF012 - never changed
        {"name": "payment", "payload": Payment},
        {"name": "note"},
        {"name": "release", "approval": {"required": 1}},
    ]

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        iteration, signals = controller.task.iteration, controller.signals
        got = [f"{signal.name} {signal.payload.get('amount', '')}".strip() for signal in signals]
        found: dict[str, Any] = {"got": got, "waiting": [signal.name for signal in signals.peek()]}
        if signals.timed_out:
            found["timedOut"] = True
        if signals.approved is not None:
            found["approved"] = signals.approved
        if iteration == 2 and input.get("fails") and controller.task.attempt == 1:
            raise ShopError(f"has {', '.join(got)}")
        if iteration == 1 and "child" in input:
            controller.task.trigger("scripted", {"answers": [["done", []]]})
        if iteration > 1:
            controller.state.update_output({**(controller.state.get_output() or {}), str(iteration): found})
        if iteration > len(input["waits"]):
            return controller.response.done()
        return controller.response.wait_for_signal(**input["waits"][iteration - 1])


# --- state, log, time -------------------------------------------------------------------------------------------------


class Stateful(TaskDefinition):
    """Changes its state and returns it, in two iterations."""

    id = "stateful"
    title = "State"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        state = controller.state
        if controller.task.iteration == 1:
            state.update_output({"a": 1})
            state.update_output({"b": 2})
            state.update_input({"y": {"new": 2}, "z": 3})
            return controller.response.continue_()
        task = state.get_task()
        report = {
            "task": [task.definition, task.name, task.iterations, task.parent, task.status],
            "status": state.get_status(),
            "input": state.get_input(),
            "output": state.get_output(),
        }
        return controller.response.done(report)


class Keeping(TaskDefinition):
    """Saves an output and answers without one."""

    id = "keeping"
    title = "Keep"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.state.update_output({"rows": 1})
        return controller.response.done("kept")


class Loud(TaskDefinition):
    """Logs."""

    id = "loud"
    title = "Log"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.logger.info("begun", data={"row": 1})
        controller.logger.error("odd", error=ShopError("no such row"), data={"row": 2})
        controller.logger.info("done")
        return controller.response.done()


class Quiet(Loud):
    """Logs, but not into the record."""

    id = "quiet"
    record_logs = False


class Timed(TaskDefinition):
    """Reports its time: whether it is close to its timeout by default, with an argument and with the variable."""

    id = "timed"
    title = "Time"
    iteration_timeout_seconds = TASK_TIMEOUT

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        runtime = controller.runtime
        seconds, milliseconds = runtime.remaining_seconds(), runtime.remaining_milliseconds()
        return controller.response.done(
            {
                "aborted": runtime.is_aborted(),
                "close": runtime.is_close_to_timeout(),
                "close to 1000 s": runtime.is_close_to_timeout(1000),
                "about 15 minutes": TASK_TIMEOUT - 60 < seconds < TASK_TIMEOUT,
                "whole numbers": isinstance(seconds, int) and isinstance(milliseconds, int),
                "milliseconds": 0 <= seconds * 1000 - milliseconds + 1000 <= 2000,
            }
        )


class TimedByVariable(Timed):
    """The same, with the variable set to 1000 seconds."""

    id = "timedByVariable"
    template = {  # noqa: RUF012 - never changed
        "spec": {
            "containers": [{"name": "task", "env": [{"name": "PODRELAY_CLOSE_TO_TIMEOUT_SECONDS", "value": "1000"}]}]
        }
    }


class Sliced(TaskDefinition):
    """Works until it is close to its timeout of a few seconds."""

    id = "sliced"
    title = "Slices"
    iteration_timeout_seconds = 12

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        if controller.task.iteration == 2:
            return controller.response.done(input)
        while not controller.runtime.is_close_to_timeout(11):
            pause(0.05)
        return controller.response.continue_({"sliced": True})


class Overtime(TaskDefinition):
    """Takes too long in its first attempt, and ignores its timeout."""

    id = "overtime"
    title = "Overtime"
    iteration_timeout_seconds = 10
    abort_grace_period_seconds = 1
    retry = {"limit": 1, "initialSeconds": 0}  # noqa: RUF012 - never changed

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.state.update_input({"saved": controller.task.attempt})
        if controller.task.attempt == 1:
            for _ in range(LONG):
                pause(1)
        return controller.response.done({"began with": input.get("saved")})


class Silent(TaskDefinition):
    """Sends no heartbeat."""

    id = "silent"
    title = "Silence"
    heartbeat_timeout_seconds = 5
    abort_grace_period_seconds = 1

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        for _ in range(LONG):
            pause(1)


class Beating(Silent):
    """Sends a heartbeat each second."""

    id = "beating"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        for step in range(8):
            pause(1)
            controller.progress(step + 1, 8, "steps")
            controller.heartbeat()
        return controller.response.done()


# --- input ------------------------------------------------------------------------------------------------------------


class OrderInput(BaseModel):
    """An input with a type."""

    cursor: int
    size: int = Field(default=10, gt=0)


class Typed(TaskDefinition):
    """Has a type for its input, and continues with the value of the input under `next`."""

    id = "typed"
    title = "Typed"

    def run(self, input: OrderInput, controller: Controller) -> Any:
        stored = controller.state.get_input()
        if controller.task.iteration == 1:
            following = stored.get("next")
            if "update" in stored:
                controller.state.update_input(stored["update"])
            return controller.response.continue_(following)
        return controller.response.done({"typed": input.model_dump(), "stored": stored})


class Picky(TaskDefinition):
    """Has rules that only its pod can check, not a schema."""

    id = "picky"
    title = "Picky"

    def create_input_validation(self) -> Any:
        return {"url": (str, "none"), "cursor": int}

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return controller.response.done(input)

    def on_before_trigger(self, data: TriggerData) -> None:
        raise PermissionError(f"not today: {data.definition} {data.input}")

    def on_error(self, task: TaskRun) -> None:
        raise AssertionError("a rejected run has no such hook")


class Even(BaseModel):
    """A number with a validation rule."""

    number: int

    def model_post_init(self, _context: Any) -> None:
        if self.number % 2:
            raise ValueError("the number is odd")


class Ruled(Picky):
    """Has a rule that a JSON Schema cannot express."""

    id = "ruled"

    def create_input_validation(self) -> Any:
        return Even


# --- hooks ------------------------------------------------------------------------------------------------------------


class HookSaidError(Exception):
    """The arguments of a hook, as an exception, because its message is stored."""


class Hooked(TaskDefinition):
    """Answers as its input says. Each hook except the first one raises its arguments."""

    id = "hooked"
    title = "Hooked"
    max_iterations = 2

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        controller.logger.info("run")
        match input["how"]:
            case "raise":
                raise ShopError("the shop is closed")
            case "continue":
                return controller.response.continue_({}, seconds=input.get("seconds"))
            case "aborted":
                return controller.response.aborted("enough of it")
            case "work":
                return until_aborted(controller)
        return controller.response.done("worked", {"rows": 3})

    def on_before_trigger(self, data: TriggerData) -> None:
        if "refuse" in data.input:
            raise PermissionError(f"refused: {data.definition}, {data.name}, {data.input}, {data.parent}")

    async def on_done(self, task: TaskRun) -> None:
        raise HookSaidError(f"{task.status} {task.output}")

    def on_error(self, task: TaskRun) -> None:
        raise HookSaidError(f"{task.status} {task.iterations} {(task.error or {}).get('message')}")

    def on_abort(self, task: TaskRun) -> None:
        raise HookSaidError(f"{task.status} {task.message}")

    def on_max_iterations(self, task: TaskRun) -> None:
        raise HookSaidError(f"{task.status} {task.iterations}")


class Obliging(TaskDefinition):
    """Has hooks that do nothing, and not all hooks."""

    id = "obliging"
    title = "Obliging"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return controller.response.done()

    def on_before_trigger(self, data: TriggerData) -> None:
        pass

    def on_done(self, task: TaskRun) -> None:
        pass


# --- aborts -----------------------------------------------------------------------------------------------------------


def until_aborted(controller: Controller) -> Any:
    """Work until the run is aborted, then clean up."""
    while not controller.runtime.is_aborted():
        pause(0.02)
    controller.state.update_output({"cleaned": True})
    return controller.response.aborted(f"cleaned up: {controller.runtime.abort_message}")


class Working(TaskDefinition):
    """Works until it is aborted, or ignores the abort."""

    id = "working"
    title = "Work"
    abort_grace_period_seconds = 20

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        stopped = until_aborted(controller)
        return stopped if input["how"] == "listen" else getattr(controller.response, input["how"])({"more": 1})


# --- retries ----------------------------------------------------------------------------------------------------------


class Moody(TaskDefinition):
    """Fails in its first attempts, with a decision about another one."""

    id = "moody"
    title = "Moody"
    retry = {"limit": 2, "initialSeconds": 1, "on": ["PodFailure"]}  # noqa: RUF012 - never changed

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        task = controller.task
        if task.attempt > input.get("failures", 1):
            return controller.response.done({"tries": task.attempt, "saved": controller.state.get_input().get("saved")})
        controller.state.update_input({"saved": task.attempt})
        match input["how"]:
            case "retry":
                raise Retry("busy", after=timedelta(seconds=2), code="E429")
            case "fatal":
                raise Fatal("no such shop", data={"shop": 3})
        raise ValueError(f"final: {task.is_final_attempt}")


class Persistent(Moody):
    """The same, with retries after errors, too."""

    id = "persistent"
    retry = {"limit": 2, "initialSeconds": 1, "factor": 1}  # noqa: RUF012 - never changed


# --- parents and children ---------------------------------------------------------------------------------------------


class Parent(TaskDefinition):
    """Starts the children that its input describes, and returns their results in its second iteration."""

    id = "parent"
    title = "Parent"
    triggers: ClassVar[list[str] | None] = ["*"]

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        if controller.task.iteration == 1:
            children = [controller.task.trigger(**child) for child in input["start"]]
            return controller.response.wait_for_children({"same": all(map(self._is_mine(controller), children))})
        found = [self.summary(child) for child in controller.task.list_children()]
        only = [self.summary(child) for child in controller.task.list_children("scripted")]
        return controller.response.done({"mine": input["same"], "all": sorted(found), "scripted": sorted(only)})

    @staticmethod
    def _is_mine(controller: Controller) -> Any:
        return lambda child: (child.parent, child.status) == (controller.task.name, "pending")

    @staticmethod
    def summary(child: TaskRun) -> str:
        error = (child.error or {}).get("message")
        return f"{child.definition} {child.name or '-'} {child.status} {child.output or error or ''}".strip()


class Strict(Parent):
    """The same, without allowed children."""

    id = "strict"
    triggers = None


class Solo(TaskDefinition):
    """Only one of its runs has a pod at a time."""

    id = "solo"
    title = "Solo"
    max_concurrent_runs: ClassVar[int | None] = 1

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        pause(0.3)


class SoloForCustomer(Solo):
    """Only one for each customer."""

    id = "soloForCustomer"
    max_concurrent_runs = None
    concurrency = {"key": "customer.id"}  # noqa: RUF012 - never changed


# --- self-cleanup -----------------------------------------------------------------------------------------------------


class Untidy(Parent):
    """Has children, is not deleted, and ends as its input says."""

    id = "untidy"
    self_cleanup: ClassVar[str | list[str] | None] = "never"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        if controller.task.iteration == 1:
            waiting = super().run(input, controller)
            return controller.response.continue_() if input.get("leaves") else waiting
        match input["end"]:
            case "error":
                return controller.response.error("no")
            case "aborted":
                return controller.response.aborted()
        return controller.response.done()

    def on_done(self, task: TaskRun) -> None:
        """Is called before the run is deleted."""


class Tidy(Untidy):
    """Is deleted with its descendants after any end."""

    id = "tidy"
    self_cleanup = "always"


class TidyOnSuccess(Untidy):
    """Is deleted after success."""

    id = "tidyOnSuccess"
    self_cleanup = "onSuccess"


class TidyOnError(Untidy):
    """Is deleted after an error."""

    id = "tidyOnError"
    self_cleanup = "onError"


class TidyOnAbort(Untidy):
    """Is deleted after an abort."""

    id = "tidyOnAbort"
    self_cleanup = "onAbort"


class TidyOnTwo(Untidy):
    """Is deleted after either of two ends."""

    id = "tidyOnTwo"
    self_cleanup = ["onSuccess", "onError"]  # noqa: RUF012 - never changed


class ShortLived(TaskDefinition):
    """Is deleted when its retention is over."""

    id = "shortLived"
    title = "Short-lived"
    ttl_seconds_after_finished = 0

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return None
