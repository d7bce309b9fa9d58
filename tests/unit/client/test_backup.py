"""Backups: reading and checking them, and the objects that an import creates."""

import io
import json
from typing import Any

import pytest
import yaml

from podrelay.api import names
from podrelay.cli import yaml as own_yaml
from podrelay.client.backup import BackupError, restoring
from podrelay.client.backup.reading import objects
from podrelay.client.backup.spool import Spool

Manifest = dict[str, Any]
TIME = "2026-03-01T12:00:00Z"
HEADER = {
    "apiVersion": names.API_VERSION,
    "kind": "Export",
    "format": 2,
    "podrelay": "0.1.0",
    "time": TIME,
    "namespace": "shop",
}


def end(definitions: int = 0, runs: int = 0, records: int = 0, signals: int = 0, schedules: int = 0) -> Manifest:
    counts = {names.TASK_DEFINITIONS: definitions, names.TASK_RUNS: runs, names.TASK_ITERATIONS: records}
    counts |= {names.TASK_SIGNALS: signals, names.TASK_SCHEDULES: schedules}
    return {"apiVersion": names.API_VERSION, "kind": "ExportEnd", **counts}


def run(
    name: str = "words", *, status: Manifest | None = None, metadata: Manifest | None = None, **spec: Any
) -> Manifest:
    about = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": "2026-03-01T10:00:00Z"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskRun",
        "metadata": about | (metadata or {}),
        "spec": {"definition": "count-words", **spec},
        "status": status or {},
    }


def record(name: str, **fields: Any) -> Manifest:
    owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": "words", "uid": "uid-words"}
    about = {"name": name, "namespace": "shop", "uid": "uid-r", "resourceVersion": "7", "ownerReferences": [owner]}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskIteration",
        "metadata": about,
        "runName": "words",
        "podName": name,
        "podUID": "uid-pod",
        **fields,
    }


def signal(name: str, sent: str = "11:00", *, status: Manifest | None = None, **spec: Any) -> Manifest:
    owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": "words", "uid": "uid-words"}
    about = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": f"2026-03-01T{sent}:00Z"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskSignal",
        "metadata": about | {"ownerReferences": [owner]},
        "spec": {"taskRun": "words", "signal": "go", **spec},
        "status": status or {"phase": "Pending"},
    }


def lines(*items: Manifest) -> io.StringIO:
    return io.StringIO("".join(json.dumps(item) + "\n" for item in items))


# --- reading ---------------------------------------------------------------------------------------------------------

TWO = [run("one"), run("two", input={"when": "2026-03-01T10:00:00Z", "none": None})]


@pytest.mark.parametrize(
    "text",
    [
        "".join(json.dumps(item) + "\n" for item in TWO),
        "\n" + "".join(json.dumps(item, indent=2) for item in TWO),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": TWO}, indent=4),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": TWO}),
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": TWO}),
        "# a backup\n" + yaml.safe_dump_all(TWO),
        "".join(f"---\n{own_yaml.dump(item)}" for item in TWO),
        yaml.safe_dump_all(TWO).replace("'2026-03-01T10:00:00Z'", "2026-03-01T10:00:00Z"),
    ],
    ids=["lines", "values", "list", "list in a line", "YAML list", "YAML", "own YAML", "times without quotes"],
)
def test_the_output_of_kubectl_is_read(text: str) -> None:
    assert list(objects(io.StringIO(text))) == TWO


@pytest.mark.parametrize("text", ["{", "[1]", "1", "a: [", "{}\n", '{"kind": "TaskRun"}\n{', "\x00", "[" * 100_000])
def test_a_file_that_is_not_a_backup_is_refused(text: str) -> None:
    with pytest.raises(BackupError, match=r"not a backup|no objects of Podrelay"):
        Spool(io.StringIO(text))


# --- the spool -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([HEADER, run()], "cut off"),
        ([HEADER, run(), end(runs=2)], "incomplete"),
        ([HEADER | {"format": 3, "podrelay": "9.0"}, end()], "9.0"),
        ([HEADER, end() | {names.TASK_SIGNALS: 1}], "incomplete"),
        ([HEADER | {"format": "x"}, end()], "format x"),
        ([HEADER, end(), HEADER], "one export at a time"),
        ([run(), run()], "twice"),
        ([run(), run("other", metadata={"namespace": "other"})], "several namespaces, other and shop"),
        ([{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}}], "no objects of Podrelay"),
        ([run() | {"spec": None}], "damaged"),
        ([], "no objects of Podrelay"),
    ],
)
def test_an_incomplete_or_invalid_backup_is_refused(items: list[Manifest], why: str) -> None:
    with pytest.raises(BackupError, match=why):
        Spool(lines(*items))


