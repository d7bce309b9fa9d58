"""The rows of the state table on a real API server, with the real operator, runner and pod-bound tokens."""

import re
from datetime import datetime
from typing import Any

import pytest

from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


def test_done_ends_in_succeeded_with_the_output(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("done", "answer", input={"how": "done", "output": {"rows": 3, "none": None}})

    status = relay.finished("done")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Succeeded", "Done", 1)
    assert status["output"] == {"rows": 3, "none": None}
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Succeeded": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Finished": "True",
    }
    assert status["finishedAt"] >= status["startedAt"]
    relay.kubectl.do("wait", "--for=condition=Succeeded", f"{TASK_RUNS}/done", "--timeout=5s")


def test_kubectl_wait_returns_when_a_run_has_failed(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("bad", "answer", input={"how": "error"})

    relay.kubectl.do("wait", "--for=condition=Finished", f"{TASK_RUNS}/bad", "--timeout=60s")

    assert relay.status("bad")["phase"] == "Failed"


def test_any_other_return_value_of_run_means_done(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("nothing", "answer", input={"how": "nothing"})

    assert relay.finished("nothing")["phase"] == "Succeeded"


def test_continue_hands_the_merged_state_to_the_next_pod(relay: Relay) -> None:
    relay.define("Chain")
    relay.run("chain3", "chain", input={"length": 3, "kept": {"a": None}})

    status = relay.finished("chain3")

    assert (status["phase"], status["iterations"]) == ("Succeeded", 3)
    assert relay.calls("chain3") == [(1, 1), (2, 1), (3, 1)]
    assert status["output"]["input"]["kept"] == {"a": None}
    assert status["output"]["done"] == 3
    assert [(r["iteration"], r["answer"]) for r in status["recentIterations"]] == [
        (3, "done"),
        (2, "continue"),
        (1, "continue"),
    ]
    assert [record["response"]["status"] for record in relay.records("chain3")] == ["continue", "continue", "done"]
    eventually("pods of a run that has succeeded are removed", lambda: relay.pods("chain3") == [])


@pytest.mark.parametrize("wait", ["seconds", "date_in"])
def test_continue_with_a_wait_shows_when_it_continues(relay: Relay, wait: str) -> None:
    name = f"wait-{wait.replace('_', '-')}"
    relay.define("Chain")
    relay.run(name, "chain", input={"length": 2, wait: 3})

    waiting = relay.until(name, "it waits", reason="Waiting")
    ended = relay.finished(name)

    assert waiting["phase"] == "Running"
    assert (ended["phase"], ended["iterations"]) == ("Succeeded", 2)
    first, second = relay.records(name)
    due = datetime.fromisoformat(waiting["nextIterationAt"])
    assert datetime.fromisoformat(second["startedAt"]) >= due
    assert (due - datetime.fromisoformat(first["finishedAt"])).total_seconds() == pytest.approx(3, abs=0.6)


def test_a_delayed_run_is_pending_and_counts_no_iteration(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("delayed", "answer", input={"how": "done"}, delaySeconds=3)

    pending = relay.until("delayed", "it is delayed", reason="Delayed")
    ended = relay.finished("delayed")

    assert pending["phase"] == "Pending"
    assert "iterations" not in pending
    assert ended["phase"] == "Succeeded"
    created = datetime.fromisoformat(relay.get("delayed")["metadata"]["creationTimestamp"])
    assert (datetime.fromisoformat(ended["startedAt"]) - created).total_seconds() >= 3


def test_max_iterations_is_the_exact_limit_of_calls(relay: Relay) -> None:
    relay.define("Chain", maxIterations=2)
    relay.run("endless", "chain", input={"length": 100})

    status = relay.finished("endless")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", "MaxIterations", 2)
    assert status["error"]["message"] == "Task reached max iterations."
    assert len(relay.calls("endless")) == 2
    relay.define("Chain")


def test_an_error_answer_fails_the_run_with_all_its_details(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("error", "answer", input={"how": "error"})

    status = relay.finished("error")

    assert (status["phase"], status["reason"]) == ("Failed", "TaskFailed")
    assert status["error"] == {"message": "no such file", "code": "NoFile", "data": {"path": "/x"}}
    assert status["message"] == "no such file"


def test_an_exception_fails_the_run(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("raise", "answer", input={"how": "raise"})

    status = relay.finished("raise")

    assert status["phase"] == "Failed"
    assert (status["error"]["message"], status["error"]["code"]) == ("the number is odd", "ValueError")


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ("exit", "ExitCode3", "container task ended with exit code 3 without an answer"),
        ("kill", "OOMKilled", r"container task was killed by SIGKILL \(exit code 137\), most likely out of memory"),
    ],
)
def test_a_container_that_dies_fails_the_run_with_the_cause_in_plain_text(
    relay: Relay, how: str, reason: str, words: str
) -> None:
    relay.define("Answer")
    relay.run(how, "answer", input={"how": how})

    status = relay.finished(how)

    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert re.search(words, status["message"])
    record = relay.record(f"{how}-i1")
    assert record["metadata"]["annotations"]["podrelay.dev/cause"] == "PodFailure"
    assert record["response"]["error"]["code"] == reason
    assert relay.pods(how) == [f"{how}-i1"], "the pod is kept for its logs"


@pytest.mark.parametrize(
    ("how", "words"), [("set", "output.bad: set is not a JSON type"), ("huge", "the limit is 262144")]
)
def test_an_output_that_cannot_be_stored_fails_the_run(relay: Relay, how: str, words: str) -> None:
    relay.define("Answer")
    relay.run(how, "answer", input={"how": how})

    status = relay.finished(how)

    assert (status["phase"], status["error"]["code"]) == ("Failed", "PayloadRefused")
    assert words in status["message"]


def test_a_large_output_stays_in_its_record(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("large", "answer", input={"how": "large"})

    status = relay.finished("large")

    assert status["phase"] == "Succeeded"
    assert status["outputFrom"] == "large-i1"
    assert "output" not in status


def test_an_iteration_that_takes_too_long_is_ended(relay: Relay) -> None:
    relay.define("Stubborn", iterationTimeoutSeconds=1, abortGracePeriodSeconds=1)
    relay.run("slow", "stubborn")

    status = relay.finished("slow")

    assert (status["phase"], status["reason"]) == ("Failed", "IterationTimeout")
    assert "iteration timed out after 1 s" in status["message"]
    assert relay.record("slow-i1")["metadata"]["annotations"]["podrelay.dev/cause"] == "Timeout"


def test_a_task_that_handles_its_timeout_can_still_continue(relay: Relay) -> None:
    relay.define("Sleep", iterationTimeoutSeconds=2, abortGracePeriodSeconds=10, maxIterations=2)
    relay.run("in-time", "sleep")

    status = relay.finished("in-time")

    assert status["reason"] == "MaxIterations"
    assert [r["response"]["status"] for r in relay.records("in-time")] == ["continue", "continue"]


def test_an_aborted_answer_ends_in_aborted(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("gives-up", "answer", input={"how": "aborted"})

    assert relay.finished("gives-up")["phase"] == "Aborted"


def test_abort_lets_the_task_clean_up(relay: Relay) -> None:
    relay.define("Sleep")
    relay.run("stop", "sleep")
    eventually("it works", lambda: relay.calls("stop"))

    relay.abort("stop", "wrong file")
    status = relay.finished("stop")

    assert (status["phase"], status["reason"], status["message"]) == ("Aborted", "Aborted", "wrong file")
    assert status["output"] == {"cleaned": True}
    assert relay.pods("stop") == ["stop-i1"], "the pod is kept for its logs"


def test_abort_ends_a_task_that_ignores_signals(relay: Relay) -> None:
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    relay.run("deaf", "stubborn")
    eventually("it works", lambda: relay.calls("deaf"))

    relay.abort("deaf")
    status = relay.finished("deaf")

    assert status["phase"] == "Aborted"
    assert relay.record("deaf-i1")["response"]["status"] == "aborted"


def test_abort_of_a_waiting_run_takes_effect_immediately(relay: Relay) -> None:
    relay.define("Chain")
    relay.run("waits", "chain", input={"length": 2, "seconds": 600})
    relay.until("waits", "it waits", reason="Waiting")

    relay.abort("waits")
    status = relay.finished("waits")

    assert (status["phase"], status["iterations"]) == ("Aborted", 1)
    assert relay.calls("waits") == [(1, 1)]


def test_abort_of_a_run_that_never_started(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("never", "answer", input={"how": "done"}, delaySeconds=600)

    relay.abort("never")
    status = relay.finished("never")

    assert (status["phase"], status["iterations"]) == ("Aborted", 0)
    assert relay.records("never") == []


def test_deleting_a_run_deletes_pods_and_records(relay: Relay) -> None:
    relay.define("Sleep", abortGracePeriodSeconds=1)
    relay.run("gone", "sleep", input={"stubborn": True})
    eventually("it works", lambda: relay.calls("gone"))

    relay.kubectl.do("delete", TASK_RUNS, "gone", "--wait=false")

    eventually("pods are gone", lambda: relay.pods("gone") == [])
    eventually("records are gone", lambda: relay.records("gone") == [])


@pytest.mark.parametrize(("policy", "how", "left"), [("Always", "error", 0), ("Never", "done", 1)])
def test_pod_cleanup(relay: Relay, policy: str, how: str, left: int) -> None:
    name = f"cleanup-{policy.lower()}"
    relay.define("Answer", podCleanup=policy)
    relay.run(name, "answer", input={"how": how})

    relay.finished(name)

    eventually("the expected pods are left", lambda: len(relay.pods(name)) == left)
    relay.define("Answer")


def test_a_finished_run_is_deleted_after_its_ttl(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("short", "answer", input={"how": "done"}, ttlSecondsAfterFinished=2)

    status = relay.finished("short")

    assert status["phase"] == "Succeeded"
    eventually("it is deleted", lambda: "short" not in relay.kubectl.names(TASK_RUNS))


def test_a_run_waits_for_its_definition(relay: Relay) -> None:
    relay.kubectl("delete", TASK_DEFINITIONS, "checkpoint")
    relay.run("early", "checkpoint")

    stalled = relay.until("early", "it says what is missing", reason="DefinitionNotFound")
    relay.define("Checkpoint", retry={"limit": 1, "initialSeconds": 1})

    assert stalled["phase"] == "Pending"
    assert 'there is no TaskDefinition "checkpoint"' in stalled["message"]
    assert {c["type"]: c["status"] for c in stalled["conditions"]}["Stalled"] == "True"
    assert relay.finished("early")["phase"] == "Succeeded"


def test_a_retry_starts_from_the_checkpoint_of_the_previous_attempt(relay: Relay) -> None:
    relay.define("Checkpoint", retry={"limit": 1, "initialSeconds": 1})
    relay.run("saved", "checkpoint")

    status = relay.finished("saved")

    assert status["output"] == {"began_at": 42, "rows": 42}
    assert relay.calls("saved") == [(1, 1), (1, 2)]
    assert [record["metadata"]["name"] for record in relay.records("saved")] == ["saved-i1", "saved-i1t2"]


def test_progress_reaches_the_status(relay: Relay) -> None:
    relay.define("Progress")
    relay.run("bar", "progress")

    shown: Any = eventually("progress is shown", lambda: relay.status("bar").get("progress"))
    relay.abort("bar")

    assert shown["percent"] == 75
    assert "rows" in shown["message"]
    relay.finished("bar")


def test_a_definition_shows_whether_pods_can_be_created_from_it(relay: Relay) -> None:
    relay.define("Answer")
    ready = "--for=condition=Ready=True"
    relay.kubectl.do("wait", ready, f"{TASK_DEFINITIONS}/answer", "--timeout=15s")

    relay.define("Sleep", template={"spec": {"containers": [{"name": "Not A Name", "image": "x"}]}})
    relay.kubectl.do("wait", "--for=condition=Ready=False", f"{TASK_DEFINITIONS}/sleep", "--timeout=15s")
    conditions = relay.kubectl.get(TASK_DEFINITIONS, "sleep")["status"]["conditions"]
    relay.run("refused", "sleep")
    stalled = relay.until("refused", "it says why it cannot start", reason="PodInvalid")

    assert "Not A Name" in conditions[0]["message"]
    assert "Not A Name" in stalled["message"]
    relay.define("Sleep")
    relay.abort("refused")
    assert relay.finished("refused")["phase"] == "Aborted"


def test_a_fixed_definition_is_reviewed_again(relay: Relay) -> None:
    broken = {"spec": {"containers": [{"name": "task", "image": "x", "env": [{"name": "1=", "value": "x"}]}]}}
    relay.define("Hungry", template={"spec": {"containers": []}})
    relay.kubectl.do("wait", "--for=condition=Ready=False", f"{TASK_DEFINITIONS}/hungry", "--timeout=15s")
    relay.define("Hungry", template=broken)
    relay.define("Hungry")

    relay.kubectl.do("wait", "--for=condition=Ready=True", f"{TASK_DEFINITIONS}/hungry", "--timeout=15s")
    status = relay.kubectl.get(TASK_DEFINITIONS, "hungry")
    assert status["status"]["observedGeneration"] == status["metadata"]["generation"]
