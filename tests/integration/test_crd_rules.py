"""The CRDs: objects that the API server accepts or rejects, and the messages that users of kubectl read.

The rules are CEL and OpenAPI in the CRDs, generated from the models in `podrelay.api`; no operator runs here.
"""

from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import (
    TASK_DEFINITIONS,
    TASK_ITERATIONS,
    TASK_RUNS,
    Manifest,
    camel_case,
    record,
    task_definition,
    task_run,
)
from dev.harness.waiting import eventually
from podrelay.api import limits, names
from podrelay.api.task_run import TaskRun
from tests.support.quick import QuickKubectl

pytestmark = pytest.mark.integration

DRY = ("--dry-run=server",)
FINISHED = ("Succeeded", "Failed", "Aborted")
NOW = "2026-01-02T03:04:05Z"
LATER = "2026-02-03T04:05:06Z"


@pytest.fixture(scope="module")
def itself(shared: Kubectl) -> Kubectl:
    """The real kubectl, for tests of its output."""
    return Kubectl(shared.kubeconfig, shared.env, shared.namespace)


@pytest.fixture(scope="module")
def shared(shared: Kubectl) -> Kubectl:
    """The same over an open connection: rejections and their messages come from the API server."""
    return QuickKubectl.instead_of(shared)


def refused(result: Any, *words: str) -> None:
    """Check that the command failed, and that stderr contains each of `words`."""
    assert not result, f"it was accepted: {result}"
    for expected in words:
        assert expected in result.stderr, result.stderr


def accepted(result: Any) -> None:
    assert result, str(result)


def each(table: list[tuple[Manifest, str]]) -> pytest.MarkDecorator:
    """Return a parametrization with one test for each row of a table, named after the expected message."""
    return pytest.mark.parametrize("case", range(len(table)), ids=[words[:60] for _, words in table])


def a_run(kubectl: Kubectl, name: str, phase: str | None = None, **spec: Any) -> None:
    """Create a TaskRun, with a phase in its status if one is given."""
    accepted(kubectl.create(task_run(name, **spec)))
    if phase:
        accepted(kubectl.set_status(TASK_RUNS, name, {"phase": phase}))


# --- TaskRun: valid and invalid manifests ---------------------------------------------------------------------------


def test_runs_are_accepted(shared: Kubectl) -> None:
    manifests = [
        task_run("a"),
        task_run("r" * 50),
        task_run(delaySeconds=0),
        task_run(delaySeconds=limits.MAX_WAIT_SECONDS),
        task_run(startAt=NOW),
        task_run(startAt="2026-01-02T03:04:05.123456+01:00"),
        task_run(ttlSecondsAfterFinished=0, suspend=True, displayName="Words of the day", parent="parent"),
        task_run(abort={}),
        task_run(abort={"message": "m" * 1024, "cascade": True}),
        task_run(input={}),
        task_run(input={f"key{number}": number for number in range(10_000)}),
        task_run(metadata={"name": None, "generateName": "words-"}),
    ]
    accepted(shared.create(*manifests, flags=DRY))


NAME_RULE = "metadata.name must be a DNS label of at most 50 characters, because the names of its pods begin with it"


REFUSED_RUNS: list[tuple[Manifest, str]] = [
    (task_run("r" * 51), NAME_RULE),
    (task_run("words.of.today"), NAME_RULE),
    (task_run(metadata={"name": None, "generateName": "g" * 50 + "-"}), NAME_RULE),
    (task_run(delaySeconds=5, startAt=NOW), "spec.delaySeconds and spec.startAt are mutually exclusive"),
    (task_run(delaySeconds=-1), "spec.delaySeconds in body should be greater than or equal to 0"),
    (task_run(delaySeconds=30_672_001), "spec.delaySeconds in body should be less than or equal to 30672000"),
    (task_run(delaySeconds="5"), 'spec.delaySeconds in body must be of type integer: "string"'),
    (task_run(delaySeconds=1.5), 'spec.delaySeconds in body must be of type integer: "number"'),
    (task_run(startAt="tomorrow"), "spec.startAt in body should match"),
    (task_run(startAt="2026-01-02"), "spec.startAt in body should match"),
    ({**task_run(), "spec": {}}, "spec.definition: Required value"),
    (
        task_run(definition="countWords"),
        'spec.definition: Invalid value: "countWords": must be the name of the TaskDefinition, not its id: '
        "use count-words",
    ),
    (task_run(definition="NightlyHttp2ProxyB"), "not its id: use nightly-http-2-proxy-b"),
    (
        task_run(definition="aBCDEFGHIJKLM"),
        "must be the name of a TaskDefinition, in kebab-case such as import-products",
    ),
    (task_run(definition="Count Words"), "must be the name of a TaskDefinition, in kebab-case such as import-products"),
    (task_run(definition="count-"), "must be the name of a TaskDefinition, in kebab-case such as import-products"),
    (task_run(definition=""), "spec.definition in body should be at least 1 chars long"),
    (task_run(definition="d" * 64), "spec.definition: Too long: may not be more than 63 bytes"),
    (task_run(displayName=""), "spec.displayName in body should be at least 1 chars long"),
    (task_run(displayName="d" * 257), "spec.displayName: Too long: may not be more than 256 bytes"),
    (task_run(parent="not a name"), "spec.parent in body should match"),
    (task_run(abort={"message": "m" * 1025}), "spec.abort.message: Too long: may not be more than 1024 bytes"),
    (task_run(abort="stop"), 'spec.abort in body must be of type object: "string"'),
    (task_run(suspend="yes"), 'spec.suspend in body must be of type boolean: "string"'),
    (task_run(ttlSecondsAfterFinished=-1), "ttlSecondsAfterFinished in body should be greater than or equal to 0"),
    (task_run(ttlSecondsAfterFinished=315_360_001), "in body should be less than or equal to 315360000"),
    (task_run(input="words"), 'spec.input in body must be of type object: "string"'),
    (task_run(input=["words"]), 'spec.input in body must be of type object: "array"'),
    (task_run(input={f"key{number}": 1 for number in range(10_001)}), "spec.input: Too many: 10001: must have at"),
    (task_run(definitoin="count-words"), 'unknown field "spec.definitoin"'),
    (task_run(abort={"mesage": "stop"}), 'unknown field "spec.abort.mesage"'),
    (task_run() | {"specs": {}}, 'unknown field "specs"'),
    ({**task_run(), "spec": None}, "spec: Required value"),
]


