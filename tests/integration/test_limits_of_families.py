"""Limits that protect a cluster from endless tasks, and from deletions or aborts of all runs at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from dev.harness.kubectl import Manifest
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.relay import FINISHED, Relay
from tests.support.watching import Watch, watching

pytestmark = pytest.mark.integration

RUNS, LIMIT = 60, 5
DEAF = "trap '' TERM; sleep 60"
"""Ignores signals: its pod exists until its grace period is over."""
PER_NAMESPACE = f"--max-running-pods-per-namespace={LIMIT}"


def works(pod: Manifest) -> bool:
    """Return whether a pod's program runs or may still run. A pod that is deleted before it has a node never will."""
    has_ended = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
    is_dropped = "deletionTimestamp" in pod["metadata"] and "nodeName" not in pod["spec"]
    return not (has_ended or is_dropped)


def create_all(relay: Relay, definition: str, count: int = RUNS) -> list[str]:
    names = [f"{definition}-{number:02}" for number in range(count)]
    for name in names:
        created = relay.kubectl.create(task_run(name, definition))
        assert created, str(created)
    return names


def all_running(relay: Relay, watch: Watch) -> bool:
    """Return whether the maximum number of pods is running."""
    phases = [pod.get("status", {}).get("phase") for pod in watch.newest("pods")]
    return phases.count("Running") >= LIMIT


@pytest.mark.parametrize("limit", ["definition", "namespace"])
def test_a_limit_holds_while_all_runs_are_deleted(idle_relay: Relay, tmp_path: Path, limit: str) -> None:
    relay = idle_relay
    own: dict[str, Any] = {"maxConcurrentRuns": LIMIT} if limit == "definition" else {}
    flags = (PER_NAMESPACE,) if limit == "namespace" else ()
    # Longer than the API server needs to delete all of them, one after the other.
    relay.define_script("deaf", DEAF, abortGracePeriodSeconds=15, **own)
    with watching(relay.kubectl, "pods") as watch, OperatorProcess(relay.kubectl, tmp_path / "operator", flags=flags):
        create_all(relay, "deaf")
        eventually("the maximum number runs", lambda: all_running(relay, watch), 60)

        relay.kubectl.delete_all(TASK_RUNS)

        eventually("all pods have gone", lambda: not relay.kubectl.names("pods"), 60)
        assert relay.kubectl.names(TASK_RUNS) == []
        assert watch.most_at_once("pods", works) == LIMIT
        assert len(watch.newest("pods")) == LIMIT, "no pod was made for a run that had been deleted"


