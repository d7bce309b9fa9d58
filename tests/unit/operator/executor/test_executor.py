"""Plans are carried out against the model of the API server; conflicts update the store."""

import contextlib
import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from podrelay.api import names, task_run
from podrelay.kube.errors import ApiError, InvalidError
from podrelay.kube.resources import PODS, TASK_ITERATIONS, TASK_RUNS, Resource
from podrelay.local.kinds import KINDS
from podrelay.local.memory_client import run
from podrelay.operator.cache.creations import Term
from podrelay.operator.cache.store import Store
from podrelay.operator.executor.executor import Executor
from podrelay.operator.executor.status_body import later_patch
from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.objects.answers import StorableResponse
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import (
    Action,
    AnnotateRun,
    ClaimRecord,
    ConfirmGone,
    ConfirmLost,
    ConfirmSilent,
    CreatePod,
    DeletePod,
    DeleteRecord,
    DeleteRun,
    EndPod,
    OpenGate,
    Plan,
    ReadRecord,
    Target,
    WriteRecord,
)
from podrelay.operator.pods import Pod
from podrelay.operator.view import Settings, Silence, View
from tests.support.modelapi import ModelApi
from tests.support.projections import seen
from tests.unit.operator.builders import KEY, NOW, later, plan, pod, running, terminated

BY_MESSAGE = {names.ANNOTATION_REPORTING: "TerminationMessage"}
TARGET = Target(1, 1, "words-i1", None, None, is_final_attempt=True)