@pytest.fixture(scope="module")
def refused_runs(shared: Kubectl) -> list[str]:
    return shared.refusals([manifest for manifest, _ in REFUSED_RUNS])


@each(REFUSED_RUNS)
def test_a_run_is_refused(refused_runs: list[str], case: int) -> None:
    assert REFUSED_RUNS[case][1] in refused_runs[case]


# --- TaskRun: changes -----------------------------------------------------------------------------------------------

IMMUTABLE: dict[str, tuple[Any, Any]] = {
    "displayName": ("Words", "Letters"),
    "input": ({"text": "a b"}, {"text": "a b c"}),
    "overrides": ({"retry": {"limit": 1}}, {"retry": {"limit": 2}}),
    "parent": ("mother", "father"),
}


def immutable_message(field: str) -> str:
    return f"spec.{field} cannot be changed; create a new TaskRun"


@pytest.mark.parametrize("field", IMMUTABLE)
def test_the_fields_of_the_work_are_immutable(shared: Kubectl, field: str) -> None:
    before, after = IMMUTABLE[field]
    name = f"immutable-{field.lower()}"
    accepted(shared.apply(task_run(name, **{field: before})))
    refused(shared.apply(task_run(name, **{field: after})), immutable_message(field))
    refused(shared.apply(task_run(name)), immutable_message(field))
    refused(shared.patch(TASK_RUNS, name, {"spec": {field: None}}), immutable_message(field))
    refused(shared.patch(TASK_RUNS, name, [{"op": "remove", "path": f"/spec/{field}"}]), immutable_message(field))
    refused(shared.replace(task_run(name)), immutable_message(field))
    assert shared.get(TASK_RUNS, name)["spec"][field] == before


@pytest.mark.parametrize("field", IMMUTABLE)
def test_the_fields_of_the_work_cannot_be_added_later(shared: Kubectl, field: str) -> None:
    name = f"added-{field.lower()}"
    accepted(shared.apply(task_run(name)))
    refused(shared.apply(task_run(name, **{field: IMMUTABLE[field][0]})), immutable_message(field))


def test_the_start_can_be_changed_until_the_run_has_started(shared: Kubectl) -> None:
    accepted(shared.apply(task_run("rescheduled", delaySeconds=5)))
    for spec in (
        {"delaySeconds": 6},
        {"delaySeconds": None, "startAt": NOW},
        {"startAt": LATER},
        {"startAt": None},
        {"delaySeconds": 5},
    ):
        accepted(shared.patch(TASK_RUNS, "rescheduled", {"spec": spec}))
    refused(shared.patch(TASK_RUNS, "rescheduled", {"spec": {"startAt": NOW}}), "mutually exclusive")


@pytest.mark.parametrize("status", [{"phase": "Running", "startedAt": NOW}, {"phase": "Aborted"}], ids=str)
def test_the_start_cannot_be_changed_afterwards(shared: Kubectl, status: dict[str, Any]) -> None:
    name = f"start-{status['phase'].lower()}"
    accepted(shared.apply(task_run(name, delaySeconds=5)))
    accepted(shared.set_status(TASK_RUNS, name, status))
    for spec in ({"delaySeconds": 6}, {"delaySeconds": None}, {"delaySeconds": None, "startAt": NOW}):
        refused(
            shared.patch(TASK_RUNS, name, {"spec": spec}),
            "spec.startAt and spec.delaySeconds cannot be changed: the run has already started or is finished",
        )
    accepted(shared.patch(TASK_RUNS, name, {"spec": {"suspend": True}}))
    accepted(shared.set_status(TASK_RUNS, name, {"message": "still"}))


def test_the_definition_is_immutable(shared: Kubectl) -> None:
    accepted(shared.apply(task_run("defined", "count-words")))
    refused(shared.apply(task_run("defined", "count-letters")), immutable_message("definition"))
    refused(shared.patch(TASK_RUNS, "defined", {"spec": {"definition": None}}), "spec.definition: Required value")


