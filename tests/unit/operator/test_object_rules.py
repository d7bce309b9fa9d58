"""Rules about objects: the progress of a run, how long it is kept, and which template a pod was made from."""

from typing import Any

import pytest

from podrelay.operator import object_rules
from tests.unit.operator.builders import current, task_definition, task_run


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ({}, "words-i1"),
        ({"attempts": 1}, "words-i1t2"),
        ({"lastRecord": "words-i2", "attempts": 1, "disruptions": 2}, "words-i3t4"),
    ],
)
def test_the_name_of_the_due_pod_follows_from_the_status(status: dict[str, Any], name: str) -> None:
    assert object_rules.due_pod_name(task_run(status)) == name


@pytest.mark.parametrize("reason", [None, "NotSeen", object_rules.DEFINITION_NOT_FOUND, "Restored"])
def test_a_run_is_new_until_its_input_was_checked(reason: str | None) -> None:
    assert object_rules.is_new(task_run({"reason": reason}).status)
    assert not object_rules.is_new(task_run({"reason": object_rules.QUEUED}).status)


@pytest.mark.parametrize(
    "begun", [{"lastRecord": "words-i1"}, {"current": current()}, {"attempts": 1}, {"disruptions": 1}]
)
def test_a_run_that_has_had_a_pod_is_not_new_regardless_of_its_reason(begun: dict[str, Any]) -> None:
    assert not object_rules.is_new(task_run({"reason": "NotSeen", **begun}).status)


def test_hooks_are_pending_from_the_end_of_a_run_until_each_has_an_outcome() -> None:
    due = {"hooksDue": ["onDone", "onError"]}
    known = {"hooks": [{"name": "onDone", "outcome": "Succeeded"}]}

    assert object_rules.pending_hooks(task_run({"phase": "Running", **due}).status) == ()
    assert object_rules.pending_hooks(task_run({"phase": "Failed", **due}).status) == ("onDone", "onError")
    assert object_rules.pending_hooks(task_run({"phase": "Failed", **due, **known}).status) == ("onError",)


@pytest.mark.parametrize(("of_run", "of_definition", "kept"), [(0, 9, 0), (5, 9, 5), (None, 9, 9), (None, None, None)])
def test_the_ttl_of_a_run_takes_precedence_over_that_of_its_definition(
    of_run: int | None, of_definition: int | None, kept: int | None
) -> None:
    run = task_run(ttlSecondsAfterFinished=of_run)

    assert object_rules.own_ttl_seconds(run, task_definition(ttlSecondsAfterFinished=of_definition)) == kept


def test_the_hash_of_a_template_is_that_of_its_content() -> None:
    def hash_of(**container: str) -> str:
        return object_rules.template_hash(task_definition(template={"spec": {"containers": [container]}}))

    assert hash_of(name="task", image="words:1") == hash_of(image="words:1", name="task")
    assert hash_of(name="task", image="words:1") != hash_of(name="task", image="words:2")