class Api(ModelApi):
    """Counts reads, and refuses creations with the errors that a test has set."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.refusals: list[Exception] = []
        self.gets = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        self.gets += 1
        return await super().get(resource, namespace, name)

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any], **options: Any) -> bytes:
        if self.refusals:
            raise self.refusals.pop()
        return await super().create(resource, namespace, body, **options)


class FakeLease:
    is_ours = True
    deadline: datetime | None = None

    def good_until(self) -> datetime | None:
        return self.deadline

    def require(self) -> None:
        if not self.is_ours:
            raise LeadershipLostError("not ours")


class World:
    """A run, its definition, and an operator that has seen both."""

    def __init__(self) -> None:
        self.api = Api()
        self.lease = FakeLease()
        self.store = Store(lambda _key: None, Settings())
        self.executor = Executor(self.api, self.store, self.lease, clock=lambda: self.api.now)
        template = {"spec": {"containers": [{"name": "task", "image": "words:1"}]}}
        self.put("taskdefinitions", {"name": "count-words"}, spec={"id": "countWords", "template": template})
        self.put("taskruns", {"name": "words"}, spec={"definition": "count-words"})
        self.see()

    def put(self, plural: str, metadata: dict[str, Any], **body: Any) -> dict[str, Any]:
        resource = KINDS[plural].resource
        refusals, self.api.refusals = self.api.refusals, []
        obj: dict[str, Any] = json.loads(run(self.api.create(resource, KEY.namespace, {"metadata": metadata, **body})))
        self.api.refusals = refusals
        return obj

    def put_pod(self, name: str = "words-i1", *, owned: bool = True, **metadata: Any) -> dict[str, Any]:
        about = {"name": name, "labels": {names.LABEL_RUN: "words"}, **metadata}
        if owned:
            about["ownerReferences"] = [self.owner]
        return self.put("pods", about, spec={"nodeName": "node-1"}, status={})

    def put_record(self, **fields: Any) -> dict[str, Any]:
        return self.put(
            "taskiterations",
            {"name": "words-i1", "ownerReferences": [self.owner]},
            **{"runName": "words", "iteration": 1, "try": 1, "podName": "words-i1", "podUID": "uid-pod", **fields},
        )

    def put_status(self, status: dict[str, Any]) -> None:
        """Replace the status of the run, and see it."""
        body = {"metadata": {}, "status": status}
        run(self.api.replace(TASK_RUNS, KEY.namespace, KEY.name, body, subresource="status"))
        self.see()

    @property
    def owner(self) -> dict[str, Any]:
        return {"kind": "TaskRun", "name": "words", "uid": self.api.read("taskruns", "words")["metadata"]["uid"]}

    def see(self) -> None:
        """Update the store with the current state of all objects."""
        kinds: tuple[tuple[str, Any, Any], ...] = (
            ("taskruns", TaskRun, self.store.runs),
            ("taskdefinitions", TaskDefinition, self.store.definitions),
            ("taskiterations", Record, self.store.records),
            ("pods", Pod, self.store.pods),
        )
        for plural, kind, collection in kinds:
            objects = [seen(obj, kind) for obj in self.api.find(plural)]
            collection.replace(objects, str(self.api.version))

    @property
    def view(self) -> View:
        view = self.store.view(KEY)
        assert view is not None
        return view

    def do(self, action: Action) -> None:
        run(self.executor.carry_out(KEY, self.view, action))

    def step(self) -> Plan:
        view = self.view
        following = plan(view, self.api.now)
        for action in following.actions:
            run(self.executor.carry_out(KEY, view, action))
        if not following.actions and following.status not in {None, view.run.status}:
            run(self.executor.write_status(KEY, view, following))
        return following

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.api.read("taskruns", "words").get("status", {})
        return status


@pytest.fixture
def world() -> World:
    return World()


# --- runs are annotated -----------------------------------------------------------------------------------------------


def test_annotating_a_run_adds_the_label_of_its_definition_in_the_same_write(world: World) -> None:
    before = world.api.version

    world.do(AnnotateRun(names.ANNOTATION_BEGAN, "2026-03-01T11:59:00Z"))

    about = world.api.read("taskruns", "words")["metadata"]
    assert about["annotations"][names.ANNOTATION_BEGAN] == "2026-03-01T11:59:00Z"
    assert about["labels"] == {names.LABEL_DEFINITION: "count-words"}
    assert world.api.version == before + 1


# --- pods are created -------------------------------------------------------------------------------------------------


def test_a_created_pod_is_in_the_next_view_before_any_watch_event(world: World) -> None:
    world.do(CreatePod(TARGET))

    assert [pod.metadata.name for pod in world.view.pods] == ["words-i1"]
    assert world.api.gets == 0


def test_a_pod_of_the_run_that_already_exists_is_adopted(world: World) -> None:
    world.put_pod()

    world.do(CreatePod(TARGET))

    assert [pod.metadata.name for pod in world.view.pods] == ["words-i1"]
    assert world.view.refusal is None


def test_a_foreign_pod_with_the_name_is_reported(world: World) -> None:
    world.put_pod(owned=False)

    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert failure.reason == "NameTaken"
    assert world.view.pods == ()


def test_a_pod_of_an_earlier_run_of_the_same_name_is_foreign(world: World) -> None:
    world.put("pods", {"name": "words-i1", "ownerReferences": [{**world.owner, "uid": "earlier"}]}, spec={}, status={})

    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert failure.reason == "NameTaken"


def test_a_refused_pod_is_retried_with_growing_pauses(world: World) -> None:
    pauses = []
    for _ in range(8):
        world.api.refusals.append(ApiError(403, "Forbidden", "exceeded quota: pods"))
        world.do(CreatePod(TARGET))
        failure = world.view.refusal
        assert failure is not None
        assert failure.reason == "QuotaExceeded"
        assert failure.since == NOW
        pauses.append((failure.retry_at - world.api.now).total_seconds())
        world.api.now = failure.retry_at

    assert pauses == [1, 1, 2, 4, 8, 16, 32, 60]


def test_a_refusal_long_after_the_last_one_starts_the_time_again(world: World) -> None:
    # given a run that was refused, then suspended for an hour
    world.api.refusals.append(ApiError(403, "Forbidden", "exceeded quota"))
    world.do(CreatePod(TARGET))
    world.api.now = later(3600)

    # when it is refused again
    world.api.refusals.append(ApiError(403, "Forbidden", "exceeded quota"))
    world.do(CreatePod(TARGET))

    # then pendingTimeoutSeconds starts again
    failure = world.view.refusal
    assert failure is not None
    assert failure.since == later(3600)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiError(403, "Forbidden", "exceeded quota: pods=2"), "QuotaExceeded"),
        (ApiError(403, "Forbidden", "admission webhook denied"), "PodForbidden"),
        (ApiError(404, "NotFound", "namespaces not found"), "NamespaceNotFound"),
        (ApiError(422, "Invalid", "image: Required value"), "PodInvalid"),
        (ApiError(500, "InternalError", "failed calling webhook"), "InternalError"),
    ],
)
def test_a_refusal_is_shown_with_its_reason_and_the_message_of_the_api_server(
    world: World, error: ApiError, reason: str
) -> None:
    world.api.refusals.append(error)

    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert (failure.reason, failure.message) == (reason, error.message)


def good_until(world: World) -> str | None:
    """Return the deadline of the pod that was created."""
    found: str | None = world.api.read("pods", "words-i1")["metadata"]["annotations"].get(names.ANNOTATION_GOOD_UNTIL)
    return found


def test_a_pod_may_be_created_while_the_lease_is_valid_by_the_clock_of_the_api_server(world: World) -> None:
    world.lease.deadline = NOW + timedelta(seconds=7.9)

    world.do(CreatePod(TARGET))

    assert good_until(world) == f"{NOW + timedelta(seconds=7):%Y-%m-%dT%H:%M:%SZ}"


def test_without_a_trusted_clock_a_pod_has_no_deadline(world: World) -> None:
    world.do(CreatePod(TARGET))

    assert good_until(world) is None


def test_a_pod_that_was_created_too_late_is_created_again_without_a_deadline(world: World) -> None:
    """Mutating admission may take longer than the Lease is valid."""
    world.lease.deadline = NOW + timedelta(seconds=7)
    refused = "ValidatingAdmissionPolicy 'podrelay-fence' with binding 'podrelay-fence' denied request: too long"
    world.api.refusals.append(InvalidError(422, "Invalid", refused))

    world.do(CreatePod(TARGET))
    (action,) = plan(world.view, world.api.now).actions
    assert isinstance(action, CreatePod), "at once, and without a message in the status"
    world.do(action)

    assert good_until(world) is None


def test_a_refusal_of_a_pod_without_a_deadline_has_another_reason(world: World) -> None:
    """The message of the API server names the pod, and a run may have the name of the policy."""
    world.lease.deadline = NOW + timedelta(seconds=7)
    refused = 'Pod "podrelay-fence-i1" is invalid: image: Required value'
    world.api.refusals += [InvalidError(422, "Invalid", refused)] * 2

    world.do(CreatePod(TARGET))
    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert failure.reason == "PodInvalid", "it is shown, and not tried again at once"


def test_a_pod_that_was_created_too_late_does_not_restart_the_pending_timeout(world: World) -> None:
    world.api.refusals.append(ApiError(403, "Forbidden", "exceeded quota"))
    world.do(CreatePod(TARGET))
    world.api.now = later(30)
    world.lease.deadline = later(37)
    world.api.refusals.append(InvalidError(422, "Invalid", "ValidatingAdmissionPolicy 'podrelay-fence' denied request"))

    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert (failure.reason, failure.since) == ("TooLate", NOW)


def test_an_invalid_template_is_reported_without_a_request(world: World) -> None:
    world.api.change("taskdefinitions", "count-words", {"spec": {"template": {"spec": {"containers": []}}}})
    world.see()

    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert failure.reason == "InvalidTemplate"
    assert "TaskDefinition count-words: " in failure.message
    assert world.api.find("pods") == []


def test_no_pod_is_created_without_the_lease(world: World) -> None:
    world.lease.is_ours = False

    with pytest.raises(LeadershipLostError):
        world.do(CreatePod(TARGET))

    assert world.api.find("pods") == []


# --- pods end ---------------------------------------------------------------------------------------------------------


def test_a_pod_that_no_longer_exists_is_confirmed_gone(world: World) -> None:
    world.do(ConfirmGone("words-i1", "uid-x"))

    assert "uid-x" in world.view.gone


def test_another_pod_with_the_name_means_that_the_first_is_gone(world: World) -> None:
    world.put_pod()

    world.do(ConfirmGone("words-i1", "uid-x"))

    assert "uid-x" in world.view.gone


def test_a_pod_that_lost_its_label_gets_it_back(world: World) -> None:
    # given a pod that the watch reported as deleted
    uid = world.put_pod()["metadata"]["uid"]
    world.see()
    world.api.change("pods", "words-i1", {"metadata": {"labels": {names.LABEL_RUN: None}}})
    world.store.pods.remove(msgspec.convert(world.api.read("pods", "words-i1"), Pod))

    # when
    world.do(ConfirmGone("words-i1", uid))

    # then
    assert world.api.read("pods", "words-i1")["metadata"]["labels"] == {names.LABEL_RUN: "words"}
    assert [pod.metadata.uid for pod in world.view.pods] == [uid]
    assert world.view.gone == {}


@pytest.mark.parametrize("others", [[], [{"kind": "ReplicaSet", "name": "thief", "uid": "x", "controller": True}]])
def test_a_pod_that_lost_its_owner_gets_it_back(world: World, others: list[dict[str, Any]]) -> None:
    uid = world.put_pod()["metadata"]["uid"]
    world.api.change("pods", "words-i1", {"metadata": {"ownerReferences": others}})
    world.see()

    world.do(ConfirmGone("words-i1", uid))

    *kept, owner = world.api.read("pods", "words-i1")["metadata"]["ownerReferences"]
    assert kept == others
    assert owner["uid"] == world.owner["uid"]
    assert ("controller" in owner) == (not others), "the API server refuses a second controller"
    assert [pod.metadata.owner_run() is not None for pod in world.view.pods] == [True]


def test_ending_a_pod_lowers_its_deadline_and_stores_the_time(world: World) -> None:
    world.put_pod()
    world.see()

    world.do(EndPod(world.view.pods[0]))

    pod = world.api.read("pods", "words-i1")
    assert pod["spec"]["activeDeadlineSeconds"] == 1
    assert pod["metadata"]["annotations"][names.ANNOTATION_ENDING_SINCE] == NOW.isoformat()
    assert world.view.pods[0].metadata.annotations.ending_since == NOW.isoformat()


def test_the_reason_for_ending_a_pod_is_stored_in_the_same_write(world: World) -> None:
    world.put_pod()
    world.see()

    world.do(EndPod(world.view.pods[0], "HeartbeatTimeout"))

    assert world.view.pods[0].metadata.annotations.ending_reason == "HeartbeatTimeout"
    assert world.view.pods[0].metadata.annotations.ending_since == NOW.isoformat()


def test_ending_a_pod_that_has_changed_only_reads_it_again(world: World) -> None:
    world.put_pod()
    world.see()
    old = world.view.pods[0]
    world.api.change("pods", "words-i1", {"status": {"phase": "Succeeded"}})

    world.do(EndPod(old))

    assert "activeDeadlineSeconds" not in world.api.read("pods", "words-i1")["spec"]
    assert world.view.pods[0].is_terminal


def test_deleting_a_pod_that_has_changed_since_deletes_nothing(world: World) -> None:
    world.put_pod()
    world.see()
    old = world.view.pods[0]
    world.api.change("pods", "words-i1", {"status": {"phase": "Running"}})

    world.do(DeletePod("words-i1", old.metadata.uid, old.metadata.resource_version))

    assert "deletionTimestamp" not in world.api.read("pods", "words-i1")["metadata"]
    assert world.view.pods[0].status.phase == "Running"


def test_deleting_a_pod_shows_in_the_next_view(world: World) -> None:
    world.put_pod()
    world.see()

    world.do(DeletePod("words-i1", world.view.pods[0].metadata.uid))

    assert world.view.pods[0].metadata.deletion_timestamp is not None


# --- records are written for failed pods ------------------------------------------------------------------------------


KILLED = {"status": "error", "error": {"message": "killed", "code": "Killed"}}


def died(response: dict[str, Any] | None = None, cause: str | None = None, **about: Any) -> WriteRecord:
    """Return the action for a pod that was killed, or that left this response in its termination message."""
    ended = pod("words-i1", "uid-pod", state=terminated(1), phase="Failed", **about)
    return written_for(ended, response or KILLED, cause if response else "PodFailure")


def written_for(pod: Pod, response: dict[str, Any], cause: str | None = None, target: Target = TARGET) -> WriteRecord:
    return WriteRecord(target, pod.metadata.uid, pod, msgspec.convert(response, StorableResponse), cause)


def stored(world: World) -> dict[str, Any]:
    return world.api.read("taskiterations", "words-i1")


def test_a_pod_without_a_record_gets_a_complete_one(world: World) -> None:
    world.do(died())

    record = stored(world)
    assert record["response"] == {"status": "error", "error": {"message": "killed", "code": "Killed"}}
    assert record["metadata"]["annotations"] == {names.ANNOTATION_CAUSE: "PodFailure"}
    assert (record["podUID"], record["nodeName"], record["iteration"], record["try"]) == ("uid-pod", "node-1", 1, 1)
    assert [record.response is not None for record in world.view.records] == [True]


def test_a_record_without_a_response_prevents_another_one(world: World) -> None:
    ended = pod("words-i1", "uid-pod", state=terminated(0), annotations=BY_MESSAGE)

    world.do(ClaimRecord(TARGET, "uid-pod", ended))
    world.store.records.forget(KEY, "words-i1", world.view.records[0].metadata.uid)
    world.do(written_for(ended, {"status": "done"}))

    assert "response" not in stored(world)
    assert [record.pod_uid for record in world.view.records] == ["uid-pod"]


def test_an_answer_that_was_stored_before_the_claim_counts(world: World) -> None:
    ended = pod("words-i1", "uid-pod", state=terminated(0), annotations=BY_MESSAGE)
    world.put_record(response={"status": "done"})

    world.do(ClaimRecord(TARGET, "uid-pod", ended))

    assert [record.response is not None for record in world.view.records] == [True]


def test_an_abort_is_written_into_a_record_without_a_response(world: World) -> None:
    ended = pod("words-i1", "uid-pod", state=terminated(0), annotations=BY_MESSAGE)
    world.do(ClaimRecord(TARGET, "uid-pod", ended))

    world.do(written_for(ended, {"status": "aborted"}))

    assert stored(world)["response"] == {"status": "aborted"}


# --- logs of pods -----------------------------------------------------------------------------------------------------


def test_the_log_of_a_pod_that_could_not_store_it_goes_into_its_record(world: World) -> None:
    world.put_pod()
    world.api.prints("words-i1", b"working\nSegmentation fault\n")

    world.do(died())

    assert stored(world)["console"] == {"text": "working\nSegmentation fault\n"}


def test_the_log_replaces_the_part_that_the_pod_had_stored(world: World) -> None:
    world.put_pod()
    world.put_record(console={"text": "working\n"})
    world.api.prints("words-i1", b"working\nSegmentation fault\n")

    world.do(died())

    assert stored(world)["console"] == {"text": "working\nSegmentation fault\n"}


def test_the_stored_log_is_kept_if_the_log_cannot_be_read(world: World) -> None:
    world.put_pod()
    world.put_record(console={"text": "working\n"})
    world.api.log_error = ApiError(500, "InternalError", "no preferred addresses found")

    world.do(died())

    assert stored(world)["console"] == {"text": "working\n"}
    assert stored(world)["response"]["status"] == "error"


def test_an_unreadable_log_is_reported_if_the_pod_has_stored_none(world: World) -> None:
    world.put_pod()
    world.api.log_error = ApiError(403, "Forbidden", "pods/log is forbidden")

    world.do(died())

    assert "pods/log is forbidden" in stored(world)["console"]["problem"]
    assert stored(world)["response"]["status"] == "error"


def test_a_deleted_pod_has_no_log(world: World) -> None:
    world.do(died())

    assert "console" not in stored(world)


def test_no_log_is_read_if_the_definition_does_not_record_logs(world: World) -> None:
    world.put_pod()
    world.api.prints("words-i1", b"secret\n")
    world.api.change("taskdefinitions", "count-words", {"spec": {"recordLogs": False}})
    world.see()

    world.do(died())

    assert "console" not in stored(world)


# --- existing records -------------------------------------------------------------------------------------------------


def test_a_record_keeps_its_checkpoint_for_the_retry_and_its_output_for_the_result(world: World) -> None:
    world.put_record(checkpoint={"input": {"cursor": 3, "none": None}, "output": {"rows": 3}})

    world.do(died())

    record = stored(world)
    assert record["checkpoint"]["input"] == {"cursor": 3, "none": None}
    assert record["response"]["output"] == {"rows": 3}


def test_the_record_of_an_aborted_pod_says_aborted_and_has_no_checkpoint(world: World) -> None:
    world.put_record(checkpoint={"output": {"rows": 3}})

    world.do(died({"status": "aborted", "message": "enough"}))

    assert stored(world)["response"] == {"status": "aborted", "message": "enough", "output": {"rows": 3}}
    assert "checkpoint" not in stored(world)


def test_the_response_of_the_pod_itself_takes_precedence(world: World) -> None:
    world.put_record()
    world.see()
    world.api.change("taskiterations", "words-i1", {"response": {"status": "done"}})

    world.do(died())

    assert stored(world)["response"] == {"status": "done"}
    response = world.view.records[0].response
    assert response is not None
    assert response.status == "done"


def test_after_a_lost_race_for_the_record_the_response_of_the_winner_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a pod that stores its response between the operator's read and write
    world.put_record()
    world.see()
    patch = world.api.patch

    async def late(resource: Resource, *args: Any, **options: Any) -> bytes:
        world.api.change("taskiterations", "words-i1", {"response": {"status": "done"}})
        return await patch(resource, *args, **options)

    monkeypatch.setattr(world.api, "patch", late)

    # when
    world.do(died())

    # then
    response = world.view.records[0].response
    assert response is not None
    assert response.status == "done"


def test_the_record_of_another_pod_with_the_name_is_not_changed(world: World) -> None:
    world.put_record(podUID="another")

    world.do(died())

    assert "response" not in stored(world)


ANSWER_IN_MESSAGE = {"status": "done", "message": "counted", "output": {"rows": 3, "none": None}}


def test_the_response_in_a_termination_message_is_written_unchanged(world: World) -> None:
    world.do(died(ANSWER_IN_MESSAGE))

    assert stored(world)["response"] == ANSWER_IN_MESSAGE
    assert "annotations" not in stored(world)["metadata"]


def test_an_error_in_a_termination_message_keeps_the_checkpoint(world: World) -> None:
    world.put_record(checkpoint={"input": {"cursor": 3}})
    answer = {"status": "error", "error": {"message": "odd", "data": {"row": None}}}

    world.do(died(answer))

    assert stored(world)["response"] == answer
    assert stored(world)["checkpoint"] == {"input": {"cursor": 3}}


def test_any_other_answer_in_a_termination_message_removes_the_checkpoint(world: World) -> None:
    world.put_record(checkpoint={"input": {"cursor": 3}})

    world.do(died(ANSWER_IN_MESSAGE))

    assert "checkpoint" not in stored(world)


def test_a_record_that_is_refused_permanently_is_reported(world: World) -> None:
    world.api.refusals.append(ApiError(403, "Forbidden", "no records on Sundays"))

    world.do(died())

    refusal = world.view.refusal
    assert refusal is not None
    assert (refusal.name, refusal.reason, refusal.message) == ("words-i1", "RecordRefused", "no records on Sundays")

    world.do(died())
    assert world.view.refusal is None


def test_a_pod_is_released_if_its_answer_cannot_be_stored_because_its_namespace_is_being_deleted(world: World) -> None:
    """Otherwise the pod and the namespace would wait for each other: runs are deleted after the pods."""
    world.put_pod(finalizers=[names.ANSWER_FINALIZER])
    world.see()
    (ended,) = world.view.pods
    words = "unable to create new content in namespace shop because it is being terminated"
    world.api.refusals.append(ApiError(403, "Forbidden", words))

    world.do(written_for(ended, KILLED))

    assert not world.api.read("pods", "words-i1")["metadata"].get("finalizers")
    assert world.view.refusal is not None


def test_a_foreign_record_with_the_name_is_reported(world: World) -> None:
    about = {"runName": "words", "iteration": 1, "podName": "a", "podUID": "b", "try": 1}
    world.put("taskiterations", {"name": "words-i1"}, **about)

    world.do(died())

    refusal = world.view.refusal
    assert refusal is not None
    assert (refusal.name, refusal.reason) == ("words-i1", "NameTaken")
    assert "response" not in stored(world)


# --- reporting by termination message ---------------------------------------------------------------------------------

BY_MESSAGE = {names.ANNOTATION_REPORTING: "TerminationMessage"}
SECOND = Target(2, 1, "words-i2", "words-i1", None, is_final_attempt=True)


def by_message(world: World, **run_spec: Any) -> None:
    world.api.change("taskdefinitions", "count-words", {"spec": {"reporting": "TerminationMessage"}})
    if run_spec:
        world.api.remove("taskruns", "words")
        world.put("taskruns", {"name": "words"}, spec={"definition": "count-words", **run_spec})
    world.see()


def input_of(world: World, name: str) -> Any:
    container = world.api.read("pods", name)["spec"]["containers"][0]
    return json.loads(next(item["value"] for item in container["env"] if item["name"] == "PODRELAY_INPUT"))


def answered(world: World, name: str, response: dict[str, Any], target: Target) -> dict[str, Any]:
    """Write the record of a pod that has answered by its message, and return the response as it is stored."""
    world.do(written_for(pod(name, state=terminated(0), annotations=BY_MESSAGE), response, target=target))
    record: dict[str, Any] = world.api.read("taskiterations", name)["response"]
    return record


def test_the_first_pod_gets_the_input_of_the_run(world: World) -> None:
    by_message(world, input={"url": "a", "none": None})

    world.do(CreatePod(TARGET))

    assert input_of(world, "words-i1") == {"url": "a", "none": None}


def test_a_run_without_input_needs_no_read(world: World) -> None:
    by_message(world)

    world.do(CreatePod(TARGET))

    assert input_of(world, "words-i1") == {}
    assert world.api.gets == 0


def test_the_next_pod_gets_the_state(world: World) -> None:
    by_message(world)
    world.put_record(response={"status": "continue", "input": {"row": 7, "none": None}})

    world.do(CreatePod(SECOND))

    assert input_of(world, "words-i2") == {"row": 7, "none": None}


def test_a_retry_starts_from_the_checkpoint(world: World) -> None:
    by_message(world)
    world.put_record(checkpoint={"input": {"row": 3}}, response=KILLED)

    world.do(CreatePod(Target(1, 2, "words-i1t2", None, "words-i1", is_final_attempt=True)))

    assert input_of(world, "words-i1t2") == {"row": 3}


def test_no_pod_is_created_if_the_state_is_lost(world: World) -> None:
    by_message(world)

    world.do(CreatePod(SECOND))

    assert world.api.find("pods") == []
    assert world.view.lost_records == {"words-i1"}


def test_an_input_that_is_too_large_for_a_variable_is_reported(world: World) -> None:
    by_message(world, input={"text": "x" * 102_400})

    world.do(CreatePod(TARGET))

    failure = world.view.refusal
    assert failure is not None
    assert failure.reason == "InputTooLarge"
    assert "102411 bytes" in failure.message


def test_the_gate_is_removed_and_other_gates_stay(world: World) -> None:
    by_message(world)
    world.do(CreatePod(TARGET))
    gates = [{"name": "other.dev/gate"}, {"name": names.CLAIM_GATE}]
    world.api.change("pods", "words-i1", {"spec": {"schedulingGates": gates}})
    world.see()

    world.do(OpenGate(world.view.pods[0]))

    assert world.api.read("pods", "words-i1")["spec"]["schedulingGates"] == [{"name": "other.dev/gate"}]
    assert not world.view.pods[0].is_unclaimed


def gates(world: World) -> list[dict[str, str]]:
    found: list[dict[str, str]] = world.api.read("pods", "words-i1")["spec"].get("schedulingGates", [])
    return found


def test_a_pod_that_needs_no_claim_has_only_the_gates_of_its_template(world: World) -> None:
    template = {"spec": {"containers": [{"name": "task"}], "schedulingGates": [{"name": "other.dev/gate"}]}}
    by_message(world)
    world.api.change("taskdefinitions", "count-words", {"spec": {"template": template}})
    world.see()
    world.lease.deadline = NOW + timedelta(seconds=7)

    world.do(CreatePod(TARGET, may_start_unclaimed=True))

    assert gates(world) == [{"name": "other.dev/gate"}]


def test_a_pod_without_a_deadline_needs_a_claim_in_any_case(world: World) -> None:
    by_message(world)

    world.do(CreatePod(TARGET, may_start_unclaimed=True))

    assert gates(world) == [{"name": names.CLAIM_GATE}]


@pytest.mark.parametrize(
    ("error", "may_have_effect"),
    [
        (TimeoutError(), True),
        (ApiError(504, "Timeout", "request did not complete"), True),
        (ApiError(403, "Forbidden", "exceeded quota: compute"), False),
    ],
)
def test_a_creation_without_a_response_may_still_take_effect(
    world: World, error: Exception, may_have_effect: bool
) -> None:
    by_message(world)
    world.lease.deadline = NOW + timedelta(seconds=7)
    world.store.creations.begin_term(Term(NOW - timedelta(days=1), 15))
    world.api.refusals.append(error)
    last = pod("words-i0", version=1, state=running())
    world.store.confirm_alive(world.view.run, last)

    with contextlib.suppress(TimeoutError, ApiError):
        world.do(CreatePod(TARGET, may_start_unclaimed=True))

    assert (world.view.late_creations_until is not None) is may_have_effect
    assert (world.view.seen_alive is None) is may_have_effect, "the new pod may replace it"
    assert world.view.creates_alone is not may_have_effect


def test_the_gate_of_another_pod_with_that_name_stays(world: World) -> None:
    by_message(world)
    world.do(CreatePod(TARGET))
    old = world.view.pods[0]
    manifest = world.api.read("pods", "words-i1")
    world.api.remove("pods", "words-i1")
    manifest["metadata"] = {key: manifest["metadata"][key] for key in ("name", "ownerReferences")}
    run(world.api.create(PODS, "shop", manifest))

    world.do(OpenGate(old))

    assert world.api.read("pods", "words-i1")["spec"]["schedulingGates"] == [{"name": names.CLAIM_GATE}]
    assert old.metadata.uid in world.view.gone


def test_the_input_in_a_continue_message_is_merged_into_the_input(world: World) -> None:
    by_message(world, input={"url": "a", "row": 0})

    first = answered(world, "words-i1", {"status": "continue", "input": {"row": 7}, "output": {"rows": 7}}, TARGET)
    second = answered(world, "words-i2", {"status": "continue"}, SECOND)

    assert first == {"status": "continue", "input": {"url": "a", "row": 7}, "output": {"rows": 7}}
    assert second == first


def test_the_output_so_far_is_kept_if_the_last_message_has_none(world: World) -> None:
    by_message(world)
    answered(world, "words-i1", {"status": "continue", "output": {"rows": 7}}, TARGET)

    assert answered(world, "words-i2", {"status": "done"}, SECOND)["output"] == {"rows": 7}


def test_a_message_cannot_continue_a_state_that_is_lost(world: World) -> None:
    by_message(world)

    response = answered(world, "words-i2", {"status": "continue", "input": {"row": 7}}, SECOND)

    assert response["error"]["code"] == "StateLost"


def test_a_state_that_becomes_too_large_for_a_variable_is_an_error(world: World) -> None:
    by_message(world, input={"text": "x" * 102_000})

    response = answered(world, "words-i1", {"status": "continue", "input": {"more": "y" * 1000}}, TARGET)

    assert response["error"]["code"] == "PayloadRefused"
    assert "TerminationMessage" in response["error"]["message"]


# --- records that are lost, or old ------------------------------------------------------------------------------------


def test_a_record_that_a_live_read_does_not_find_is_lost(world: World) -> None:
    world.do(ConfirmLost("words-i1"))

    assert world.view.lost_records == {"words-i1"}


def test_a_record_that_a_live_read_finds_is_not_lost(world: World) -> None:
    world.put_record(response={"status": "continue", "input": {}})

    world.do(ConfirmLost("words-i1"))

    assert world.view.lost_records == frozenset()
    assert [record.metadata.name for record in world.view.records] == ["words-i1"]


def test_a_foreign_record_does_not_contain_the_state(world: World) -> None:
    world.put(
        "taskiterations", {"name": "words-i1"}, runName="words", iteration=1, podName="a", podUID="b", **{"try": 1}
    )

    world.do(ConfirmLost("words-i1"))

    assert world.view.lost_records == {"words-i1"}


@pytest.mark.parametrize("record", [None, {}, {"response": {"status": "done"}}], ids=["none", "no answer", "answer"])
def test_the_record_of_an_attempt_is_read_before_a_retry(world: World, record: dict[str, Any] | None) -> None:
    if record is not None:
        world.put_record(**record)

    world.do(ReadRecord("words-i1"))

    has_answered = bool(record)
    assert world.view.settled == {"words-i1"}
    assert [record.response is not None for record in world.view.records] == ([] if record is None else [has_answered])


@pytest.mark.parametrize(
    "live", [None, {}, {"heartbeatAt": NOW.isoformat()}], ids=["none", "silent", "newer heartbeat"]
)
def test_the_record_of_a_pod_without_a_heartbeat_is_read(world: World, live: dict[str, Any] | None) -> None:
    if live is not None:
        world.put_record(**live)

    world.do(ConfirmSilent("words-i1", None))

    assert world.view.silence == (None if live else Silence("words-i1", None, NOW, NOW))
    assert [record.heartbeat_at for record in world.view.records] == ([] if live is None else [NOW if live else None])


def test_an_old_record_is_deleted(world: World) -> None:
    world.put_record(response={"status": "continue", "input": {}})
    world.see()

    world.do(DeleteRecord("words-i1", world.view.records[0].metadata.uid))

    assert world.api.find("taskiterations") == []
    assert world.view.records == ()


# --- status and runs --------------------------------------------------------------------------------------------------


def test_the_status_is_written_after_the_pod_exists(world: World) -> None:
    world.step()
    world.step()

    assert (world.status["phase"], world.status["current"]["podName"]) == ("Running", "words-i1")
    assert world.view.run.status.phase == "Running"
    assert world.api.gets == 0


def finish(world: World, response: dict[str, Any]) -> None:
    """Finish the run with this response."""
    world.step()
    world.step()
    pod = world.api.read("pods", "words-i1")
    world.put_record(podUID=pod["metadata"]["uid"], response=response)
    container = {"name": "task", "state": msgspec.to_builtins(terminated(0))}
    world.api.change("pods", "words-i1", {"status": {"phase": "Succeeded", "containerStatuses": [container]}})
    world.see()
    world.step()


def test_a_small_output_is_copied_into_the_status_with_its_nulls(world: World) -> None:
    finish(world, {"status": "done", "output": {"rows": 3, "none": None}})

    assert world.status["phase"] == "Succeeded"
    assert world.status["output"] == {"rows": 3, "none": None}


def test_a_large_output_stays_in_its_record(world: World) -> None:
    finish(world, {"status": "done", "output": {"text": "x" * 33_000}})

    assert "output" not in world.status
    assert world.status["outputFrom"] == "words-i1"


def test_an_output_of_exactly_32_kib_is_copied(world: World) -> None:
    finish(world, {"status": "done", "output": {"t": "x" * (32 * 1024 - len('{"t":""}'))}})

    assert "output" in world.status


def test_the_data_of_an_error_is_copied_into_the_status(world: World) -> None:
    finish(world, {"status": "error", "error": {"message": "odd", "code": "Odd", "data": {"row": None}}})

    assert world.status["error"] == {"message": "odd", "code": "Odd", "data": {"row": None}}


def test_an_abort_that_came_first_wins_over_the_final_status(world: World) -> None:
    # given a plan for Running that was made before the user aborted the run
    world.step()
    old = world.view
    following = plan(old, NOW)
    world.api.change("taskruns", "words", {"spec": {"abort": {"message": "enough"}}})

    # when
    run(world.executor.write_status(KEY, old, following))

    # then nothing is written, and the next view contains the abort
    assert world.status == task_run.TaskRun.born
    assert world.view.run.spec.abort is not None


def test_a_run_that_was_deleted_meanwhile_is_removed_from_the_store(world: World) -> None:
    world.step()
    old = world.view
    world.api.remove("taskruns", "words")

    run(world.executor.write_status(KEY, old, plan(old, NOW)))

    assert world.store.view(KEY) is None


def test_the_status_of_a_new_run_with_the_same_name_is_not_written(world: World) -> None:
    world.step()
    old = world.view
    world.api.remove("taskruns", "words")
    world.put("taskruns", {"name": "words"}, spec={"definition": "count-words"})

    run(world.executor.write_status(KEY, old, plan(old, NOW)))

    assert world.status == task_run.TaskRun.born
    assert world.view.run.metadata.uid != old.run.metadata.uid


def test_an_expired_run_is_deleted(world: World) -> None:
    metadata = world.view.run.metadata

    world.do(DeleteRun(metadata.uid, metadata.resource_version))

    assert world.api.find("taskruns") == []
    assert world.store.view(KEY) is None


def test_an_expired_run_that_has_changed_is_not_deleted(world: World) -> None:
    metadata = world.view.run.metadata
    world.api.change("taskruns", "words", {"spec": {"ttlSecondsAfterFinished": 10_000}})

    world.do(DeleteRun(metadata.uid, metadata.resource_version))

    assert world.view.run.spec.ttl_seconds_after_finished == 10_000


def test_the_status_of_a_run_that_has_not_finished_is_replaced(world: World) -> None:
    world.put_status({"phase": "Pending", "attempts": 1, "unknown": "x"})

    status = world.view.run.status.changed(attempts=2, last_record="words-i1")
    assert run(world.executor.write_status(KEY, world.view, Plan(status=status)))

    assert world.api.read("taskruns", "words")["status"] == {
        "phase": "Pending",
        "attempts": 2,
        "lastRecord": "words-i1",
    }


def test_the_result_of_a_finished_run_stays_when_its_status_changes(world: World) -> None:
    world.put_status({"phase": "Succeeded", "output": {"words": 3, "none": None}})

    status = world.view.run.status.changed(observed_generation=2)
    assert run(world.executor.write_status(KEY, world.view, Plan(status=status)))

    assert world.api.read("taskruns", "words")["status"] == {
        "phase": "Succeeded",
        "output": {"words": 3, "none": None},
        "observedGeneration": 2,
    }


def test_a_later_patch_contains_only_differences(world: World) -> None:
    world.put_status({"phase": "Failed", "attempts": 1, "message": "a"})

    patch = later_patch(world.view.run, {"phase": "Failed", "message": "b"})

    version = world.view.run.metadata.resource_version
    assert patch == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "remove", "path": "/status/attempts"},
        {"op": "add", "path": "/status/message", "value": "b"},
    ]


def test_records_are_addressed_by_their_own_plural() -> None:
    assert TASK_ITERATIONS.path("shop", "words-i1") == (
        "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskiterations/words-i1"
    )