@pytest.mark.parametrize(
    "patch",
    [
        {"deep": {"list": [1, {"key": "changed"}]}},
        {"deep": {"list": [1, {"key": "value", "added": 1}]}},
        {"deep": {"list": ["1", {"key": "value"}]}},
        {"deep": {"list": [1]}},
        {"deep": None},
        {"more": {}},
    ],
    ids=["nested-value", "nested-key", "number-as-string", "shorter-list", "removed-key", "added-key"],
)
def test_the_input_is_immutable_at_any_depth(shared: Kubectl, patch: dict[str, Any]) -> None:
    shared.create(task_run("deep", input={"deep": {"list": [1, {"key": "value"}]}}))  # by the first case that runs
    refused(shared.patch(TASK_RUNS, "deep", {"spec": {"input": patch}}), immutable_message("input"))


def test_suspend_and_ttl_may_change(shared: Kubectl) -> None:
    accepted(shared.apply(task_run("changeable", suspend=True, ttlSecondsAfterFinished=5)))
    accepted(shared.apply(task_run("changeable", suspend=False, ttlSecondsAfterFinished=6)))
    accepted(shared.apply(task_run("changeable")))
    assert shared.get(TASK_RUNS, "changeable")["spec"] == {"definition": "count-words", "suspend": False}


# --- TaskRun: abort -------------------------------------------------------------------------------------------------

ABORT_STAYS = "spec.abort cannot be changed or taken back once it is set"
ABORT_TOO_LATE = "spec.abort cannot be set: the run is already finished"


@pytest.mark.parametrize("phase", [None, "Pending", "Running"])
def test_a_run_that_is_not_finished_can_be_aborted(shared: Kubectl, phase: str | None) -> None:
    name = f"abort-{phase or 'new'}".lower()
    a_run(shared, name, phase)
    accepted(shared.patch(TASK_RUNS, name, {"spec": {"abort": {"message": "wrong file"}}}))
    assert shared.get(TASK_RUNS, name)["spec"]["abort"] == {"message": "wrong file", "cascade": False}


@pytest.mark.parametrize("phase", FINISHED)
def test_a_finished_run_cannot_be_aborted(shared: Kubectl, phase: str) -> None:
    name = f"abort-{phase}".lower()
    a_run(shared, name, phase)
    refused(shared.patch(TASK_RUNS, name, {"spec": {"abort": {}}}), ABORT_TOO_LATE)
    accepted(shared.patch(TASK_RUNS, name, {"spec": {"suspend": True}}))


def test_an_abort_cannot_be_changed_or_removed(shared: Kubectl) -> None:
    a_run(shared, "aborted", "Running", abort={"message": "wrong file"})
    refused(shared.patch(TASK_RUNS, "aborted", {"spec": {"abort": {"message": "never mind"}}}), ABORT_STAYS)
    refused(shared.patch(TASK_RUNS, "aborted", {"spec": {"abort": {"message": None}}}), ABORT_STAYS)
    refused(shared.patch(TASK_RUNS, "aborted", {"spec": {"abort": {"cascade": True}}}), ABORT_STAYS)
    refused(shared.patch(TASK_RUNS, "aborted", {"spec": {"abort": None}}), ABORT_STAYS)
    refused(shared.patch(TASK_RUNS, "aborted", [{"op": "remove", "path": "/spec/abort"}]), ABORT_STAYS)
    refused(shared.replace(task_run("aborted")), ABORT_STAYS)
    accepted(shared.set_status(TASK_RUNS, "aborted", {"phase": "Aborted"}))
    refused(shared.patch(TASK_RUNS, "aborted", {"spec": {"abort": None}}), ABORT_STAYS)
    accepted(shared("label", TASK_RUNS, "aborted", "seen=true"))


def test_applying_the_manifest_again_does_not_revoke_an_abort(itself: Kubectl) -> None:
    accepted(itself.apply(task_run("applied-again")))
    accepted(itself.patch(TASK_RUNS, "applied-again", {"spec": {"abort": {}}}))
    assert itself.apply(task_run("applied-again")).stdout.endswith("applied-again unchanged\n")
    assert itself.get(TASK_RUNS, "applied-again")["spec"]["abort"] == {"cascade": False}


# --- TaskRun: the finished phase ------------------------------------------------------------------------------------

FINISHED_STAYS = "status.phase cannot be changed: the run is finished"


@pytest.mark.parametrize("phase", FINISHED)
def test_a_finished_phase_never_changes(shared: Kubectl, phase: str) -> None:
    name = f"finished-{phase}".lower()
    a_run(shared, name, phase)
    for other in {"Pending", "Running", *FINISHED} - {phase}:
        refused(shared.set_status(TASK_RUNS, name, {"phase": other}), FINISHED_STAYS)
    refused(shared.set_status(TASK_RUNS, name, {"phase": None}), FINISHED_STAYS)
    accepted(shared.set_status(TASK_RUNS, name, {"phase": phase, "message": "hooks have run"}))


def test_dropping_the_status_does_not_unfinish_a_run(shared: Kubectl) -> None:
    a_run(shared, "kept", "Failed")
    status = ("--subresource", "status")
    without_phase = task_run("kept") | {"status": {"message": "no phase"}}
    refused(shared.patch(TASK_RUNS, "kept", {"status": None}, *status), FINISHED_STAYS)
    refused(shared.patch(TASK_RUNS, "kept", [{"op": "remove", "path": "/status"}], *status), FINISHED_STAYS)
    refused(shared.replace(task_run("kept"), flags=status), FINISHED_STAYS)
    refused(shared.replace(without_phase, flags=status), FINISHED_STAYS)
    accepted(shared.replace(task_run("kept")))  # the main resource ignores the status
    assert shared.get(TASK_RUNS, "kept")["status"] == {**TaskRun.born, "phase": "Failed"}


