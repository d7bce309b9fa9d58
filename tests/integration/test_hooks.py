"""Lifecycle hooks on a real API server: after the final phase, in the pod that answered, or in a separate one."""

from typing import Any

import pytest

from dev.harness.manifests import Manifest
from dev.harness.waiting import eventually
from podrelay.api.hooks import METHODS
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

ALL = list(METHODS)


def lines(relay: Relay, name: str) -> list[str]:
    trace = relay.trace(name)
    return trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []


def hooks_done(relay: Relay, name: str, *wanted: str) -> dict[str, str]:
    """Wait until these hooks have an outcome, and return the outcomes."""

    def outcomes() -> dict[str, str] | None:
        found = {hook["name"]: hook["outcome"] for hook in relay.status(name).get("hooks", [])}
        return found if found.keys() >= set(wanted) else None

    try:
        return eventually(f"{wanted} of {name} have been called", outcomes, 60) or {}
    except AssertionError as error:
        raise AssertionError(f"{error}\nthe status is {relay.status(name)}, the trace {lines(relay, name)}") from error


def start(relay: Relay, name: str, how: str, definition: dict[str, Any] | None = None, **spec: Any) -> None:
    relay.define("Hooked", name, hooks=ALL, podCleanup="Never", **(definition or {}))
    given = spec.pop("input", {})
    relay.run(name, name, input={"how": how, **given}, **spec)


def test_hooks_of_a_run_that_succeeds_run_in_its_pod(relay: Relay) -> None:
    start(relay, "well", "done")

    assert hooks_done(relay, "well", "onDone") == {"onBeforeTrigger": "Succeeded", "onDone": "Succeeded"}
    assert lines(relay, "well") == ["onBeforeTrigger well well", "1 1", "onDone success {'rows': 3}"]
    assert relay.status("well")["phase"] == "Succeeded"
    assert relay.pods("well") == ["well-i1"]
    assert [hook["name"] for hook in relay.record("well-i1")["hooks"]] == ["onBeforeTrigger", "onDone"]


def test_a_run_that_is_rejected_before_it_starts(relay: Relay) -> None:
    start(relay, "no", "done", {"retry": {"limit": 3}}, input={"throws": ["onBeforeTrigger"]})

    status = relay.finished("no")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", "Rejected", 0)
    assert status["error"]["message"] == "onBeforeTrigger does not work"
    assert lines(relay, "no") == ["onBeforeTrigger no no"]
    assert hooks_done(relay, "no", "onBeforeTrigger") == {"onBeforeTrigger": "Failed"}


def test_a_hook_that_raises_is_shown_and_changes_nothing(relay: Relay) -> None:
    start(relay, "throws", "done", input={"throws": ["onDone"]})

    assert hooks_done(relay, "throws", "onDone")["onDone"] == "Failed"
    status = relay.status("throws")
    assert (status["phase"], status["output"]) == ("Succeeded", {"rows": 3})
    assert [hook.get("message") for hook in status["hooks"]] == [None, "RuntimeError: onDone does not work"]


def test_an_error_calls_on_error_only_after_the_last_attempt(relay: Relay) -> None:
    start(relay, "odd", "raise", {"retry": {"limit": 1, "initialSeconds": 0}})

    hooks_done(relay, "odd", "onError")

    assert lines(relay, "odd") == ["onBeforeTrigger odd odd", "1 1", "1 2", "onError failed the number is odd"]
    assert relay.pods("odd") == ["odd-i1", "odd-i1t2"]


def test_after_a_crash_the_hook_has_a_separate_pod(relay: Relay) -> None:
    start(relay, "crash", "kill")

    assert hooks_done(relay, "crash", "onError")["onError"] == "Succeeded"
    assert lines(relay, "crash")[-1].startswith("onError failed container task was killed by SIGKILL")
    assert relay.pods("crash") == ["crash-herror", "crash-i1"]
    record = relay.record("crash-herror")
    assert (record["hook"], record["iteration"], record["try"]) == ("onError", 0, 1)
    assert relay.status("crash")["phase"] == "Failed"


