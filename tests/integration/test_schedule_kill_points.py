"""Two operators work on a schedule, and one is killed at any of its writes: each time has one run."""

from datetime import UTC, datetime, timedelta

import pytest

from dev.harness.manifests import TASK_RUNS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.schedules.timetable import in_text
from tests.support.relay import Relay
from tests.support.schedules import apply, runs_of, status
from tests.support.schedulescenarios import first_time
from tests.support.watching import watching

pytestmark = pytest.mark.integration

WRITES = 4
"""The first status, the run, the status that names it, the status after its end."""


@pytest.mark.parametrize("side", ["BEFORE", "AFTER"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_wherever_an_operator_dies_each_time_has_one_run(idle_relay: Relay, side: str, number: int) -> None:
    relay = idle_relay
    begin = first_time(datetime.now(UTC))
    until = begin + timedelta(seconds=20)
    rules = {"schedules": [{"every": "10s"}], "startAt": in_text(begin), "endAt": in_text(until)}
    names = [f"twice-{time:%Y%m%dt%H%M%Sz}" for time in (begin, begin + timedelta(seconds=10))]
    apply(relay, "twice", "missing", overlap="Allow", run={"ttlSecondsAfterFinished": 0}, **rules)
    kill = {f"PODRELAY_TEST_DIE_{side}_WRITE": str(number)}

    with watching(relay.kubectl) as watch, operator(relay, "killed", kill) as victim:

        def end_all() -> bool:
            """Abort each run as soon as it exists; its TTL removes it."""
            for run in watch.newest("taskruns"):
                if "abort" not in run["spec"]:
                    relay.kubectl.patch(TASK_RUNS, run["metadata"]["name"], {"spec": {"abort": {}}})
            return victim.has_ended or datetime.now(UTC) >= until

        eventually("it dies", end_all, 60)
        with operator(relay, "successor"):
            eventually("the second time has come", lambda: end_all() and datetime.now(UTC) >= until, 60)
            eventually("all are counted", lambda: end_all() and status(relay, "twice").get("aborted") == 2, 60)
            eventually("all are deleted", lambda: not runs_of(relay, "twice"))
        created = {state["metadata"]["uid"] for name in names for state in watch.states("taskruns", name)}
    assert len(created) == 2
    assert status(relay, "twice")["started"] == 2


def operator(relay: Relay, name: str, environment: dict[str, str] | None = None) -> OperatorProcess:
    # Each operator has a separate Lease, so that none has to wait until that of a killed one expires.
    return OperatorProcess(relay.kubectl, relay.folder / name, environment or {}, (f"--lease-name={name}",))
