"""spec.overrides on a real API server: what is refused, what reaches the pods, and what a changed definition does."""

import json
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, task_definition, task_run
from dev.harness.waiting import eventually
from podrelay import TaskService
from podrelay.api import override_rules
from podrelay.cli.main import run as podrelay
from podrelay.client import InvalidInputError
from tests.support.quick import DRY_RUN, QuickKubectl
from tests.support.relay import Relay
from tests.support.schedules import TASK_SCHEDULES, task_schedule

pytestmark = pytest.mark.integration

EACH: dict[str, Any] = {
    "resources": {"limits": {"memory": "1Gi", "cpu": 1}},
    "env": [{"name": "LOG_LEVEL", "value": "debug"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "priorityClassName": "urgent",
    "timeouts": {"iterationTimeoutSeconds": 60},
    "retry": {"limit": 2, "factor": 1.5},
    "maxIterations": 5,
}
PRINTS = """
printf '{"status": "done", "output": {"level": "%s", "limit": "%s"}}' "$LOG_LEVEL" "$PODRELAY_MAX_ITERATIONS" \
    > /dev/termination-log
"""


# --- admission --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(shared: Kubectl) -> QuickKubectl:
    """Definitions with one allowed override each, one with all, and one with none."""
    definitions = [task_definition(f"only-{name.lower()}", allowOverrides=[name]) for name in EACH]
    definitions += [
        task_definition("all-of-them", allowOverrides=list(override_rules.NAMES)),
        task_definition("none-of-them"),
        task_definition("one-variable", allowOverrides=["env.LOG_LEVEL"]),
    ]
    assert shared.apply(*definitions)
    quick = QuickKubectl.instead_of(shared)
    # Policies read definitions from a cache of the API server, which follows a moment later.
    newest = task_run(definition="one-variable", overrides={"maxIterations": 5})
    eventually("the definitions are known", lambda: not quick.create(newest, flags=(DRY_RUN,)))
    return quick


def refusal(quick: QuickKubectl, definition: str, given: Any) -> str:
    answer = quick.create(task_run("overridden", definition, overrides=given), flags=(DRY_RUN,))
    return "" if answer else str(answer)


@pytest.mark.parametrize("name", EACH)
def test_the_api_server_refuses_what_the_definition_does_not_allow(quick: QuickKubectl, name: str) -> None:
    shown = "env.LOG_LEVEL" if name == "env" else name
    other = next(other for other in EACH if other != name)

    assert refusal(quick, f"only-{name.lower()}", {name: EACH[name]}) == ""
    assert (
        f"spec.overrides has {shown}, but TaskDefinition only-{other.lower()} allows {other}; its author can add them "
        "to spec.allowOverrides"
    ) in refusal(quick, f"only-{other.lower()}", {name: EACH[name]})
    assert f"spec.overrides has {shown}, but TaskDefinition none-of-them allows none" in refusal(
        quick, "none-of-them", {name: EACH[name]}
    )


def test_all_overrides_that_are_not_allowed_are_named_at_once(quick: QuickKubectl) -> None:
    assert refusal(quick, "all-of-them", EACH) == ""
    assert (
        "has resources, nodeSelector, tolerations, priorityClassName, timeouts, retry, env.LOG_LEVEL, but"
        in refusal(quick, "only-maxiterations", EACH)
    )


def test_a_variable_is_allowed_by_its_name(quick: QuickKubectl) -> None:
    assert refusal(quick, "one-variable", {"env": EACH["env"]}) == ""
    wrong = {"env": [*EACH["env"], {"name": "LD_PRELOAD", "value": "/tmp/x.so"}]}
    assert "has env.LD_PRELOAD, but TaskDefinition one-variable allows env.LOG_LEVEL" in refusal(
        quick, "one-variable", wrong
    )


def test_without_a_definition_the_operator_decides_later(quick: QuickKubectl) -> None:
    assert refusal(quick, "missing", EACH) == ""


def test_without_overrides_nothing_is_refused(quick: QuickKubectl) -> None:
    assert refusal(quick, "none-of-them", {}) == ""
    assert quick.create(task_run("plain", "none-of-them"), flags=(DRY_RUN,))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"env": [{"name": "PODRELAY_RUN", "value": "other"}]}, "names that begin with PODRELAY_ or KUBERNETES_"),
        (
            {"env": [{"name": "KUBERNETES_SERVICE_HOST", "value": "x"}]},
            "names that begin with PODRELAY_ or KUBERNETES_",
        ),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "Duplicate value"),
        ({"env": [{"name": "A"}]}, "spec.overrides.env[0].value: Required value"),
        ({"resources": {"limits": {"memory": "2GB"}}}, "spec.overrides.resources.limits.memory"),
        ({"resources": {"limits": {"memory": 0.5}}}, "spec.overrides.resources.limits.memory"),
        ({"nodeSelector": {"disk": 1}}, "spec.overrides.nodeSelector.disk"),
        ({"maxIterations": 0}, "spec.overrides.maxIterations"),
        ({"timeouts": {"iterationTimeoutSeconds": 0}}, "spec.overrides.timeouts.iterationTimeoutSeconds"),
    ],
    ids=str,
)
def test_the_schema_refuses_what_no_definition_can_allow(quick: QuickKubectl, given: Any, words: str) -> None:
    assert words in refusal(quick, "all-of-them", given)


