"""The guarantees of `podrelay.testing.run_task` for the tests of task authors."""

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from podrelay import Answer, Controller, Fatal, TaskDefinition, TaskRun, TriggerData
from podrelay.api import limits
from podrelay.sdk.errors import DefinitionError
from podrelay.testing import Clock, Moment, NotRunnableHereError, SecretError, run_task


class Counting(TaskDefinition):
    """Counts to `to`, one in each iteration, with a pause of an hour."""

    id = "counting"
    title = "Count"

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        count = input.get("count", 0) + 1
        controller.progress(count, input["to"], "numbers")
        controller.logger.info("counted", data={"count": count})
        if controller.runtime.is_aborted():
            return controller.response.aborted(f"stopped at {count}")
        if count < input["to"]:
            return controller.response.continue_({"count": count}, seconds=3600)
        return controller.response.done("counted", {"count": count})


# --- the relay --------------------------------------------------------------------------------------------------------


def test_a_run_goes_through_its_iterations_without_real_pauses() -> None:
    began = time.monotonic()
    result = run_task(Counting, {"to": 3})

    assert (result.phase, result.reason, result.message) == ("Succeeded", "Done", "counted")
    assert result.output == {"count": 3}
    assert result.error is None
    assert result.iterations == 3
    assert [record.answer for record in result.records] == ["continue", "continue", "done"]
    assert result.records[0].input == {"to": 3, "count": 1}
    assert result.records[0].wait_seconds == 3600
    assert timedelta(hours=2) <= result.duration < timedelta(hours=2, minutes=1)
    assert time.monotonic() - began < 60


def test_progress_and_logs_are_reported_for_each_attempt() -> None:
    result = run_task(Counting, {"to": 2})

    assert [(record.progress, record.progress_message) for record in result.records] == [
        (50.0, "1/2 numbers"),
        (100.0, "2/2 numbers"),
    ]
    assert [(line.type, line.message, line.data) for line in result.logs] == [
        ("info", "counted", {"count": 1}),
        ("info", "counted", {"count": 2}),
    ]


def test_the_result_has_the_complete_objects() -> None:
    result = run_task(Counting, {"to": 1}, name="my-run")

    assert result.name == "my-run"
    assert result.run["kind"] == "TaskRun"
    assert result.run["status"]["recentIterations"][0]["podName"] == "my-run-i1"
    assert result.records[0].record["podUID"] == result.run["status"]["current"]["podUID"]
    assert result.run["status"]["observedGeneration"] == 1


def test_the_repr_summarizes_the_run() -> None:
    assert repr(run_task(Counting, {"to": 2})).splitlines() == [
        "<TaskRun counting Succeeded (Done): counted",
        "  iteration 1: continue, next pod after 3600 s",
        "  iteration 2: done (counted)",
        "  output: {'count': 2}",
        ">",
    ]


def test_max_iterations_come_from_the_class() -> None:
    class Short(Counting):
        id = "short"
        max_iterations = 2

    result = run_task(Short, {"to": 3})

    assert (result.phase, result.reason, result.iterations) == ("Failed", "MaxIterations", 2)
    assert result.error is not None
    assert result.error.message == "Task reached max iterations."


def test_the_result_includes_iterations_whose_records_were_deleted() -> None:
    result = run_task(Counting, {"to": 25})

    assert [record.iteration for record in result.records] == list(range(1, 26))


def test_the_result_includes_a_run_that_cleaned_itself_up() -> None:
    class Gone(Counting):
        id = "gone"
        ttl_seconds_after_finished = 0

    result = run_task(Gone, {"to": 2})

    assert (result.phase, len(result.records)) == ("Succeeded", 2)


# --- errors and retries -----------------------------------------------------------------------------------------------


class Flaky(TaskDefinition):
    """Fails once, after saving its progress."""

    id = "flaky"
    title = "Fail"
    retry = {"limit": 1, "initialSeconds": 600}  # noqa: RUF012 - never changed

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        if controller.task.attempt == 1:
            controller.state.update_input({"saved": 7})
            raise ConnectionError("the line is dead")
        return controller.response.done(output={"saved": input["saved"], "final": controller.task.is_final_attempt})


