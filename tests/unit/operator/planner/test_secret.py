"""Runs with a Secret: their pods have it, and a missing one is shown and waited for, for a limited time."""

from typing import Any

import pytest

from podrelay.api import names
from podrelay.operator.executor import pod_builder
from podrelay.operator.plan import DeletePod, Target
from tests.unit.operator.builders import NOW, current, later, plan, pod, task_definition, task_run, view, waiting

TARGET = Target(1, 1, "words-i1", None, None, is_final_attempt=True)


def built(template: dict[str, Any] | None = None, **run: Any) -> dict[str, Any]:
    container = {"name": "task", "image": "words:1", **(template or {}).pop("container", {})} if template else None
    spec: dict[str, Any] = {"containers": [container or {"name": "task", "image": "words:1"}], **(template or {})}
    made: dict[str, Any] = pod_builder.build(task_run(**run), task_definition(template={"spec": spec}), TARGET)["spec"]
    return made


def test_the_task_container_has_it_as_files() -> None:
    spec = built({"volumes": [{"name": "data"}], "container": {"volumeMounts": [{"name": "data"}]}}, secret="shop")

    assert spec["volumes"][1] == {"name": names.SECRET_VOLUME, "secret": {"secretName": "shop"}}
    (container,) = spec["containers"]
    assert container["volumeMounts"][1] == {
        "name": names.SECRET_VOLUME,
        "mountPath": names.SECRET_PATH,
        "readOnly": True,
    }
    assert {"name": names.ENV_SECRET_PATH, "value": names.SECRET_PATH} in container["env"]


def test_without_one_nothing_is_mounted() -> None:
    assert "volumes" not in built()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"volumes": [{"name": names.SECRET_VOLUME}]}, "a volume podrelay-secret"),
        ({"container": {"volumeMounts": [{"name": "x", "mountPath": names.SECRET_PATH}]}}, "a mount at"),
        ({"volumes": "none"}, "not a list of objects"),
        ({"container": {"volumeMounts": ["x"]}}, "not a list of objects"),
    ],
)
def test_a_conflicting_template_is_reported(template: dict[str, Any], words: str) -> None:
    with pytest.raises(pod_builder.TemplateError, match=words):
        built(template, secret="shop")


def test_a_missing_secret_is_shown_after_a_while_and_waited_for_until_the_timeout() -> None:
    running = {"phase": "Running", "startedAt": NOW, "current": current()}
    run = task_run(running, secret="shop")
    creating = pod(state=waiting("ContainerCreating"))  # created a minute ago

    shown = plan(view(run, pods=(creating,)), NOW)
    assert shown.status is not None
    assert (shown.status.reason, "Secret shop" in (shown.status.message or "")) == ("SecretMissing", True)
    assert plan(view(run, pods=(creating,)), later(-31)).requeue_at == later(-30)
    early = plan(view(run, pods=(creating,)), later(-31)).status
    assert early is not None
    assert early.reason == "IterationRunning"

    assert isinstance(plan(view(run, pods=(creating,)), later(841)).actions[0], DeletePod)


def test_runs_without_one_are_shown_as_before() -> None:
    run = task_run({"phase": "Running", "startedAt": NOW, "current": current()})

    shown = plan(view(run, pods=(pod(state=waiting("ContainerCreating")),)), NOW)

    assert shown.status is not None
    assert shown.status.reason == "IterationRunning"