def test_the_export_of_an_empty_namespace_is_valid() -> None:
    with Spool(lines(HEADER, end())) as spool:
        assert (list(spool.runs()), spool.time) == ([], TIME)


def test_an_export_of_format_1_has_no_signals_and_schedules() -> None:
    counts = {plural: count for plural, count in end(runs=1).items() if plural not in {"tasksignals", "taskschedules"}}
    with Spool(lines(HEADER | {"format": 1}, run(), counts)) as spool:
        assert [entry.name for entry in spool.runs()] == ["words"]
    with pytest.raises(BackupError, match="incomplete"):
        Spool(lines(HEADER, run(), counts))


def test_signals_are_read_in_the_order_in_which_they_were_sent() -> None:
    late, early, restored = signal("a", "12:00"), signal("b", "11:00"), signal("c", "13:00")
    restored["metadata"]["annotations"] = {names.ANNOTATION_SENT_AT: "2026-03-01T10:30:00Z"}
    with Spool(lines(late, early, restored)) as spool:
        assert [entry.name for entry in spool.signals()] == ["c", "b", "a"]
        assert {entry.about for entry in spool.signals()} == {"words"}


def test_other_objects_are_skipped_and_counted() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "words-i1"}}
    theirs = run("theirs") | {"apiVersion": "tekton.dev/v1"}
    deleted = run("gone", metadata={"deletionTimestamp": "2026-03-01T10:00:00Z"})
    with Spool(lines(run(), pod, theirs, deleted)) as spool:
        assert [entry.name for entry in spool.runs()] == ["words"]
        assert spool.left_out == {"Pod": 1, "TaskRun": 1, "TaskRun that was being deleted": 1}


def test_parents_come_before_their_children() -> None:
    family = [run("a", parent="b"), run("b", parent="c"), run("c"), run("d", parent="c"), run("e", parent="unknown")]
    with Spool(lines(*family)) as spool:
        assert [entry.name for entry in spool.runs()] == ["c", "b", "a", "d", "e"]


def test_a_run_that_is_its_own_ancestor_is_yielded_once() -> None:
    with Spool(lines(run("a", parent="b"), run("b", parent="a"), run("c", parent="c"))) as spool:
        assert sorted(entry.name for entry in spool.runs()) == ["a", "b", "c"]


def test_objects_are_read_unchanged() -> None:
    strange = run("strange", input={"text": "ä\u2028\n", "number": 1.5e300, "none": None})
    with Spool(lines(run(), strange, record("words-i1", response={"status": "done"}))) as spool:
        assert spool.read(spool.entries[names.TASK_RUNS]["strange"]) == strange
        assert (spool.is_answered("words-i1"), spool.is_answered("words-i2")) == (True, False)


# --- the objects to create -------------------------------------------------------------------------------------------

DONE = {
    "phase": "Succeeded",
    "reason": "Done",
    "startedAt": "2026-03-01T11:00:00Z",
    "output": {"count": 3},
    "current": {"iteration": 1, "try": 1, "podName": "words-i1", "podUID": "uid-pod"},
    "observedGeneration": 4,
    "conditions": [{"type": "Succeeded", "status": "True", "observedGeneration": 4}],
}
HALF_WAY = {
    "phase": "Running",
    "startedAt": "2026-03-01T11:00:00Z",
    "lastRecord": "words-i2",
    "attempts": 1,
    "current": {"iteration": 3, "try": 2, "podName": "words-i3t2", "podUID": "uid-pod"},
    "queuePosition": 3,
}


def test_a_restored_run_does_not_start_yet() -> None:
    created = restoring.run(run(status=HALF_WAY, suspend=False), "other", None, suspend=True)

    assert created["metadata"] == {
        "name": "words",
        "namespace": "other",
        "annotations": {
            names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE,
            names.ANNOTATION_ORIGIN: "words/uid-words",
            names.ANNOTATION_BEGAN: "2026-03-01T11:00:00Z",
        },
    }
    assert created["spec"] == {"definition": "count-words", "suspend": True}
    assert "status" not in created