def test_a_retry_waits_and_starts_from_the_checkpoint() -> None:
    result = run_task(Flaky)

    assert result.output == {"saved": 7, "final": True}
    assert [(record.iteration, record.attempt, record.answer) for record in result.records] == [
        (1, 1, "error"),
        (1, 2, "done"),
    ]
    assert result.iterations == 1
    assert result.duration >= timedelta(seconds=600)


def test_an_error_without_a_retry_fails_the_run() -> None:
    class Broken(TaskDefinition):
        id = "broken"
        title = "Break"

        def run(self, input: dict[str, Any], controller: Controller) -> Answer:
            return controller.response.error({"message": "no", "code": "NoWay", "data": {"row": 3}})

    result = run_task(Broken)

    assert (result.phase, result.reason, result.message) == ("Failed", "TaskFailed", "no")
    assert result.error is not None
    assert (result.error.code, result.error.data) == ("NoWay", {"row": 3})
    assert "error data: {'row': 3}" in repr(result)


def test_an_output_that_is_too_large_for_the_status_is_in_the_result() -> None:
    class Large(TaskDefinition):
        id = "large"
        title = "Large"

        def run(self, input: dict[str, Any], controller: Controller) -> dict[str, Any]:
            return {"text": "x" * limits.STATUS_OUTPUT_BYTES}

    result = run_task(Large)

    assert result.output == {"text": "x" * limits.STATUS_OUTPUT_BYTES}
    assert result.run["status"]["outputFrom"] == "large-i1"


class OrderInput(BaseModel):
    amount: int


class Ordering(TaskDefinition):
    id = "ordering"
    title = "Order"

    def run(self, input: OrderInput, controller: Controller) -> dict[str, Any]:
        return {"double": 2 * input.amount}


def test_input_may_be_a_model() -> None:
    assert run_task(Ordering, OrderInput(amount=2)).output == {"double": 4}


def test_invalid_input_is_an_error_with_its_fields() -> None:
    result = run_task(Ordering, {"amount": "many"})

    assert result.phase == "Failed"
    assert result.error is not None
    assert result.error.data is not None
    assert list(result.error.data["invalidFields"]) == ["amount"]


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": {1, 2}}, {"x": "y" * limits.PAYLOAD_BYTES}])
def test_input_that_cannot_be_stored_is_rejected(payload: dict[str, Any]) -> None:
    with pytest.raises(limits.PayloadError, match="input"):
        run_task(Counting, payload)


def test_a_definition_that_the_api_server_would_reject_is_rejected() -> None:
    class Never(Counting):
        id = "never"
        max_iterations = 0

    with pytest.raises(DefinitionError, match=r"Never: spec\.maxIterations: .*greater than or equal to 1"):
        run_task(Never)


def test_a_definition_of_another_language_is_rejected() -> None:
    class Shell(Counting):
        id = "shell"
        reporting = "TerminationMessage"

    with pytest.raises(NotRunnableHereError, match="needs a cluster"):
        run_task(Shell)


# --- hooks ------------------------------------------------------------------------------------------------------------


class Hooked(TaskDefinition):
    """Records which of its hooks were called, and with which arguments."""

    id = "hooked"
    title = "Hooked"
    max_iterations = 2
    called: list[Any]
    clock: Clock

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        self.called.append("run")
        match input.get("answer"):
            case "continue":
                return controller.response.continue_()
            case "error":
                raise ValueError("no")
            case "killed":
                self.clock.advance(1000)  # beyond its timeout
                self.clock.advance(1000)  # beyond its grace period
            case "price":
                raise Fatal("too dear", data={"limit": 199.0, "sums": [{"of": -0.0}]})
            case "float":
                return controller.response.done(output={"x": 1.0, "y": [{"z": 2.0**62}]})
        return controller.response.done(output={"all": "well"})

    def on_before_trigger(self, data: TriggerData) -> None:
        self.called.append(("before", data.definition))
        if data.input.get("refuse"):
            raise PermissionError("not today")

    def on_done(self, task: TaskRun) -> None:
        self.called.append(("done", task.status, task.output))

    def on_error(self, task: TaskRun) -> None:
        self.called.append(("error", task.status))
        raise OSError("the mail server is down")

    def on_abort(self, task: TaskRun) -> None:
        self.called.append(("abort", task.status))

    def on_max_iterations(self, task: TaskRun) -> None:
        self.called.append(("max", task.iterations))


