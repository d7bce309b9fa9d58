"""The pod of an iteration, as it is sent to the API server."""

from typing import Any

import pytest

from podrelay.reconciler import pods
from podrelay.reconciler.view import Target
from tests.support.views import task_definition, task_run

TARGET = Target(3, 2, "run-i3t2", "run-i2", "run-i3", is_final_attempt=True)


def build(template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = template or {"spec": {"containers": [{"name": "task", "image": "shop:1"}]}}
    return pods.build(task_run(), task_definition(template=template, **spec), TARGET)


def env(pod: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in pod["spec"]["containers"][0]["env"]}


def test_a_whole_pod() -> None:
    pod = build(iterationTimeoutSeconds=100, pendingTimeoutSeconds=50, abortGracePeriodSeconds=9)

    assert pod["metadata"] == {
        "name": "run-i3t2",
        "namespace": "shop",
        "labels": {
            "podrelay.dev/run": "run",
            "podrelay.dev/definition": "work",
            "podrelay.dev/iteration": "3",
            "podrelay.dev/try": "2",
        },
        "annotations": {
            "podrelay.dev/iteration-timeout-seconds": "100",
            "podrelay.dev/pending-timeout-seconds": "50",
            "podrelay.dev/node-lost-timeout-seconds": "600",
            "podrelay.dev/pod-cleanup": "OnSuccess",
            "podrelay.dev/container": "task",
        },
        "ownerReferences": [
            {
                "apiVersion": "podrelay.dev/v1alpha1",
                "kind": "TaskRun",
                "name": "run",
                "uid": "uid-of-the-run",
                "controller": True,
            }
        ],
    }
    spec = pod["spec"]
    assert (spec["restartPolicy"], spec["activeDeadlineSeconds"], spec["terminationGracePeriodSeconds"]) == (
        "Never",
        100 + 50 + 120,
        9,
    )
    assert spec["serviceAccountName"] == "podrelay-runner"
    assert env(pod) == {
        "PODRELAY_NAMESPACE": "shop",
        "PODRELAY_RUN": "run",
        "PODRELAY_RUN_UID": "uid-of-the-run",
        "PODRELAY_DEFINITION": "work",
        "PODRELAY_ITERATION": "3",
        "PODRELAY_TRY": "2",
        "PODRELAY_MAX_ITERATIONS": "50",
        "PODRELAY_POD_NAME": "run-i3t2",
        "PODRELAY_IMAGE": "shop:1",
        "PODRELAY_ITERATION_TIMEOUT_SECONDS": "100",
        "PODRELAY_GRACE_PERIOD_SECONDS": "9",
        "PODRELAY_STATE": "run-i2",
        "PODRELAY_CHECKPOINT": "run-i3",
        "PODRELAY_FINAL_ATTEMPT": "true",
        "PODRELAY_RECORD_LOGS": "true",
        "PODRELAY_POD_UID": {"fieldRef": {"fieldPath": "metadata.uid"}},
        "PODRELAY_NODE_NAME": {"fieldRef": {"fieldPath": "spec.nodeName"}},
    }


def test_the_template_is_kept_and_not_changed() -> None:
    container = {
        "name": "work",
        "image": "x",
        "env": [{"name": "A", "value": "1"}, {"name": "PODRELAY_RUN", "value": "x"}],
    }
    template = {
        "metadata": {"labels": {"team": "a"}},
        "spec": {"serviceAccountName": "mine", "containers": [container]},
    }

    pod = build(template)

    assert pod["metadata"]["labels"]["team"] == "a"
    assert pod["metadata"]["annotations"]["podrelay.dev/container"] == "work"
    assert pod["spec"]["serviceAccountName"] == "mine"
    assert (env(pod)["A"], env(pod)["PODRELAY_RUN"]) == ("1", "run")
    assert len(container["env"]) == 2


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([], "containers is empty"),
        ([{"name": "a"}, {"name": "b"}], "none of the 2 containers"),
        ([{"name": "task", "restartPolicy": "Always"}], "restartPolicy"),
        ([{"name": "task", "restartPolicyRules": [{}]}], "restartPolicy"),
    ],
)
def test_templates_that_cannot_work(containers: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(pods.TemplateError, match=words):
        build({"spec": {"containers": containers}})


def test_a_template_without_a_spec_and_other_reporting_are_refused() -> None:
    with pytest.raises(pods.TemplateError, match="spec is missing"):
        build({"metadata": {}})
    with pytest.raises(pods.TemplateError, match="reporting"):
        build(reporting="TerminationMessage")


def test_sidecars_are_left_alone() -> None:
    pod = build({"spec": {"containers": [{"name": "proxy", "image": "p"}, {"name": "task", "image": "t"}]}})

    assert pod["spec"]["containers"][0] == {"name": "proxy", "image": "p"}
