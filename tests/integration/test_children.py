"""Parents and children on a real API server, with real tasks, policies and garbage collection."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster
from dev.harness.manifests import TASK_RUNS, Manifest
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.audit import writes_of_the_operator
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

LATER = 3600
ANY: dict[str, Any] = {"triggers": ["*"]}


def child(definition: str = "answer", how: str = "done", **fields: Any) -> dict[str, Any]:
    """Return the input of a parent for one child."""
    return {"definition": definition, "input": {"how": how}, **fields}


def children_of(relay: Relay, name: str) -> list[Manifest]:
    selector = f"--field-selector=spec.parent={name}"
    listed = relay.kubectl.do("get", TASK_RUNS, selector, "--output=json")
    items: list[Manifest] = json.loads(listed)["items"]
    return items


def seen_by_parent(status: Manifest) -> list[Manifest]:
    """Return the children as a parent that has succeeded has seen them."""
    assert status["phase"] == "Succeeded", status
    children: list[Manifest] = status["output"]["children"]
    return children


def is_there(relay: Relay, name: str) -> bool:
    return name in relay.kubectl.names(TASK_RUNS)


# --- start and wait ---------------------------------------------------------------------------------------------------


def test_a_parent_waits_for_its_children_and_gets_their_results(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer")
    start = [
        child(input={"how": "done", "output": {"rows": 1, "none": None}}, name="First"),
        child(how="large"),
        child(how="error", delay=3),
    ]
    relay.run("results", "parent", input={"start": start})

    waiting = relay.until("results", "it waits for its children", reason="WaitingForChildren")
    children = seen_by_parent(relay.finished("results"))

    assert (waiting["phase"], waiting["lastRecord"]) == ("Running", "results-i1")
    assert waiting["message"].startswith("waits for ")
    assert "current" not in waiting
    by_status = {(seen["status"], json.dumps(seen["output"])): seen["error"] for seen in children}
    assert by_status == {
        ("success", '{"none": null, "rows": 1}'): None,
        ("success", '{"text": 65536}'): None,
        ("failed", "null"): {"message": "no such file", "code": "NoFile", "data": {"path": "/x"}},
    }
    stored = {item["metadata"]["name"]: item for item in children_of(relay, "results")}
    assert set(stored) == {seen["id"] for seen in children}
    assert {item["spec"].get("displayName") for item in stored.values()} == {"First", None}
    assert relay.calls("results") == [(1, 1), (2, 1)]


def test_a_parent_may_wait_for_the_children_of_one_definition(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer")
    relay.define("Chain")
    start = [child(), {"definition": "chain", "delay": LATER}]
    relay.run("picky", "parent", input={"start": start, "wait": "answer", "list": "answer"})

    assert [seen["status"] for seen in seen_by_parent(relay.finished("picky"))] == ["success"]
    assert len(children_of(relay, "picky")) == 2


def test_a_parent_without_children_continues_immediately(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.run("childless", "parent", input={"start": []})

    assert seen_by_parent(relay.finished("childless")) == []


def test_a_retry_finds_its_children(relay: Relay) -> None:
    relay.define("Parent", "retried", retry={"limit": 1, "initialSeconds": 0}, **ANY)
    relay.define("Answer")
    start = [child(times=3), child(how="nothing"), child(key="once")]
    relay.run("retried", "retried", input={"start": start, "dies": True})

    children = seen_by_parent(relay.finished("retried"))

    assert relay.calls("retried") == [(1, 1), (1, 2), (2, 1)]
    assert len(children) == 5
    assert len(children_of(relay, "retried")) == 5


def test_a_child_that_cleans_itself_up_is_not_run_again_by_a_retry(relay: Relay) -> None:
    relay.define("Parent", "repeats", retry={"limit": 1, "initialSeconds": 4}, **ANY)
    relay.define("Answer")
    relay.define("Answer", "tidy-leaf", selfCleanup=["OnSuccess"])
    charge = {"definition": "tidy-leaf", "input": {"how": "done", "trace": str(relay.trace("charge"))}}
    relay.run("repeats", "repeats", input={"start": [charge, child(delay=LATER)], "dies": True})

    waiting = relay.until("repeats", "it has answered in its second attempt", reason="WaitingForChildren")

    assert waiting["lastRecord"] == "repeats-i1t2"
    assert relay.calls("repeats") == [(1, 1), (1, 2)]
    assert relay.calls("charge") == [(1, 1)]
    # Its parent waits for an hour; nothing else happens to the child.
    eventually("the child is cleaned up", lambda: len(children_of(relay, "repeats")) == 1)
    relay.kubectl.do("delete", TASK_RUNS, "repeats")


def test_a_key_that_is_used_twice_with_different_inputs_fails_the_run(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer")
    relay.run("conflict", "parent", input={"start": [child(key="once"), child(how="nothing", key="once")]})

    status = relay.finished("conflict")

    assert (status["phase"], status["error"]["code"]) == ("Failed", "TriggerConflict")
    assert "a different input" in status["message"]


def test_an_invalid_argument_of_a_child_fails_the_run(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.run("refused", "parent", input={"start": [child(name="x" * 257)]})

    status = relay.finished("refused")

    assert (status["phase"], status["error"]["code"]) == ("Failed", "InvalidRun")
    assert "name must have at most 256 characters" in status["message"]


def test_a_child_of_a_definition_that_does_not_exist_shows_it(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.run("hopeful", "parent", input={"start": [child("nowhere")]})
    relay.until("hopeful", "it waits for its child", reason="WaitingForChildren")

    (only,) = children_of(relay, "hopeful")

    relay.until(only["metadata"]["name"], "it has no definition", reason="DefinitionNotFound")


def test_a_child_that_is_deleted_is_not_waited_for(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer")
    relay.run("bereft", "parent", input={"start": [child(delay=LATER)]})
    relay.until("bereft", "it waits for its child", reason="WaitingForChildren")

    relay.kubectl.do("delete", TASK_RUNS, children_of(relay, "bereft")[0]["metadata"]["name"])

    assert seen_by_parent(relay.finished("bereft")) == []


def test_a_child_added_by_another_client_is_waited_for_too(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer")
    relay.run("extended", "parent", input={"start": [child(delay=LATER)]})
    relay.until("extended", "it waits for its child", reason="WaitingForChildren")
    relay.run("added", "answer", parent="extended", input={"how": "done"}, suspend=True)
    relay.until("added", "it is seen", reason="Suspended")

    (first,) = {item["metadata"]["name"] for item in children_of(relay, "extended")} - {"added"}
    relay.kubectl.do("delete", TASK_RUNS, first)
    relay.run("witness", "answer", input={"how": "done"})
    relay.finished("witness")
    assert relay.status("extended")["reason"] == "WaitingForChildren"
    relay.kubectl.patch(TASK_RUNS, "added", {"spec": {"suspend": False}})

    assert [seen["id"] for seen in seen_by_parent(relay.finished("extended"))] == ["added"]


# --- allowed children -------------------------------------------------------------------------------------------------


def test_a_definition_allows_the_children_that_it_names_and_no_others(relay: Relay) -> None:
    relay.define("Parent", "strict", triggers=["strict"])
    relay.define("Answer")
    relay.run("strict", "strict", input={"start": [child(), {"definition": "strict", "input": {"start": []}}]})

    children = seen_by_parent(relay.finished("strict"))

    seen = {seen["status"]: seen["error"] for seen in children}
    assert set(seen) == {"success", "failed"}
    assert seen["failed"]["code"] == "NotAllowed"
    assert "to spec.triggers of TaskDefinition strict" in seen["failed"]["message"]


def test_a_definition_without_triggers_allows_no_children_not_even_of_itself(relay: Relay) -> None:
    relay.define("Parent", "childless")
    relay.run("forks", "childless", input={"start": [{"definition": "childless", "input": {"start": []}}]})

    (seen,) = seen_by_parent(relay.finished("forks"))

    assert (seen["status"], seen["error"]["code"]) == ("failed", "NotAllowed")


def test_a_child_of_a_missing_parent_fails(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("orphaned", "answer", parent="missing", input={"how": "done"})

    status = relay.finished("orphaned")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", "ParentNotFound", 0)
    assert relay.calls("orphaned") == []


def test_a_child_of_an_aborted_parent_fails(relay: Relay) -> None:
    relay.define("Answer", triggers=["answer"])
    relay.run("stopped", "answer", input={"how": "done"}, suspend=True)
    relay.abort("stopped")
    relay.finished("stopped")
    relay.run("too-late", "answer", parent="stopped", input={"how": "done"})

    status = relay.finished("too-late")

    assert (status["phase"], status["reason"]) == ("Failed", "ParentAborted")
    assert relay.calls("too-late") == []


# --- aborts and deletions ---------------------------------------------------------------------------------------------


def test_an_abort_with_cascade_reaches_children_and_grandchildren(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Sleep", abortGracePeriodSeconds=20)
    inner = {"start": [{"definition": "sleep", "input": {"trace": str(relay.trace("grandchild"))}}]}
    relay.run("dynasty", "parent", input={"start": [{"definition": "parent", "input": inner}]})
    eventually("the grandchild works", lambda: relay.calls("grandchild"), 60)
    (middle,) = children_of(relay, "dynasty")
    (last,) = children_of(relay, middle["metadata"]["name"])

    patched = relay.kubectl.patch(TASK_RUNS, "dynasty", {"spec": {"abort": {"message": "enough", "cascade": True}}})
    assert patched, str(patched)

    for name in ("dynasty", middle["metadata"]["name"], last["metadata"]["name"]):
        status = relay.finished(name)
        assert (status["phase"], status["message"]) == ("Aborted", "enough")
    assert relay.status(last["metadata"]["name"])["output"] == {"cleaned": True}
    relay.run("posthumous", "sleep", parent="dynasty", delaySeconds=LATER)
    assert relay.finished("posthumous")["phase"] in {"Failed", "Aborted"}


def test_an_abort_without_cascade_leaves_the_children_alone(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer", "held", suspend=True)
    relay.run("selfish", "parent", input={"start": [child("held")]})
    relay.until("selfish", "it waits for its child", reason="WaitingForChildren")
    (only,) = children_of(relay, "selfish")

    relay.abort("selfish")

    assert relay.finished("selfish")["phase"] == "Aborted"
    assert "abort" not in relay.get(only["metadata"]["name"])["spec"]
    relay.define("Answer", "held", suspend=False)
    assert relay.finished(only["metadata"]["name"])["reason"] == "ParentAborted"


def test_children_are_deleted_with_their_parent(relay: Relay) -> None:
    relay.define("Parent", **ANY)
    relay.define("Answer")
    relay.run("family", "parent", input={"start": [child(delay=LATER)]})
    relay.until("family", "it waits for its child", reason="WaitingForChildren")
    relay.run("by-hand", "answer", parent="family", delaySeconds=LATER)
    eventually("it is adopted", lambda: relay.get("by-hand")["metadata"].get("ownerReferences"))
    family = {"family", *(item["metadata"]["name"] for item in children_of(relay, "family"))}
    assert len(family) == 3

    relay.kubectl.do("delete", TASK_RUNS, "family")

    eventually("all have gone", lambda: not family & set(relay.kubectl.names(TASK_RUNS)), 60)


def test_an_adopted_child_keeps_its_owners(relay: Relay) -> None:
    relay.define("Answer", triggers=["answer"])
    relay.run("stepparent", "answer", input={"how": "done"}, suspend=True)
    relay.kubectl.do("create", "configmap", "batch")
    batch = relay.kubectl.get("configmap", "batch")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "batch", "uid": batch["metadata"]["uid"]}
    relay.kubectl.do(
        *("create", "-f", "-"),
        stdin={
            "apiVersion": "podrelay.dev/v1alpha1",
            "kind": "TaskRun",
            "metadata": {"name": "stepchild", "ownerReferences": [owner]},
            "spec": {"definition": "answer", "parent": "stepparent", "input": {"how": "done"}},
        },
    )

    def owners() -> list[str]:
        return [owner["name"] for owner in relay.get("stepchild")["metadata"]["ownerReferences"]]

    eventually("it is adopted", lambda: owners() == ["batch", "stepparent"])


def test_self_cleanup_deletes_all_descendants(relay: Relay) -> None:
    relay.define("Parent", "tidy", selfCleanup=["OnSuccess"], **ANY)
    relay.define("Answer")
    inner = {"start": [child(delay=LATER)], "wait": False}
    start = [{"definition": "parent", "input": inner}, child(delay=LATER)]
    relay.define("Parent", **ANY)
    relay.run("tidy", "tidy", input={"start": start, "wait": "parent"}, suspend=True)
    relay.until("tidy", "it is suspended", reason="Suspended")
    relay.run("tidy-by-hand", "answer", parent="tidy", delaySeconds=LATER)

    relay.kubectl.patch(TASK_RUNS, "tidy", {"spec": {"suspend": False}})

    def left() -> list[str]:
        names = {"tidy", "tidy-by-hand"}
        listed = json.loads(relay.kubectl.do("get", TASK_RUNS, "--output=json"))["items"]
        for item in listed:
            if item["spec"].get("parent") in names:
                names.add(item["metadata"]["name"])
        return sorted(names & {item["metadata"]["name"] for item in listed})

    eventually("it has started its children", lambda: len(relay.calls("tidy")) == 2)
    eventually("all of them are deleted", lambda: left() == [], 60)


def test_a_child_is_kept_beyond_its_ttl_while_its_parent_continues(relay: Relay) -> None:
    relay.define("Answer", historyLimit={"runs": 1}, triggers=["answer"])
    relay.run("slow", "answer", input={"how": "done"}, suspend=True)
    relay.until("slow", "it is suspended", reason="Suspended")
    for name in ("kept-1", "kept-2"):
        relay.run(name, "answer", parent="slow", input={"how": "done"}, ttlSecondsAfterFinished=1)
        relay.finished(name)
    relay.define("Answer", triggers=["answer"])
    relay.run("unkept", "answer", input={"how": "done"}, ttlSecondsAfterFinished=1)
    eventually("a run that finished later has gone", lambda: not is_there(relay, "unkept"))
    assert is_there(relay, "kept-1")
    assert is_there(relay, "kept-2")

    relay.abort("slow")

    eventually("the children have gone", lambda: not is_there(relay, "kept-1") and not is_there(relay, "kept-2"))


# --- writes -----------------------------------------------------------------------------------------------------------


def test_write_budget(idle_relay: Relay, cluster: Cluster, tmp_path: Path) -> None:
    """Waiting for any number of children takes one write; a child takes the writes of any run."""
    relay = idle_relay
    relay.define("Parent", podCleanup="Never", **ANY)
    relay.define("Answer", podCleanup="Never")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("parent", "parent", input={"start": [child(times=3, delay=5)]})
        assert len(seen_by_parent(relay.finished("parent"))) == 3

    assert cluster.audit_log is not None
    writes = writes_of_the_operator(cluster.audit_log, relay.kubectl.namespace)
    counts = Counter(write.split()[2] for write in writes if write.startswith("update taskruns/status"))
    made = Counter(write.split()[0] for write in writes if write.split()[1] == "pods")
    # i1: Running; the wait; i2: Running; the end.
    assert counts.pop("parent") == 4, json.dumps(writes, indent=1)
    # Delayed, Running, the end.
    assert set(counts.values()) == {3}, json.dumps(writes, indent=1)
    assert made == {"create": 5}
    assert len(writes) == 4 + 3 * 3 + 5


def test_two_hundred_children_are_waited_for_once(idle_relay: Relay, cluster: Cluster, tmp_path: Path) -> None:
    relay = idle_relay
    count = 200
    relay.define("Parent", podCleanup="Never", **ANY)
    script = """printf '{"status":"done","output":%s}' "$PODRELAY_INPUT" > /dev/termination-log"""
    relay.define_script("leaf", script, podCleanup="Never")
    start = [{"definition": "leaf", "input": {"number": number}} for number in range(count)]
    with OperatorProcess(relay.kubectl, tmp_path / "operator") as operator:
        relay.run("fan", "parent", input={"start": start})
        status = relay.finished("fan", 240)
        assert "Traceback" not in operator.text

    assert relay.calls("fan") == [(1, 1), (2, 1)]
    children = status["output"]["children"]
    assert {seen["status"] for seen in children} == {"success"}
    assert sorted(seen["output"]["number"] for seen in children) == list(range(count))
    assert cluster.audit_log is not None
    writes = writes_of_the_operator(cluster.audit_log, relay.kubectl.namespace)
    # The parent: two pods, Running, the wait, Running, the end. A child: pod, record, the end; Running, if it takes
    # longer than three seconds; and Running and a gate, if it was created in the first seconds of the operator's term.
    # After a minute: an annotation of the parent, and of each child that has ended.
    counted = Counter(" ".join(write.split()[:2]) for write in writes)
    assert counted.pop("patch taskruns", 0) <= 1 + count
    # A pod of the parent may have answered before the operator has seen it run; then there is no status between.
    assert counted.pop("update taskruns/status") in range(2 + count, 4 + 2 * count + 1)
    assert counted.pop("patch pods", 0) < count
    assert counted == {"create pods": 2 + count, "create taskiterations": count}