@pytest.mark.parametrize(
    "given",
    [
        {"image": "other:1"},
        {"serviceAccountName": "admin"},
        {"volumes": []},
        {"env": [{"name": "A", "value": "", "valueFrom": {"secretKeyRef": {"name": "other", "key": "password"}}}]},
        {"resources": {"claims": [{"name": "gpu"}]}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_nothing_else_can_be_stored(quick: QuickKubectl, given: Any) -> None:
    manifest = task_run("stored", "all-of-them", overrides=given, metadata={"generateName": "stored-"})
    strict = quick.create(manifest, flags=("--validate=strict", DRY_RUN))
    assert "unknown field" in str(strict)


def test_overrides_cannot_be_changed(quick: QuickKubectl) -> None:
    assert quick.create(task_run("fixed", "all-of-them", overrides={"maxIterations": 5}, suspend=True))
    for spec in ({"overrides": {"maxIterations": 6}}, {"overrides": None}, {"overrides": {"retry": {"limit": 1}}}):
        changed = quick.patch(TASK_RUNS, "fixed", {"spec": spec})
        assert "spec.overrides cannot be changed; create a new TaskRun" in str(changed)


def test_a_definition_can_allow_only_what_exists(quick: QuickKubectl) -> None:
    for allowed in ("image", "env.", "serviceAccountName"):
        refused = quick.create(task_definition("wrong", allowOverrides=[allowed]), flags=(DRY_RUN,))
        assert "spec.allowOverrides[0]" in str(refused)


def test_a_definition_of_another_namespace_allows_nothing(quick: QuickKubectl, kubectl: Kubectl) -> None:
    assert kubectl.apply(task_definition("only-retry", allowOverrides=["maxIterations"]))
    assert "only-retry allows retry" in refusal(quick, "only-retry", {"maxIterations": 5})


def test_a_schedule_is_refused_as_its_runs_would_be(quick: QuickKubectl) -> None:
    def refused(definition: str) -> str:
        schedule = task_schedule("often", definition, run={"overrides": {"maxIterations": 5}})
        answer = quick.create(schedule, flags=(DRY_RUN,))
        return "" if answer else str(answer)

    assert refused("only-maxiterations") == ""
    assert "spec.run.overrides has maxIterations, but TaskDefinition only-retry allows retry" in refused("only-retry")


def test_a_schedule_that_is_no_longer_allowed_can_still_be_suspended(quick: QuickKubectl, shared: Kubectl) -> None:
    assert shared.apply(task_definition("revoked", allowOverrides=["maxIterations"]))
    schedule = task_schedule("revoked", "revoked", run={"overrides": {"maxIterations": 5}})
    assert quick.create(schedule)
    assert shared.apply(task_definition("revoked"))
    eventually("the change is known", lambda: refusal(quick, "revoked", {"maxIterations": 5}))

    assert quick.patch(TASK_SCHEDULES, "revoked", {"spec": {"suspend": True}})
    assert not quick.patch(TASK_SCHEDULES, "revoked", {"spec": {"run": {"displayName": "Again"}}})


def test_a_restored_run_keeps_its_overrides(quick: QuickKubectl) -> None:
    about = {"annotations": {"podrelay.dev/imported": "incomplete"}}
    restored = task_run("restored", "none-of-them", overrides={"maxIterations": 5}, metadata=about)
    assert quick.create(restored, flags=(DRY_RUN,))


# --- pods -------------------------------------------------------------------------------------------------------------


def test_overrides_reach_the_pod_and_nothing_else(relay: Relay) -> None:
    container = {
        "name": "task",
        "image": "local",
        "command": ["sh", "-eu", "-c", PRINTS],
        "env": [{"name": "LOG_LEVEL", "value": "info"}],
        "resources": {"requests": {"cpu": "10m"}},
    }
    spec = {"containers": [container], "tolerations": [{"key": "spot", "operator": "Exists"}]}
    relay.define_script(
        "overridden",
        PRINTS,
        template={"spec": spec},
        allowOverrides=list(override_rules.NAMES),
        podCleanup="Never",
    )
    given = {
        "resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "env": [{"name": "LOG_LEVEL", "value": "$(HOME) debug"}],
        "tolerations": EACH["tolerations"],
        "timeouts": {"iterationTimeoutSeconds": 77, "abortGracePeriodSeconds": 7},
        "maxIterations": 3,
    }
    relay.run("overridden", "overridden", overrides=given)

    status = relay.finished("overridden")
    assert status["output"] == {"level": "$(HOME) debug", "limit": "3"}
    assert status["maxIterations"] == 3
    pod = relay.kubectl.get("pods", "overridden-i1")
    (own,) = pod["spec"]["containers"]
    assert own["resources"] == {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
    assert {"gpu", "spot"} <= {item["key"] for item in pod["spec"]["tolerations"]}
    assert pod["spec"]["terminationGracePeriodSeconds"] == 7
    assert pod["metadata"]["annotations"]["podrelay.dev/iteration-timeout-seconds"] == "77"
    assert own["image"] == "local"


def test_a_quota_holds_for_overrides(relay: Relay) -> None:
    relay.define("Answer", "hungry", allowOverrides=["resources"])
    hard = {"requests.example.com/gpu": "1"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": {"hard": hard}}
    assert relay.kubectl.create(quota)
    eventually("the quota is in force", lambda: "hard" in relay.kubectl.get("resourcequotas", "gpus").get("status", {}))

    amounts = {"example.com/gpu": "2"}
    overrides = {"resources": {"requests": amounts, "limits": amounts}}
    relay.run("hungry", "hungry", input={"how": "done"}, overrides=overrides)

    status = relay.until("hungry", "it is refused", reason="QuotaExceeded")
    assert "requests.example.com/gpu=2" in status["message"]
    relay.abort("hungry")
    relay.kubectl.do("delete", "resourcequota", "gpus")


def test_a_definition_that_no_longer_allows_them_stops_the_relay(relay: Relay) -> None:
    allowed: dict[str, Any] = {"allowOverrides": ["maxIterations"], "pendingTimeoutSeconds": 60}
    relay.define("Chain", "changing", **allowed)
    relay.run("changing", "changing", input={"length": 3, "seconds": 3}, overrides={"maxIterations": 7})
    relay.until("changing", "it waits", reason="Waiting")

    relay.define("Chain", "changing", pendingTimeoutSeconds=60, allowOverrides=["retry"])
    status = relay.until("changing", "it stops", reason="OverridesNotAllowed")
    assert status["message"].startswith(
        "spec.overrides has maxIterations, but TaskDefinition changing allows retry; its author can add them"
    )
    assert status["phase"] == "Running"

    relay.define("Chain", "changing", **allowed)
    assert relay.finished("changing")["phase"] == "Succeeded"


def test_a_run_that_was_created_before_its_definition_fails_if_that_does_not_allow_them(relay: Relay) -> None:
    relay.run("early", "late-definition", input={"how": "done"}, overrides={"maxIterations": 7})
    relay.until("early", "it waits for its definition", reason="DefinitionNotFound")

    relay.define("Answer", "late-definition", pendingTimeoutSeconds=2)

    status = relay.finished("early")
    assert (status["phase"], status["reason"]) == ("Failed", "OverridesNotAllowed")
    assert relay.pods("early") == []


# --- clients ----------------------------------------------------------------------------------------------------------


def test_the_task_service_says_what_is_not_allowed_and_reruns_with_others(relay: Relay) -> None:
    relay.define("Answer", "answer", allowOverrides=["maxIterations", "timeouts"])
    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        with pytest.raises(InvalidInputError, match="has retry, but TaskDefinition answer allows maxIterations"):
            service.trigger("answer", {"how": "done"}, overrides={"retry": {"limit": 1}})
        with pytest.raises(InvalidInputError, match="unknown field 'iterationSeconds' in timeouts"):
            service.trigger("answer", {"how": "done"}, overrides={"timeouts": {"iterationSeconds": 1}})

        first = service.wait(service.trigger("answer", {"how": "done"}, overrides={"maxIterations": 7}).id)
        same = service.rerun(first.id)
        other = service.rerun(first.id, overrides={"maxIterations": 8})
        without = service.rerun(first.id, overrides={})

    assert first.max_iterations == 7
    assert [run.resource["spec"].get("overrides") for run in (same, other, without)] == [
        {"maxIterations": 7},
        {"maxIterations": 8},
        None,
    ]


def test_a_task_starts_children_with_overrides(relay: Relay) -> None:
    relay.define("Answer", "answer", allowOverrides=["maxIterations"])
    relay.define("Overriding", triggers=["answer"])
    relay.run("overriding", "overriding", input={"overrides": {"maxIterations": 9}})
    output = relay.finished("overriding")["output"]
    assert relay.get(output["child"])["spec"]["overrides"] == {"maxIterations": 9}

    relay.run("overreaching", "overriding", input={"overrides": {"retry": {"limit": 1}}})
    assert (
        "spec.overrides has retry, but TaskDefinition answer allows maxIterations"
        in relay.finished("overreaching")["message"]
    )


def test_the_command_line_takes_overrides(relay: Relay, capfd: pytest.CaptureFixture[str]) -> None:
    relay.define("Answer", "answer", allowOverrides=["maxIterations"])
    place = ("--namespace", relay.kubectl.namespace, "--kubeconfig", str(relay.kubectl.kubeconfig))
    command = ("trigger", "answer", "--input", '{"how": "done"}', "--overrides")

    assert podrelay([*command, '{"maxIterations": 7}', "-o", "json", *place]) == 0
    assert json.loads(capfd.readouterr().out)["spec"]["overrides"] == {"maxIterations": 7}
    assert podrelay([*command, '{"retry": {}}', *place]) == 1
    assert (
        "overrides: spec.overrides has retry, but TaskDefinition answer allows maxIterations" in capfd.readouterr().err
    )