@pytest.fixture
def hooked() -> type[Hooked]:
    class Fresh(Hooked):
        id = "hooked"
        called: list[Any] = []  # noqa: RUF012 - of one test
        clock = Clock()

    return Fresh


def test_hooks_are_called_in_the_pod_that_answered(hooked: type[Hooked]) -> None:
    result = run_task(hooked)

    assert hooked.called == [("before", "hooked"), "run", ("done", "success", {"all": "well"})]
    assert result.hooks == {"onBeforeTrigger": "Succeeded", "onDone": "Succeeded"}
    assert len(result.records) == 1


@pytest.mark.parametrize(
    ("input", "outcomes"),
    [
        ({"answer": "float"}, {"onBeforeTrigger": "Succeeded", "onDone": "Succeeded"}),
        ({"answer": "price"}, {"onBeforeTrigger": "Succeeded", "onError": "Failed"}),
    ],
)
def test_whole_numbers_as_floats_do_not_cause_a_second_hook_call(
    hooked: type[Hooked], input: dict[str, Any], outcomes: dict[str, str]
) -> None:
    result = run_task(hooked, input)

    assert len(hooked.called) == 3
    assert result.hooks == outcomes
    assert len(result.records) == 1


def test_numbers_are_stored_as_in_a_cluster() -> None:
    class Price(TaskDefinition):
        id = "price"
        title = "Price"

        def run(self, input: dict[str, Any], controller: Controller) -> Answer:
            seen.append(repr(input["price"]))
            if len(seen) == 1:
                controller.state.update_output({"paid": 0.0})
                seen.append(repr(controller.state.get_output()))
                return controller.response.continue_({"price": input["price"] + 0.0})
            return controller.response.done({"price": float(input["price"])})

    seen: list[str] = []
    result = run_task(Price, {"price": 199.0})

    assert seen == ["199", "{'paid': 0}", "199"]
    assert repr(result.output) == "{'price': 199}"


def test_a_failed_hook_is_reported_and_changes_nothing(hooked: type[Hooked]) -> None:
    result = run_task(hooked, {"answer": "error"})

    assert (result.phase, result.message) == ("Failed", "no")
    assert result.hooks == {"onBeforeTrigger": "Succeeded", "onError": "Failed"}


def test_a_run_that_is_rejected_beforehand_never_starts(hooked: type[Hooked]) -> None:
    result = run_task(hooked, {"refuse": True})

    assert (result.phase, result.reason, result.iterations) == ("Failed", "Rejected", 0)
    assert hooked.called == [("before", "hooked")]


def test_max_iterations_have_their_own_hook(hooked: type[Hooked]) -> None:
    run_task(hooked, {"answer": "continue"})

    assert hooked.called[-2:] == [("max", 2), ("error", "failed")]


def test_a_run_without_a_hook_for_its_end_is_not_delayed_by_another_hook() -> None:
    class Careful(TaskDefinition):
        id = "careful"
        title = "Careful"

        def run(self, input: dict[str, Any], controller: Controller) -> None: ...

        def on_error(self, task: TaskRun) -> None: ...

    result = run_task(Careful)

    assert (result.phase, result.hooks) == ("Succeeded", {})
    assert result.duration < timedelta(seconds=20)


@pytest.mark.parametrize("when", [{"abort_at_iteration": 1}, {"abort_after": 0}], ids=["in a pod", "before any pod"])
def test_the_hook_of_an_abort_is_called_in_any_case(hooked: type[Hooked], when: dict[str, Any]) -> None:
    result = run_task(hooked, **when)

    assert result.phase == "Aborted"
    assert hooked.called[-1] == ("abort", "aborted")


