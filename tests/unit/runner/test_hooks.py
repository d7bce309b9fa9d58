"""Hooks in the pod: when they are called, with which arguments, and which results are stored."""

from pathlib import Path
from typing import Any

import pytest

from podrelay import TaskDefinition, TaskRun
from podrelay.api import names
from podrelay.runner import hooks, main
from tests.unit.runner.runner_fakes import POD_UID, Clock, FakeApi, me, task_run, variables

ALL = "onBeforeTrigger,onDone,onError,onAbort,onMaxIterations"
FAILED = {"phase": "Failed", "reason": "OOMKilled", "message": "out of memory", "error": {"message": "out of memory"}}
TASK = """
from podrelay import TaskDefinition
notes = []

class Example(TaskDefinition):
    id = "example"
    title = "Example"

    def run(self, input, controller):
        notes.append("run")
        return {answer}

    def on_before_trigger(self, data):
        notes.append(("onBeforeTrigger", data.id, data.input, data.parent))
        {before}

    async def on_done(self, task):
        notes.append(("onDone", task.status, task.input, task.output, task.message))
        {done}

    def on_error(self, task):
        notes.append(("onError", task.status, task.error))

    def on_max_iterations(self, task):
        notes.append(("onMaxIterations", task.status))
"""


class Hooked(TaskDefinition):
    id = "hooked"
    title = "Hooked"

    def on_done(self, task: TaskRun) -> None:
        raise ValueError(f"no {task.id}")