def test_an_unfinished_phase_may_change(shared: Kubectl) -> None:
    a_run(shared, "going")
    for phase in ("Pending", "Running", "Pending", "Succeeded"):
        accepted(shared.set_status(TASK_RUNS, "going", {"phase": phase}))


def test_a_status_in_a_new_manifest_is_ignored(shared: Kubectl) -> None:
    accepted(shared.create(task_run("born-finished") | {"status": {"phase": "Succeeded"}}))
    assert shared.get(TASK_RUNS, "born-finished")["status"] == TaskRun.born


@pytest.fixture(scope="module")
def limited(shared: Kubectl) -> str:
    """A run whose status is written."""
    a_run(shared, "limited")
    return "limited"


CONDITION = {"type": "Succeeded", "status": "True", "reason": "Done", "lastTransitionTime": NOW}
RECENT = {"iteration": 1, "try": 1, "podName": "words-i1", "answer": "done"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Done"}, 'status.phase: Unsupported value: "Done": supported values: "Pending", "Running"'),
        ({"message": "m" * 4097}, "status.message: Too long: may not be more than 4096 bytes"),
        ({"reason": "not CamelCase"}, "reason in body should match"),
        ({"iterations": -1}, "iterations in body should be greater than or equal to 0"),
        ({"output": "words"}, 'output in body must be of type object: "string"'),
        ({"progress": {"percent": 100.5}}, "percent in body should be less than or equal to 100"),
        ({"progress": {"message": "m" * 257}}, "status.progress.message: Too long: may not be more than 256 bytes"),
        ({"recentIterations": [RECENT] * 11}, "status.recentIterations: Too many: 11: must have at most 10 items"),
        ({"recentIterations": [RECENT | {"answer": "no"}]}, "status.recentIterations[0].answer: Unsupported value"),
        ({"recentIterations": [RECENT | {"message": "m" * 257}]}, "recentIterations[0].message: Too long"),
        ({"conditions": [CONDITION | {"status": "Yes"}]}, "status.conditions[0].status: Unsupported value"),
        ({"conditions": [CONDITION, CONDITION]}, 'status.conditions[1]: Duplicate value: {"type":"Succeeded"}'),
        ({"conditions": [CONDITION | {"type": f"T{i}"} for i in range(17)]}, "status.conditions: Too many: 17"),
        ({"conditions": [{"type": "Succeeded", "status": "True"}]}, "status.conditions[0].reason: Required value"),
        ({"hooks": [{"name": "onLunch", "outcome": "Failed"}]}, "status.hooks[0].name: Unsupported value"),
        ({"hooks": [{"name": "onDone", "outcome": "Failed"}] * 2}, 'hooks[1]: Duplicate value: {"name":"onDone"}'),
        ({"error": {"code": "E1"}}, "status.error.message: Required value"),
        ({"current": {"podName": "words-i1"}}, "status.current.podUID: Required value"),
        ({"finishedAt": "now"}, "finishedAt in body should match"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_status_is_refused(shared: Kubectl, limited: str, status: dict[str, Any], words: str) -> None:
    patch = [{"op": "add", "path": "/status", "value": status}]
    refused(shared.patch(TASK_RUNS, limited, patch, "--subresource", "status"), words)


# --- TaskIteration --------------------------------------------------------------------------------------------------

RESPONSE_STAYS = "response cannot be changed: the first stored response wins"
DONE = {"status": "done", "output": {"words": 3}}


def test_the_first_stored_response_wins(shared: Kubectl) -> None:
    accepted(shared.create(record("first-i1")))
    accepted(shared.replace(record("first-i1", response=DONE)))
    refused(shared.replace(record("first-i1", response={"status": "error"})), RESPONSE_STAYS)
    refused(shared.replace(record("first-i1", response=DONE | {"message": "added"})), RESPONSE_STAYS)
    refused(shared.patch(TASK_ITERATIONS, "first-i1", {"response": {"output": {"words": 4}}}), RESPONSE_STAYS)
    refused(shared.replace(record("first-i1")), RESPONSE_STAYS)
    refused(shared.patch(TASK_ITERATIONS, "first-i1", {"response": None}), RESPONSE_STAYS)
    refused(shared.patch(TASK_ITERATIONS, "first-i1", [{"op": "remove", "path": "/response"}]), RESPONSE_STAYS)
    accepted(shared.patch(TASK_ITERATIONS, "first-i1", {"hooks": [{"name": "onDone", "outcome": "Succeeded"}]}))
    assert shared.get(TASK_ITERATIONS, "first-i1")["response"] == DONE


IDENTITY_STAYS = "runName, iteration, try, hook and podName cannot be changed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"podUID": "another"}, "podUID cannot be changed: a record belongs to one pod"),
        ({"podUID": None}, "podUID: Required value"),
        ({"runName": "own"}, IDENTITY_STAYS),
        ({"iteration": 2}, IDENTITY_STAYS),
        ({"try": 2}, IDENTITY_STAYS),
        ({"hook": "onDone"}, IDENTITY_STAYS),
        ({"hook": None}, IDENTITY_STAYS),
        ({"podName": "own-i2"}, IDENTITY_STAYS),
    ],
    ids=str,
)
def test_the_identity_of_a_record_is_immutable(shared: Kubectl, change: dict[str, Any], words: str) -> None:
    shared.create(record("own-run-habort", hook="onAbort"))  # by the first case that runs
    refused(shared.patch(TASK_ITERATIONS, "own-run-habort", change), words)


