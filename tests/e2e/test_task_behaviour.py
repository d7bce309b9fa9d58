"""Hooks, children and limits with real pods: everything runs at once, and the tests check the outcome."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dev.harness.manifests import TASK_RUNS, Manifest
from dev.harness.waiting import eventually
from tests.support.realpods import RealRelay
from tests.support.watching import PODRELAY, Watch, watching

pytestmark = pytest.mark.e2e

LATER = 3600
SLEEPER: dict[str, Any] = {"definition": "sleep"}
TWO_AT_ONCE = [f"two{number}" for number in range(1, 6)]
CUSTOMERS = {"acme1": "acme", "acme2": "acme", "other": "other"}


@pytest.fixture(scope="module")
def seen(relay: RealRelay) -> Iterator[Watch]:
    """Start all runs of this file; yields a watch that has all of their states."""
    keep: dict[str, Any] = {"podCleanup": "Never"}
    relay.define("Hooked", **keep)
    relay.define("Hooked", "hooked-once", maxIterations=1, **keep)
    relay.define("Hooked", "hooked-tight", resources={"limits": {"memory": "64Mi"}}, **keep)
    relay.define("Answer", **keep)
    relay.define("Answer", "strict", inputSchema={"properties": {"how": {"enum": ["done", "error"]}}}, **keep)
    relay.define("Sleep", **keep)
    relay.define("Parent", triggers=["*"], **keep)
    relay.define("Chain", **keep)
    relay.define("Chain", "two-at-once", maxConcurrentRuns=2, **keep)
    relay.define("Chain", "each-customer", concurrency={"key": "customer"}, **keep)
    with watching(relay.kubectl, "pods", *PODRELAY) as watch:
        relay.run("well", "hooked", input={"how": "done"})
        relay.run("late", "hooked", input={"how": "done"}, delaySeconds=LATER)
        relay.run("stop", "hooked", input={"how": "sleep"})
        relay.run("long", "hooked-once", input={"how": "continue"})
        relay.run("killed", "hooked-tight", input={"how": "eat"})
        relay.run("misfit", "strict", input={"how": "nohow"})
        for name in TWO_AT_ONCE:
            relay.run(name, "two-at-once", input={"length": 1, "works": 1})
        for name, customer in CUSTOMERS.items():
            relay.run(name, "each-customer", input={"length": 1, "works": 1, "customer": customer})
        relay.run("family", "parent", input={"start": [answering("done"), answering("error"), working(2)]})
        relay.run("clan", "parent", input={"start": [{"definition": "parent", "input": {"start": [SLEEPER]}}]})
        relay.run("doomed", "parent", input={"start": [SLEEPER]})
        yield watch


def answering(how: str) -> dict[str, Any]:
    return {"definition": "answer", "input": {"how": how, "output": {"rows": 1}}}


def working(seconds: float) -> dict[str, Any]:
    return {"definition": "chain", "input": {"length": 1, "works": seconds}}


def printed(relay: RealRelay, pod: str) -> list[str]:
    """Return what the task's own code has printed, once the kubelet has reported the end of the pod."""
    ended = {"Succeeded", "Failed"}
    eventually(f"{pod} has ended", lambda: relay.kubectl.get("pods", pod)["status"]["phase"] in ended)
    return [line for line in relay.logs(pod).splitlines() if not line.startswith("{")]


def until_printed(relay: RealRelay, pod: str, line: str) -> None:
    eventually(f"{pod} prints {line}", lambda: line in relay.kubectl("logs", pod).stdout.splitlines(), 60)


def hooks_done(relay: RealRelay, run: str, *wanted: str) -> dict[str, str]:
    """Wait until these hooks have an outcome, and return how each ended."""

    def outcomes() -> dict[str, str] | None:
        found = {hook["name"]: hook["outcome"] for hook in relay.status(run).get("hooks", [])}
        return found if found.keys() >= set(wanted) else None

    return eventually(f"{wanted} of {run} have been called", outcomes, 60) or {}


def children_of(watch: Watch, parent: str) -> list[str]:
    runs = watch.newest("taskruns")
    return [run["metadata"]["name"] for run in runs if run["spec"].get("parent") == parent]