def test_a_finished_run_is_not_suspended_and_is_marked_as_ended() -> None:
    created = restoring.run(run(status=DONE), "other", None, suspend=True)

    assert "suspend" not in created["spec"]
    assert created["metadata"]["annotations"][names.ANNOTATION_ENDED] == "Succeeded"


def test_a_child_gets_the_current_uid_of_its_parent() -> None:
    exported = run("child", parent="words", metadata={"ownerReferences": [{"name": "words", "uid": "uid-words"}]})

    (owner,) = restoring.run(exported, "other", "uid-new", suspend=True)["metadata"]["ownerReferences"]

    assert (owner["name"], owner["uid"], owner["kind"]) == ("words", "uid-new", "TaskRun")
    assert "ownerReferences" not in restoring.run(exported, "other", None, suspend=True)["metadata"]


def test_a_delay_counts_from_the_first_creation() -> None:
    spec = restoring.run(run(delaySeconds=3600), "other", None, suspend=True)["spec"]

    assert spec == {"definition": "count-words", "suspend": True, "startAt": "2026-03-01T11:00:00Z"}


def test_the_original_uid_is_kept() -> None:
    twice = run(metadata={"annotations": {names.ANNOTATION_ORIGIN: "words/uid-first"}})
    copied = run(metadata={"annotations": {names.ANNOTATION_ORIGIN: "other/uid-first"}})

    assert restoring.origin(twice) == "words/uid-first"
    assert restoring.origin(copied) == "words/uid-words"


def test_the_last_applied_configuration_is_not_restored() -> None:
    exported = run(metadata={"annotations": {names.ANNOTATION_LAST_APPLIED: "{}", "team": "search"}})

    annotations = restoring.run(exported, "other", None, suspend=True)["metadata"]["annotations"]

    assert names.ANNOTATION_LAST_APPLIED not in annotations
    assert annotations["team"] == "search"


def test_a_record_belongs_to_the_restored_run() -> None:
    created = restoring.record(record("words-i1", response={"status": "done"}), "other", "uid-new")

    assert created["metadata"]["ownerReferences"][0]["uid"] == "uid-new"
    assert not {"uid", "resourceVersion"} & created["metadata"].keys()
    assert (created["podUID"], created["response"]) == ("uid-pod", {"status": "done"})


# --- the status of a restored run ------------------------------------------------------------------------------------


def status(exported: Manifest, *, is_answered: bool = False) -> Manifest:
    patch = restoring.status(run(status=exported), 7, is_answered=is_answered)
    return {field: value for field, value in patch.items() if value is not None}


def test_a_finished_run_keeps_its_status() -> None:
    conditions = [{"type": "Succeeded", "status": "True", "observedGeneration": 7}]

    assert status(DONE) == {**DONE, "observedGeneration": 7, "conditions": conditions}


def test_what_the_operator_has_written_since_is_removed() -> None:
    assert restoring.status(run(status=DONE), 1, is_answered=False)["message"] is None


def test_pending_hooks_are_not_called() -> None:
    called = {"name": "onMaxIterations", "outcome": "Succeeded"}
    patch = status({**DONE, "hooksDue": ["onMaxIterations", "onError"], "hooks": [called]})

    assert patch["hooks"][0] == called
    assert (patch["hooks"][1]["name"], patch["hooks"][1]["outcome"]) == ("onError", "Failed")


def test_the_iteration_of_a_missing_pod_runs_again() -> None:
    patch = status(HALF_WAY)

    assert (patch["attempts"], patch["disruptions"], patch["lastRecord"]) == (1, 1, "words-i2")
    assert "current" not in patch
    assert "queuePosition" not in patch
    assert patch["recentIterations"][0]["podName"] == "words-i3t2"


def test_an_answer_in_its_record_counts() -> None:
    patch = status(HALF_WAY, is_answered=True)

    assert "disruptions" not in patch
    assert "current" not in patch