def test_a_hook_is_never_added_to_a_record(shared: Kubectl) -> None:
    accepted(shared.create(record("plain-i1")))
    refused(shared.patch(TASK_ITERATIONS, "plain-i1", {"hook": "onDone"}), IDENTITY_STAYS)


CHECKPOINT_RULE = "checkpoint must be dropped once there is a response that is not an error"


@pytest.mark.parametrize("status", ["done", "continue", "aborted"])
def test_a_checkpoint_must_be_dropped_with_the_answer(shared: Kubectl, status: str) -> None:
    checkpoint = {"input": {"cursor": 5}}
    name = f"checkpoint-{status}-i1"
    accepted(shared.create(record(name, checkpoint=checkpoint)))
    accepted(shared.replace(record(name, checkpoint={"input": {"cursor": 6}, "output": {}})))
    refused(shared.replace(record(name, checkpoint=checkpoint, response={"status": status})), CHECKPOINT_RULE)
    accepted(shared.replace(record(name, response={"status": status})))
    refused(shared.replace(record(name, checkpoint=checkpoint, response={"status": status})), CHECKPOINT_RULE)


def test_a_checkpoint_is_kept_with_an_error_because_a_retry_starts_from_it(shared: Kubectl) -> None:
    accepted(shared.create(record("retried-i1", checkpoint={"input": {"cursor": 5}}, response={"status": "error"})))


LOG = {"time": NOW, "type": "info", "message": "counting"}


REFUSED_RECORDS: list[tuple[Manifest, str]] = [
    (record("words-i1", podName="words-i2"), "metadata.name must be podName"),
    (record("words-i1", runName="letters"), "metadata.name must begin with the name of its TaskRun"),
    (record("words-i1", runName="word"), "metadata.name must begin with the name of its TaskRun"),
    (record(runName=None), "runName: Required value"),
    (record(iteration=None), "iteration: Required value"),
    (record(iteration=-1), "iteration in body should be greater than or equal to 0"),
    (record(iteration=2**31), "iteration in body should be less than or equal to 2147483647"),
    (record(hook="onLunch"), 'hook: Unsupported value: "onLunch"'),
    (record(pod_uid="u" * 65), "podUID: Too long: may not be more than 64 bytes"),
    (record(image="i" * 1025), "image: Too long: may not be more than 1024 bytes"),
    (record(startedAt="now"), "startedAt in body should match"),
    (record(response={}), "response.status: Required value"),
    (record(response={"status": "maybe"}), 'response.status: Unsupported value: "maybe": supported values: "done"'),
    (record(response={"status": "done", "message": "m" * 4097}), "response.message: Too long"),
    (record(response={"status": "done", "output": [1]}), 'response.output in body must be of type object: "array"'),
    (record(response={"status": "continue", "waitSeconds": -1}), "waitSeconds in body should be greater"),
    (record(response={"status": "continue", "waitSeconds": 30_672_001}), "waitSeconds in body should be less"),
    (record(response={"status": "continue", "waitForChildren": {"definition": "X"}}), "definition in body should"),
    (record(response={"status": "error", "error": {"code": "c" * 257, "message": ""}}), "error.code: Too long"),
    (record(response={"status": "done", "result": {}}), 'unknown field "response.result"'),
    (record(progress={"percent": -1}), "progress.percent in body should be greater than or equal to 0"),
    (record(logs=[LOG] * 201), "logs: Too many: 201: must have at most 200 items"),
    (record(logs=[LOG | {"message": "m" * 8193}]), "logs[0].message: Too long: may not be more than 8192 bytes"),
    (record(logs=[LOG | {"type": "debug"}]), 'logs[0].type: Unsupported value: "debug"'),
    (record(logs=[{"type": "info", "message": ""}]), "logs[0].time: Required value"),
    (record(hooks=[{"name": "onDone", "outcome": "Failed", "message": "m" * 1025}]), "hooks[0].message: Too long"),
]


@pytest.fixture(scope="module")
def refused_records(shared: Kubectl) -> list[str]:
    return shared.refusals([manifest for manifest, _ in REFUSED_RECORDS])


@each(REFUSED_RECORDS)
def test_a_record_is_refused(refused_records: list[str], case: int) -> None:
    assert REFUSED_RECORDS[case][1] in refused_records[case]


