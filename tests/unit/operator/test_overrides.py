"""spec.overrides: how they change the definition that the planner and the builder of pods see."""

import copy
from typing import Any

import pytest

from podrelay.api import names, override_rules
from podrelay.operator import object_rules, overrides
from podrelay.operator.cache.store import Store
from podrelay.operator.executor import pod_builder
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.plan import Target
from podrelay.operator.view import Settings
from tests.unit.operator.builders import KEY, NOW, task_definition, task_run

FIRST = Target(1, 1, "words-i1", None, None, is_final_attempt=True)
HOOK = Target(0, 1, "words-h1", None, None, is_final_attempt=True, hooks=("onError",))
TEMPLATE: dict[str, Any] = {
    "spec": {
        "serviceAccountName": "counter",
        "nodeSelector": {"disk": "hdd", "zone": "a"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "priorityClassName": "low",
        "priority": 5,
        "containers": [
            {"name": "proxy", "image": "proxy:1", "env": [{"name": "LOG_LEVEL", "value": "warning"}]},
            {
                "name": "task",
                "image": "words:1",
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                "env": [
                    {"name": "LOG_LEVEL", "value": "info"},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                    {"name": "GREETING", "value": "$(LOG_LEVEL)"},
                ],
            },
        ],
    }
}


def definition(**spec: Any) -> TaskDefinition:
    return task_definition(**{"template": TEMPLATE, "allowOverrides": list(override_rules.NAMES), **spec})


def built(given: dict[str, Any], *, target: Target = FIRST, **spec: Any) -> dict[str, Any]:
    """Return the pod of a run with these overrides."""
    run = task_run(overrides=given)
    return pod_builder.build(run, overrides.applied(run, definition(**spec)), target)


def container_of(pod: dict[str, Any], name: str = "task") -> dict[str, Any]:
    return next(item for item in pod["spec"]["containers"] if item["name"] == name)


def variables_of(pod: dict[str, Any], name: str = "task") -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container_of(pod, name)["env"]}


def test_a_run_without_overrides_sees_its_definition() -> None:
    original = definition()
    assert overrides.applied(task_run(), original) is original


def test_resources_are_merged_by_resource_for_the_task_alone() -> None:
    pod = built({"resources": {"requests": {"memory": "4Gi"}, "limits": {"memory": "4Gi", "example.com/gpu": 1}}})

    assert container_of(pod)["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"memory": "4Gi", "example.com/gpu": 1},
    }
    assert "resources" not in container_of(pod, "proxy")


def test_variables_are_merged_by_name_and_keep_their_place() -> None:
    given = [{"name": "NEW", "value": "1"}, {"name": "LOG_LEVEL", "value": "debug"}]
    pod = built({"env": given})

    own = [item["name"] for item in container_of(pod)["env"] if not item["name"].startswith("PODRELAY_")]
    assert own == ["LOG_LEVEL", "PASSWORD", "GREETING", "NEW"]
    assert variables_of(pod)["LOG_LEVEL"] == "debug"
    assert variables_of(pod)["NEW"] == "1"
    assert variables_of(pod, "proxy") == {"LOG_LEVEL": "warning"}


def test_a_variable_cannot_copy_another_one() -> None:
    pod = built({"env": [{"name": "LOG_LEVEL", "value": "$(PASSWORD) for $5"}]})

    # Kubernetes reads $$ as a dollar sign, and does not expand what follows.
    assert variables_of(pod)["LOG_LEVEL"] == "$$(PASSWORD) for $$5"


@pytest.mark.parametrize("name", ["PODRELAY_RUN", "PODRELAY_CLOSE_TO_TIMEOUT_SECONDS", "KUBERNETES_SERVICE_HOST"])
def test_reserved_variables_are_never_set(name: str) -> None:
    stated = variables_of(built({}))
    assert variables_of(built({"env": [{"name": name, "value": "forged"}]})) == stated


def test_scheduling_is_merged_over_the_template() -> None:
    taint = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
    spec = built({"nodeSelector": {"disk": "ssd"}, "tolerations": [taint], "priorityClassName": "urgent"})["spec"]

    assert spec["nodeSelector"] == {"disk": "ssd", "zone": "a"}
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists"}, taint]
    assert spec["priorityClassName"] == "urgent"
    assert "priority" not in spec  # the API server would refuse the priority of another class


