"""Features for authors of tasks: rules for the input, decisions about other attempts, heartbeats."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import author_tasks
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

MODULE = Path(author_tasks.__file__)


# --- the input --------------------------------------------------------------------------------------------------------


def test_defaults_are_stored_and_go_through_all_iterations(relay: Relay) -> None:
    relay.define("Order", module=MODULE)
    relay.run("order", "order", input={"cursor": "7", "more": {"a": None}})

    status = relay.finished("order")

    stored = {"cursor": 8, "size": 10, "url": "none", "more": {"a": None}, "trace": str(relay.trace("order"))}
    assert status["phase"] == "Succeeded"
    assert status["output"] == {"read": {"cursor": 8, "size": 10}, "stored": stored}
    assert relay.records("order")[0]["response"]["input"] == stored


def test_an_invalid_input_is_refused_in_the_pod_before_the_task_is_called(relay: Relay) -> None:
    relay.define("Order", "strict-order", module=MODULE, retry={"limit": 3, "initialSeconds": 0})
    relay.run("invalid", "strict-order", input={"size": 0, "url": 5})

    status = relay.finished("invalid")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", "InvalidInput", 0)
    assert status["message"].startswith("Validation failed. ")
    assert "cursor: Field required" in status["message"]
    assert status["error"]["message"] == "Validation failed."
    assert status["error"]["code"] == "VALIDATION_FAILED_INVALID_FIELDS"
    fields = status["error"]["data"]["invalidFields"]
    assert set(fields) == {"cursor", "size", "url"}
    assert fields["cursor"] == {"code": "missing", "message": "Field required", "data": {"path": ["cursor"]}}
    assert relay.calls("invalid") == []
    (record,) = relay.records("invalid")
    assert record["response"]["refusal"] == "InvalidInput"


# --- retries ----------------------------------------------------------------------------------------------------------


def test_a_task_requests_another_attempt_with_a_delay(relay: Relay) -> None:
    relay.define("Moody", module=MODULE, retry={"limit": 1, "on": ["PodFailure"], "initialSeconds": 600})
    relay.run("busy", "moody", input={"how": "retry", "after": 2})

    status = relay.finished("busy")

    assert (status["phase"], relay.calls("busy")) == ("Succeeded", [(1, 1), (1, 2)])
    first, second = relay.records("busy")
    assert first["response"]["error"] == {"message": "busy", "code": "E429"}
    pause = datetime.fromisoformat(second["startedAt"]) - datetime.fromisoformat(first["finishedAt"])
    assert pause.total_seconds() >= 2


def test_a_task_rules_out_another_attempt(relay: Relay) -> None:
    relay.define("Moody", "hopeful", module=MODULE, retry={"limit": 5, "initialSeconds": 0})
    relay.run("fatal", "hopeful", input={"how": "fatal"})

    status = relay.finished("fatal")

    assert (status["phase"], status["reason"], relay.calls("fatal")) == ("Failed", "TaskFailed", [(1, 1)])
    assert status["error"] == {"message": "no such shop", "code": "Fatal", "data": {"shop": 3}}


def test_without_a_limit_there_is_no_other_attempt(relay: Relay) -> None:
    relay.define("Moody", "once", module=MODULE)
    relay.run("once", "once", input={"how": "answer"})

    status = relay.finished("once")

    assert (status["phase"], status["error"]["code"], relay.calls("once")) == ("Failed", "Retry", [(1, 1)])


# --- heartbeats -------------------------------------------------------------------------------------------------------


def test_a_task_without_heartbeats_is_ended_and_one_with_heartbeats_continues(relay: Relay) -> None:
    timeouts: dict[str, Any] = {"heartbeatTimeoutSeconds": 5, "abortGracePeriodSeconds": 1}
    relay.define("Stubborn", "stalled", **timeouts)
    relay.define("Beating", "beating", module=MODULE, **timeouts)
    relay.run("stalled", "stalled")
    relay.run("beating", "beating", input={"seconds": 25})

    stalled, beating = relay.finished("stalled", 60), relay.finished("beating", 60)

    assert (stalled["phase"], stalled["reason"]) == ("Failed", "HeartbeatTimeout")
    assert stalled["message"].startswith("no heartbeat for 5 s")
    assert beating["phase"] == "Succeeded"
    (record,) = relay.records("beating")
    assert record["heartbeatAt"] > record["startedAt"]


# --- SIGKILL in the middle of a write ---------------------------------------------------------------------------------

STEPS: list[dict[str, int]] = [{"row": 1}, {"row": 1, "rows": 1}, {"row": 2, "rows": 1}]
"""The stored state after each write of the task Mortal; the fourth write is its answer."""
KILLS = [(write, after) for write in range(1, 5) for after in (False, True)]


def name_of(write: int, after: bool) -> str:
    return f"mortal-{write}-{'after' if after else 'before'}"


@pytest.fixture(scope="module")
def mortals(relay: Relay) -> Relay:
    """A run for each write, all started together."""
    relay.define("Mortal", module=MODULE, retry={"limit": 1, "initialSeconds": 0})
    for write, after in KILLS:
        relay.run(name_of(write, after), "mortal", input={"write": write, "after": after})
    return relay


@pytest.mark.parametrize(("write", "after"), KILLS)
def test_the_state_stored_by_a_killed_task_is_the_input_of_its_next_attempt(
    mortals: Relay, write: int, after: bool
) -> None:
    name = name_of(write, after)
    status = mortals.finished(name, 90)
    assert status["phase"] == "Succeeded"

    if (write, after) == (4, True):
        assert mortals.calls(name) == [(1, 1)], "its answer was stored"
        return
    stored = [{"row": 0}, *STEPS][write if after else write - 1]
    assert mortals.calls(name) == [(1, 1), (1, 2)]
    assert status["output"]["began"] == stored
    acknowledged = Path(f"{mortals.trace(name)}.acks").read_text().splitlines()
    assert [line for line in acknowledged if line.startswith("1 ")] == ["1 row 1", "1 rows 1", "1 row 2"][: write - 1]