def test_a_full_record_is_accepted(shared: Kubectl) -> None:
    response = {
        "status": "continue",
        "message": "next",
        "input": {"cursor": 5},
        "output": {"words": 3},
        "waitSeconds": 0.5,
        "waitForChildren": {"definition": "count-letters"},
    }
    manifest = record(
        "full-i10000t9999",
        response=response,
        nodeName="node-1",
        image="registry.example/words:1",
        startedAt=NOW,
        finishedAt=LATER,
        progress={"percent": 99.5, "message": "nearly", "at": LATER},
        logs=[LOG | {"data": {"a": None}}, LOG | {"type": "error", "error": {"stack": "..."}}],
        droppedLogs=3,
        hooks=[{"name": "onDone", "outcome": "Failed", "message": "no"}],
    )
    accepted(shared.create(manifest))
    stored = shared.get(TASK_ITERATIONS, "full-i10000t9999")
    assert {key: stored[key] for key in manifest if key != "metadata"} == {
        key: value for key, value in manifest.items() if key != "metadata"
    }


# --- TaskDefinition -------------------------------------------------------------------------------------------------

KEBAB_RULE = "metadata.name must be spec.id in kebab-case, for example import-products for importProducts"


def test_the_name_of_a_definition_is_its_id_in_kebab_case(shared: Kubectl) -> None:
    ids = ("a", "countWords", "aB", "importV2", "area51", "area51Scan", "xY2Z3", "importProductsToShopB")
    manifests = [task_definition(names.definition_name(definition_id), id=definition_id) for definition_id in ids]
    accepted(shared.create(*manifests, flags=DRY))


def test_any_other_name_of_a_definition_is_refused(shared: Kubectl) -> None:
    pairs = [
        ("countwords", "countWords"),
        ("count-word", "countWords"),
        ("coun-twords", "countWords"),
        ("c-ount-words", "countWords"),
        ("count--words", "countWords"),
        ("count.words", "countWords"),
        ("import-v2", "importV2"),
        ("area51", "area51"),
        ("words-count", "countWords"),
        ("a-b-c", "aBC1"),
    ]
    for text in shared.refusals([task_definition(name, id=definition_id) for name, definition_id in pairs]):
        assert KEBAB_RULE in text


def test_a_name_that_is_too_long_for_runs_and_labels_is_rejected(shared: Kubectl) -> None:
    longest, too_long = "a" * 10 + "Bc" * 17 + "D", "a" * 11 + "Bc" * 17 + "D"
    accepted(shared.create(task_definition(names.definition_name(longest), id=longest), flags=DRY))
    refused(
        shared.create(task_definition(names.definition_name(too_long), id=too_long), flags=DRY),
        "metadata.name must have at most 63 characters, because TaskRuns and labels refer to it; choose a shorter",
    )


def test_the_id_is_immutable(shared: Kubectl) -> None:
    accepted(shared.apply(task_definition("count-vowels")))
    refused(
        shared.apply(task_definition("count-vowels", id="countSyllables")),
        "spec.id cannot be changed; create a new TaskDefinition",
    )


TEMPLATE = task_definition()["spec"]["template"]


REFUSED_DEFINITIONS: list[tuple[Manifest, str]] = [
    (task_definition("w", id="CountWords"), "spec.id in body should match"),
    (task_definition("w", id="count-words"), "spec.id in body should match"),
    (task_definition("w", id="w" * 51), "spec.id: Too long: may not be more than 50 bytes"),
    (task_definition(title=""), "spec.title in body should be at least 1 chars long"),
    (task_definition(title=None), "spec.title: Required value"),
    (task_definition(template=None), "spec.template: Required value"),
    (task_definition(template="pod"), 'spec.template in body must be of type object: "string"'),
    (task_definition(description="d" * 4097), "spec.description: Too long: may not be more than 4096 bytes"),
    (task_definition(maxIterations=0), "spec.maxIterations in body should be greater than or equal to 1"),
    (task_definition(maxIterations=10_001), "spec.maxIterations in body should be less than or equal to 10000"),
    (task_definition(inputSchema=True), 'spec.inputSchema in body must be of type object: "boolean"'),
    (task_definition(hooks=["onLunch"]), 'spec.hooks[0]: Unsupported value: "onLunch"'),
    (task_definition(hooks=["onDone", "onDone"]), 'spec.hooks[1]: Duplicate value: "onDone"'),
    (task_definition(selfCleanup=["Always"]), 'spec.selfCleanup[0]: Unsupported value: "Always"'),
    (task_definition(iterationTimeoutSeconds=0), "iterationTimeoutSeconds in body should be greater"),
    (task_definition(pendingTimeoutSeconds=30_672_001), "pendingTimeoutSeconds in body should be less"),
    (task_definition(abortGracePeriodSeconds=86_401), "abortGracePeriodSeconds in body should be less"),
    (task_definition(heartbeatTimeoutSeconds=4), "heartbeatTimeoutSeconds in body should be greater"),
    (
        task_definition(heartbeatTimeoutSeconds=5, reporting="TerminationMessage"),
        "heartbeats are stored by the SDK, so spec.heartbeatTimeoutSeconds needs spec.reporting: API",
    ),
    (
        task_definition(variables=["PODRELAY_INPUT"]),
        "the SDK needs all variables, so spec.variables needs spec.reporting: TerminationMessage",
    ),
    (
        task_definition(reporting="TerminationMessage", variables=["INPUT"]),
        'spec.variables[0]: Unsupported value: "INPUT"',
    ),
    (task_definition(nodeLostTimeoutSeconds=0), "nodeLostTimeoutSeconds in body should be greater"),
    (task_definition(retry={"limit": 101}), "spec.retry.limit in body should be less than or equal to 100"),
    (task_definition(retry={"factor": 0.5}), "spec.retry.factor in body should be greater than or equal to 1"),
    (task_definition(retry={"on": ["Never"]}), 'spec.retry.on[0]: Unsupported value: "Never"'),
    (task_definition(disruptionRetries=101), "spec.disruptionRetries in body should be less than or equal to 100"),
    (task_definition(maxConcurrentRuns=0), "spec.maxConcurrentRuns in body should be greater than or equal to 1"),
    (task_definition(triggers=["countWords"]), "spec.triggers[0] in body should match"),
    (task_definition(triggers=["a", "a"]), 'spec.triggers[1]: Duplicate value: "a"'),
    (task_definition(triggers=[f"t{i}" for i in range(101)]), "spec.triggers: Too many: 101: must have at"),
    (task_definition(historyLimit={"iterations": 0}), "historyLimit.iterations in body should be greater"),
    (task_definition(historyLimit={"runs": 100_001}), "historyLimit.runs in body should be less"),
    (task_definition(podCleanup="Sometimes"), 'spec.podCleanup: Unsupported value: "Sometimes"'),
    (task_definition(reporting="Email"), 'spec.reporting: Unsupported value: "Email": supported values: "API"'),
    (task_definition(maxIteration=5), 'unknown field "spec.maxIteration"'),
]


