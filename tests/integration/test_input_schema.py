"""Inputs that do not match the definition's schema: rejected before any pod, on a real API server."""

from typing import Any

import pytest

from dev.harness.manifests import TASK_DEFINITIONS, Manifest
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

SCHEMA: Manifest = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}}, "how": {"type": "string"}},
    "required": ["url"],
    "$defs": {"Row": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}},
}


def ready(relay: Relay, definition: str) -> Manifest:
    conditions = relay.kubectl.get(TASK_DEFINITIONS, definition).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == "Ready"), {})


def test_an_invalid_input_fails_the_run_without_a_pod(relay: Relay) -> None:
    relay.define("Answer", "checked", inputSchema=SCHEMA)
    relay.run("misfit", "checked", input={"how": "done", "rows": [{"number": 1}, {"number": "x"}]}, delaySeconds=3600)

    status = relay.finished("misfit", 10)

    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", "InvalidInput", 0)
    assert "url: Field required" in status["message"]
    assert 'rows.1.number: the value is not of type "integer"' in status["message"]
    assert status["error"]["message"] == "Validation failed."
    assert status["error"]["code"] == "VALIDATION_FAILED_INVALID_FIELDS"
    assert status["error"]["data"] == {
        "invalidFields": {
            "rows.1.number": {
                "code": "type",
                "message": 'the value is not of type "integer"',
                "data": {"path": ["rows", "1", "number"]},
            },
            "url": {"code": "missing", "message": "Field required", "data": {"path": ["url"]}},
        }
    }
    assert (relay.pods("misfit"), relay.records("misfit"), relay.calls("misfit")) == ([], [], [])
    conditions = {item["type"]: item["status"] for item in status["conditions"]}
    assert conditions == {"Succeeded": "False", "Reconciling": "False", "Stalled": "True", "Finished": "True"}


@pytest.mark.parametrize("reporting", ["API", "TerminationMessage"])
def test_a_valid_input_reaches_the_task(relay: Relay, reporting: str) -> None:
    name = f"fits-{reporting.lower()}"
    if reporting == "API":
        relay.define("Answer", name, inputSchema=SCHEMA)
    else:
        relay.define_script(name, "true", inputSchema=SCHEMA)
    relay.run(name, name, input={"how": "done", "url": "x", "more": None})

    assert relay.finished(name)["phase"] == "Succeeded"


def test_an_invalid_schema_is_reported_and_the_run_continues_when_it_is_fixed(relay: Relay) -> None:
    relay.define("Answer", "fixed", inputSchema={"type": "text"})
    relay.run("patient", "fixed", input={"how": "done", "url": "x"})

    stalled = relay.until("patient", "it says what is wrong", reason="InvalidInputSchema")
    verdict = eventually("the definition is not ready", lambda: ready(relay, "fixed")) or {}

    assert stalled["phase"] == "Pending"
    assert (verdict["status"], verdict["reason"]) == ("False", "InvalidInputSchema")
    assert stalled["message"] == verdict["message"]
    assert verdict["message"].startswith('spec.inputSchema.type: "text" is not valid')
    relay.define("Answer", "fixed", inputSchema=SCHEMA)
    assert relay.finished("patient")["phase"] == "Succeeded"
    eventually("the definition is ready", lambda: ready(relay, "fixed").get("status") == "True")


def test_a_schema_that_stays_invalid_fails_the_run(relay: Relay) -> None:
    remote = {"$ref": "http://127.0.0.1:1/schema.json"}
    relay.define("Answer", "remote", inputSchema=remote, pendingTimeoutSeconds=2)
    relay.run("impatient", "remote", input={"how": "done"})

    status = relay.finished("impatient", 15)

    assert (status["phase"], status["reason"]) == ("Failed", "InvalidInputSchema")
    assert "Retrieval is disabled" in status["message"]


def test_an_input_that_cannot_be_checked_in_time_is_rejected_without_affecting_others(relay: Relay) -> None:
    branch: dict[str, Any] = {"type": "object", "properties": {"k": {"$ref": "#/$defs/node"}}, "required": ["k"]}
    tree = {"anyOf": [branch | {"title": "a"}, branch | {"title": "b"}, {"type": "null"}]}
    relay.define(
        "Answer", "trees", inputSchema={"properties": {"tree": {"$ref": "#/$defs/node"}}, "$defs": {"node": tree}}
    )
    deep: Any = "wrong"
    for _ in range(40):
        deep = {"k": deep}
    relay.run("deep", "trees", input={"how": "done", "tree": deep})
    relay.run("shallow", "trees", input={"how": "done", "tree": {"k": None}})

    status = relay.finished("deep", 30)

    assert (status["phase"], status["reason"]) == ("Failed", "InvalidInput")
    assert status["error"]["data"]["invalidFields"][""]["code"] == "too_complex"
    assert relay.finished("shallow")["phase"] == "Succeeded"
