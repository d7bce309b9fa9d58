"""The state table of docs/architecture.md, with a test for each row: from a view and a time follows a plan."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.operator.object_rules import template_hash
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import (
    Action,
    ClaimRecord,
    ConfirmAbsent,
    ConfirmGone,
    ConfirmLost,
    CreatePod,
    DeletePod,
    DeleteRun,
    EndPod,
    OpenGate,
    Plan,
    ReadRecord,
    WriteRecord,
)
from podrelay.operator.pods import Pod
from podrelay.operator.view import Gone, Refusal, Settings, View
from tests.unit.operator.builders import (
    LOOKED_AT,
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
    view,
    waiting,
)

RUNNING: dict[str, Any] = {"phase": "Running", "startedAt": ago(60), "iterations": 1, "current": current()}
DONE: dict[str, Any] = {"status": "done", "message": "counted", "output": {"rows": 3}}
NODE_PRESSURE = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
POD_GC = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}


def status_of(following: Plan) -> TaskRunStatus:
    assert following.actions == ()
    assert following.status is not None
    return following.status


def action_of(following: Plan) -> Action:
    (action,) = following.actions
    return action


def code_of(action: WriteRecord) -> str | None:
    return action.response.error.code if action.response.error else None


def shown(following: Plan) -> tuple[str | None, str | None]:
    return status_of(following).phase, status_of(following).reason


def ended_pod(name: str = "words-i1", code: int = 0, **fields: Any) -> Pod:
    return pod(name, phase="Failed" if code else "Succeeded", state=terminated(code), **fields)


def answered(
    response: dict[str, Any], status: dict[str, Any] | None = None, name: str = "words-i1", **rest: Any
) -> View:
    """A run whose current pod has answered and ended."""
    run = rest.pop("run", None) or task_run({**RUNNING, **(status or {}), "current": current_of(name)})
    return view(run, pods=(ended_pod(name), *rest.pop("pods", ())), records=(record(name, response),), **rest)


def current_of(name: str) -> dict[str, Any]:
    iteration, _, attempt = name.rpartition("-i")[2].partition("t")
    return current(name, int(iteration), int(attempt or 1))


# --- a pod is due -----------------------------------------------------------------------------------------------------


def test_a_new_run_gets_its_first_pod_at_once() -> None:
    action = action_of(plan(view(), NOW))

    assert isinstance(action, CreatePod)
    assert (action.target.name, action.target.iteration, action.target.try_) == ("words-i1", 1, 1)


def test_a_run_with_its_first_pod_is_running() -> None:
    following = plan(view(pods=(pod(state=waiting("ContainerCreating")),)), NOW)

    status = status_of(following)
    assert (status.phase, status.reason, status.iterations, status.started_at) == (
        "Running",
        "IterationRunning",
        1,
        NOW,
    )
    assert status.current is not None
    assert status.current.pod_uid == "uid-words-i1"
    assert status.max_iterations == 50


def test_a_run_that_is_deleted_is_left_to_garbage_collection() -> None:
    run = task_run({"phase": "Succeeded"})
    deleted = view(msgspec.structs.replace(run, metadata=msgspec.structs.replace(run.metadata, deletion_timestamp=NOW)))

    assert plan(deleted, NOW) == Plan()


@pytest.mark.parametrize("spec", [{"delaySeconds": 90}, {"startAt": later(30)}])
def test_a_delayed_run_is_pending_until_its_time(spec: dict[str, Any]) -> None:
    waits = view(task_run(created=ago(60), **spec))

    following = plan(waits, NOW)

    assert shown(following) == ("Pending", "Delayed")
    assert status_of(following).next_iteration_at == later(30)
    assert following.requeue_at == later(30)
    assert isinstance(action_of(plan(waits, later(30))), CreatePod)


def test_a_suspended_run_starts_nothing() -> None:
    assert shown(plan(view(task_run(suspend=True)), NOW)) == ("Pending", "Suspended")
    between = answered({"status": "continue"}, run=task_run(RUNNING, suspend=True))
    assert shown(plan(between, NOW)) == ("Running", "Suspended")


def test_suspend_leaves_the_current_pod_alone() -> None:
    following = plan(view(task_run(RUNNING, suspend=True), pods=(pod(state=running(), phase="Running"),)), NOW)

    assert following.actions == ()
    assert status_of(following).phase == "Running"


def test_a_run_without_its_definition_waits_and_then_fails() -> None:
    lost = View(run=task_run(), definition=None, now=NOW)

    first = plan(lost, NOW)
    assert shown(first) == ("Pending", "DefinitionNotFound")
    assert condition_of(first, "Stalled") == "True"
    assert first.requeue_at == later(900)

    waiting_run = View(run=with_status(lost.run, status_of(first)), definition=None, now=NOW, absent="words-i1")
    assert shown(plan(waiting_run, later(899))) == ("Pending", "DefinitionNotFound")
    assert shown(plan(waiting_run, later(900))) == ("Failed", "DefinitionNotFound")
    assert status_of(plan(waiting_run, later(900))).iterations == 0
    assert isinstance(action_of(plan(view(waiting_run.run), later(899))), CreatePod)


def test_a_refused_pod_is_shown_with_the_message_of_the_api_server_and_retried() -> None:
    failure = Refusal("words-i1", "QuotaExceeded", "exceeded quota: pods", NOW, later(5))
    refused = view(refusal=failure)

    following = plan(refused, NOW)

    assert shown(following) == ("Pending", "QuotaExceeded")
    assert status_of(following).message == "exceeded quota: pods"
    assert following.requeue_at == later(5)
    assert isinstance(action_of(plan(refused, later(5))), CreatePod)


def test_a_pod_that_is_refused_for_too_long_fails_the_run() -> None:
    failure = Refusal("words-i1", "QuotaExceeded", "no", ago(900), later(5))

    status = status_of(plan(view(refusal=failure), NOW))

    assert (status.phase, status.reason) == ("Failed", "QuotaExceeded")
    assert status.error is not None
    assert status.error.code == "QuotaExceeded"


def test_a_long_refusal_is_cut_to_what_the_status_can_hold() -> None:
    failure = Refusal("words-i1", "PodInvalid", "x" * 100_000, ago(900), later(5))

    status = status_of(plan(view(refusal=failure), NOW))

    assert status.error is not None
    assert len(status.error.message) <= 4096
    assert len(status.message or "") <= 4096


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("404", "Unknown"),
        ("404NotFound", "NotFound"),
        ("a b-c.d", "abcd"),
        ("Trailing:", "Trailing"),
        ("", "Unknown"),
        ("x" * 200, "x" * 127),
    ],
)
def test_every_reason_fits_the_schema(reason: str, expected: str) -> None:
    failure = Refusal("words-i1", reason, "no", NOW, later(5))

    assert status_of(plan(view(refusal=failure), NOW)).reason == expected


def test_a_foreign_pod_of_the_name_is_not_touched() -> None:
    foreign = pod(about={"run_uid": "another run"})

    assert shown(plan(view(pods=(foreign,)), NOW)) == ("Pending", "NameTaken")


def test_a_foreign_record_of_the_name_stalls_the_run_too() -> None:
    foreign = record(metadata=record().metadata.__class__("words-i1", "shop", "u", "1", NOW))

    assert shown(plan(view(records=(foreign,)), NOW)) == ("Pending", "NameTaken")


# --- a pod that does not start ----------------------------------------------------------------------------------------


def test_what_keeps_a_pod_from_starting_is_shown() -> None:
    stuck = pod(state=waiting("ErrImagePull", "no such tag"))

    following = plan(view(task_run(RUNNING), pods=(stuck,)), NOW)

    assert shown(following) == ("Running", "ErrImagePull")
    assert condition_of(following, "Stalled") == "True"
    assert following.requeue_at == later(840)


PULL_FAILS: dict[str, Any] = {"state": waiting("ImagePullBackOff", "no such tag")}


def made_from(definition: TaskDefinition) -> dict[str, str]:
    return {"podrelay.dev/template-hash": template_hash(definition)}


def test_a_pod_that_cannot_start_is_replaced_when_its_template_has_changed() -> None:
    image = {"spec": {"containers": [{"name": "task", "image": "words:2"}]}}
    stuck = pod(**PULL_FAILS, version=77, annotations=made_from(task_definition()))

    assert shown(plan(view(task_run(RUNNING), pods=(stuck,)), NOW)) == ("Running", "ImagePullBackOff")
    fixed = view(task_run(RUNNING), pods=(stuck,), definition=task_definition(template=image))
    assert action_of(plan(fixed, NOW)) == DeletePod("words-i1", "uid-words-i1", "77")

    about = {"deletionTimestamp": later(60), "deletionGracePeriodSeconds": 60}
    gone = pod(**PULL_FAILS, phase="Failed", about=about, annotations=made_from(task_definition()))
    following = plan(replace(fixed, pods=(gone,), settled=LOOKED_AT), NOW)
    assert isinstance(action_of(following), CreatePod)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (PULL_FAILS, {"maxIterations": 7}),
        ({}, {"template": {"spec": {"containers": [{"name": "task", "image": "words:2"}]}}}),
        ({"state": running()}, {"template": {"spec": {"containers": [{"name": "task", "image": "words:2"}]}}}),
    ],
    ids=["template is the same", "is starting", "has started"],
)
def test_other_pods_stay_when_their_definition_changes(fields: dict[str, Any], changes: dict[str, Any]) -> None:
    it = pod(**fields, annotations=made_from(task_definition()))

    assert status_of(plan(view(task_run(RUNNING), pods=(it,), definition=task_definition(**changes)), NOW))


def test_a_pod_of_an_older_operator_without_a_template_hash_stays() -> None:
    image = {"spec": {"containers": [{"name": "task", "image": "words:2"}]}}

    following = plan(
        view(task_run(RUNNING), pods=(pod(**PULL_FAILS),), definition=task_definition(template=image)), NOW
    )

    assert shown(following) == ("Running", "ImagePullBackOff")


def test_a_pod_that_does_not_start_in_time_is_deleted_in_the_version_that_was_seen() -> None:
    stuck = pod(state=waiting("ErrImagePull"), version=77)

    assert action_of(plan(view(task_run(RUNNING), pods=(stuck,)), later(840))) == DeletePod(
        "words-i1", "uid-words-i1", "77"
    )


def test_and_then_counts_as_a_failed_attempt() -> None:
    gone = {"uid-words-i1": Gone(later(841), pod(), is_last_state=True)}

    action = action_of(plan(view(task_run(RUNNING), gone=gone), later(841)))

    assert isinstance(action, WriteRecord)
    assert (action.cause, code_of(action)) == ("PodFailure", "PendingTimeout")


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_without_a_result_does_not_need_its_record() -> None:
    assert plan(answered({"status": "done"}), NOW).payload_from is None
    failed = {"status": "error", "error": {"message": "odd"}}
    assert plan(answered(failed), NOW).payload_from is None
    described = {"status": "error", "error": {"message": "odd", "data": {"row": 1}}}
    assert plan(answered(described), NOW).payload_from == "words-i1"


def test_an_error_is_shown_during_its_retry() -> None:
    described = {"status": "error", "error": {"message": "odd", "code": "Odd", "data": {"row": 1}}}
    retried = answered(described, definition=task_definition(retry={"limit": 1, "initialSeconds": 60}))

    assert msgspec.to_builtins(status_of(plan(retried, NOW)).error) == {"message": "odd", "code": "Odd"}


def test_done_succeeds() -> None:
    following = plan(answered(DONE), NOW)

    status = status_of(following)
    assert (status.phase, status.reason, status.message, status.iterations) == ("Succeeded", "Done", "counted", 1)
    assert status.finished_at == NOW
    assert following.payload_from == "words-i1"
    assert [(item.iteration, item.answer) for item in status.recent_iterations] == [(1, "done")]


def test_an_answer_waits_for_the_end_of_the_container() -> None:
    still = view(task_run(RUNNING), pods=(pod(state=running(), phase="Running"),), records=(record(response=DONE),))

    following = plan(still, NOW)

    assert shown(following) == ("Running", "IterationRunning")
    assert following.requeue_at == later(30)
    assert action_of(plan(still, later(30))) == EndPod(still.pods[0])


def test_continue_makes_the_next_pod_at_once() -> None:
    action = action_of(plan(answered({"status": "continue"}), NOW))

    assert isinstance(action, CreatePod)
    assert (action.target.name, action.target.state) == ("words-i2", "words-i1")


def test_the_next_pod_and_the_new_progress_are_written_together() -> None:
    following = plan(answered({"status": "continue"}, pods=(pod("words-i2"),)), NOW)

    status = status_of(following)
    assert (status.last_record, status.iterations) == ("words-i1", 2)
    assert status.current is not None
    assert status.current.pod_name == "words-i2"


@pytest.mark.parametrize(
    ("response", "due"),
    [
        ({"waitSeconds": 90}, later(90)),
        ({"waitUntil": later(120)}, later(120)),
        ({"waitUntil": later(86_400 * 1000)}, NOW + timedelta(days=355)),
        ({"waitSeconds": 1.5}, NOW + timedelta(seconds=1.5)),
    ],
)
def test_continue_with_a_wait_continues_at_its_time(response: dict[str, Any], due: datetime) -> None:
    following = plan(answered({"status": "continue", **response}), NOW)

    assert shown(following) == ("Running", "Waiting")
    assert status_of(following).next_iteration_at == due
    assert following.requeue_at == due


def test_a_wait_that_is_over_starts_the_next_pod() -> None:
    status = {**RUNNING, "current": None, "lastRecord": "words-i1", "nextIterationAt": NOW}

    action = action_of(plan(view(task_run(status), records=(record(response={"status": "continue"}),)), NOW))

    assert isinstance(action, CreatePod)
    assert action.target.name == "words-i2"


@pytest.mark.parametrize(("iteration", "phase"), [(1, "Running"), (2, "Failed")])
def test_continue_at_max_iterations_fails(iteration: int, phase: str) -> None:
    name = f"words-i{iteration}"
    last = {"lastRecord": "words-i1"} if iteration > 1 else {}
    done = answered({"status": "continue", "waitSeconds": 9}, last, name, definition=task_definition(maxIterations=2))

    status = status_of(plan(done, NOW))

    assert status.phase == phase
    if phase == "Failed":
        assert (status.reason, status.message) == ("MaxIterations", "Task reached max iterations.")
        assert status.iterations == 2


def test_aborted_by_the_task_itself_is_aborted() -> None:
    assert shown(plan(answered({"status": "aborted"}), NOW)) == ("Aborted", "AbortedByTask")


def test_an_error_fails_the_run() -> None:
    status = status_of(plan(answered({"status": "error", "error": {"message": "odd", "code": "Odd"}}), NOW))

    assert (status.phase, status.reason, status.message) == ("Failed", "TaskFailed", "odd")
    assert status.error is not None
    assert (status.error.message, status.error.code) == ("odd", "Odd")


@pytest.mark.parametrize(("attempts", "pause"), [(0, 10), (1, 30), (2, 90), (3, 100)])
def test_a_failed_attempt_is_retried_after_a_growing_pause(attempts: int, pause: float) -> None:
    retry = task_definition(retry={"limit": 5, "initialSeconds": 10, "factor": 3, "maxSeconds": 100})
    name = "words-i1" if not attempts else f"words-i1t{attempts + 1}"
    failed = answered({"status": "error", "error": {"message": "odd"}}, {"attempts": attempts}, name, definition=retry)

    following = plan(failed, NOW)

    assert shown(following) == ("Running", "Retrying")
    assert status_of(following).attempts == attempts + 1
    assert following.requeue_at == later(pause)


@pytest.mark.parametrize("definition", [task_definition(retry={"limit": 0}), None], ids=["changed", "gone"])
def test_an_existing_attempt_continues_regardless_of_changes_of_the_definition(
    definition: TaskDefinition | None,
) -> None:
    """The pod exists before the status that names it."""
    failed = answered({"status": "error", "error": {"message": "busy"}}, pods=(pod("words-i1t2"),))

    status = status_of(plan(replace(failed, definition=definition), NOW))

    assert (status.phase, status.attempts) == ("Running", 1)
    assert status.current is not None
    assert status.current.pod_name == "words-i1t2"


def test_an_existing_iteration_continues_although_max_iterations_was_lowered() -> None:
    made = answered({"status": "continue"}, pods=(pod("words-i2"),))

    status = status_of(plan(replace(made, definition=task_definition(maxIterations=1)), NOW))

    assert (status.phase, status.last_record) == ("Running", "words-i1")
    assert status.current is not None
    assert status.current.pod_name == "words-i2"


def test_the_last_attempt_is_marked_as_final_and_fails_the_run() -> None:
    retry = task_definition(retry={"limit": 1, "initialSeconds": 0})
    error = {"status": "error", "error": {"message": "odd"}}

    second = action_of(plan(answered(error, definition=retry), NOW))

    assert isinstance(second, CreatePod)
    assert second.target.name == "words-i1t2"
    assert second.target.is_final_attempt
    last = answered(error, {"attempts": 1}, "words-i1t2", definition=retry)
    assert shown(plan(last, NOW)) == ("Failed", "TaskFailed")


def test_a_cause_that_the_policy_does_not_name_is_not_retried() -> None:
    retry = task_definition(retry={"limit": 5, "on": ["Error"]})
    killed = record(response={"status": "error", "error": {"message": "m", "code": "OOMKilled"}}, cause="PodFailure")

    following = plan(view(task_run(RUNNING), retry, pods=(ended_pod(code=137),), records=(killed,)), NOW)

    assert shown(following) == ("Failed", "OOMKilled")


ODD = {"message": "odd", "code": "Odd"}


@pytest.mark.parametrize("definition", [task_definition(retry={"limit": 5}), None], ids=["a policy", "no definition"])
def test_an_error_that_is_not_retryable_fails_the_run_despite_the_policy(
    definition: TaskDefinition | None,
) -> None:
    fatal = answered({"status": "error", "error": ODD, "retryable": False})

    assert shown(plan(replace(fatal, definition=definition), NOW)) == ("Failed", "TaskFailed")


@pytest.mark.parametrize(("says", "pause"), [({"retryAfterSeconds": 300}, 300), ({"retryable": True}, 10)])
def test_a_retry_that_the_task_requests_comes_at_the_requested_time(says: dict[str, Any], pause: float) -> None:
    kills_only = task_definition(retry={"limit": 1, "on": ["PodFailure"]})
    error = {"status": "error", "error": ODD, **says}

    following = plan(answered(error, definition=kills_only), NOW)

    assert shown(following) == ("Running", "Retrying")
    assert following.requeue_at == later(pause)
    last = answered(error, {"attempts": 1}, "words-i1t2", definition=kills_only)
    assert shown(plan(last, NOW)) == ("Failed", "TaskFailed")


def test_an_attempt_is_final_where_errors_are_not_retried() -> None:
    action = action_of(plan(view(definition=task_definition(retry={"limit": 5, "on": ["Timeout"]})), NOW))

    assert isinstance(action, CreatePod)
    assert action.target.is_final_attempt


@pytest.mark.parametrize("refusal", ["InvalidInput", "Rejected"])
@pytest.mark.parametrize("definition", [task_definition(retry={"limit": 5}), None], ids=["a policy", "no definition"])
def test_a_refused_run_has_not_been_called_and_is_not_retried(refusal: str, definition: TaskDefinition | None) -> None:
    response = {"status": "error", "error": {"message": "no", "code": "E", "data": {}}, "refusal": refusal}

    following = plan(replace(answered(response), definition=definition), NOW)

    status = status_of(following)
    assert (status.phase, status.reason, status.message, status.iterations) == ("Failed", refusal, "no", 0)
    assert status.error is not None
    assert status.error.code == "E"
    assert following.payload_from == "words-i1", "the fields that are invalid"


@pytest.mark.parametrize("refusal", [None, "InvalidInput"])
def test_the_message_of_an_answer_takes_precedence_over_that_of_its_error(refusal: str | None) -> None:
    """It names the fields of an invalid input; the error has the same message as in Webiny."""
    error = {"message": "Validation failed.", "code": "VALIDATION_FAILED_INVALID_FIELDS"}
    response = {"status": "error", "message": "Validation failed. url: Field required", "error": error}

    status = status_of(plan(answered(response | ({"refusal": refusal} if refusal else {})), NOW))

    assert status.message == status.recent_iterations[0].message == "Validation failed. url: Field required"
    assert status.error is not None
    assert status.error.message == "Validation failed."


def test_a_retry_starts_from_the_checkpoint_of_the_newest_attempt() -> None:
    tries = (record("words-i1", checkpoint={}), record("words-i1t2", checkpoint={}), record("words-i2", checkpoint={}))

    action = action_of(plan(view(task_run({"phase": "Running", "attempts": 2}), records=tries, settled=LOOKED_AT), NOW))

    assert isinstance(action, CreatePod)
    assert (action.target.name, action.target.checkpoint) == ("words-i1t3", "words-i1t2")


def test_a_pod_that_died_without_an_answer_gets_its_record_written() -> None:
    died = view(task_run(RUNNING), pods=(ended_pod(code=137),), records=(record(),))

    action = action_of(plan(died, NOW))

    assert isinstance(action, WriteRecord)
    assert (action.pod_uid, action.cause, code_of(action)) == ("uid-words-i1", "PodFailure", "OOMKilled")


def test_the_reason_why_a_container_ended_is_not_decided_before_the_kubelet_reports_it() -> None:
    ended = view(task_run(RUNNING), pods=(pod(phase="Running", state=terminated(255)),), records=(record(),))

    following = plan(ended, NOW)

    assert shown(following) == ("Running", "IterationRunning")
    assert following.requeue_at == later(30)
    assert isinstance(action_of(plan(ended, later(30))), WriteRecord)  # sidecars keep running
    evicted = pod(phase="Failed", reason="Evicted", state=terminated(255), conditions=[NODE_PRESSURE])
    assert isinstance(
        action_of(plan(view(ended.run, pods=(evicted,), records=(record(),), settled=LOOKED_AT), later(2))),
        CreatePod,
    )


def test_an_answer_of_the_pod_counts_although_it_was_killed_afterwards() -> None:
    killed = view(task_run(RUNNING), pods=(ended_pod(code=137),), records=(record(response=DONE),))

    assert shown(plan(killed, NOW)) == ("Succeeded", "Done")


def test_progress_is_shown_at_once_and_then_every_15_seconds() -> None:
    def at(progress: dict[str, Any], shown_at: dict[str, Any] | None) -> Plan:
        status = {**RUNNING, **({"progress": shown_at} if shown_at else {})}
        working = pod(state=running(), phase="Running")
        return plan(view(task_run(status), pods=(working,), records=(record(progress=progress),)), NOW)

    first = status_of(at({"percent": 10, "at": NOW}, None)).progress
    assert first is not None
    assert first.percent == 10
    early = at({"percent": 20, "at": NOW}, {"percent": 10, "at": ago(5)})
    assert early.requeue_at == later(10)
    second = status_of(at({"percent": 20, "at": NOW}, {"percent": 10, "at": ago(15)})).progress
    assert second is not None
    assert second.percent == 20


# --- disruptions ------------------------------------------------------------------------------------------------------


def test_an_evicted_pod_is_replaced_at_once_and_counts_as_no_attempt() -> None:
    evicted = pod(phase="Failed", reason="Evicted", state=terminated(137), conditions=[NODE_PRESSURE])

    looked = view(task_run(RUNNING), pods=(evicted,), records=(record(),), settled=LOOKED_AT)
    action = action_of(plan(looked, NOW))

    assert isinstance(action, CreatePod)
    assert action.target.name == "words-i1t2"
    status = status_of(plan(view(task_run(RUNNING), pods=(evicted, pod("words-i1t2")), records=(record(),)), NOW))
    assert (status.attempts, status.disruptions) == (0, 1)
    assert status.recent_iterations[0].answer == "disrupted"


def test_a_pod_that_is_being_deleted_is_not_replaced_before_it_is_gone() -> None:
    drained = pod(state=running(), phase="Running", about={"deletionTimestamp": later(30)})

    following = plan(view(task_run(RUNNING), pods=(drained,)), NOW)

    assert shown(following) == ("Running", "PodTerminating")


def without_node(made: Pod) -> Pod:
    return msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, node_name=""))


def test_a_pod_that_is_not_in_the_cache_is_read_live() -> None:
    assert action_of(plan(view(task_run(RUNNING)), NOW)) == ConfirmGone("words-i1", "uid-words-i1")


@pytest.mark.parametrize(
    ("last", "is_last_state", "wait"),
    [
        (pod(state=terminated(137)), True, 0),
        (without_node(pod()), True, 0),
        (pod(), True, 15),
        (pod(), False, 15),
        (pod(state=running()), True, 15),
        (pod(phase="Failed", state=running()), True, 15),
        (pod(phase="Failed", conditions=[POD_GC]), True, 15),
        (None, False, 15),
    ],
    ids=[
        "had ended",
        "no node had it",
        "a node may have started it",
        "not started when last seen",
        "was running",
        "its node is out of service",
        "its node is gone",
        "never seen",
    ],
)
def test_a_pod_that_vanished_is_replaced_once_it_can_no_longer_run(
    last: Pod | None, is_last_state: bool, wait: int
) -> None:
    gone = {"uid-words-i1": Gone(NOW, last, is_last_state)}

    following = plan(view(task_run(RUNNING), gone=gone, settled=LOOKED_AT), NOW)

    if wait:
        assert shown(following) == ("Running", "Disrupted")
        assert following.requeue_at == later(wait)
    else:
        assert isinstance(action_of(following), CreatePod)


def test_an_answer_that_has_not_been_seen_yet_is_read_before_an_attempt_is_repeated() -> None:
    """The end of a pod may be seen before its record, because each kind has its own watch."""
    gone = {"uid-words-i1": Gone(NOW, pod(phase="Succeeded", state=terminated(0)), is_last_state=True)}

    assert action_of(plan(view(task_run(RUNNING), gone=gone), NOW)) == ReadRecord("words-i1")


def test_a_checkpoint_that_has_not_been_seen_yet_is_read_before_a_third_attempt() -> None:
    """The attempt before left no record, which shows nothing about the first one: another leader has seen that."""
    status = {**RUNNING, "disruptions": 1, "current": current("words-i1t2", 1, 2)}
    never_started = pod("words-i1t2", phase="Failed", reason="Preempting")
    gone = {"uid-words-i1t2": Gone(NOW, never_started, is_last_state=True)}

    def following(*settled: str, records: tuple[Record, ...] = ()) -> Action | None:
        return action_of(plan(view(task_run(status), gone=gone, records=records, settled=frozenset(settled)), NOW))

    assert following() == ReadRecord("words-i1t2")
    assert following("words-i1t2") == ReadRecord("words-i1")
    # The cache may have an earlier version of the record, without the checkpoint.
    assert following("words-i1t2", records=(record(),)) == ReadRecord("words-i1")
    created = following("words-i1t2", "words-i1", records=(record(checkpoint={"input": {}}),))
    assert isinstance(created, CreatePod)
    assert created.target.checkpoint == "words-i1"


def test_a_pod_that_the_garbage_collector_failed_is_deleted_first() -> None:
    """It deletes the pod in a request of its own, which may fail; until then the token of the pod is valid."""
    left = pod(phase="Failed", state=running(), conditions=[POD_GC])

    action = action_of(plan(view(task_run(RUNNING), pods=(left,)), NOW))

    assert action == DeletePod("words-i1", "uid-words-i1", left.metadata.resource_version)


@pytest.mark.parametrize(("finalizers", "seconds"), [([], 15), (["example.com/hold"], 75)])
def test_a_finalizer_on_a_pod_that_the_garbage_collector_failed_decides_when_it_is_replaced(
    finalizers: list[str], seconds: int
) -> None:
    about = {"deletionTimestamp": later(0), "deletionGracePeriodSeconds": 0, "finalizers": finalizers}
    left = pod(phase="Failed", state=running(), conditions=[POD_GC], about=about)

    assert plan(view(task_run(RUNNING), pods=(left,)), NOW).requeue_at == later(seconds)


def test_an_answer_of_a_lost_attempt_does_not_take_precedence_over_an_abort() -> None:
    status = {**RUNNING, "current": None, "disruptions": 1, "nextIterationAt": later(10)}
    late = (record("words-i1", {"status": "done"}),)

    assert shown(plan(view(task_run(status), records=late), NOW)) == ("Succeeded", "Done")
    assert shown(plan(view(task_run(status, abort={}), records=late), NOW)) == ("Aborted", "Aborted")


def test_too_many_disruptions_fail_the_run() -> None:
    status = {**RUNNING, "disruptions": 3, "current": current("words-i1t4", 1, 4)}
    evicted = pod("words-i1t4", phase="Failed", reason="Preempting", message="x" * 10_000, state=terminated(137))

    ended = status_of(plan(view(task_run(status), pods=(evicted,)), NOW))

    assert (ended.phase, ended.reason) == ("Failed", "Disrupted")
    assert ended.error is not None
    assert len(ended.error.message) <= 4096


def test_an_answer_that_was_given_before_the_replacement_exists_still_counts() -> None:
    status = {**RUNNING, "current": None, "disruptions": 1, "nextIterationAt": later(10)}

    assert shown(plan(view(task_run(status), records=(record(response=DONE),)), NOW)) == ("Succeeded", "Done")


def test_the_claim_in_the_record_takes_precedence_over_the_status() -> None:
    # given a status that names a pod, and a record of that name by another pod
    claimed = record(pod_uid="the-other", response=DONE)

    following = plan(view(task_run(RUNNING), records=(claimed,), pods=(pod(state=running()),)), NOW)

    assert action_of(following) == ConfirmGone("words-i1", "the-other")


# --- a pod is ended: abort, timeout -----------------------------------------------------------------------------------


def test_an_abort_before_the_first_pod_ends_the_run_at_once() -> None:
    status = status_of(plan(view(task_run(abort={"message": "wrong file"})), NOW))

    assert (status.phase, status.reason, status.message) == ("Aborted", "Aborted", "wrong file")
    assert status.iterations == 0


def test_an_abort_ends_a_run_that_waits_or_is_suspended_or_lacks_its_definition() -> None:
    run = task_run(abort={}, suspend=True, delaySeconds=999)

    assert shown(plan(View(run=run, definition=None, now=NOW, absent="words-i1"), NOW)) == ("Aborted", "Aborted")


def test_abort_step_1_a_pod_that_never_started_is_deleted_in_the_version_that_was_seen() -> None:
    aborted = view(task_run(RUNNING, abort={}), pods=(pod(version=5),))

    assert action_of(plan(aborted, NOW)) == DeletePod("words-i1", "uid-words-i1", "5")


def test_abort_step_2_a_pod_that_has_started_is_stopped() -> None:
    aborted = view(task_run(RUNNING, abort={}), pods=(pod(state=running(), phase="Running"),), records=(record(),))

    assert action_of(plan(aborted, NOW)) == EndPod(aborted.pods[0])


def test_abort_step_3_grace_and_30_seconds_later_it_is_deleted() -> None:
    ending = pod(state=running(), grace=20, annotations={"podrelay.dev/ending-since": NOW.isoformat()})
    aborted = view(task_run(RUNNING, abort={}), pods=(ending,), records=(record(),))

    before = plan(aborted, later(49))
    assert shown(before) == ("Running", "Aborting")
    assert before.requeue_at == later(50)
    assert action_of(plan(aborted, later(50))) == DeletePod("words-i1", "uid-words-i1")


def test_abort_step_4_a_pod_that_does_not_terminate_is_shown_as_node_lost() -> None:
    deleted = pod(state=running(), about={"deletionTimestamp": later(20)})
    aborted = view(task_run(RUNNING, abort={}), pods=(deleted,), records=(record(),))

    assert shown(plan(aborted, later(49))) == ("Running", "Aborting")
    lost = plan(aborted, later(50))
    assert shown(lost) == ("Running", "NodeLost")
    assert condition_of(lost, "Stalled") == "True"
    assert "node-1" in (status_of(lost).message or "")
    assert lost.requeue_at == later(650)


@pytest.mark.parametrize(("abort", "phase"), [({"abort": {}}, "Aborted"), ({}, "Failed")])
def test_abort_step_5_after_the_node_lost_timeout_the_run_ends(abort: dict[str, Any], phase: str) -> None:
    deleted = pod(state=running(), about={"deletionTimestamp": later(20)})

    lost = view(task_run(RUNNING, **abort), pods=(deleted,), records=(record(),))
    looked_at = plan(lost, later(650))
    following = plan(replace(lost, still_there=(deleted.metadata.uid, deleted.metadata.resource_version)), later(650))

    assert looked_at.actions == (ConfirmGone("words-i1", "uid-words-i1"),), "its watch may lag"

    assert shown(following) == (phase, "NodeLost")


def test_an_aborted_run_is_aborted_regardless_of_its_pods_answer() -> None:
    following = plan(answered(DONE, run=task_run(RUNNING, abort={"message": "enough"})), NOW)

    status = status_of(following)
    assert (status.phase, status.message) == ("Aborted", "enough")
    assert following.payload_from == "words-i1"


def test_the_unseen_record_of_an_aborted_pod_is_read_before_the_run_finishes() -> None:
    """Its end may be seen before its claim and its answer, because pods and records have separate watches."""
    died = view(task_run(RUNNING, abort={"message": "enough"}), pods=(ended_pod(code=143),), absent="words-i1t2")

    action = action_of(plan(died, NOW))

    assert isinstance(action, WriteRecord)
    assert (action.pod_uid, action.response.message, action.cause) == ("uid-words-i1", "enough", None)


def test_an_aborted_pod_without_an_answer_gets_one_written() -> None:
    run = task_run(RUNNING, abort={"message": "enough"})
    died = view(run, pods=(ended_pod(code=143),), records=(record(),), absent="words-i1t2")

    action = action_of(plan(died, NOW))

    assert isinstance(action, WriteRecord)
    assert (action.response.status, action.response.message, action.cause) == ("aborted", "enough", None)


@pytest.mark.parametrize(
    ("answer", "following"),
    [
        ({"status": "error", "error": {"message": "no luck"}}, "words-i1t2"),
        ({"status": "continue", "input": {}}, "words-i2"),
        (None, "words-i1t2"),
    ],
)
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_run_ends_only_when_no_other_operator_has_created_the_pod_after_the_last_one(
    answer: dict[str, Any] | None, following: str, is_deleted: bool
) -> None:
    run = task_run(RUNNING, abort={"message": "enough"})
    if is_deleted:
        run = replace(run, metadata=replace(run.metadata, deletion_timestamp=NOW))
    unseen = view(run, pods=(ended_pod(code=1),), records=(record(response=answer),))

    assert action_of(plan(unseen, NOW)) == ConfirmAbsent(following)
    sure = plan(replace(unseen, absent=following), NOW)
    if answer is None and not is_deleted:
        assert isinstance(action_of(sure), WriteRecord)
    else:
        assert status_of(sure).phase == "Aborted"


def test_an_abort_ends_the_pod_that_has_been_created_since() -> None:
    failed = record(response={"status": "error", "error": {"message": "no luck"}})
    next_one = pod("words-i1t2", state=running(), phase="Running")
    retried = task_definition(retry={"limit": 2, "on": ["Error"]})
    run = task_run(RUNNING, abort={"message": "enough"})

    following = plan(view(run, retried, pods=(ended_pod(code=1), next_one), records=(failed,)), NOW)

    current = status_of(following).current
    assert current is not None
    assert current.pod_name == "words-i1t2"
    noted = task_run(msgspec.to_builtins(status_of(following)), abort={"message": "enough"})
    ends = plan(view(noted, retried, pods=(ended_pod(code=1), next_one), records=(failed,)), NOW)
    assert action_of(ends) == EndPod(next_one)


def test_an_iteration_times_out_after_the_start_of_its_container() -> None:
    working = view(task_run(RUNNING), pods=(pod(state=running(ago(30)), phase="Running"),), records=(record(),))

    assert plan(working, later(869)).requeue_at == later(870)
    assert action_of(plan(working, later(870))) == EndPod(working.pods[0])


def test_and_fails_with_a_message() -> None:
    ended = ended_pod(code=143, annotations={"podrelay.dev/ending-since": ago(5).isoformat()})

    action = action_of(plan(view(task_run(RUNNING), pods=(ended,), records=(record(),)), NOW))

    assert isinstance(action, WriteRecord)
    assert (action.cause, code_of(action)) == ("Timeout", "IterationTimeout")


# --- reporting by termination message ---------------------------------------------------------------------------------

GATED = {"spec": {"schedulingGates": [{"name": "podrelay.dev/claim"}]}}
BY_MESSAGE = {"podrelay.dev/reporting": "TerminationMessage"}


def gated_pod(name: str = "words-i1", **fields: Any) -> Pod:
    made = msgspec.to_builtins(pod(name, annotations=BY_MESSAGE, **fields))
    made["spec"] = GATED["spec"]
    return msgspec.convert(made, Pod)


def by_message(code: int = 0, message: str = "", **fields: Any) -> Pod:
    state = terminated(code, message=message)
    return pod(phase="Failed" if code else "Succeeded", state=state, annotations=BY_MESSAGE, **fields)


def test_the_gate_is_removed_only_once_the_status_names_the_pod() -> None:
    made = gated_pod()
    before = view(task_run(), pods=(made,))

    status = status_of(plan(before, NOW))
    assert status.current is not None
    assert status.current.pod_uid == made.metadata.uid
    assert status.condition("Stalled").status == "False"  # type: ignore[union-attr]

    after = view(task_run(RUNNING), pods=(made,))
    assert action_of(plan(after, NOW)) == OpenGate(made)


def test_a_gated_pod_whose_uid_the_status_does_not_name_keeps_its_gate() -> None:
    another = gated_pod(uid="another")

    following = plan(view(task_run(RUNNING), pods=(another,)), NOW)

    assert action_of(following) == ConfirmGone("words-i1", "uid-words-i1")


def test_a_gated_pod_of_an_aborted_run_is_deleted() -> None:
    made = gated_pod(version=77)

    following = plan(view(task_run(RUNNING, abort={"message": "enough"}), pods=(made,)), NOW)

    assert action_of(following) == DeletePod("words-i1", "uid-words-i1", "77")


def test_a_gated_pod_that_came_too_late_is_deleted() -> None:
    second = {**RUNNING, "iterations": 2, "lastRecord": "words-i1", "current": current("words-i2", 2)}
    records = (record(response={"status": "continue"}), record("words-i2"))
    pods = (gated_pod(version=77), pod("words-i2", state=running(), phase="Running"))

    assert action_of(plan(view(task_run(settled(second, pods, records)), pods=pods, records=records), NOW)) == (
        DeletePod("words-i1", "uid-words-i1", "77")
    )
    assert action_of(plan(view(task_run(FINISHED), pods=(gated_pod("words-i2", version=78),)), NOW)) == (
        DeletePod("words-i2", "uid-words-i2", "78")
    )


def settled(status: dict[str, Any], pods: tuple[Pod, ...], records: tuple[Record, ...]) -> dict[str, Any]:
    """Return the status that the planner wants for these facts, so that only garbage collection is left."""
    following = plan(view(task_run(status), pods=pods, records=records), NOW)
    return msgspec.to_builtins(following.status) or status


def test_the_record_of_a_pod_that_reports_by_message_is_written_from_it() -> None:
    message = '{"status":"continue","input":{"row":7}}'

    action = action_of(plan(view(task_run(RUNNING), pods=(by_message(message=message),)), NOW))

    assert isinstance(action, WriteRecord)
    assert (action.response.status, action.response.input, action.cause) == ("continue", {"row": 7}, None)


def test_an_end_without_a_message_is_not_done_before_the_kubelet_reports_why() -> None:
    def ended(message: str, phase: str = "Running", **fields: Any) -> View:
        state = terminated(0, message=message)
        return view(
            task_run(RUNNING),
            pods=(pod(phase=phase, state=state, annotations=BY_MESSAGE, **fields),),
            settled=LOOKED_AT,
        )

    assert plan(ended(""), NOW).requeue_at == later(30)
    assert isinstance(action_of(plan(ended("", "Succeeded"), NOW)), WriteRecord)
    assert isinstance(action_of(plan(ended('{"status":"done"}'), NOW)), WriteRecord)
    evicted = ended("", "Failed", reason="Evicted", conditions=[NODE_PRESSURE])
    assert isinstance(action_of(plan(evicted, NOW)), ClaimRecord)
    assert isinstance(action_of(plan(replace(evicted, records=(record(),)), NOW)), CreatePod)


def test_a_non_zero_exit_code_is_a_pod_failure_with_the_message_of_the_pod() -> None:
    action = action_of(plan(view(task_run(RUNNING), pods=(by_message(3, "no such file"),)), NOW))

    assert isinstance(action, WriteRecord)
    assert action.response.error is not None
    assert action.response.error.message == "container task ended with exit code 3: no such file"
    assert (action.response.error.code, action.cause) == ("ExitCode3", "PodFailure")


def test_a_message_of_a_pod_that_was_taken_away_counts() -> None:
    last = by_message(message='{"status":"continue"}', about={"deletionTimestamp": later(50)})
    gone = {"uid-words-i1": Gone(NOW, last, is_last_state=True)}

    action = action_of(plan(view(task_run(RUNNING), gone=gone), NOW))

    assert isinstance(action, WriteRecord)
    assert action.response.status == "continue"


def test_an_evicted_pod_without_a_message_is_a_disruption_like_any_other() -> None:
    evicted = by_message(143, reason="Evicted", conditions=[NODE_PRESSURE])

    action = action_of(plan(view(task_run(RUNNING), pods=(evicted,), settled=LOOKED_AT), NOW))

    assert isinstance(action, CreatePod)
    assert action.target.name == "words-i1t2"


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_deleted_pod_that_seemed_to_succeed_is_claimed_before_its_replacement(is_gone: bool) -> None:
    """Before its deletion, it counted as done, and an operator that was killed may have just sent that."""
    deleted = by_message(about={"deletionTimestamp": later(50), "deletionGracePeriodSeconds": 60})
    gone = {"uid-words-i1": Gone(NOW, deleted, is_last_state=True)} if is_gone else {}
    facts: dict[str, Any] = {"pods": () if is_gone else (deleted,), "gone": gone, "settled": LOOKED_AT}

    claim = action_of(plan(view(task_run(RUNNING), **facts), NOW))
    assert isinstance(claim, ClaimRecord)
    assert (claim.target.name, claim.pod_uid, claim.pod) == ("words-i1", "uid-words-i1", deleted)
    following = action_of(plan(view(task_run(RUNNING), records=(record(),), **facts), NOW))
    assert isinstance(following, CreatePod)
    assert following.target.name == "words-i1t2"


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_pod_with_a_successor_was_disrupted_regardless_of_later_facts(is_gone: bool) -> None:
    """It never started and was deleted, then its pending timeout passed; the status lags behind both pods."""
    about = {"deletionTimestamp": ago(5), "finalizers": ["example.com/hold"]}
    late = pod(about=about, annotations={"podrelay.dev/pending-timeout-seconds": "30"}, phase="Failed")
    gone = {"uid-words-i1": Gone(NOW, late, is_last_state=True)} if is_gone else {}
    pods = (pod("words-i1t2"),) if is_gone else (late, pod("words-i1t2"))

    status = status_of(plan(view(task_run(RUNNING), pods=pods, gone=gone, settled=LOOKED_AT), NOW))

    assert (status.phase, status.disruptions) == ("Running", 1)
    assert status.current is not None
    assert status.current.pod_name == "words-i1t2"


def test_a_pod_with_a_successor_was_disrupted_although_the_definition_now_allows_none() -> None:
    gone = {"uid-words-i1": Gone(NOW, None, is_last_state=False)}
    none_allowed = task_definition(disruptionRetries=0)
    lagging = view(task_run(RUNNING), none_allowed, pods=(pod("words-i1t2"),), gone=gone, settled=LOOKED_AT)

    status = status_of(plan(lagging, NOW))

    assert (status.phase, status.disruptions) == ("Running", 1)
    assert shown(plan(replace(lagging, pods=()), NOW)) == ("Failed", "Disrupted")


def test_an_aborted_pod_that_reports_by_message_gets_a_record_with_its_output() -> None:
    ended = by_message(message='{"status":"aborted","output":{"rows":3}}')

    run = task_run(RUNNING, abort={"message": "enough"})
    action = action_of(plan(view(run, pods=(ended,), absent="words-i1t2"), NOW))

    assert isinstance(action, WriteRecord)
    assert (action.response.status, action.response.message) == ("aborted", "enough")
    assert action.response.output == {"rows": 3}


# --- a record is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aborted", [False, True])
def test_a_record_that_is_refused_is_shown_and_ends_the_run_in_time(aborted: bool) -> None:
    refusal = Refusal("words-i1", "RecordRefused", "no records on Sundays", NOW, later(5))
    abort: dict[str, Any] = {"abort": {"message": "enough"}} if aborted else {}
    pods = (ended_pod(code=137),)

    def at(seconds: float, status: Any = RUNNING, refusal: Refusal | None = refusal) -> Plan:
        run = task_run(status, **abort)
        return plan(view(run, pods=pods, records=(record(),), refusal=refusal, absent="words-i1t2"), later(seconds))

    stalled = status_of(at(1))
    assert (stalled.phase, stalled.reason, stalled.message) == ("Running", "RecordRefused", "no records on Sundays")
    assert stalled.current is not None
    assert isinstance(action_of(at(6)), WriteRecord)
    ended = status_of(at(901, msgspec.to_builtins(stalled), replace(refusal, retry_at=later(960))))
    assert (ended.phase, ended.reason) == ("Aborted" if aborted else "Failed", "RecordRefused")


# --- what a run needs is deleted --------------------------------------------------------------------------------------

WAITED: dict[str, Any] = {"phase": "Running", "startedAt": ago(60), "iterations": 1, "lastRecord": "words-i1"}


def test_a_state_that_is_not_in_the_cache_is_read_live() -> None:
    assert action_of(plan(view(task_run(WAITED)), NOW)) == ConfirmLost("words-i1")


def test_a_deleted_state_fails_the_run() -> None:
    following = plan(view(task_run(WAITED), lost_records=frozenset({"words-i1"})), NOW)

    status = status_of(following)
    assert (status.phase, status.reason) == ("Failed", "StateLost")
    assert "words-i1" in (status.message or "")


def test_a_checkpoint_needs_no_state() -> None:
    tried = {**WAITED, "attempts": 1}
    records = (record("words-i2", {"status": "error", "error": {"message": "odd"}}, checkpoint={}),)

    assert isinstance(action_of(plan(view(task_run(tried), records=records), NOW)), CreatePod)


@pytest.mark.parametrize("how", ["failed", "disrupted"])
def test_without_its_definition_a_run_waits_before_a_retry(how: str) -> None:
    records: tuple[Record, ...] = ()
    if how == "failed":
        records = (record(response={"status": "error", "error": {"message": "odd"}}),)
        pods = (ended_pod(code=1),)
    else:
        pods = (pod(phase="Failed", reason="Preempting", state=terminated(137)),)
    gone = View(task_run(RUNNING), None, NOW, pods=pods, records=records)

    status = status_of(plan(gone, NOW))
    assert (status.phase, status.reason, status.attempts) == ("Running", "DefinitionNotFound", 0)
    assert status.recent_iterations == ()

    waiting = View(task_run(msgspec.to_builtins(status)), None, NOW, pods=pods, records=records)
    assert plan(waiting, later(10)).status == status
    assert status_of(plan(waiting, later(900))).phase == "Failed"

    definition = task_definition(retry={"limit": 1, "initialSeconds": 0})
    run = task_run(msgspec.to_builtins(status))
    found = View(run, definition, NOW, pods=pods, records=records, settled=LOOKED_AT)
    assert action_of(plan(found, later(10))).target.name == "words-i1t2"  # type: ignore[attr-defined]


# --- after the end ----------------------------------------------------------------------------------------------------


FINISHED = {"phase": "Succeeded", "reason": "Done", "finishedAt": NOW, "current": current(), "iterations": 1}


@pytest.mark.parametrize(
    ("policy", "phase", "removed"),
    [
        ("OnSuccess", "Succeeded", True),
        ("OnSuccess", "Failed", False),
        ("OnSuccess", "Aborted", False),
        ("Always", "Failed", True),
        ("Never", "Succeeded", False),
    ],
)
def test_pods_of_a_finished_run_are_deleted_by_their_policy(policy: str, phase: str, removed: bool) -> None:
    ended = ended_pod(annotations={"podrelay.dev/pod-cleanup": policy})

    following = plan(view(task_run({**FINISHED, "phase": phase}), pods=(ended,)), NOW)

    assert following.actions == ((DeletePod("words-i1", "uid-words-i1"),) if removed else ())


def test_a_pod_created_too_late_for_its_run_does_not_wait_for_a_node_forever() -> None:
    # given a pod whose creation got no response, and a run that was aborted meanwhile
    late = pod(version=9, annotations={"podrelay.dev/pod-cleanup": "Never"})
    aborted = view(task_run({**FINISHED, "phase": "Aborted"}), pods=(late,))

    assert plan(aborted, NOW).requeue_at == later(840)
    assert action_of(plan(aborted, later(840))) == DeletePod("words-i1", "uid-words-i1", "9")


@pytest.mark.parametrize("has_record", [True, False])
def test_a_pod_that_was_created_again_under_the_name_of_the_last_one_is_deleted_at_once(has_record: bool) -> None:
    """An operator with an old view has created it, when the name was free again. It would never work."""
    again = pod(uid="uid-again", version=9)
    records = (record(response={"status": "error"}),) if has_record else ()
    status = {**RUNNING, **FINISHED, "phase": "Failed"}

    assert action_of(plan(view(task_run(status), pods=(again,), records=records), NOW)) == (
        DeletePod("words-i1", "uid-again", "9")
    )


@pytest.mark.parametrize(
    ("run", "definition", "days", "default", "seconds"),
    [
        (10, 20, 1, 30, 10),
        (None, 20, 1, 30, 20),
        (None, None, 1, 30, 86_400),
        (None, None, None, 30, 30),
        (0, 20, 1, 30, 0),
        (10, None, 0, 30, 10),
        (None, 20, 0, None, 20),
        (None, None, 0, 30, None),
        (None, None, 1, None, 86_400),
        (None, None, None, None, None),
    ],
)
def test_the_lifetime_is_that_of_run_then_definition_then_namespace_then_operator(
    run: int | None, definition: int | None, days: int | None, default: int | None, seconds: int | None
) -> None:
    settings = Settings(default_ttl=timedelta(seconds=default) if default is not None else None)
    finished = view(
        task_run(FINISHED, version=7, ttlSecondsAfterFinished=run),
        task_definition(ttlSecondsAfterFinished=definition),
        retention_days=days,
        settings=settings,
    )

    if seconds is None:
        assert plan(finished, later(10**9)) == Plan()
    else:
        assert plan(finished, later(seconds - 1)) == Plan(requeue_at=later(seconds))
        assert action_of(plan(finished, later(seconds))) == DeleteRun("uid-run", "7")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Aborted"])
@pytest.mark.parametrize("spec", [{}, {"abort": {}}, {"suspend": True}])
def test_a_finished_run_never_changes(phase: str, spec: dict[str, Any]) -> None:
    for pods, records in (
        ((), ()),
        ((pod(state=running()),), (record(),)),
        ((ended_pod(),), (record(response={"status": "continue"}),)),
    ):
        following = plan(view(task_run({**FINISHED, "phase": phase}, **spec), pods=pods, records=records), NOW)
        assert following.status is None
        assert not any(isinstance(action, CreatePod | WriteRecord) for action in following.actions)


def test_a_pod_whose_sidecars_keep_running_gets_a_deadline_after_30_seconds() -> None:
    left = pod(phase="Running", state=terminated(0, NOW))
    finished = view(task_run(FINISHED), pods=(left,))

    assert action_of(plan(finished, NOW)) == DeletePod("words-i1", "uid-words-i1")  # OnSuccess deletes it at once
    kept = pod(phase="Running", state=terminated(0, NOW), annotations={"podrelay.dev/pod-cleanup": "Never"})
    finished = view(task_run(FINISHED), pods=(kept,))
    assert plan(finished, later(29)).requeue_at == later(30)
    assert action_of(plan(finished, later(30))) == EndPod(kept)


@pytest.mark.parametrize(
    ("policy", "answer", "removed"),
    [
        ("OnSuccess", "continue", True),
        ("OnSuccess", "error", False),
        ("Always", "error", True),
        ("Never", "done", False),
    ],
)
def test_finished_pods_are_deleted_during_the_run(policy: str, answer: str, removed: bool) -> None:
    # given a run whose second pod is running, with a status that is written already
    past = ended_pod("words-i1", annotations={"podrelay.dev/pod-cleanup": policy})
    status = {**RUNNING, "lastRecord": "words-i1", "current": current("words-i2", 2)}
    records = (record("words-i1", {"status": answer}), record("words-i2"))
    before = view(task_run(status), pods=(past, pod("words-i2", state=running(), phase="Running")), records=records)
    settled = View(
        with_status(before.run, status_of(plan(before, NOW))), before.definition, NOW, before.pods, before.records
    )

    following = plan(settled, NOW)

    assert following.actions == ((DeletePod("words-i1", "uid-words-i1"),) if removed else ())
    assert following.requeue_at == later(870)


def test_a_status_that_is_written_already_is_not_planned_differently_again() -> None:
    first = view(pods=(pod(state=running(), phase="Running"),))
    written = with_status(first.run, status_of(plan(first, NOW)))

    assert plan(view(written, pods=first.pods), later(5)).status == written.status


# --- helpers ----------------------------------------------------------------------------------------------------------


def with_status(run: Any, status: TaskRunStatus) -> Any:
    return type(run)(run.metadata, run.spec, status)


def condition_of(following: Plan, kind: str) -> str:
    condition = status_of(following).condition(kind)
    assert condition is not None
    return condition.status


def test_a_change_of_a_finished_run_is_observed_and_changes_nothing_else() -> None:
    condition = {"type": "Succeeded", "status": "True", "reason": "Done", "lastTransitionTime": ago(60)}
    status = {"phase": "Succeeded", "reason": "Done", "observedGeneration": 0, "conditions": [condition]}

    wanted = plan(view(task_run(status)), NOW).status

    assert wanted is not None
    assert (wanted.phase, wanted.reason, wanted.observed_generation) == ("Succeeded", "Done", 1)
    succeeded = wanted.condition("Succeeded")
    assert succeeded is not None
    assert (succeeded.last_transition_time, succeeded.observed_generation) == (ago(60), 1)


def test_a_pod_that_has_had_its_time_is_shown_as_ending() -> None:
    ending = {"podrelay.dev/ending-since": NOW.isoformat()}
    late = pod(state=running(ago(1000)), phase="Running", annotations=ending)

    wanted = plan(view(task_run({"phase": "Running", "current": current()}), pods=(late,)), NOW).status

    assert wanted is not None
    assert (wanted.phase, wanted.reason) == ("Running", "PodEnding")
    assert wanted.message == "pod words-i1 has 60 s to clean up"