def test_a_limit_holds_while_all_runs_are_aborted_and_others_are_created(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define_script("deaf", DEAF, abortGracePeriodSeconds=15)
    relay.define_script("quick", "true")
    with (
        watching(relay.kubectl, "pods") as watch,
        OperatorProcess(relay.kubectl, tmp_path / "operator", flags=(PER_NAMESPACE,)),
    ):
        names = create_all(relay, "deaf")
        eventually("the maximum number runs", lambda: all_running(relay, watch), 60)
        later = create_all(relay, "quick", 10)
        waits = relay.until(later[0], "it waits", reason="Queued")
        assert (
            waits["message"]
            == f"number 1 in the queue of quick: {LIMIT} of at most {LIMIT} runs of this namespace have a pod"
        )

        for name in names:
            relay.abort(name)

        for name in (*names, *later):
            assert relay.finished(name, 90)["phase"] == ("Aborted" if name in names else "Succeeded")
        assert watch.most_at_once("pods", works) <= LIMIT
        ended = [pod for pod in watch.newest("pods") if pod["metadata"]["labels"]["podrelay.dev/definition"] == "deaf"]
        assert len(ended) == LIMIT, "nothing was started only to be ended"


# --- endless tasks ----------------------------------------------------------------------------------------------------


def ends(relay: Relay, names: list[str]) -> dict[str, str]:
    """Return the reasons of the runs that have failed."""
    found = {name: relay.status(name) for name in names}
    return {name: status["reason"] for name, status in found.items() if status.get("phase") == "Failed"}


def test_a_chain_of_children_ends_at_the_allowed_depth(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Sleep", "bomb", triggers=["bomb"])
    line = [f"bomb-{number}" for number in range(6)]
    with OperatorProcess(relay.kubectl, tmp_path / "operator", flags=("--max-depth=3",)):
        for number, name in enumerate(line):
            relay.run(name, "bomb", **({"parent": line[number - 1]} if number else {}))
        eventually("the last two have failed", lambda: len(ends(relay, line)) == 2)

        assert ends(relay, line) == dict.fromkeys(line[-2:], "TooManyAncestors")
        assert relay.status(line[-2])["message"] == "the run would have more than 3 ancestors"
        for name in line[:-2]:
            relay.until(name, "it works", reason="IterationRunning")
        relay.abort(line[0])


def test_the_number_of_unfinished_children_of_a_run_is_limited(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Sleep", "parent", triggers=["child"], maxChildren=3)
    relay.define("Sleep", "child")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("parent", "parent")
        relay.until("parent", "it works", reason="IterationRunning")
        children = [f"child-{number}" for number in range(8)]
        for name in children[:3]:
            relay.run(name, "child", parent="parent")
        for name in children[:3]:
            relay.until(name, "it works", reason="IterationRunning")
        for name in children[3:]:
            relay.run(name, "child", parent="parent")
        eventually("the surplus has failed", lambda: len(ends(relay, children)) == 5)

        assert set(ends(relay, children).values()) == {"TooManyChildren"}
        left = [name for name in children if name not in ends(relay, children)]
        for name in left:
            relay.until(name, "it works", reason="IterationRunning")
        relay.abort(left[0])
        relay.finished(left[0])
        relay.run("one-more", "child", parent="parent")
        relay.until("one-more", "there is room again", reason="IterationRunning")


def test_a_quota_of_task_runs_rejects_a_run_beyond_it(idle_relay: Relay) -> None:
    relay = idle_relay
    relay.kubectl.do("create", "quota", "tasks", "--hard=count/taskruns.podrelay.dev=2")
    # The control plane has to discover Podrelay's resources before it counts them.
    eventually(
        "the quota is active",
        lambda: "used" in json.loads(relay.kubectl.do("get", "quota", "tasks", "-o", "json")).get("status", {}),
        60,
    )
    for name in ("first", "second"):
        assert relay.kubectl.create(task_run(name))

    third = relay.kubectl.create(task_run("third"))

    assert not third
    assert (
        "exceeded quota: tasks, requested: count/taskruns.podrelay.dev=1, used: count/taskruns.podrelay.dev=2"
        in third.stderr
    )


def test_the_limits_are_explained_by_kubectl(idle_relay: Relay) -> None:
    for field, words in {
        "taskdefinition.spec.maxChildren": "Maximum number of unfinished children of a run at the same time",
        "taskdefinition.spec.suspend": "While this is true, no further pods of its runs are started",
        "taskrun.spec.abort.by": "It must be your own user name, or absent",
    }.items():
        explained = " ".join(idle_relay.kubectl.do("explain", field, "--api-version=podrelay.dev/v1alpha1").split())
        assert words in explained


def test_a_suspended_definition_starts_nothing_and_resumes_by_age(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Sleep", "paused", maxConcurrentRuns=1)
    with watching(relay.kubectl, "pods") as watch, OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("before", "paused")
        relay.until("before", "it works", reason="IterationRunning")
        assert relay.kubectl.patch(TASK_DEFINITIONS, "paused", {"spec": {"suspend": True}})
        relay.run("meanwhile", "paused")
        relay.until("meanwhile", "it waits", reason="DefinitionSuspended")

        relay.abort("before")
        assert relay.finished("before")["phase"] == "Aborted", "running runs continue, and can be aborted"
        assert {pod["metadata"]["name"] for pod in watch.newest("pods")} == {"before-i1"}

        assert relay.kubectl.patch(TASK_DEFINITIONS, "paused", {"spec": {"suspend": False}})
        relay.until("meanwhile", "it works", reason="IterationRunning")
        assert FINISHED.isdisjoint({relay.status("meanwhile")["phase"]})
        relay.abort("meanwhile")
        relay.finished("meanwhile")