def test_if_the_pod_died_another_one_calls_the_hooks(hooked: type[Hooked]) -> None:
    result = run_task(hooked, {"answer": "killed"}, clock=hooked.clock)

    assert hooked.called[-1] == ("error", "failed")
    assert result.run["status"]["current"]["podName"] == "hooked-herror"
    assert result.hooks == {"onBeforeTrigger": "Succeeded", "onError": "Failed"}
    assert [record.answer for record in result.records] == ["error"]


# --- aborts -----------------------------------------------------------------------------------------------------------


def test_an_abort_at_an_iteration_is_seen_by_the_task() -> None:
    result = run_task(Counting, {"to": 5}, abort_at_iteration=2, abort_message="enough")

    assert (result.phase, result.message, result.iterations) == ("Aborted", "enough", 2)
    assert result.records[-1].message == "stopped at 2"


def test_an_abort_ends_a_waiting_run_immediately() -> None:
    result = run_task(Counting, {"to": 5}, abort_after=1800)

    assert (result.phase, result.iterations) == ("Aborted", 1)
    assert result.duration < timedelta(seconds=1900)


def test_an_abort_happens_as_soon_as_its_condition_is_true() -> None:
    moments: list[Moment] = []

    def half_done(moment: Moment) -> bool:
        moments.append(moment)
        return (moment.progress or 0) >= 50

    result = run_task(Counting, {"to": 4}, abort_when=half_done)

    assert (result.phase, result.iterations) == ("Aborted", 2)
    assert moments[:2] == [Moment(1, 1, 0, None, ""), Moment(1, 1, 0, 25.0, "1/4 numbers")]
    assert moments[-1].message == "2/4 numbers"


def test_a_task_that_ignores_its_abort_is_aborted_nevertheless() -> None:
    class Deaf(TaskDefinition):
        id = "deaf"
        title = "Deaf"

        def run(self, input: dict[str, Any], controller: Controller) -> dict[str, Any]:
            return {"done": True}

    result = run_task(Deaf, abort_at_iteration=1)

    assert (result.phase, result.output) == ("Aborted", {"done": True})


# --- time -------------------------------------------------------------------------------------------------------------


class Slicing(TaskDefinition):
    """Works until it is close to its timeout, then continues in the next iteration."""

    id = "slicing"
    title = "Slices"
    iteration_timeout_seconds = 900
    retry = {"limit": 1, "initialSeconds": 0}  # noqa: RUF012 - never changed

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        done = input.get("done", 0)
        while done < input["rows"]:
            if controller.runtime.is_close_to_timeout():
                return controller.response.continue_({"done": done})
            done += 1
        return controller.response.done(output={"done": done})


def test_a_tick_for_each_query_brings_a_task_close_to_its_timeout() -> None:
    result = run_task(Slicing, {"rows": 5}, tick=300)

    assert [(record.input or {}).get("done") for record in result.records] == [2, 4, None]
    assert result.output == {"done": 5}


def test_without_a_tick_there_is_enough_time() -> None:
    assert run_task(Slicing, {"rows": 5}).iterations == 1


class Sleeping(TaskDefinition):
    """Exceeds its timeout in its first attempt."""

    id = "sleeping"
    title = "Sleep"
    iteration_timeout_seconds = 900
    abort_grace_period_seconds = 60
    clock = Clock()
    seen: list[Any]

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        self.clock.advance(input["seconds"])
        self.seen.append((controller.runtime.is_close_to_timeout(), controller.runtime.remaining_seconds()))
        self.clock.advance(input["more"])
        self.seen.append("still there")
        return controller.response.done()


@pytest.fixture
def sleeping() -> type[Sleeping]:
    class Fresh(Sleeping):
        id = "sleeping"
        clock = Clock()
        seen: list[Any] = []  # noqa: RUF012 - of one test

    return Fresh