@pytest.fixture(scope="module")
def refused_definitions(shared: Kubectl) -> list[str]:
    return shared.refusals([manifest for manifest, _ in REFUSED_DEFINITIONS])


@each(REFUSED_DEFINITIONS)
def test_a_definition_is_refused(refused_definitions: list[str], case: int) -> None:
    assert REFUSED_DEFINITIONS[case][1] in refused_definitions[case]


def test_a_definition_shows_its_defaults(shared: Kubectl) -> None:
    spec: dict[str, Any] = {"retry": {"limit": 2}, "historyLimit": {"runs": 5}, "triggers": ["*"]}
    accepted(shared.apply(task_definition("with-defaults", **spec)))
    assert shared.get(TASK_DEFINITIONS, "with-defaults")["spec"] == {
        "id": camel_case("with-defaults"),
        "title": "Count words",
        "template": TEMPLATE,
        "private": False,
        "maxIterations": 50,
        "recordLogs": True,
        "selfCleanup": [],
        "iterationTimeoutSeconds": 900,
        "pendingTimeoutSeconds": 900,
        "abortGracePeriodSeconds": 60,
        "nodeLostTimeoutSeconds": 600,
        "retry": {
            "limit": 2,
            "initialSeconds": 10,
            "factor": 2,
            "maxSeconds": 600,
            "on": ["Error", "PodFailure", "Timeout"],
        },
        "disruptionRetries": 3,
        "triggers": ["*"],
        "maxChildren": 1000,
        "suspend": False,
        "historyLimit": {"iterations": 20, "runs": 5},
        "podCleanup": "OnSuccess",
        "handover": "Ahead",
        "reporting": "API",
    }


def test_everything_except_the_id_of_a_definition_may_change(shared: Kubectl) -> None:
    accepted(shared.apply(task_definition("changing")))
    schema = {"type": "object", "properties": {"text": {"$ref": "#/$defs/text"}}, "$defs": {"text": {"type": "string"}}}
    changed = task_definition("changing", title="New", inputSchema=schema, reporting="TerminationMessage")
    accepted(shared.apply(changed))
    assert shared.get(TASK_DEFINITIONS, "changing")["spec"]["inputSchema"] == schema


# --- payloads -------------------------------------------------------------------------------------------------------


def test_a_payload_is_stored_unchanged(shared: Kubectl) -> None:
    payload = {
        "null": None,
        "nested": {"null": None, "list": [None, {"null": None}]},
        "empty": {"object": {}, "list": [], "string": ""},
        "numbers": [0, -1, limits.SAFE_INTEGER, -limits.SAFE_INTEGER - 1, 0.1, 1e300],
        "text": 'quotes " and \\, newline \n, ünïcödé, 日本語, 👩‍🚀, \u2028',
        "keys": {"with.dot": 1, "with/slash": 2, "with space": 3, "": 4, "$ref": 5},
    }
    accepted(shared.create(task_run("stored", input=payload)))
    assert shared.get(TASK_RUNS, "stored")["spec"]["input"] == payload


def test_a_large_payload_does_not_enlarge_managed_fields(shared: Kubectl) -> None:
    payload = {f"key{number}": number for number in range(5000)}
    accepted(shared.create(task_run("bookkept", input=payload)))
    managed = shared.get(TASK_RUNS, "bookkept", "--show-managed-fields")["metadata"]["managedFields"]
    assert len(str(managed)) < 1000


# --- output of kubectl ----------------------------------------------------------------------------------------------


def test_applying_an_unchanged_manifest_changes_nothing(itself: Kubectl) -> None:
    manifests = (
        task_definition("unchanged", retry={"limit": 1}),
        task_run("unchanged", input={"text": "a b", "nested": {"list": [1, 2.5]}}, startAt=NOW),
    )
    accepted(itself.apply(*manifests))
    again = itself.apply(*manifests)
    assert [line.rsplit(" ", 1)[1] for line in again.stdout.splitlines()] == ["unchanged", "unchanged"]
    assert itself.get(TASK_RUNS, "unchanged")["metadata"]["generation"] == 1
    for _ in range(2):
        accepted(itself.apply(*manifests, flags=("--server-side", "--force-conflicts")))
    assert itself.get(TASK_RUNS, "unchanged")["metadata"]["generation"] == 1
    assert itself.get(TASK_DEFINITIONS, "unchanged")["metadata"]["generation"] == 1


