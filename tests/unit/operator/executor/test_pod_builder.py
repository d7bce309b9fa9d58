"""The pod of an iteration: forced settings, settings of the template, and refused templates."""

from typing import Any, get_args

import msgspec
import pytest

from podrelay.api import names, protocol
from podrelay.api.variables import Variable
from podrelay.operator import object_rules
from podrelay.operator.executor import pod_builder
from podrelay.operator.objects.definitions import DefinitionAnnotations, TaskDefinition
from podrelay.operator.plan import Target
from tests.unit.operator.builders import NOW, task_definition, task_run

FIRST = Target(1, 1, "words-i1", None, None, is_final_attempt=True)
RETRY = Target(2, 3, "words-i2t3", "words-i1", "words-i2", is_final_attempt=False)


def with_template(spec: Any, **metadata: Any) -> TaskDefinition:
    return task_definition(template={"spec": spec, **({"metadata": metadata} if metadata else {})})


def container_of(pod: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = next(c for c in pod["spec"]["containers"] if c["name"] != "sidecar")
    return container


def env_of(pod: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container_of(pod)["env"]}


def test_a_complete_pod_is_built_from_template_run_and_target() -> None:
    definition = task_definition(
        template={
            "metadata": {"labels": {"team": "search"}, "annotations": {"note": "1"}},
            "spec": {
                "containers": [{"name": "main", "image": "words:1", "env": [{"name": "COLOUR", "value": "red"}]}],
                "nodeSelector": {"disk": "ssd"},
            },
        },
        iterationTimeoutSeconds=300,
        pendingTimeoutSeconds=200,
        abortGracePeriodSeconds=20,
        nodeLostTimeoutSeconds=100,
        podCleanup="Always",
    )

    assert pod_builder.build(task_run(), definition, RETRY) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "words-i2t3",
            "namespace": "shop",
            "labels": {
                "velero.io/exclude-from-backup": "true",
                "team": "search",
                "podrelay.dev/run": "words",
                "podrelay.dev/definition": "count-words",
                "podrelay.dev/iteration": "2",
                "podrelay.dev/try": "3",
            },
            "annotations": {
                "note": "1",
                "podrelay.dev/iteration-timeout-seconds": "300",
                "podrelay.dev/pending-timeout-seconds": "200",
                "podrelay.dev/node-lost-timeout-seconds": "100",
                "podrelay.dev/pod-cleanup": "Always",
                "podrelay.dev/container": "main",
                "podrelay.dev/reporting": "API",
                "podrelay.dev/template-hash": object_rules.template_hash(definition),
            },
            "finalizers": ["podrelay.dev/answer"],
            "ownerReferences": [
                {
                    "apiVersion": "podrelay.dev/v1alpha1",
                    "kind": "TaskRun",
                    "name": "words",
                    "uid": "uid-run",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "words:1",
                    "env": [
                        {"name": "COLOUR", "value": "red"},
                        {"name": "PODRELAY_NAMESPACE", "value": "shop"},
                        {"name": "PODRELAY_RUN", "value": "words"},
                        {"name": "PODRELAY_RUN_UID", "value": "uid-run"},
                        {"name": "PODRELAY_DEFINITION", "value": "count-words"},
                        {"name": "PODRELAY_ITERATION", "value": "2"},
                        {"name": "PODRELAY_TRY", "value": "3"},
                        {"name": "PODRELAY_MAX_ITERATIONS", "value": "50"},
                        {"name": "PODRELAY_POD_NAME", "value": "words-i2t3"},
                        {"name": "PODRELAY_IMAGE", "value": "words:1"},
                        {"name": "PODRELAY_ITERATION_TIMEOUT_SECONDS", "value": "300"},
                        {"name": "PODRELAY_GRACE_PERIOD_SECONDS", "value": "20"},
                        {"name": "PODRELAY_FINAL_ATTEMPT", "value": "false"},
                        {"name": "PODRELAY_PROTOCOL", "value": str(protocol.VERSION)},
                        {"name": "PODRELAY_STATE", "value": "words-i1"},
                        {"name": "PODRELAY_CHECKPOINT", "value": "words-i2"},
                        {"name": "PODRELAY_RECORD_LOGS", "value": "true"},
                        {"name": "PODRELAY_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                        {"name": "PODRELAY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    ],
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                }
            ],
            "nodeSelector": {"disk": "ssd"},
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 620,
            "terminationGracePeriodSeconds": 20,
            "serviceAccountName": "podrelay-runner",
            "automountServiceAccountToken": True,
        },
    }


