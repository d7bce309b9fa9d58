"""The condition Ready of a definition: the result of the API server, written once, and never in a loop."""

import asyncio
import itertools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest

from podrelay.kube.errors import AlreadyExistsError, ApiError, NotFoundError
from podrelay.kube.resources import Key, Resource
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.definition_ready import DefinitionReadyController
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.view import Settings
from podrelay.schemas.process import SchemaProcess
from tests.unit.operator.builders import KEY, NOW, ago, task_definition
from tests.unit.operator.virtual_time import now, run_virtually

DEFINITION = Key(KEY.namespace, "count-words")
DAY = 86_400


class Api:
    """Decides about the pod of a dry run, and accepts the patch."""

    def __init__(self, verdict: ApiError | Callable[[], ApiError] | None = None) -> None:
        self.verdict = verdict
        self.tried: list[dict[str, Any]] = []
        self.patches: list[dict[str, Any]] = []
        self.written_at: list[float] = []
        self.written = asyncio.Event()
        self.is_gone = False
        self.definition: dict[str, Any] = {}

    async def create(
        self, _resource: Resource, _namespace: str, body: dict[str, Any], *, dry_run: bool, strict: bool
    ) -> bytes:
        assert dry_run
        assert strict
        self.tried.append(body)
        if self.verdict is not None:
            raise self.verdict if isinstance(self.verdict, ApiError) else self.verdict()
        return b"{}"

    async def patch(self, _r: Resource, _n: str, _name: str, body: dict[str, Any], *, subresource: str) -> bytes:
        assert subresource == "status"
        if self.is_gone:
            raise NotFoundError(404, "NotFound", "")
        self.patches.append(json.loads(json.dumps(body, default=str)))
        self.written_at.append(now())
        self.written.set()
        self.definition["status"] = self.definition.get("status", {}) | msgspec.to_builtins(body["status"])
        self.definition["metadata"]["resourceVersion"] = str(int(self.definition["metadata"]["resourceVersion"]) + 1)
        return msgspec.json.encode(self.definition)


class World:
    """A running controller of reviews, and its store."""

    def __init__(self, api: Api, definition: TaskDefinition) -> None:
        self.api = api
        self.schemas = SchemaProcess()
        self.queue: WorkQueue[Key] = WorkQueue()
        self.store = Store(lambda _key: None, Settings(), definition_changed=self.queue.add)
        api.definition = msgspec.to_builtins(definition)
        self.see(definition)
        reviews = DefinitionReadyController(api, self.store, self.schemas, self.queue, clock=lambda: NOW)  # type: ignore[arg-type]
        self.task = asyncio.create_task(reviews.run())

    def see(self, definition: TaskDefinition) -> None:
        self.store.definitions.apply(definition)
        self.queue.add(DEFINITION)  # kopf reports it after any change

    def change(self, **spec: Any) -> None:
        """A user edits the definition."""
        self.api.definition["spec"] = msgspec.to_builtins(task_definition(**spec).spec)
        self.api.definition["metadata"]["generation"] += 1
        self.touch()

    def touch(self) -> None:
        """The definition has an event."""
        metadata = self.api.definition["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        self.see(msgspec.convert(self.api.definition, TaskDefinition))


def reviewed(api: Api, definition: TaskDefinition, seconds: float = 1) -> dict[str, Any] | None:
    """Let it be reviewed; return the first condition that was written."""

    async def main() -> None:
        World(api, definition)
        await asyncio.sleep(seconds)

    run_virtually(main())
    if not api.patches:
        return None
    condition: dict[str, Any] = api.patches[0]["status"]["conditions"][0]
    return condition


def with_condition(status: str, reason: str, message: str, observed: int = 1) -> TaskDefinition:
    from podrelay.operator.objects.definitions import TaskDefinitionStatus
    from podrelay.operator.objects.metadata import Condition

    definition = task_definition()
    condition = Condition("Ready", status, reason, ago(3600), message, observed)
    return TaskDefinition(definition.metadata, definition.spec, TaskDefinitionStatus(observed, (condition,)))


def test_a_definition_whose_pod_the_api_server_accepts_is_ready() -> None:
    api = Api()

    condition = reviewed(api, task_definition())

    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("True", "PodAccepted")
    assert api.patches[0]["status"]["observedGeneration"] == 1


def test_the_dry_run_has_a_stable_name_and_no_owner() -> None:
    api = Api()

    reviewed(api, task_definition())

    metadata = api.tried[0]["metadata"]
    assert metadata["name"] == "podrelay-dry-run-count-words"
    assert not {"generateName", "ownerReferences"} & set(metadata)


def test_a_name_in_use_is_not_a_refusal() -> None:
    condition = reviewed(Api(AlreadyExistsError(409, "AlreadyExists", "pod exists")), task_definition())

    assert condition is not None
    assert condition["status"] == "True"


def test_a_refusal_is_shown_with_the_message_of_the_api_server() -> None:
    condition = reviewed(Api(ApiError(422, "Invalid", "image: Required value " + "x" * 9999)), task_definition())

    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "PodRejected")
    assert condition["message"].startswith("image: Required value")
    assert len(condition["message"]) <= 4096


