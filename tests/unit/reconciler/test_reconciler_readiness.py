"""The condition Ready of a definition: the API server's own verdict, written once."""

import json
from datetime import datetime
from typing import Any

import pytest

from podrelay.kube.client import Resource
from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.reconciler.objects import TaskDefinition
from podrelay.reconciler.readiness import review
from podrelay.reconciler.schemaprocess import SchemaProcess
from tests.support.modelapi import run
from tests.unit.reconciler.builders import NOW, ago, task_definition


class Api:
    """Judges the pod of a dry run, and takes the patch."""

    def __init__(self, verdict: ApiError | None = None) -> None:
        self.verdict = verdict
        self.tried: list[dict[str, Any]] = []
        self.patches: list[dict[str, Any]] = []
        self.is_gone = False

    async def create(
        self, _resource: Resource, _namespace: str, body: dict[str, Any], *, dry_run: bool, strict: bool
    ) -> bytes:
        assert dry_run
        assert strict
        self.tried.append(body)
        if self.verdict is not None:
            raise self.verdict
        return b"{}"

    async def patch(self, _r: Resource, _n: str, _name: str, body: dict[str, Any], *, subresource: str) -> bytes:
        assert subresource == "status"
        if self.is_gone:
            raise NotFoundError(404, "NotFound", "")
        self.patches.append(json.loads(json.dumps(body, default=str)))
        return b"{}"


def reviewed(api: Api, definition: TaskDefinition) -> dict[str, Any] | None:
    run(review(api, definition, SchemaProcess(), clock=lambda: NOW))  # type: ignore[arg-type]
    if not api.patches:
        return None
    condition: dict[str, Any] = api.patches[0]["status"]["conditions"][0]
    return condition


def with_condition(status: str, reason: str, message: str, observed: int = 1) -> TaskDefinition:
    from podrelay.reconciler.objects import Condition, TaskDefinitionStatus

    definition = task_definition()
    condition = Condition("Ready", status, reason, ago(3600), message, observed)
    return TaskDefinition(definition.metadata, definition.spec, TaskDefinitionStatus(observed, (condition,)))


def test_a_pod_that_the_api_server_would_take_is_ready() -> None:
    api = Api()

    condition = reviewed(api, task_definition())

    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("True", "PodAccepted")
    assert api.patches[0]["status"]["observedGeneration"] == 1


def test_the_dry_run_takes_no_name_and_has_no_owner() -> None:
    api = Api()

    reviewed(api, task_definition())

    metadata = api.tried[0]["metadata"]
    assert metadata["generateName"] == "podrelay-dry-run-"
    assert not {"name", "ownerReferences"} & set(metadata)


def test_a_refusal_is_shown_in_the_api_servers_words() -> None:
    condition = reviewed(Api(ApiError(422, "Invalid", "image: Required value " + "x" * 9999)), task_definition())

    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "PodRejected")
    assert condition["message"].startswith("image: Required value")
    assert len(condition["message"]) <= 4096


def test_a_template_that_makes_no_pod_is_shown_without_a_request() -> None:
    api = Api()

    condition = reviewed(api, task_definition(template={"spec": {}}))

    assert condition is not None
    assert condition["reason"] == "InvalidTemplate"
    assert api.tried == []


@pytest.mark.parametrize(
    ("verdict", "template", "is_stalled"),
    [
        (None, {"spec": {}}, "True"),
        (None, None, "False"),
        (ApiError(403, "Forbidden", 'serviceaccount "x" not found'), None, "False"),
    ],
)
def test_a_definition_is_stalled_if_only_its_change_will_help(
    verdict: ApiError | None, template: Any, is_stalled: str
) -> None:
    api = Api(verdict)

    reviewed(api, task_definition(**({"template": template} if template else {})))

    ready, stalled = api.patches[0]["status"]["conditions"]
    assert (stalled["type"], stalled["status"], stalled["reason"]) == ("Stalled", is_stalled, ready["reason"])


def test_a_full_quota_says_nothing_of_the_template() -> None:
    condition = reviewed(Api(ApiError(403, "Forbidden", "exceeded quota: pods=10")), task_definition())

    assert condition is not None
    assert condition["status"] == "True"


@pytest.mark.parametrize(
    ("verdict", "template", "is_settled"),
    [
        (None, None, True),
        (None, {"spec": {}}, True),
        (ApiError(403, "Forbidden", 'serviceaccount "x" not found'), None, False),
    ],
)
def test_only_a_refusal_by_the_api_server_may_change_by_itself(
    verdict: ApiError | None, template: Any, is_settled: bool
) -> None:
    definition = task_definition(**({"template": template} if template else {}))

    assert run(review(Api(verdict), definition, SchemaProcess())) is is_settled  # type: ignore[arg-type]


def test_what_is_known_already_is_not_written_again() -> None:
    known = with_condition("True", "PodAccepted", "a pod made from the template passes the API server's checks")

    assert reviewed(Api(), known) is None


def test_the_same_verdict_on_a_new_generation_keeps_its_time() -> None:
    known = with_condition(
        "True", "PodAccepted", "a pod made from the template passes the API server's checks", observed=0
    )

    condition = reviewed(Api(), known)

    assert condition is not None
    assert condition["observedGeneration"] == 1
    assert datetime.fromisoformat(condition["lastTransitionTime"]) == ago(3600)


def test_an_api_server_that_cannot_answer_is_no_verdict() -> None:
    with pytest.raises(ApiError):
        reviewed(Api(ApiError(503, "", "no")), task_definition())


def test_a_definition_that_is_gone_meanwhile_is_no_error() -> None:
    api = Api()
    api.is_gone = True

    assert reviewed(api, task_definition()) is None


async def test_an_input_schema_that_is_none_is_shown_without_a_request_for_a_pod() -> None:
    api, schemas = Api(), SchemaProcess()

    is_settled = await review(api, task_definition(inputSchema={"type": "text"}), schemas, lambda: NOW)  # type: ignore[arg-type]

    await schemas.close()
    ready, stalled = api.patches[0]["status"]["conditions"]
    assert is_settled
    assert (ready["status"], ready["reason"]) == ("False", "InvalidInputSchema")
    assert ready["message"].startswith('spec.inputSchema.type: "text" is not valid')
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidInputSchema")
    assert api.tried == []


async def test_an_input_schema_that_is_one_changes_nothing() -> None:
    api, schemas = Api(), SchemaProcess()

    await review(api, task_definition(inputSchema={"type": "object"}), schemas, lambda: NOW)  # type: ignore[arg-type]

    await schemas.close()
    assert api.patches[0]["status"]["conditions"][0]["reason"] == "PodAccepted"
