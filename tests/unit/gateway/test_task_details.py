"""What a task shows of its attempts, its parents and children, its queue, its Events, and why it is in its phase."""

from datetime import timedelta
from typing import Any

import pytest

from podrelay.gateway.objects import Annotations, Condition, HookOutcome, Present, Record, Response, TaskError
from podrelay.gateway.objects import ResponseError as Failed
from tests.unit.gateway.builders import NOW, definition, metadata, record, run
from tests.unit.gateway.conftest import Gateway

CORE = "/api/v1/namespaces/shop"
ROOT = "/apis/podrelay.dev/v1alpha1/namespaces/shop"
LIMIT = "BackgroundTasks/LimitExceeded"


async def task(gateway: Gateway, fields: str, ident: str = "words") -> Any:
    """Return the answer for fields of a task; fails if there are errors."""
    answer = await gateway.ask(f'{{ backgroundTasks {{ getTask(id: "{ident}") {{ data {{ {fields} }} }} }} }}')
    assert "errors" not in answer, answer
    return answer["data"]["backgroundTasks"]["getTask"]["data"]


def died(name: str, iteration: int, code: str, **fields: Any) -> Record:
    """The record that the operator wrote for a pod that had died."""
    about = metadata(name)
    annotated = type(about)(about.name, about.namespace, about.uid, "1", NOW, None, Annotations(cause="PodFailure"))
    return Record(annotated, "words", iteration, 1, name, response=Response("error", error=Failed(code)), **fields)


# --- attempts ---------------------------------------------------------------------------------------------------------


