"""All forms of self_cleanup, and their meanings."""

from typing import Any

import pytest

from podrelay.sdk.cleanup import outcomes
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionWarning


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("never", []),
        ([], []),
        ("always", ["OnSuccess", "OnError", "OnAbort"]),
        ("onSuccess", ["OnSuccess"]),
        ("onError", ["OnError"]),
        ("onAbort", ["OnAbort"]),
        (["onAbort", "onSuccess", "OnSuccess"], ["OnSuccess", "OnAbort"]),
        (("OnError",), ["OnError"]),
    ],
)
def test_every_form_has_one_meaning(value: Any, expected: list[str]) -> None:
    assert outcomes(value, "tidy") == expected


@pytest.mark.parametrize("value", ["sometimes", ["onSuccess", "onDone"], [1]])
def test_an_invalid_form_is_rejected_when_the_class_is_defined(value: Any) -> None:
    with pytest.warns(DefinitionWarning, match=r"Task tidy: self_cleanup has .*there are: always, never, OnSuccess"):

        class Tidy(TaskDefinition):
            id = "tidy"
            title = "Tidy"
            self_cleanup = value
