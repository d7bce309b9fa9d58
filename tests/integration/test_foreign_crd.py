"""With another project's resource `taskruns` of kind TaskRun, like Tekton's, Podrelay's works by its full name."""

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, task_definition, task_run

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("foreign_crd")]

FOREIGN_RUN = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "words"}, "spec": {"taskRef": {}}}


@pytest.fixture
def both(kubectl: Kubectl, foreign_crd: str) -> Kubectl:
    """A namespace with a run of Podrelay and a foreign one with the same name."""
    created = kubectl.create(task_run("words"), FOREIGN_RUN)
    assert created, str(created)
    return kubectl


def test_podrelays_run_is_found_by_full_and_short_name(both: Kubectl) -> None:
    for resource in (TASK_RUNS, "taskruns.v1alpha1.podrelay.dev", "taskrun.podrelay.dev", "trun"):
        assert both.get(resource, "words")["apiVersion"] == "podrelay.dev/v1alpha1"


def test_the_short_names_of_the_other_project_are_unchanged(both: Kubectl, foreign_crd: str) -> None:
    for resource in (foreign_crd, "tr", "trs"):
        assert both.get(resource, "words")["apiVersion"] == "tekton.dev/v1"


def test_rules_and_policies_apply_only_to_podrelays_resources(both: Kubectl) -> None:
    assert both.set_status(TASK_RUNS, "words", {"phase": "Succeeded"})
    late = both.patch(TASK_RUNS, "words", {"spec": {"abort": {}}})
    assert "spec.abort cannot be set: the run is already finished" in late.stderr
    anything = FOREIGN_RUN | {"metadata": {"name": "a.name.with.dots"}, "spec": {"input": {"big": "x" * 300_000}}}
    foreign = both.create(anything)
    assert foreign, str(foreign)


def test_the_category_podrelay_has_only_podrelays_resources(both: Kubectl) -> None:
    assert both.create(task_definition("count-words"))
    listed = both.do("get", "podrelay", "--output", "name").split()
    assert sorted(listed) == ["taskdefinition.podrelay.dev/count-words", "taskrun.podrelay.dev/words"]


def test_wait_explain_and_delete_address_podrelays_resource(both: Kubectl, foreign_crd: str) -> None:
    assert "TaskRun is one piece of background work" in both.do(
        "explain", "--api-version=podrelay.dev/v1alpha1", "trun"
    )
    condition = {"type": "Succeeded", "status": "True", "reason": "Done", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    status = {"phase": "Succeeded", "observedGeneration": 1, "conditions": [condition]}
    assert both.set_status(TASK_RUNS, "words", status)
    assert both("wait", "--for=condition=Succeeded", "--timeout=5s", f"{TASK_RUNS}/words")
    assert both("delete", TASK_RUNS, "words")
    assert both("get", foreign_crd, "words")


def test_a_definition_and_its_run_can_be_applied_together(both: Kubectl) -> None:
    applied = both.apply(task_definition("count-letters"), task_run("letters", "count-letters"))
    assert applied, str(applied)
    assert both.names(TASK_DEFINITIONS) == ["count-letters"]