async def test_the_history_has_every_attempt_newest_first(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", phase="Running", pod="words-i3"))
    gateway.api.objects[f"{ROOT}/taskruns/words"] = {
        "status": {
            "recentIterations": [
                {"iteration": 2, "try": 2, "podName": "words-i2t2", "answer": "continue", "message": "half"},
                {
                    "iteration": 2,
                    "try": 1,
                    "podName": "words-i2",
                    "answer": "disrupted",
                    "message": "pod words-i2 was disrupted: EvictionByEvictionAPI",
                    "finishedAt": "2026-11-24T11:00:00Z",
                },
            ]
        }
    }
    gateway.cache.records.apply(record("words", 1, response=Response("continue"), node_name="node-1", image="words:1"))

    found = (await task(gateway, "history { iteration attempt podName answer message finishedOn nodeName image }"))[
        "history"
    ]
    assert [(one["podName"], one["iteration"], one["attempt"], one["answer"]) for one in found] == [
        ("words-i3", 3, 1, None),
        ("words-i2t2", 2, 2, "continue"),
        ("words-i2", 2, 1, "disrupted"),
        ("words-i1", 1, 1, "continue"),
    ]
    assert "EvictionByEvictionAPI" in found[2]["message"]
    assert found[2]["finishedOn"] == "2026-11-24T11:00:00.000Z"
    assert (found[3]["nodeName"], found[3]["image"]) == ("node-1", "words:1")


async def test_an_answer_without_a_record_has_the_output_of_the_run(gateway: Gateway) -> None:
    """With `recordLogs: false`, a run that ends with its first answer has no record of it."""
    gateway.cache.runs.apply(run("words", phase="Succeeded", pod="words-i1t2"))
    recent = [
        {"iteration": 1, "try": 2, "podName": "words-i1t2", "answer": "done"},
        {"iteration": 1, "try": 1, "podName": "words-i1", "answer": "disrupted"},
    ]
    status = {"output": {"rows": 3}, "recentIterations": recent}
    gateway.api.objects[f"{ROOT}/taskruns/words"] = {"status": status}

    found = (await task(gateway, "history { answer output }"))["history"]

    assert [(one["answer"], one["output"]) for one in found] == [("done", {"rows": 3}), ("disrupted", None)]


async def test_a_long_history_is_read_in_parts(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    for iteration in range(1, 121):
        gateway.cache.records.apply(record("words", iteration))

    found = await task(
        gateway,
        "all: history(limit: 500) { id } next: history(limit: 500, offset: 100) { id }"
        " none: history(offset: 900) { id } first: history(limit: 1, offset: -3) { id }",
    )
    assert [len(found[part]) for part in ("all", "next", "none", "first")] == [100, 20, 0, 1]
    assert (found["next"][0]["id"], found["first"][0]["id"]) == ("words-i20", "words-i120")


async def test_each_attempt_shows_the_state_that_it_began_with_and_the_one_that_it_hands_on(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    gateway.api.objects[f"{ROOT}/taskruns/words"] = {"spec": {"input": {"page": 0}}}
    first = record("words", 1, response=Response("continue"))
    failed = record("words", 2, response=Response("error"), checkpoint=Present())
    again = Record(metadata("words-i2t2"), "words", 2, 2, "words-i2t2", response=Response("done"))
    for one in (first, failed, again):
        gateway.cache.records.apply(one)
    checkpoint = {"input": {"page": 8}, "output": {"rows": 80}}
    stored = {
        "words-i1": {"response": {"status": "continue", "input": {"page": 5}}},
        "words-i2": {"response": {"status": "error", "error": {"message": "no"}}, "checkpoint": checkpoint},
        "words-i2t2": {"response": {"status": "done", "output": {"rows": 90}}},
    }
    for name, content in stored.items():
        gateway.api.objects[f"{ROOT}/taskiterations/{name}"] = content

    found = (await task(gateway, "history { podName input nextInput checkpoint output error }"))["history"]
    assert {one["podName"]: (one["input"], one["nextInput"], one["output"]) for one in found} == {
        "words-i2t2": ({"page": 8}, None, {"rows": 90}),
        "words-i2": ({"page": 5}, None, None),
        "words-i1": ({"page": 0}, {"page": 5}, None),
    }
    assert [one["checkpoint"] for one in found] == [None, checkpoint, None]
    assert [one["error"] for one in found] == [None, {"message": "no"}, None]


async def test_the_state_of_an_attempt_is_unknown_when_the_record_that_has_it_was_deleted(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    gateway.cache.records.apply(record("words", 7))

    assert (await task(gateway, "history { input }"))["history"] == [{"input": None}]


async def test_a_pod_that_died_has_a_cause_and_an_exit_code(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    message = "container task was killed by SIGTERM (exit code 143)"
    for name, iteration, code, text in (
        ("words-i1", 1, "ExitCode3", "container task ended with exit code 3 without an answer"),
        ("words-i2", 2, "Killed", message),
        ("words-i3", 3, "Evicted", "pod words-i3 was evicted"),
    ):
        gateway.cache.records.apply(died(name, iteration, code))
        gateway.api.objects[f"{ROOT}/taskiterations/{name}"] = {
            "response": {"status": "error", "error": {"code": code, "message": text}}
        }

    found = (await task(gateway, "history { errorCode cause exitCode }"))["history"]
    assert [(one["errorCode"], one["cause"], one["exitCode"]) for one in found] == [
        ("Evicted", "PodFailure", None),
        ("Killed", "PodFailure", 143),
        ("ExitCode3", "PodFailure", 3),
    ]


async def test_the_pod_of_an_attempt_is_read_with_the_token_of_the_caller(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", phase="Running", pod="words-i2"))
    gateway.cache.records.apply(record("words", 1))
    gateway.api.objects[f"{CORE}/pods/words-i2"] = {
        "metadata": {
            "name": "words-i2",
            "creationTimestamp": "2026-11-24T12:00:00Z",
            "annotations": {"podrelay.dev/container": "main"},
        },
        "spec": {"nodeName": "node-2", "containers": [{"name": "proxy"}, {"name": "main", "image": "words:2"}]},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-24T12:00:01Z"}],
            "containerStatuses": [
                {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
            ],
        },
    }

    fields = "phase reason message nodeName image exitCode createdOn scheduledOn startedOn"
    newest, oldest = (await task(gateway, f"history {{ pod {{ {fields} }} }}"))["history"]
    assert newest["pod"] == {
        "phase": "Pending",
        "reason": "ImagePullBackOff",
        "message": "no such image",
        "nodeName": "node-2",
        "image": "words:2",
        "exitCode": None,
        "createdOn": "2026-11-24T12:00:00.000Z",
        "scheduledOn": "2026-11-24T12:00:01.000Z",
        "startedOn": None,
    }
    assert oldest["pod"] is None
    assert {user for _, path, user in gateway.api.seen if "/pods/" in path} == {"alice"}


# --- why it is in its phase -------------------------------------------------------------------------------------------


async def test_a_diagnosis_quotes_the_documentation(gateway: Gateway) -> None:
    fields = "diagnosis { reason meaning advice needsAction link } isStalled failure { code message }"
    stalled = (Condition(NOW, "Stalled", "True"), Condition(NOW, "Succeeded", "Unknown"))
    gateway.cache.runs.apply(run("words", phase="Running", reason="QuotaExceeded", conditions=stalled))
    gateway.cache.runs.apply(run("fine", phase="Running", reason="IterationRunning"))
    gateway.cache.runs.apply(
        run("dead", phase="Failed", reason="ExitCode3", error=TaskError("ended with exit code 3", "ExitCode3"))
    )
    gateway.cache.runs.apply(run("other", phase="Failed", reason="OutOfBeer"))

    short = await task(gateway, fields)
    assert (short["isStalled"], short["diagnosis"]["needsAction"]) == (True, True)
    assert short["diagnosis"]["advice"] == "wait, or raise the quota; the run continues by itself"
    assert short["diagnosis"]["link"] == "docs/troubleshooting.md#runs-that-have-not-finished"
    fine = await task(gateway, fields, "fine")
    assert (fine["isStalled"], fine["diagnosis"]["needsAction"]) == (False, False)
    dead = await task(gateway, fields, "dead")
    assert dead["diagnosis"]["reason"] == "ExitCode3"
    assert dead["failure"] == {"code": "ExitCode3", "message": "ended with exit code 3"}
    assert (await task(gateway, fields, "other"))["diagnosis"] is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("InvalidImageName", "correct `image`"),
        ("ErrImageNeverPull", "`imagePullPolicy`"),
        ("CreateContainerConfigError", "names what is missing"),
        ("CreateContainerError", "names what is missing"),
        ("Evicted", "write less to the disk"),
        ("PodForbidden", "create the missing object"),
        ("Unschedulable", "add nodes"),
    ],
)
async def test_the_diagnosis_of_a_pod_that_cannot_run_says_what_to_do(
    gateway: Gateway, reason: str, words: str
) -> None:
    gateway.cache.runs.apply(run("words", phase="Running", reason=reason))

    found = await task(gateway, "reasonCode diagnosis { advice needsAction }")
    assert found["reasonCode"] == reason
    assert words in found["diagnosis"]["advice"]
    assert found["diagnosis"]["needsAction"] is True


async def test_hooks_and_the_version_are_shown(gateway: Gateway) -> None:
    outcome = HookOutcome("onError", "Failed", "no mail server")
    gateway.cache.runs.apply(run("words", about={"version": "17"}, phase="Failed", hooks=(outcome,)))

    found = await task(gateway, "uid version deletedOn hooks { name outcome message }")
    assert found == {
        "uid": "uid-words",
        "version": "17",
        "deletedOn": None,
        "hooks": [{"name": "onError", "outcome": "Failed", "message": "no mail server"}],
    }


async def test_the_place_in_the_queue_is_current(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition(max_concurrent_runs=2))
    for number in range(5):
        about = {"age": 100 - number}
        gateway.cache.runs.apply(run(f"w{number}", about=about, phase="Pending", reason="Queued", queue_position=4))
    gateway.cache.runs.apply(run("busy", about={"age": 200}, phase="Running", reason="IterationRunning", pod="busy-i1"))
    gateway.cache.runs.apply(run("w1", about={"age": 99, "version": "2"}, phase="Running", pod="w1-i1"))

    assert (await task(gateway, "queue { position waiting active maxConcurrentRuns }", "w3"))["queue"] == {
        "position": 3,
        "waiting": 4,
        "active": 2,
        "maxConcurrentRuns": 2,
    }
    assert (await task(gateway, "queue { position }", "busy"))["queue"] is None


# --- parents and children ---------------------------------------------------------------------------------------------


async def test_children_are_counted_and_the_failure_is_traced_to_its_leaf(gateway: Gateway) -> None:
    def child(name: str, parent: str, phase: str, age: float) -> None:
        gateway.cache.runs.apply(run(name, spec={"parent": parent}, about={"age": age}, phase=phase))

    gateway.cache.runs.apply(run("words", phase="Failed", about={"age": 100}))
    child("a", "words", "Succeeded", 90)
    child("b", "words", "Failed", 80)
    child("c", "words", "Failed", 70)
    child("ba", "b", "Running", 60)
    child("bb", "b", "Failed", 50)

    fields = "childCounts { status count } failedLeaf { id ancestors { id } }"
    assert await task(gateway, fields) == {
        "childCounts": [{"status": "success", "count": 1}, {"status": "failed", "count": 2}],
        "failedLeaf": {"id": "bb", "ancestors": [{"id": "words"}, {"id": "b"}]},
    }
    assert await task(gateway, fields, "a") == {"childCounts": [], "failedLeaf": None}

    child("b", "words", "Succeeded", 80)  # never happens, but the counts follow
    gateway.cache.runs.remove(run("c"))
    assert (await task(gateway, fields))["childCounts"] == [{"status": "success", "count": 2}]


async def test_runs_that_are_parents_of_each_other_do_not_loop(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", spec={"parent": "other"}, phase="Failed"))
    gateway.cache.runs.apply(run("other", spec={"parent": "words"}, phase="Failed"))

    found = await task(gateway, "failedLeaf { id } ancestors { id }")
    assert found["failedLeaf"] is not None or found["ancestors"]
    assert len(found["ancestors"]) <= 11


# --- what has happened to it ------------------------------------------------------------------------------------------


async def test_events_of_a_task_and_its_pods_come_newest_first(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", about={"age": 600}, phase="Running", pod="words-i1"))

    def event(uid: str, age: float, reason: str, kind: str, name: str, **fields: Any) -> Any:
        at = (NOW - timedelta(seconds=age)).isoformat()
        involved = {"kind": kind, "name": name}
        about = {"name": uid, "uid": uid}
        return {"metadata": about, "involvedObject": involved, "reason": reason, "lastTimestamp": at} | fields

    pods = f"{CORE}/events?involvedObject.kind=Pod,involvedObject.name=words-i1"
    gateway.api.objects[f"{CORE}/events?involvedObject.uid=uid-words"] = [
        event("e1", 500, "Started", "TaskRun", "words", type="Normal", reportingComponent="podrelay-operator")
    ]
    gateway.api.objects[pods] = [
        event("e2", 400, "Failed", "Pod", "words-i1", type="Warning", count=3, source={"component": "kubelet"}),
        event("e0", 700, "Killing", "Pod", "words-i1"),  # of a pod of an earlier run with this name
    ]

    found = (await task(gateway, "events { id type reason kind name source count lastOn }"))["events"]
    assert [one["id"] for one in found] == ["e2", "e1"]
    assert found[0] == {
        "id": "e2",
        "type": "Warning",
        "reason": "Failed",
        "kind": "Pod",
        "name": "words-i1",
        "source": "kubelet",
        "count": 3,
        "lastOn": "2026-11-24T11:53:20.000Z",
    }
    assert {user for _, path, user in gateway.api.seen if path.endswith("/events")} == {"alice"}


async def test_events_of_the_newer_api_have_a_series_and_microseconds(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    gateway.api.objects[f"{CORE}/events?involvedObject.uid=uid-words"] = [
        {
            "metadata": {"name": "e1", "uid": "e1", "creationTimestamp": "2026-11-24T12:00:01Z"},
            "involvedObject": {"kind": "TaskRun", "name": "words"},
            "eventTime": "2026-11-24T12:00:01.123456Z",
            "series": {"count": 7, "lastObservedTime": "2026-11-24T12:05:00.000001Z"},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "source": {},
            "reportingComponent": "default-scheduler",
        }
    ]

    (found,) = (await task(gateway, "events { type source count firstOn lastOn message }"))["events"]
    assert found == {
        "type": "Normal",
        "source": "default-scheduler",
        "count": 7,
        "firstOn": "2026-11-24T12:00:01.123Z",
        "lastOn": "2026-11-24T12:05:00.000Z",
        "message": None,
    }


async def test_the_manifest_has_no_managed_fields(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    stored = {"kind": "TaskRun", "metadata": {"name": "words", "managedFields": [{}]}, "spec": {}}
    gateway.api.objects[f"{ROOT}/taskruns/words"] = stored

    assert (await task(gateway, "manifest"))["manifest"] == {
        "kind": "TaskRun",
        "metadata": {"name": "words"},
        "spec": {},
    }


async def test_each_field_needs_its_own_right_and_leaves_the_others(gateway: Gateway) -> None:
    gateway.api.rights["carol"] = {"get taskruns"}
    gateway.cache.runs.apply(run("words", reason="Queued"))
    for field in ("history", "events", "queue", "childCounts", "failedLeaf"):
        document = f'{{ backgroundTasks {{ getTask(id: "words") {{ data {{ id {field} {{ __typename }} }} }} }} }}'
        answer = await gateway.ask(document, "carol")
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BackgroundTasks/NotAuthorized"], field
        assert answer["data"]["backgroundTasks"]["getTask"]["data"] == {"id": "words", field: None}


# --- definitions ------------------------------------------------------------------------------------------------------


async def test_a_definition_shows_its_limits_and_how_its_tasks_have_fared(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition(triggers=("count-words", "*"), max_children=7, suspend=True))
    for number, phase in enumerate(["Succeeded", "Succeeded", "Failed", "Aborted", "Running"]):
        ended: Any = {"finished_at": NOW + timedelta(seconds=10 * number), "iterations": number} if number < 4 else {}
        about = {"age": 10 - number}
        gateway.cache.runs.apply(run(f"r{number}", about=about, phase=phase, started_at=NOW, **ended))
    gateway.cache.runs.apply(run("other", "import-products"))

    document = """{ backgroundTasks { getDefinition(id: "countWords") { data {
        name suspended triggers readiness { isReady } limits { maxIterations maxChildren
            retry { limit on } concurrency { key } }
        statistics { successRate byStatus { status count } durations { median p95 } iterations { longest }
            queueSeconds { longest } }
        lastTasks(limit: 2) { id } } error { code } } } }"""
    found = (await gateway.ask(document))["data"]["backgroundTasks"]["getDefinition"]["data"]
    assert (found["name"], found["suspended"], found["triggers"]) == ("count-words", True, ["countWords", "*"])
    assert found["readiness"] is None
    assert found["limits"] == {
        "maxIterations": 50,
        "maxChildren": 7,
        "retry": {"limit": 0, "on": ["Error", "PodFailure", "Timeout"]},
        "concurrency": None,
    }
    assert round(found["statistics"]["successRate"], 3) == 0.667
    assert found["statistics"]["durations"] == {"median": 10, "p95": 30}
    assert found["statistics"]["iterations"] == {"longest": 3}
    assert found["statistics"]["queueSeconds"] == {"longest": 10}
    assert [one["id"] for one in found["lastTasks"]] == ["r4", "r3"]


async def test_a_private_or_missing_definition_is_not_shown(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition("hidden", "hidden", private=True))
    for ident in ("hidden", "missing", "No/Such", "../x", "a/b/c"):
        answer = await gateway.ask(
            "query($id: ID!) { backgroundTasks { getDefinition(id: $id) { data { id } error { code } } } }", id=ident
        )
        assert answer["data"]["backgroundTasks"]["getDefinition"] == {"data": None, "error": None}
