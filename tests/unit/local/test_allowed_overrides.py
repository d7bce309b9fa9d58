"""Without a cluster, overrides are refused as the policies of the chart refuse them."""

from typing import Any

import pytest

from dev.harness.manifests import TASK_DEFINITIONS, task_definition, task_run
from podrelay.kube.errors import InvalidError, NotFoundError
from podrelay.local import allowed_overrides
from tests.support.schedules import task_schedule

GIVEN: dict[str, Any] = {"overrides": {"maxIterations": 5}}
WORDS = "spec.overrides has maxIterations, but TaskDefinition count-words allows retry"


def definition(namespace: str, name: str) -> dict[str, Any]:
    if (namespace, name) != ("shop", "count-words"):
        raise NotFoundError(404, "NotFound", f"{TASK_DEFINITIONS} {name} not found")
    return task_definition(name, allowOverrides=["retry"])


def check(plural: str, after: dict[str, Any], before: dict[str, Any] | None = None) -> None:
    after["metadata"]["namespace"] = "shop"
    allowed_overrides.check(plural, before, after, definition)


def test_a_run_and_a_schedule_are_refused() -> None:
    with pytest.raises(InvalidError, match=WORDS):
        check("taskruns", task_run(**GIVEN))
    with pytest.raises(InvalidError, match=WORDS):
        check("taskschedules", task_schedule(run=GIVEN))


def test_what_is_allowed_or_cannot_be_checked_is_accepted() -> None:
    check("taskruns", task_run())
    check("taskruns", task_run(overrides={"retry": {"limit": 1}}))
    check("taskruns", task_run(definition="missing", **GIVEN))
    check("taskdefinitions", task_definition())


def test_changes_of_stored_objects_are_accepted_as_long_as_the_runs_stay_the_same() -> None:
    check("taskruns", task_run(suspend=True, **GIVEN), task_run(**GIVEN))
    stored = task_schedule(run=GIVEN)
    check("taskschedules", task_schedule(run=GIVEN, suspend=True), stored)
    with pytest.raises(InvalidError, match=WORDS):
        check("taskschedules", task_schedule(run=GIVEN | {"displayName": "Again"}), stored)