class Pod:
    """A pod of iteration 2 of the run `shop`, or one of its hook pods, and an operator that writes its final status."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeApi(Clock())
        self.module = folder / f"tasks_{folder.name.replace('-', '_')}.py"
        self.message = folder / "message"

    def run(
        self, *, answer: str = "{'rows': 3}", before: str = "pass", done: str = "pass", **changes: str
    ) -> tuple[int, Any]:
        filled = TASK.replace("{answer}", answer).replace("{before}", before).replace("{done}", done)
        self.module.write_text(filled)
        fixed = {main.ENV_TERMINATION_MESSAGE_PATH: str(self.message), names.ENV_HOOKS: ALL}
        environment = variables(**{**fixed, **changes})
        code = main.run(str(self.module), environment, self.api.clock(), self.api.clock, self.api)
        import sys

        loaded = [module for name, module in sys.modules.items() if name.startswith(self.module.stem)]
        return code, loaded[-1].notes if loaded else []

    def ends(self, **status: Any) -> None:
        """Let the operator write this status when the answer is stored and the run is read."""
        asked: list[str] = []
        status.setdefault("current", {"iteration": 2, "try": 1, "podName": "shop-i2", "podUID": POD_UID})

        def before(method: str, name: str) -> None:
            if (method, name) == ("GET", "shop") and "response" in self.api.objects.get("shop-i2", {}):
                asked.append(name)
                if len(asked) == 3:
                    self.api.put("shop", task_run(status=status))

        self.api.before = before


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    monkeypatch.setattr("podrelay.runner.signals.Interruption.install", lambda _self: None)
    return Pod(tmp_path)


def test_a_hook_is_called_when_the_final_phase_can_be_read(pod: Pod) -> None:
    pod.ends(phase="Succeeded", reason="Done", message="Task done.")

    code, notes = pod.run(**{names.ENV_ITERATION: "2"})

    assert code == 0
    assert notes == [
        ("onBeforeTrigger", "shop", {"cursor": 0}, None),
        "run",
        ("onDone", "success", {"cursor": 0}, {"rows": 3}, "Task done."),
    ]
    assert pod.api.record["hooks"] == [
        {"name": "onBeforeTrigger", "outcome": "Succeeded"},
        {"name": "onDone", "outcome": "Succeeded"},
    ]


def test_the_output_of_hooks_is_stored_with_their_outcome(pod: Pod) -> None:
    pod.ends(phase="Succeeded", reason="Done", message="Task done.")

    pod.run(before="print('asked')", done="print('called')")

    assert pod.api.record["console"] == {"text": "asked\ncalled\n"}


def test_the_output_of_a_hook_pod_is_stored(pod: Pod) -> None:
    pod.api.put("shop", task_run(status={"phase": "Succeeded", "reason": "Done", "message": "Task done."}))

    pod.run(done="print('called')", **hook_pod(**{names.ENV_HOOK: "onDone"}))

    assert pod.api.objects["shop-herror"]["console"] == {"text": "called\n"}


def test_the_final_status_of_the_run_determines_the_hook(pod: Pod) -> None:
    pod.ends(**{**FAILED, "reason": "MaxIterations"})

    _, notes = pod.run()

    assert notes[-2:] == [("onMaxIterations", "failed"), ("onError", "failed", {"message": "out of memory"})]


def test_hooks_removed_from_the_definition_after_the_pod_was_created_are_not_called(pod: Pod) -> None:
    pod.ends(phase="Succeeded", reason="Done", message="Task done.")

    _, notes = pod.run(**{names.ENV_PROTOCOL: "2"})

    assert notes[-1] == "run", "the operator lists the due hooks, and has listed none"


def test_a_pod_leaves_the_hooks_to_the_pod_with_which_the_run_has_finished(pod: Pod) -> None:
    """It answered *continue* while it was ended, and the next pod was lost at once."""
    following = {"iteration": 3, "try": 1, "podName": "shop-i3", "podUID": "uid-of-the-next-one"}
    pod.ends(**FAILED, current=following)

    _, notes = pod.run()

    assert notes[-1] == "run"


def test_hooks_that_the_definition_does_not_declare_are_not_called(pod: Pod) -> None:
    _, notes = pod.run(**{names.ENV_HOOKS: ""})
    assert notes == ["run"]
    assert "hooks" not in pod.api.record


def test_undeclared_hooks_are_reported() -> None:
    first = me(**{names.ENV_HOOKS: "onError", names.ENV_ITERATION: "1"})

    assert hooks.undeclared(Hooked(), first) == ["on_done"]
    assert hooks.undeclared(Hooked(), me(**{names.ENV_HOOKS: "onDone", names.ENV_ITERATION: "1"})) == []
    assert hooks.undeclared(Hooked(), me()) == []


def test_an_exception_of_a_hook_is_stored_and_changes_nothing_else(pod: Pod) -> None:
    pod.ends(phase="Succeeded", reason="Done")

    code, _ = pod.run(done="raise KeyError('x')")

    assert code == 0
    assert pod.api.record["response"]["status"] == "done"
    assert pod.api.record["hooks"][-1] == {"name": "onDone", "outcome": "Failed", "message": "KeyError: 'x'"}


def test_a_rejection_is_stored_before_run_is_called(pod: Pod) -> None:
    code, notes = pod.run(before="raise ValueError('not on Sundays')")

    assert code == 1
    assert "run" not in notes
    assert pod.api.record["response"] == {
        "status": "error",
        "error": {"message": "not on Sundays", "code": "ValueError"},
        "refusal": "Rejected",
    }
    assert pod.api.record["hooks"] == [
        {"name": "onBeforeTrigger", "outcome": "Failed", "message": "not on Sundays"},
    ]


def test_a_pod_does_not_wait_if_the_run_continues(pod: Pod) -> None:
    def continues(method: str, name: str) -> None:
        if (method, name) == ("GET", "shop") and "response" in pod.api.objects.get("shop-i2", {}):
            pod.api.put("shop", task_run(status={"phase": "Running", "lastRecord": "shop-i2"}))

    pod.api.before = continues

    _, notes = pod.run(**{names.ENV_MAX_ITERATIONS: "2"}, answer="controller.response.continue_({})")

    assert notes[-1] == "run"


def test_a_pod_does_not_wait_for_the_end_of_another_run_of_this_name(pod: Pod) -> None:
    def is_replaced(method: str, name: str) -> None:
        if (method, name) == ("GET", "shop") and "response" in pod.api.objects.get("shop-i2", {}):
            pod.api.put("shop", task_run(metadata={"name": "shop", "uid": "uid-of-another-run"}))

    pod.api.before = is_replaced
    began = pod.api.clock()

    _, notes = pod.run()

    assert notes[-1] == "run"
    assert pod.api.clock() - began < 1


def test_a_pod_does_not_wait_for_an_end_that_depends_on_it(pod: Pod) -> None:
    """Without on_abort the operator writes Aborted only after the container has ended."""

    def is_aborted(method: str, name: str) -> None:
        if (method, name) == ("GET", "shop") and "response" in pod.api.objects.get("shop-i2", {}):
            aborted = task_run(status={"phase": "Running"})
            pod.api.put("shop", {**aborted, "spec": {**aborted["spec"], "abort": {"message": "wrong file"}}})

    pod.api.before = is_aborted
    began = pod.api.clock()

    _, notes = pod.run(**{names.ENV_HOOKS: "onDone"})

    assert notes == ["run"]
    assert pod.api.clock() - began < 1


def test_a_pod_waits_for_the_end_at_most_as_long_as_an_iteration_may_take(pod: Pod) -> None:
    began = pod.api.clock()

    _, notes = pod.run()

    assert notes[-1] == "run"
    assert 900 <= pod.api.clock() - began <= 1000


def test_a_conflict_with_another_write_does_not_lose_an_outcome(pod: Pod) -> None:
    pod.ends(phase="Succeeded", reason="Done")
    ends = pod.api.before
    seen: list[str] = []

    def another_client_updates_it(method: str, name: str) -> None:
        ends(method, name)
        if (method, name) == ("PUT", "shop-i2") and "response" in pod.api.record and not seen:
            seen.append(name)
            pod.api.put("shop-i2", pod.api.record)

    pod.api.before = another_client_updates_it
    pod.run()

    assert seen
    assert pod.api.record["hooks"][-1] == {"name": "onDone", "outcome": "Succeeded"}


# --- pods that only call hooks ----------------------------------------------------------------------------------------


def hook_pod(**changes: str) -> dict[str, str]:
    return {
        names.ENV_POD_NAME: "shop-herror",
        names.ENV_ITERATION: "0",
        names.ENV_HOOK: "onMaxIterations,onError",
        **changes,
    }


def test_a_hook_pod_claims_its_record_and_calls_only_its_hooks(pod: Pod) -> None:
    pod.api.put("shop-i1", {"response": {"status": "continue", "input": {"cursor": 7}}})
    pod.api.put("shop", task_run(status={**FAILED, "reason": "MaxIterations", "output": {"rows": 1}}))

    code, notes = pod.run(**hook_pod(**{names.ENV_STATE: "shop-i1"}))

    assert code == 0
    assert [note[0] for note in notes] == ["onMaxIterations", "onError"]
    record = pod.api.objects["shop-herror"]
    assert (record["hook"], record["iteration"], record["podUID"]) == ("onMaxIterations", 0, POD_UID)
    assert [hook["outcome"] for hook in record["hooks"]] == ["Succeeded", "Succeeded"]
    assert record["finishedAt"]


def test_a_hook_pod_that_cannot_import_the_task_fails_each_hook(pod: Pod) -> None:
    pod.api.put("shop", task_run(status={**FAILED, "reason": "MaxIterations"}))

    code, _ = pod.run(answer="None\n  (", **hook_pod())

    assert code == 0
    stored = pod.api.objects["shop-herror"]["hooks"]
    assert [hook["name"] for hook in stored] == ["onMaxIterations", "onError"]
    assert "IndentationError" in stored[0]["message"]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "Running"}, "onError of TaskRun shop are not due"),
        ({**FAILED, "hooks": [{"name": "onError", "outcome": "Failed"}]}, "onError of TaskRun shop are not due"),
        (
            {**FAILED, "current": {"podName": "shop-herror", "podUID": "other", "try": 1}},
            "another pod of this name has taken its place",
        ),
        (
            {**FAILED, "current": {"podName": "shop-herrort2", "podUID": "other", "try": 2}},
            "pod shop-herrort2 has taken over",
        ),
        (
            {**FAILED, "current": {"podName": "shop-i9", "podUID": "other", "try": 3}},
            None,
        ),
    ],
)
def test_the_fence_of_hook_pods(status: dict[str, Any], why: str | None) -> None:
    mine = me(**hook_pod(**{names.ENV_HOOK: "onError"}))

    assert hooks.superseded(task_run(status=status), None, mine) == why
    assert hooks.superseded(None, None, mine) == "TaskRun shop is gone"
    other = task_run(status=status, metadata={"name": "shop", "uid": "another"})
    assert hooks.superseded(other, None, mine) == "TaskRun shop is gone"
    if why is None:
        assert hooks.superseded(task_run(status=status), {}, mine) == "a pod of this name has run before"


def test_a_hook_pod_that_is_not_due_exits(pod: Pod) -> None:
    code, notes = pod.run(**hook_pod())

    assert (code, notes) == (names.EXIT_SUPERSEDED, [])
    assert "shop-herror" not in pod.api.objects


# --- single functions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "changes", "is_aborted", "wanted"),
    [
        ({"status": "done"}, {}, False, True),
        ({"status": "aborted"}, {}, False, True),
        ({"status": "continue"}, {}, False, False),
        ({"status": "continue"}, {names.ENV_MAX_ITERATIONS: "2"}, False, True),
        ({"status": "continue"}, {}, True, True),
        ({"status": "error"}, {}, False, True),
        ({"status": "error"}, {names.ENV_FINAL_ATTEMPT: "false"}, False, False),
        ({"status": "error", "retryable": False}, {names.ENV_FINAL_ATTEMPT: "false"}, False, True),
        ({"status": "error", "refusal": "Rejected"}, {}, False, False),
        ({"status": "done"}, {names.ENV_HOOKS: "onBeforeTrigger"}, False, False),
        # A pod that calls no hook does not wait: the operator waits for the end of its container.
        ({"status": "done"}, {names.ENV_HOOKS: "onError,onAbort"}, False, False),
        ({"status": "aborted"}, {names.ENV_HOOKS: "onDone,onError"}, False, False),
        ({"status": "error"}, {names.ENV_HOOKS: "onDone,onMaxIterations"}, False, False),
        ({"status": "continue"}, {names.ENV_HOOKS: "onError", names.ENV_MAX_ITERATIONS: "2"}, False, True),
        ({"status": "continue"}, {names.ENV_HOOKS: "onDone,onAbort", names.ENV_MAX_ITERATIONS: "2"}, False, False),
        ({"status": "continue"}, {names.ENV_HOOKS: "onMaxIterations", names.ENV_MAX_ITERATIONS: "2"}, False, True),
        ({"status": "done"}, {names.ENV_HOOKS: "onDone"}, True, False),
        ({"status": "done"}, {names.ENV_HOOKS: ""}, False, False),
    ],
)
def test_the_answers_after_which_a_pod_waits_for_the_end(
    response: dict[str, Any], changes: dict[str, str], is_aborted: bool, wanted: bool
) -> None:
    assert hooks.may_follow(response, me(**{names.ENV_HOOKS: ALL, **changes}), is_aborted=is_aborted) is wanted


def test_the_outcome_of_a_call() -> None:
    task = TaskRun("shop", "", "hooked", "success", {}, None, 1)

    assert hooks.call(Hooked(), "onError", task) == {"name": "onError", "outcome": "Succeeded"}
    failed = hooks.call(Hooked(), "onDone", task)
    assert failed == {"name": "onDone", "outcome": "Failed", "message": "ValueError: no shop"}