def child_of(watch: Watch, parent: str) -> str:
    """Return the only child of a run, once it has one."""
    (name,) = eventually(f"{parent} has a child", lambda: children_of(watch, parent), 60)
    return name


def pods_of(watch: Watch, *runs: str) -> set[str]:
    """Return all pods that these runs have ever had."""
    pods = {pod["metadata"]["name"] for pod in watch.newest("pods")}
    return {pod for pod in pods if pod.rpartition("-")[0] in runs}


def is_live(pod: Manifest) -> bool:
    """Whether the task of a pod has not ended."""
    containers = pod["status"].get("containerStatuses", [])
    has_ended = any("terminated" in container["state"] for container in containers)
    return not has_ended and pod["status"].get("phase") not in {"Succeeded", "Failed"}


def live(*runs: str) -> Callable[[Manifest], bool]:
    return lambda pod: is_live(pod) and pod["metadata"]["name"].rpartition("-")[0] in runs


# --- hooks ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("seen")
def test_hooks_run_once_in_the_pod_that_answers(relay: RealRelay) -> None:
    assert hooks_done(relay, "well", "onDone") == {"onBeforeTrigger": "Succeeded", "onDone": "Succeeded"}

    assert relay.pods("well") == ["well-i1"]
    assert [hook["name"] for hook in relay.record("well-i1")["hooks"]] == ["onBeforeTrigger", "onDone"]
    assert printed(relay, "well-i1") == ["onBeforeTrigger hooked well", "1 1", "onDone success {'rows': 3}"]


@pytest.mark.usefixtures("seen")
def test_too_many_iterations_call_both_hooks_in_the_last_pod(relay: RealRelay) -> None:
    hooks_done(relay, "long", "onMaxIterations", "onError")

    assert relay.status("long")["reason"] == "MaxIterations"
    assert relay.pods("long") == ["long-i1"]
    assert printed(relay, "long-i1")[-2:] == ["onMaxIterations failed 1", "onError failed Task reached max iterations."]


@pytest.mark.usefixtures("seen")
def test_the_hook_of_a_run_whose_pod_was_killed_has_a_pod_of_its_own(relay: RealRelay) -> None:
    assert hooks_done(relay, "killed", "onError")["onError"] == "Succeeded"

    status = relay.status("killed")
    assert (status["phase"], status["reason"]) == ("Failed", "OOMKilled")
    assert relay.pods("killed") == ["killed-herror", "killed-i1"]
    assert relay.record("killed-herror")["hook"] == "onError"
    assert printed(relay, "killed-i1") == ["onBeforeTrigger hooked-tight killed", "1 1"]
    (line,) = printed(relay, "killed-herror")
    assert line.startswith("onError failed container task was killed ")


@pytest.mark.usefixtures("seen")
def test_the_hook_of_an_abort_runs_in_the_pod_that_is_ended(relay: RealRelay) -> None:
    until_printed(relay, "stop-i1", "1 1")
    relay.abort("stop")

    assert hooks_done(relay, "stop", "onAbort")["onAbort"] == "Succeeded"
    assert relay.status("stop")["phase"] == "Aborted"
    assert relay.pods("stop") == ["stop-i1"]
    assert printed(relay, "stop-i1")[-1] == "onAbort aborted enough"


@pytest.mark.usefixtures("seen")
def test_the_hook_of_an_abort_without_a_pod_has_one_of_its_own(relay: RealRelay) -> None:
    relay.until("late", "it waits", reason="Delayed")
    relay.abort("late")

    assert hooks_done(relay, "late", "onAbort") == {"onAbort": "Succeeded"}
    assert relay.pods("late") == ["late-habort"]
    assert printed(relay, "late-habort") == ["onAbort aborted enough"]


# --- the input --------------------------------------------------------------------------------------------------------


def test_a_run_with_an_invalid_input_gets_no_pod(relay: RealRelay, seen: Watch) -> None:
    status = relay.finished("misfit")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", "InvalidInput", 0)
    assert "how" in str(status["error"]["data"]["invalidFields"])
    assert pods_of(seen, "misfit") == set()