def test_timeouts_apply_to_the_pod_and_to_the_plan() -> None:
    timeouts = {
        "iterationTimeoutSeconds": 7200,
        "pendingTimeoutSeconds": 30,
        "abortGracePeriodSeconds": 5,
        "heartbeatTimeoutSeconds": 10,
    }
    pod = built({"timeouts": timeouts})

    annotations = pod["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_ITERATION_TIMEOUT] == "7200"
    assert annotations[names.ANNOTATION_PENDING_TIMEOUT] == "30"
    assert annotations[names.ANNOTATION_HEARTBEAT_TIMEOUT] == "10"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 5
    assert pod["spec"]["activeDeadlineSeconds"] == 7200 + 30 + pod_builder.DEADLINE_RESERVE_SECONDS
    assert variables_of(pod)[names.ENV_ITERATION_TIMEOUT] == "7200"


def test_timeouts_that_are_not_given_stay() -> None:
    run = task_run(overrides={"timeouts": {"pendingTimeoutSeconds": 30}})
    spec = overrides.applied(run, definition(iterationTimeoutSeconds=100)).spec

    assert (spec.iteration_timeout_seconds, spec.pending_timeout_seconds) == (100, 30)


def test_a_pod_that_reports_by_message_needs_no_heartbeats() -> None:
    pod = built({"timeouts": {"heartbeatTimeoutSeconds": 10}}, reporting="TerminationMessage")
    assert names.ANNOTATION_HEARTBEAT_TIMEOUT not in pod["metadata"]["annotations"]


def test_the_retry_policy_is_merged_by_field() -> None:
    run = task_run(overrides={"retry": {"limit": 5, "on": ["PodFailure"]}, "maxIterations": 500})
    spec = overrides.applied(run, definition(retry={"limit": 1, "initialSeconds": 3})).spec

    assert (spec.retry.limit, spec.retry.initial_seconds, spec.retry.on) == (5, 3, ("PodFailure",))
    assert spec.max_iterations == 500
    assert variables_of(built({"maxIterations": 500}))[names.ENV_MAX_ITERATIONS] == "500"


def test_the_definition_itself_stays_as_it_is() -> None:
    before = copy.deepcopy(TEMPLATE)
    built({"env": [{"name": "A", "value": "1"}], "nodeSelector": {"a": "b"}, "resources": {"limits": {"cpu": 1}}})
    assert before == TEMPLATE


def test_a_pending_pod_is_replaced_when_the_template_changes_not_because_of_overrides() -> None:
    run = task_run(overrides={"nodeSelector": {"disk": "ssd"}})
    applied = overrides.applied(run, definition())
    pod = pod_builder.build(run, applied, FIRST)

    assert pod["metadata"]["annotations"][names.ANNOTATION_TEMPLATE_HASH] == object_rules.template_hash(applied)
    assert object_rules.template_hash(applied) != object_rules.template_hash(definition())


@pytest.mark.parametrize("template", [{}, {"spec": {}}, {"spec": {"containers": []}}, {"spec": {"containers": ["x"]}}])
def test_an_invalid_template_is_reported_by_the_builder(template: dict[str, Any]) -> None:
    with pytest.raises(pod_builder.TemplateError):
        built({"env": [{"name": "A", "value": "1"}]}, template=template)


def test_no_pod_is_built_with_overrides_that_are_not_allowed() -> None:
    with pytest.raises(pod_builder.OverridesNotAllowedError, match="has nodeSelector, but TaskDefinition count-words"):
        built({"nodeSelector": {"disk": "ssd"}}, allowOverrides=["env"])


def test_hooks_of_such_a_run_are_called_in_a_pod_without_overrides() -> None:
    given = {"nodeSelector": {"disk": "ssd"}, "timeouts": {"iterationTimeoutSeconds": 9999}}
    pod = built(given, target=HOOK, allowOverrides=["timeouts"])

    assert pod["spec"]["nodeSelector"] == TEMPLATE["spec"]["nodeSelector"]
    assert pod["metadata"]["annotations"][names.ANNOTATION_ITERATION_TIMEOUT] == "900"


def test_iterations_and_retries_still_count_so_that_the_run_waits_for_a_corrected_definition() -> None:
    run = task_run(overrides={"maxIterations": 500, "retry": {"limit": 9}, "nodeSelector": {"disk": "ssd"}})
    spec = overrides.applied(run, definition(allowOverrides=[])).spec

    assert (spec.max_iterations, spec.retry.limit) == (500, 9)
    assert spec.template == TEMPLATE


def test_a_view_shows_the_definition_with_the_overrides_of_its_run() -> None:
    store = Store(lambda _key: None, Settings(), clock=lambda: NOW)
    store.runs.apply(task_run(overrides={"maxIterations": 500}))
    store.definitions.apply(definition())

    view = store.view(KEY)
    assert view is not None
    assert view.definition is not None
    assert view.definition.spec.max_iterations == 500
    known = store.definition(KEY.namespace, "count-words")
    assert known is not None
    assert known.spec.max_iterations == 50