def test_a_pod_whose_answer_was_applied_does_not_count_as_a_disruption() -> None:
    waiting = {**HALF_WAY, "attempts": 0, "current": {**HALF_WAY["current"], "iteration": 2, "try": 1}}  # type: ignore[dict-item]

    assert "disruptions" not in status(waiting)


def test_a_run_that_no_operator_had_seen_has_no_status() -> None:
    assert restoring.status(run(status={"observedGeneration": -1}), 1, is_answered=False) == {}


# --- signals ---------------------------------------------------------------------------------------------------------


def test_a_restored_signal_keeps_its_sender_and_time_and_says_who_has_restored_it() -> None:
    exported = signal("s1", payload={"amount": 1})
    exported["metadata"]["annotations"] = {
        names.ANNOTATION_CREATED_BY: "anna",
        names.ANNOTATION_LAST_APPLIED: "{}",
    }

    created = restoring.signal(exported, "other", "uid-new", "root")

    assert created["metadata"]["annotations"] == {
        names.ANNOTATION_CREATED_BY: "anna",
        names.ANNOTATION_RESTORED_BY: "root",
        names.ANNOTATION_SENT_AT: "2026-03-01T11:00:00Z",
    }
    assert created["metadata"]["ownerReferences"][0]["uid"] == "uid-new"
    assert created["spec"] == exported["spec"]
    again = restoring.signal(
        created | {"metadata": created["metadata"] | {"creationTimestamp": "later"}}, "x", None, "me"
    )
    assert again["metadata"]["annotations"][names.ANNOTATION_SENT_AT] == "2026-03-01T11:00:00Z"
    assert again["metadata"]["annotations"][names.ANNOTATION_RESTORED_BY] == "me"
    assert "ownerReferences" not in again["metadata"]


def test_a_signal_that_an_answer_names_is_consumed_even_if_it_was_not_marked_yet() -> None:
    answered = record("words-i2", iteration=2, response={"status": "continue", "signals": ["s1"]})
    with Spool(lines(run(), answered, signal("s1"), signal("s2"))) as spool:
        (first, second) = (
            restoring.signal_status(spool.read(entry), spool.consumers.get(entry.name), TIME)
            for entry in spool.signals()
        )

    assert first == {"phase": "Consumed", "record": "words-i2", "iteration": 2, "processedAt": TIME}
    assert second is None


@pytest.mark.parametrize("phase", ["Consumed", "Rejected"])
def test_a_signal_keeps_what_became_of_it(phase: str) -> None:
    before = {"phase": phase, "processedAt": "2026-03-01T11:30:00Z"}

    assert restoring.signal_status(signal("s1", status=before), None, TIME) == before


# --- schedules -------------------------------------------------------------------------------------------------------


def schedule(status: Manifest | None = None, **spec: Any) -> Manifest:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskSchedule",
        "metadata": {"name": "nightly", "namespace": "shop", "uid": "uid-nightly"},
        "spec": {"schedules": [{"cron": "0 2 * * *"}], "run": {"definition": "count-words"}, **spec},
        "status": status or {},
    }


def test_a_restored_schedule_is_suspended_and_says_why() -> None:
    created = restoring.schedule(schedule(), "other", TIME, suspend=True)

    assert created["spec"]["suspend"] is True
    assert TIME in created["spec"]["suspendNote"]
    assert created["metadata"]["annotations"] == {
        names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE,
        names.ANNOTATION_ORIGIN: "nightly/uid-nightly",
    }
    assert "suspend" not in restoring.schedule(schedule(), "other", TIME, suspend=False)["spec"]


def test_a_schedule_that_was_suspended_keeps_its_note() -> None:
    before: Manifest = {"suspend": True, "suspendNote": "the warehouse moves", "suspendedBy": "anna"}

    created = restoring.schedule(schedule(**before), "other", TIME, suspend=True)

    assert {field: created["spec"][field] for field in before} == before


def test_a_schedule_keeps_what_it_has_decided() -> None:
    status = {"processedUntil": "2026-03-01T02:00:00Z", "timetable": "abc", "started": 3, "observedGeneration": 9}

    patch = restoring.schedule_status(schedule(status), 1)

    assert {field: value for field, value in patch.items() if value is not None} == {**status, "observedGeneration": 1}
    assert patch["buffered"] is None, "what the operator has written since is removed"
    assert restoring.schedule_status(schedule({"observedGeneration": -1}), 1) == {}