@pytest.mark.parametrize(("timeout", "expected"), [(None, None), (30, "30")])
def test_a_pod_gets_the_heartbeat_timeout(timeout: int | None, expected: str | None) -> None:
    made = pod_builder.build(task_run(), task_definition(heartbeatTimeoutSeconds=timeout), FIRST)

    assert made["metadata"]["annotations"].get(names.ANNOTATION_HEARTBEAT_TIMEOUT) == expected
    assert env_of(made).get(names.ENV_HEARTBEAT_TIMEOUT) == expected


def test_the_template_of_the_definition_is_not_changed() -> None:
    definition = task_definition()

    pod_builder.build(task_run(), definition, FIRST)

    assert definition.spec.template == {"spec": {"containers": [{"name": "task", "image": "words:1"}]}}


def test_the_service_account_of_the_template_is_kept() -> None:
    pod = pod_builder.build(
        task_run(), with_template({"containers": [{"image": "x"}], "serviceAccountName": "own"}), FIRST
    )

    assert pod["spec"]["serviceAccountName"] == "own"


def test_settings_that_the_relay_depends_on_cannot_be_overridden() -> None:
    definition = with_template(
        {
            "containers": [{"image": "x", "terminationMessagePath": "/tmp/other"}],
            "restartPolicy": "Always",
            "activeDeadlineSeconds": 1,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        },
        name="mine",
        namespace="theirs",
        ownerReferences=[{"kind": "Deployment"}],
        labels={names.LABEL_RUN: "another"},
        annotations={names.ANNOTATION_POD_CLEANUP: "Never"},
    )

    pod = pod_builder.build(task_run(), definition, FIRST)

    assert (pod["metadata"]["name"], pod["metadata"]["namespace"]) == ("words-i1", "shop")
    assert pod["metadata"]["labels"][names.LABEL_RUN] == "words"
    assert pod["metadata"]["annotations"][names.ANNOTATION_POD_CLEANUP] == "OnSuccess"
    assert [owner["kind"] for owner in pod["metadata"]["ownerReferences"]] == ["TaskRun"]
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["activeDeadlineSeconds"] == 900 + 900 + 120
    assert pod["spec"]["terminationGracePeriodSeconds"] == 60
    assert pod["spec"]["automountServiceAccountToken"] is True
    assert container_of(pod)["terminationMessagePath"] == "/dev/termination-log"


def test_a_pod_shows_who_created_its_run_and_who_wrote_its_definition() -> None:
    def users(created_by: str | None = None, **annotations: str) -> dict[str, str]:
        definition = seen_definition(annotations)
        built: dict[str, str] = pod_builder.build(task_run(), definition, FIRST, created_by=created_by)["metadata"][
            "annotations"
        ]
        return {key: built[key] for key in (names.ANNOTATION_CREATED_BY, names.ANNOTATION_WRITTEN_BY) if key in built}

    def seen_definition(annotations: dict[str, str]) -> TaskDefinition:
        definition = task_definition()
        decoded = msgspec.convert(
            {f"podrelay.dev/{key}-by": value for key, value in annotations.items()}, DefinitionAnnotations
        )
        return msgspec.structs.replace(
            definition, metadata=msgspec.structs.replace(definition.metadata, annotations=decoded)
        )

    assert users() == {}
    assert users("alice") == {names.ANNOTATION_CREATED_BY: "alice"}
    assert users(created="bob") == {names.ANNOTATION_WRITTEN_BY: "bob"}
    assert users("alice", created="bob", changed="carol") == {
        names.ANNOTATION_CREATED_BY: "alice",
        names.ANNOTATION_WRITTEN_BY: "carol",
    }


def test_a_template_cannot_set_labels_or_annotations_of_podrelay() -> None:
    definition = with_template(
        {"containers": [{"image": "x"}]},
        labels={"podrelay.dev/definition": "harmless", "podrelay.dev/more": "1", "team": "search"},
        annotations={
            names.ANNOTATION_CREATED_BY: "alice",
            names.ANNOTATION_WRITTEN_BY: "alice",
            names.ANNOTATION_ENDING_SINCE: "2026-01-01T00:00:00Z",
            names.ANNOTATION_HEARTBEAT_TIMEOUT: "1",
            "note": "1",
        },
    )

    metadata = pod_builder.build(task_run(), definition, FIRST)["metadata"]

    assert set(metadata["labels"]) == {
        "team",
        names.LABEL_VELERO_EXCLUDE,
        *(f"podrelay.dev/{key}" for key in ("run", "definition", "iteration", "try")),
    }
    assert metadata["labels"]["podrelay.dev/definition"] == "count-words"
    forged = {names.ANNOTATION_CREATED_BY, names.ANNOTATION_WRITTEN_BY, names.ANNOTATION_ENDING_SINCE}
    assert not forged & metadata["annotations"].keys()
    assert names.ANNOTATION_HEARTBEAT_TIMEOUT not in metadata["annotations"]
    assert metadata["annotations"]["note"] == "1"


