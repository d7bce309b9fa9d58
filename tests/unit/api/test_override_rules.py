"""Which overrides a definition allows, and what the fields of spec.overrides are."""

from typing import Any

import pytest

from podrelay.api import override_rules
from podrelay.api.overrides import Overrides
from podrelay.api.task_definition import TaskDefinitionSpec

ALL: dict[str, Any] = {
    "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi", "example.com/gpu": 1}},
    "env": [{"name": "LOG_LEVEL", "value": "debug"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "priorityClassName": "urgent",
    "timeouts": {"iterationTimeoutSeconds": 3600, "heartbeatTimeoutSeconds": 60},
    "retry": {"limit": 3, "on": ["Error"]},
    "maxIterations": 500,
}


def test_the_fields_are_those_of_the_resource() -> None:
    assert set(override_rules.NAMES) == set(ALL) == {field.alias for field in Overrides.model_fields.values()}
    Overrides.model_validate(ALL)
    assert override_rules.problem_of(ALL) is None


@pytest.mark.parametrize("name", ALL)
def test_each_field_must_be_allowed(name: str) -> None:
    others = [other for other in ALL if other != name]

    assert override_rules.not_allowed(ALL, ALL) == []
    assert override_rules.not_allowed(ALL, others) == (["env.LOG_LEVEL"] if name == "env" else [name])


def test_a_variable_can_be_allowed_by_its_name() -> None:
    given = {"env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "LD_PRELOAD", "value": "/tmp/x.so"}]}

    assert override_rules.not_allowed(given, ["env.LOG_LEVEL"]) == ["env.LD_PRELOAD"]
    assert override_rules.not_allowed(given, ["env"]) == []


def test_a_variable_with_dots_is_not_allowed_by_the_beginning_of_its_name() -> None:
    given = {"env": [{"name": "log.level", "value": "debug"}]}

    assert override_rules.not_allowed(given, ["env.log"]) == ["env.log.level"]
    assert override_rules.not_allowed(given, ["env.log.level"]) == []


def test_the_refusal_says_what_is_allowed_and_who_can_change_that() -> None:
    assert override_rules.refusal("import-products", ALL, ["env", "retry"]) == (
        "spec.overrides has resources, nodeSelector, tolerations, priorityClassName, timeouts, maxIterations, but "
        "TaskDefinition import-products allows env, retry; its author can add them to spec.allowOverrides"
    )
    assert override_rules.refusal("import-products", {"retry": {}}, ()) == (
        "spec.overrides has retry, but TaskDefinition import-products allows none; its author can add them to "
        "spec.allowOverrides"
    )
    assert override_rules.refusal("import-products", {}, ()) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["env"], "must be a JSON object with the fields of spec.overrides, not list"),
        ({"image": "other:1"}, "has the unknown field 'image'; there are resources, env, "),
        ({"timeouts": {"iterationSeconds": 5}}, "has the unknown field 'iterationSeconds' in timeouts"),
        ({"env": {"LOG_LEVEL": "debug"}}, "has a field env that is an object"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "has the unknown field 'valueFrom' in env; there are name, value"),
        ({"env": ["A=1"]}, "has a text instead of an object in env"),
        ({"maxIterations": "5"}, "has a field maxIterations that is a text"),
        ({"retry": None}, "has a field retry that is null"),
    ],
)
def test_what_the_api_server_would_drop_or_refuse_is_found_before(given: Any, words: str) -> None:
    problem = override_rules.problem_of(given)
    assert problem is not None
    assert problem.startswith(words)


@pytest.mark.parametrize(
    "allowed", ["image", "env.", "env.A B", "env.1A", "Resources", "serviceAccountName", "volumes"]
)
def test_a_definition_can_allow_only_what_exists(allowed: str) -> None:
    spec = {"id": "importProducts", "title": "Import", "template": {}}
    with pytest.raises(ValueError, match="allowOverrides"):
        TaskDefinitionSpec.model_validate({**spec, "allowOverrides": [allowed]})
    assert TaskDefinitionSpec.model_validate({**spec, "allowOverrides": [*ALL, "env.A_b-1.c"]}).allow_overrides


@pytest.mark.parametrize(
    "given",
    [
        {"env": [{"name": "PODRELAY_RUN", "value": "other"}]},
        {"env": [{"name": "PODRELAY_CLOSE_TO_TIMEOUT_SECONDS", "value": "1"}]},
        {"env": [{"name": "KUBERNETES_SERVICE_HOST", "value": "example.org"}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "other", "key": "password"}}}]},
        {"env": [{"name": "A=B", "value": ""}]},
        {"resources": {"limits": {"memory": "2GB"}}},
        {"resources": {"claims": [{"name": "gpu"}]}},
        {"serviceAccountName": "admin"},
        {"maxIterations": 10_001},
        {"retry": {"limit": 101}},
        {"timeouts": {"nodeLostTimeoutSeconds": 5}},
    ],
)
def test_the_resource_accepts_nothing_else(given: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Overrides.model_validate(given)