def test_a_hook_whose_pod_dies_is_called_again_in_a_separate_pod(relay: Relay) -> None:
    start(relay, "dies", "done", input={"dies": ["onDone"]})

    assert hooks_done(relay, "dies", "onDone")["onDone"] == "Succeeded"
    assert [line for line in lines(relay, "dies") if line.startswith("onDone")] == ["onDone success {'rows': 3}"] * 2
    assert relay.pods("dies") == ["dies-hdone", "dies-i1"]


def test_on_before_trigger_is_called_again_after_its_pod_died(relay: Relay) -> None:
    start(relay, "again", "raise", {"retry": {"limit": 2, "initialSeconds": 0}}, input={"dies": ["onBeforeTrigger"]})

    hooks_done(relay, "again", "onError")

    asked = "onBeforeTrigger again again"
    assert lines(relay, "again") == [asked, asked, "1 2", "1 3", "onError failed the number is odd"]


def test_too_many_iterations_call_both_hooks_in_order(relay: Relay) -> None:
    start(relay, "long", "continue", {"maxIterations": 2})

    hooks_done(relay, "long", "onMaxIterations", "onError")

    assert lines(relay, "long")[-2:] == [
        "onMaxIterations failed 2",
        "onError failed Task reached max iterations.",
    ]
    assert relay.status("long")["reason"] == "MaxIterations"
    assert relay.pods("long") == ["long-i1", "long-i2"]


def test_an_abort_calls_its_hook_in_the_aborted_pod(relay: Relay) -> None:
    start(relay, "stop", "sleep")
    eventually("it works", lambda: "1 1" in lines(relay, "stop"))
    relay.abort("stop")

    assert hooks_done(relay, "stop", "onAbort")["onAbort"] == "Succeeded"
    assert lines(relay, "stop")[-1] == "onAbort aborted enough"
    assert relay.pods("stop") == ["stop-i1"]


@pytest.mark.parametrize(
    ("name", "how", "spec", "wanted"),
    [
        ("rest", "continue", {"input": {"seconds": 3600}}, {"reason": "Waiting"}),
        ("late", "done", {"delaySeconds": 3600}, {"reason": "Delayed"}),
    ],
)
def test_aborting_a_run_without_a_pod_calls_its_hook_in_one(
    relay: Relay, name: str, how: str, spec: Manifest, wanted: Manifest
) -> None:
    start(relay, name, how, **spec)
    relay.until(name, "it waits", **wanted)
    relay.abort(name)

    assert hooks_done(relay, name, "onAbort")["onAbort"] == "Succeeded"
    assert lines(relay, name)[-1] == "onAbort aborted enough"
    assert f"{name}-habort" in relay.pods(name)


def test_an_evicted_hook_pod_is_replaced(relay: Relay) -> None:
    relay.define("Hooked", "evicted", hooks=["onAbort"], podCleanup="Never", template=relay.template("SlowHook"))
    relay.run("evicted", "evicted", delaySeconds=3600)
    relay.until("evicted", "it waits", reason="Delayed")
    relay.abort("evicted")
    eventually("the hook has begun", lambda: lines(relay, "evicted"))

    relay.kubectl.do("delete", "pod", "evicted-habort", "--grace-period=1", "--wait=false")

    assert hooks_done(relay, "evicted", "onAbort") == {"onAbort": "Succeeded"}
    assert lines(relay, "evicted") == ["onAbort 1", "onAbort 2"]
    assert relay.pods("evicted") == ["evicted-habortt2"]


def test_a_hook_that_takes_too_long_is_ended(relay: Relay) -> None:
    relay.define(
        "Hooked",
        "slow",
        hooks=["onAbort"],
        podCleanup="Never",
        iterationTimeoutSeconds=2,
        abortGracePeriodSeconds=1,
        template=relay.template("SlowHook"),
    )
    relay.run("slow", "slow", delaySeconds=3600, input={"slow": True})
    relay.until("slow", "it waits", reason="Delayed")
    relay.abort("slow")

    assert hooks_done(relay, "slow", "onAbort") == {"onAbort": "Failed"}
    assert relay.status("slow")["hooks"][0]["message"].startswith("iteration timed out after 2 s")
    assert relay.status("slow")["phase"] == "Aborted"
