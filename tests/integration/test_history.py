"""Which objects of a run are kept and for how long, and runs whose state or definition is deleted."""

from pathlib import Path

import pytest

from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


def test_only_the_newest_records_of_a_run_are_kept(relay: Relay) -> None:
    relay.define("Chain", historyLimit={"iterations": 2})
    relay.run("long", "chain", input={"length": 5})

    status = relay.finished("long")

    assert (status["phase"], status["iterations"]) == ("Succeeded", 5)
    assert relay.calls("long") == [(number, 1) for number in range(1, 6)]
    eventually(
        "two records are left",
        lambda: [record["metadata"]["name"] for record in relay.records("long")] == ["long-i4", "long-i5"],
    )
    assert len(status["recentIterations"]) == 5


def test_only_the_newest_finished_runs_of_a_definition_are_kept(relay: Relay) -> None:
    relay.define("Answer", historyLimit={"runs": 2})
    for number in range(4):
        relay.run(f"kept-{number}", "answer", input={"how": "done"})
        relay.kubectl.do("wait", "--for=condition=Succeeded", f"{TASK_RUNS}/kept-{number}", "--timeout=30s")

    def left() -> list[str]:
        return sorted(name for name in relay.kubectl.names(TASK_RUNS) if name.startswith("kept-"))

    eventually("two runs are left", lambda: left() == ["kept-2", "kept-3"])
    relay.define("Answer", historyLimit={"runs": 1})
    eventually("a lower limit applies to existing runs", lambda: left() == ["kept-3"])
    relay.define("Answer")


def test_a_finished_run_is_deleted_with_its_records_after_its_ttl(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("short", "answer", input={"how": "done"}, ttlSecondsAfterFinished=1)

    eventually("the run is deleted", lambda: "short" not in relay.kubectl.names(TASK_RUNS))
    eventually("its record too", lambda: "short-i1" not in relay.kubectl.names(TASK_ITERATIONS))


def test_deleting_the_state_of_a_waiting_run_fails_it(relay: Relay) -> None:
    relay.define("Chain")
    relay.run("lost", "chain", input={"seconds": 4})
    relay.until("lost", "it waits", reason="Waiting")

    relay.kubectl.do("delete", TASK_ITERATIONS, "lost-i1")
    status = relay.finished("lost")

    assert (status["phase"], status["reason"]) == ("Failed", "StateLost")
    assert "lost-i1" in status["message"]
    assert relay.calls("lost") == [(1, 1)]


def test_a_changed_definition_applies_from_the_next_iteration(relay: Relay) -> None:
    relay.define("Chain", maxIterations=2)
    relay.run("changing", "chain", input={"length": 3, "seconds": 2})
    relay.until("changing", "it waits", reason="Waiting")

    relay.define("Chain", maxIterations=3, iterationTimeoutSeconds=77)
    status = relay.finished("changing")

    assert (status["phase"], status["iterations"], status["maxIterations"]) == ("Succeeded", 3, 3)


def test_deleting_and_recreating_a_definition_costs_no_retry(relay: Relay, tmp_path: Path) -> None:
    retry = {"limit": 1, "initialSeconds": 0}
    relay.define("Stubborn", retry=retry, iterationTimeoutSeconds=2, abortGracePeriodSeconds=1)
    relay.run("orphan", "stubborn")
    eventually("it works", lambda: relay.calls("orphan"))

    relay.kubectl.do("delete", TASK_DEFINITIONS, "stubborn")
    stalled = relay.until("orphan", "it waits for its definition", reason="DefinitionNotFound")
    relay.define("Stubborn", retry=retry, iterationTimeoutSeconds=2, abortGracePeriodSeconds=1)
    status = relay.finished("orphan")

    assert "timed out after 2 s" in stalled["message"]
    assert "create it again" in stalled["message"]
    assert (status["phase"], status["reason"], status["attempts"]) == ("Failed", "IterationTimeout", 1)
    assert relay.calls("orphan") == [(1, 1), (1, 2)]