def test_variables_with_the_prefix_of_podrelay_are_removed_unless_they_are_settings_of_the_sdk() -> None:
    env = [
        {"name": "PODRELAY_TRY", "value": "99"},
        {"name": "PODRELAY_ANYTHING", "value": "x"},
        {"name": "PODRELAY_CLOSE_TO_TIMEOUT_SECONDS", "value": "30"},
        {"name": "OTHER", "value": "y"},
    ]

    pod = pod_builder.build(task_run(), with_template({"containers": [{"image": "x", "env": env}]}), FIRST)

    assert env_of(pod)["PODRELAY_TRY"] == "1"
    assert "PODRELAY_ANYTHING" not in env_of(pod)
    assert env_of(pod)["PODRELAY_CLOSE_TO_TIMEOUT_SECONDS"] == "30"
    assert env_of(pod)["OTHER"] == "y"
    assert len({item["name"] for item in container_of(pod)["env"]}) == len(container_of(pod)["env"])


def test_the_only_container_does_the_work_regardless_of_its_name() -> None:
    assert pod_builder.task_container({"containers": [{"name": "main"}]})["name"] == "main"
    assert pod_builder.task_container({"containers": [{"image": "x"}]})["name"] == "task"


def test_of_several_containers_the_one_named_task_does_the_work_and_sidecars_are_not_changed() -> None:
    sidecar = {"name": "sidecar", "image": "proxy", "restartPolicy": "Always"}
    definition = with_template({"containers": [sidecar, {"name": "task", "image": "x"}], "initContainers": [sidecar]})

    pod = pod_builder.build(task_run(), definition, FIRST)

    assert pod["spec"]["containers"][0] == sidecar
    assert pod["spec"]["initContainers"] == [sidecar]
    assert "PODRELAY_RUN" in {item["name"] for item in pod["spec"]["containers"][1]["env"]}


@pytest.mark.parametrize("is_final", [True, False])
def test_a_variable_shows_whether_the_pod_is_the_last_attempt(is_final: bool) -> None:
    target = Target(1, 1, "words-i1", None, None, is_final_attempt=is_final)

    assert (
        env_of(pod_builder.build(task_run(), task_definition(), target))["PODRELAY_FINAL_ATTEMPT"]
        == str(is_final).lower()
    )


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({}, "spec.template.spec is missing"),
        ({"spec": "x"}, "spec.template.spec is missing"),
        ({"spec": {}}, "containers is empty"),
        ({"spec": {"containers": []}}, "containers is empty"),
        ({"spec": {"containers": "x"}}, "containers is empty"),
        ({"spec": {"containers": ["x"]}}, "containers is empty"),
        ({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}, "none of the 2 containers"),
        ({"spec": {"containers": [{"name": "a", "restartPolicy": "OnFailure"}]}}, "has a restartPolicy"),
        ({"spec": {"containers": [{"name": "a", "restartPolicyRules": [{}]}]}}, "has a restartPolicy"),
        ({"spec": {"containers": [{"name": "a", "env": ["A=1"]}]}}, "env"),
        ({"spec": {"containers": [{"name": "a", "env": {"A": "1"}}]}}, "env"),
        ({"spec": {"containers": [{"name": "a", "env": 1}]}}, "env"),
        ({"metadata": "x", "spec": {"containers": [{"name": "a"}]}}, "spec.template.metadata"),
        ({"metadata": {"labels": ["x"]}, "spec": {"containers": [{"name": "a"}]}}, "spec.template.metadata.labels"),
        ({"metadata": {"annotations": "x"}, "spec": {"containers": [{"name": "a"}]}}, "annotations"),
    ],
)
def test_an_invalid_template_is_refused_with_a_message(template: dict[str, Any], words: str) -> None:
    with pytest.raises(pod_builder.TemplateError, match=words):
        pod_builder.build(task_run(), task_definition(template=template), FIRST)