def test_a_task_is_notified_of_its_timeout_and_answers_within_its_grace_period(sleeping: type[Sleeping]) -> None:
    result = run_task(sleeping, {"seconds": 901, "more": 30}, clock=sleeping.clock)

    assert sleeping.seen == [(True, 59), "still there"]
    assert result.phase == "Succeeded"


def test_a_task_whose_grace_period_is_over_is_killed(sleeping: type[Sleeping]) -> None:
    result = run_task(sleeping, {"seconds": 901, "more": 61}, clock=sleeping.clock)

    assert sleeping.seen == [(True, 59)]
    assert (result.phase, result.reason) == ("Failed", "IterationTimeout")
    assert "iteration timed out after 900 s" in result.message


def test_the_answer_of_a_task_that_ignores_its_timeout_is_not_used() -> None:
    clock = Clock()

    class Stubborn(TaskDefinition):
        id = "stubborn"
        title = "Stubborn"

        def run(self, input: dict[str, Any], controller: Controller) -> dict[str, Any]:
            try:
                clock.advance(2000)
                clock.advance(2000)
            except BaseException:  # noqa: BLE001 - what is tested
                return {"alive": True}
            return {"never": "killed"}

    result = run_task(Stubborn, clock=clock)

    assert (result.phase, result.output) == ("Failed", None)


class Beating(TaskDefinition):
    """Takes a minute for each step, with or without a heartbeat."""

    id = "beating"
    title = "Beats"
    heartbeat_timeout_seconds = 90
    clock = Clock()

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        for step in range(5):
            self.clock.advance(60)
            if input["reports"]:
                controller.progress(step, 5)
        return controller.response.done()


def test_heartbeats_count_in_skipped_time_too() -> None:
    assert run_task(Beating, {"reports": True}, clock=Beating.clock).phase == "Succeeded"


def test_a_task_that_is_silent_for_too_long_is_ended() -> None:
    result = run_task(Beating, {"reports": False}, clock=Beating.clock)

    assert result.phase == "Failed"
    assert "no heartbeat for" in result.message


def test_time_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="cannot be advanced by -1"):
        Clock().advance(-1)


# --- threads and event loops ------------------------------------------------------------------------------------------


class Where(TaskDefinition):
    id = "where"
    title = "Where"
    threads: list[int] = []  # noqa: RUF012 - of one test

    async def run(self, input: dict[str, Any], controller: Controller) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.threads.append(threading.get_ident())
        return {"input": input}


def test_a_task_runs_in_the_thread_of_its_test() -> None:
    Where.threads.clear()

    assert run_task(Where, {"a": 1}).output == {"input": {"a": 1}}
    assert Where.threads == [threading.get_ident()]


async def test_a_coroutine_runs_even_if_an_event_loop_is_running() -> None:
    Where.threads.clear()

    assert run_task(Where, {"a": 1}).output == {"input": {"a": 1}}
    assert Where.threads != [threading.get_ident()]


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    run_task(Counting, {"to": 3})

    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)  # the thread that writes progress ends some time after its iteration
        assert not thread.is_alive()


# --- Secrets ---------------------------------------------------------------------------------------------------------


class Confidential(TaskDefinition):
    id = "confidential"
    title = "Confidential"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        return controller.response.done({"keys": list(controller.secret), "length": len(controller.secret["password"])})


def test_a_task_gets_the_secret_that_its_test_names() -> None:
    result = run_task(Confidential, secret={"password": "s3cret", "ca.crt": "\r\n"})

    assert result.output == {"keys": ["ca.crt", "password"], "length": 6}


def test_without_a_secret_the_error_says_so() -> None:
    result = run_task(Confidential)

    assert result.error is not None
    assert "names no Secret" in result.error.message


@pytest.mark.parametrize("key", ["../escape", "a/b", "", ".."])
def test_an_invalid_key_of_a_secret_is_rejected(key: str) -> None:
    with pytest.raises(SecretError):
        run_task(Confidential, secret={key: "x"})