def test_an_invalid_template_is_shown_without_a_request() -> None:
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
def test_a_definition_is_stalled_if_only_a_change_of_it_helps(
    verdict: ApiError | None, template: Any, is_stalled: str
) -> None:
    api = Api(verdict)

    reviewed(api, task_definition(**({"template": template} if template else {})))

    ready, stalled = api.patches[0]["status"]["conditions"]
    assert (stalled["type"], stalled["status"], stalled["reason"]) == ("Stalled", is_stalled, ready["reason"])


def test_a_full_quota_does_not_concern_the_template() -> None:
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
    api = Api(verdict)

    reviewed(api, task_definition(**({"template": template} if template else {})), DAY)

    assert (len(api.tried) <= 1) is is_settled
    assert len(api.patches) == 1


def test_a_fix_is_noticed_without_an_event() -> None:
    async def main() -> list[str]:
        world = World(Api(ApiError(403, "Forbidden", 'serviceaccount "x" not found')), task_definition())
        await asyncio.sleep(3600)
        world.api.verdict = None
        await asyncio.sleep(301)
        return [patch["status"]["conditions"][0]["reason"] for patch in world.api.patches]

    assert run_virtually(main()) == ["PodRejected", "PodAccepted"]


def test_a_message_that_always_differs_is_written_with_growing_pauses() -> None:
    numbers = itertools.count()
    api = Api(lambda: ApiError(403, "Forbidden", f"denied at {next(numbers)}"))

    reviewed(api, task_definition(), DAY)

    pauses = [after - before for before, after in itertools.pairwise(api.written_at)]
    assert pauses[:10] == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 300])
    assert len(api.patches) <= 10 + DAY / 300


def test_events_do_not_make_the_pauses_shorter() -> None:
    numbers = itertools.count()

    async def main() -> int:
        world = World(Api(lambda: ApiError(403, "Forbidden", f"denied at {next(numbers)}")), task_definition())
        for _ in range(1000):
            await asyncio.sleep(0.1)
            world.touch()
        return len(world.api.tried)

    assert run_virtually(main()) <= 8


def test_a_change_by_a_user_is_reviewed_within_a_second_even_after_a_long_pause() -> None:
    async def main() -> list[tuple[str, int]]:
        world = World(Api(ApiError(403, "Forbidden", "denied")), task_definition())
        await asyncio.sleep(3600)
        world.api.verdict = None
        world.change(title="fixed")
        await asyncio.sleep(1)
        return [
            (patch["status"]["conditions"][0]["reason"], patch["status"]["observedGeneration"])
            for patch in world.api.patches
        ]

    assert run_virtually(main()) == [("PodRejected", 1), ("PodAccepted", 2)]


def test_a_condition_that_is_removed_repeatedly_is_restored_with_growing_pauses() -> None:
    async def main() -> int:
        world = World(Api(), task_definition())
        for _ in range(1000):
            await asyncio.sleep(0.1)
            world.api.definition["status"].pop("conditions", None)
            world.touch()
        return len(world.api.patches)

    assert 2 <= run_virtually(main()) <= 8


def test_a_definition_that_is_edited_constantly_is_reviewed_once_a_second() -> None:
    async def main() -> int:
        world = World(Api(), task_definition())
        for number in range(1000):
            await asyncio.sleep(0.01)
            world.change(title=f"edit {number}")
        return len(world.api.tried)

    assert 9 <= run_virtually(main()) <= 12


def test_two_thousand_definitions_are_not_written_at_once() -> None:
    async def main() -> int:
        world = World(Api(), task_definition())
        for number in range(2000):
            world.store.definitions.apply(task_definition(f"count-{number}"))
        await asyncio.sleep(10)
        return len(world.api.patches)

    assert 100 <= run_virtually(main()) <= 220


def test_an_unchanged_result_is_not_written_again() -> None:
    known = with_condition("True", "PodAccepted", "a pod made from the template passes the API server's checks")

    assert reviewed(Api(), known) is None


def test_the_same_result_for_a_new_generation_keeps_its_time() -> None:
    known = with_condition(
        "True", "PodAccepted", "a pod made from the template passes the API server's checks", observed=0
    )

    condition = reviewed(Api(), known)

    assert condition is not None
    assert condition["observedGeneration"] == 1
    assert datetime.fromisoformat(condition["lastTransitionTime"]) == ago(3600)


def test_an_api_server_that_fails_is_not_a_result_and_is_asked_again() -> None:
    api = Api(ApiError(503, "", "no"))

    assert reviewed(api, task_definition(), 3600) is None
    assert 10 <= len(api.tried) <= 30


def test_a_definition_that_was_deleted_meanwhile_is_not_an_error() -> None:
    api = Api()
    api.is_gone = True

    assert reviewed(api, task_definition()) is None


async def until_written(definition: TaskDefinition) -> Api:
    world = World(Api(), definition)
    async with asyncio.timeout(20):
        await world.api.written.wait()
    world.task.cancel()
    await world.schemas.close()
    return world.api


async def test_an_invalid_input_schema_is_shown_without_a_request_for_a_pod() -> None:
    api = await until_written(task_definition(inputSchema={"type": "text"}))

    ready, stalled = api.patches[0]["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "InvalidInputSchema")
    assert ready["message"].startswith('spec.inputSchema.type: "text" is not valid')
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidInputSchema")
    assert api.tried == []


async def test_a_valid_input_schema_changes_nothing() -> None:
    api = await until_written(task_definition(inputSchema={"type": "object"}))

    assert api.patches[0]["status"]["conditions"][0]["reason"] == "PodAccepted"