def by_message(variables: list[str] | None = None, **template: Any) -> TaskDefinition:
    spec = {"containers": [{"name": "a", "image": "words:1"}], **template}
    return task_definition(reporting="TerminationMessage", template={"spec": spec}, variables=variables)


def test_a_pod_that_reports_by_message_waits_for_its_claim_and_has_no_token() -> None:
    pod = pod_builder.build(task_run(), by_message(), FIRST, {"url": "a"})

    assert pod["spec"]["schedulingGates"] == [{"name": "podrelay.dev/claim"}]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod["spec"]
    assert pod["metadata"]["annotations"]["podrelay.dev/reporting"] == "TerminationMessage"
    assert container_of(pod)["terminationMessagePolicy"] == "File"
    assert env_of(pod)["PODRELAY_INPUT"] == '{"url":"a"}'
    assert not env_of(pod).keys() & {"PODRELAY_STATE", "PODRELAY_CHECKPOINT", "PODRELAY_RECORD_LOGS"}


def test_a_program_gets_only_the_variables_that_its_definition_lists() -> None:
    listed = ["PODRELAY_INPUT", "PODRELAY_POD_UID", "PODRELAY_SECRET_PATH"]
    container = {"name": "a", "image": "words:1", "env": [{"name": "COLOUR", "value": "red"}]}

    pod = pod_builder.build(task_run(), by_message(containers=[container], variables=listed), FIRST, {"url": "a"})
    none = pod_builder.build(task_run(), by_message(variables=[]), FIRST, {"url": "a"})

    assert container_of(pod)["env"] == [
        {"name": "COLOUR", "value": "red"},
        {"name": "PODRELAY_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": "PODRELAY_INPUT", "value": '{"url":"a"}'},
    ]
    assert container_of(none)["env"] == []


def test_a_definition_can_list_each_variable_of_a_program() -> None:
    run = task_run(secret="keys", scheduled={"schedule": "nightly", "time": NOW, "previous": NOW, "next": NOW})
    target = msgspec.structs.replace(FIRST, signals=("one",), woken_by="Signals")

    given = env_of(pod_builder.build(run, by_message(), target, {}, [{"name": "one"}]))

    assert given.keys() | {names.ENV_ORIGIN_UID} == set(get_args(Variable))


def test_the_gates_of_a_template_are_kept_and_its_message_policy_is_replaced() -> None:
    container = {"name": "a", "image": "words:1", "terminationMessagePolicy": "FallbackToLogsOnError"}

    pod = pod_builder.build(
        task_run(), by_message(containers=[container], schedulingGates=[{"name": "x.dev/y"}]), FIRST
    )

    assert pod["spec"]["schedulingGates"] == [{"name": "x.dev/y"}, {"name": "podrelay.dev/claim"}]
    assert container_of(pod)["terminationMessagePolicy"] == "File"


def test_dollar_signs_of_the_input_are_not_expanded() -> None:
    pod = pod_builder.build(task_run(), by_message(), FIRST, {"price": "$(HOME) $5 $$"})

    assert env_of(pod)["PODRELAY_INPUT"] == '{"price":"$$(HOME) $$5 $$$$"}'


def test_a_number_that_the_api_server_stores_as_a_float_is_passed_as_a_float() -> None:
    """The API server writes 2.0**64 like an integer, which would have more than 64 bits."""
    pod = pod_builder.build(task_run(), by_message(), FIRST, {"a": 18446744073709552000, "b": 1})

    assert env_of(pod)["PODRELAY_INPUT"] == '{"a":1.8446744073709552e+19,"b":1}'


def test_an_input_that_is_too_large_for_a_variable_is_refused() -> None:
    pod_builder.build(task_run(), by_message(), FIRST, {"t": "x" * (100 * 1024 - len('{"t":""}'))})
    with pytest.raises(pod_builder.InputTooLargeError, match="102401 bytes"):
        pod_builder.build(task_run(), by_message(), FIRST, {"t": "x" * (100 * 1024 - len('{"t":""}') + 1)})


def test_a_template_that_is_nested_too_deeply_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a-rather-long-name-of-a-field": deep}

    with pytest.raises(
        pod_builder.TemplateError, match=r"^spec.template.a-rather.*: nested more than 200 levels deep$"
    ):
        pod_builder.build(task_run(), task_definition(template=deep), FIRST)


def test_an_input_that_is_nested_too_deeply_for_a_pod_that_reports_by_message_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}

    with pytest.raises(pod_builder.InputTooLargeError, match="nested more than 200 levels deep"):
        pod_builder.build(task_run(), by_message(), FIRST, deep)