# --- limits -----------------------------------------------------------------------------------------------------------


def test_never_more_than_two_pods_of_a_definition_with_two_at_a_time(relay: RealRelay, seen: Watch) -> None:
    assert {relay.finished(name, 90)["phase"] for name in TWO_AT_ONCE} == {"Succeeded"}

    states = [state.get("status", {}) for name in TWO_AT_ONCE for state in seen.states("taskruns", name)]
    queued = {state["queuePosition"] for state in states if state.get("reason") == "Queued"}
    assert len(pods_of(seen, *TWO_AT_ONCE)) == 5
    assert seen.most_at_once("pods", live(*TWO_AT_ONCE)) == 2
    assert queued == {1, 2, 3}


def test_runs_with_the_same_concurrency_key_run_one_after_the_other_and_others_overtake_them(
    relay: RealRelay, seen: Watch
) -> None:
    assert {relay.finished(name, 90)["phase"] for name in CUSTOMERS} == {"Succeeded"}

    assert seen.most_at_once("pods", live("acme1", "acme2")) == 1
    assert seen.most_at_once("pods", live(*CUSTOMERS)) == 2


# --- children ---------------------------------------------------------------------------------------------------------


def test_a_parent_waits_without_a_pod_and_gets_the_results_in_its_next_one(relay: RealRelay, seen: Watch) -> None:
    status = relay.finished("family", 90)
    children = children_of(seen, "family")
    waited = [
        state["status"]
        for state in seen.states("taskruns", "family")
        if state.get("status", {}).get("reason") == "WaitingForChildren"
    ]
    running = next(names for name, names in seen.together("pods", is_live) if name == "family-i2")

    assert {child["id"]: child["status"] for child in status["output"]["children"]} == {
        child: {"Succeeded": "success", "Failed": "failed"}[relay.status(child)["phase"]] for child in children
    }
    assert sorted(child["status"] for child in status["output"]["children"]) == ["failed", "success", "success"]
    assert {"rows": 1} in [child["output"] for child in status["output"]["children"]]
    assert waited
    assert all("current" not in state and state["iterations"] == 1 for state in waited)
    assert status["iterations"] == 2
    assert pods_of(seen, "family") == {"family-i1", "family-i2"}
    assert not running & ({"family-i1"} | pods_of(seen, *children))


def test_an_abort_with_cascade_ends_children_and_their_children(relay: RealRelay, seen: Watch) -> None:
    child = child_of(seen, "clan")
    leaf = child_of(seen, child)
    until_printed(relay, f"{leaf}-i1", "sleeping")

    abort = {"message": "wrong file", "cascade": True}
    assert relay.kubectl.patch(TASK_RUNS, "clan", {"spec": {"abort": abort}})

    assert {run: relay.finished(run, 60)["phase"] for run in ("clan", child, leaf)} == dict.fromkeys(
        ("clan", child, leaf), "Aborted"
    )
    assert printed(relay, f"{leaf}-i1") == ["1 1", "sleeping", "cleaned up"]
    assert pods_of(seen, "clan", child, leaf) == {f"{run}-i1" for run in ("clan", child, leaf)}


def test_deleting_a_parent_deletes_its_children_and_their_pods(relay: RealRelay, seen: Watch) -> None:
    child = child_of(seen, "doomed")
    until_printed(relay, f"{child}-i1", "sleeping")
    relay.until("doomed", "it waits for its child", reason="WaitingForChildren")

    relay.kubectl.do("delete", TASK_RUNS, "doomed", "--wait=false")

    for plural, name in (
        ("taskruns", child),
        ("pods", "doomed-i1"),
        ("pods", f"{child}-i1"),
        ("taskiterations", "doomed-i1"),
        ("taskiterations", f"{child}-i1"),
    ):
        eventually(f"{name} of {plural} is gone", lambda: seen.is_deleted(plural, name), 60)  # noqa: B023
    assert pods_of(seen, "doomed", child) == {"doomed-i1", f"{child}-i1"}