def test_a_null_in_the_input_survives_create_and_server_side_apply(shared: Kubectl) -> None:
    manifest = task_run("nullable", input={"since": None, "text": "a b"})
    accepted(shared.apply(manifest, flags=("--server-side",)))
    accepted(shared.apply(manifest, flags=("--server-side",)))
    stored = shared.get(TASK_RUNS, "nullable")
    assert stored["spec"]["input"] == {"since": None, "text": "a b"}
    assert stored["metadata"]["generation"] == 1


def test_client_side_apply_drops_a_null_initially_and_stays_unchanged(itself: Kubectl) -> None:
    manifest = task_run("without-null", input={"since": None, "text": "a b"})
    accepted(itself.apply(manifest))
    assert itself.get(TASK_RUNS, "without-null")["spec"]["input"] == {"text": "a b"}
    assert itself.apply(manifest).stdout.endswith("without-null unchanged\n")


def test_explain_shows_how_to_abort(admin: Kubectl, installed: None) -> None:
    # The API server publishes the descriptions some time after it serves the resource.
    text = eventually("kubectl explain", lambda: admin("explain", f"{TASK_RUNS}.spec.abort").stdout)
    assert "Set this to stop the run: its pod gets SIGTERM" in text
    assert "kubectl patch trun NAME --type merge" in text
    for path in ("taskruns.podrelay.dev", "trun.status.conditions", "tdef.spec.retry", "titer.response.waitSeconds"):
        assert "DESCRIPTION:" in admin.do("explain", path)


@pytest.mark.parametrize(
    ("resource", "narrow", "wide"),
    [
        ("trun", "NAME DEFINITION PHASE REASON ITERATIONS PROGRESS AGE", "MESSAGE POD FINISHED"),
        ("tdef", "NAME TITLE READY MAX AGE", "REASON ACTIVE QUEUED MESSAGE"),
        ("titer", "NAME RUN ITERATION TRY ANSWER PROGRESS AGE", "MESSAGE ERROR NODE FINISHED"),
    ],
)
def test_a_table_shows_the_important_columns(shared: Kubectl, resource: str, narrow: str, wide: str) -> None:
    shared.create(task_run("shown"), task_definition("shown"), record("shown-i1"))  # by the first case that runs
    assert shared.do("get", resource).splitlines()[0].split() == narrow.split()
    header = shared.do("get", resource, "--output", "wide").splitlines()[0]
    assert set(header.split()) == set(narrow.split()) | set(wide.split())


def test_a_row_shows_the_progress_of_a_run(shared: Kubectl) -> None:
    a_run(shared, "row")
    progress = {"percent": 40, "message": "40 of 100 rows"}
    status = {"phase": "Running", "reason": "Waiting", "iterations": 2, "progress": progress}
    accepted(shared.set_status(TASK_RUNS, "row", status))
    row = shared.do("get", "trun", "row", "--no-headers").split("  ")
    assert [cell.strip() for cell in row if cell][:-1] == [
        "row",
        "count-words",
        "Running",
        "Waiting",
        "2",
        "40 of 100 rows",
    ]


def test_the_category_podrelay_lists_everything_and_all_lists_nothing(shared: Kubectl) -> None:
    accepted(shared.create(task_run("listed"), task_definition("listed"), record("listed-i1")))
    listed = shared.do("get", "podrelay", "--output", "name").split()
    assert {f"{TASK_RUNS.replace('s.', '.')}/listed", "taskdefinition.podrelay.dev/listed"} <= set(listed)
    assert "taskiteration.podrelay.dev/listed-i1" in listed
    assert "podrelay.dev" not in shared.do("get", "all", "--output", "name")


def test_field_selectors_find_runs_and_records(kubectl: Kubectl) -> None:
    a_run(kubectl, "child", "Running", parent="mother")
    a_run(kubectl, "other", "Succeeded")
    accepted(kubectl.create(task_run("letters", "count-letters"), record("child-i1"), record("other-i1")))
    assert kubectl.names(TASK_RUNS, "--field-selector", "status.phase=Running") == ["child"]
    assert kubectl.names(TASK_RUNS, "--field-selector", "spec.definition=count-letters") == ["letters"]
    assert kubectl.names(TASK_RUNS, "--field-selector", "spec.parent=mother") == ["child"]
    unfinished = ",".join(f"status.phase!={phase}" for phase in FINISHED)
    assert kubectl.names(TASK_RUNS, "--field-selector", unfinished) == ["child", "letters"]
    assert kubectl.names(TASK_ITERATIONS, "--field-selector", "runName=child") == ["child-i1"]


def test_kubectl_wait_waits_for_a_run(shared: Kubectl) -> None:
    a_run(shared, "waited")
    accepted(
        shared.set_status(
            TASK_RUNS, "waited", {"phase": "Succeeded", "observedGeneration": 1, "conditions": [CONDITION]}
        )
    )
    accepted(shared("wait", "--for=condition=Succeeded", "--timeout=5s", "trun/waited"))
