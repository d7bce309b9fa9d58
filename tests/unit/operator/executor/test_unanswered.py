"""Requests to create a pod that get no answer: reported if it happens repeatedly, unless the API server is down."""

from typing import Any

import pytest

from podrelay.api.task_run import TaskRun
from podrelay.kube.errors import ApiError, TransportError
from podrelay.kube.resources import Resource
from podrelay.operator.plan import CreatePod
from tests.unit.operator.builders import NOW, later
from tests.unit.operator.executor.test_executor import TARGET, Api, World

FAILURES = [
    (TimeoutError(), "AdmissionTimeout"),
    (ApiError(504, "Timeout", "request did not complete"), "AdmissionTimeout"),
    (ApiError(429, "TooManyRequests", "later", 3), "TooManyRequests"),
    (ApiError(503, "", "no"), "ServiceUnavailable"),
    (TransportError("the server has closed the connection"), "ServiceUnavailable"),
]


class FailingApi(Api):
    """Does not answer requests to create pods, but may create them; if it is down, it answers no read either."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.is_down = False
        self.creates_pods = False

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        if self.is_down:
            raise TimeoutError
        return await super().get(resource, namespace, name)

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any], **options: Any) -> bytes:
        if self.failure is None or resource.plural != "pods":
            return await super().create(resource, namespace, body, **options)
        if self.creates_pods:
            await super().create(resource, namespace, body, **options)
        raise self.failure


class FailingWorld(World):
    api: FailingApi


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FailingWorld:
    monkeypatch.setattr("tests.unit.operator.executor.test_executor.Api", FailingApi)
    return FailingWorld()


def fail(world: FailingWorld) -> None:
    with pytest.raises(type(world.api.failure or TimeoutError())):
        world.do(CreatePod(TARGET))


@pytest.mark.parametrize(("error", "reason"), FAILURES)
def test_the_first_failure_is_retried_by_the_queue_and_the_second_is_shown(
    world: FailingWorld, error: Exception, reason: str
) -> None:
    world.api.failure = error
    fail(world)
    assert world.status == TaskRun.born
    assert isinstance(world.step().actions[0], CreatePod), "it is tried again before anything is shown"

    world.step()

    assert world.status["phase"] == "Pending"
    assert world.status["reason"] == reason
    assert "pod" in world.status["message"]


@pytest.mark.parametrize(("error", "reason"), FAILURES)
def test_a_run_whose_pod_is_never_created_fails_after_the_timeout(
    world: FailingWorld, error: Exception, reason: str
) -> None:
    world.api.failure = error
    fail(world)

    for _ in range(200):
        world.step()
        if world.status.get("phase") == "Failed":
            break
        world.api.now = later((world.api.now - NOW).total_seconds() + 10)

    assert world.status["reason"] == reason
    assert 900 <= (world.api.now - NOW).total_seconds() <= 1000


def test_an_outage_of_the_api_server_is_not_a_failure_of_the_pod(world: FailingWorld) -> None:
    # given an API server that is down for an hour
    world.api.failure, world.api.is_down = TimeoutError(), True
    for minute in range(60):
        world.api.now = later(60 * minute)
        fail(world)
    assert world.view.refusal is None

    # when it is up again, and fails for the pod only
    world.api.is_down = False
    fail(world)

    # then the time starts now
    refusal = world.view.refusal
    assert refusal is not None
    assert refusal.since == world.api.now


def test_a_pod_that_was_created_without_an_answer_is_found(world: FailingWorld) -> None:
    world.api.failure, world.api.creates_pods = TimeoutError(), True

    world.do(CreatePod(TARGET))

    assert [pod.metadata.name for pod in world.view.pods] == ["words-i1"]
    assert world.view.refusal is None


def test_a_pod_that_is_created_after_a_failure_is_used(world: FailingWorld) -> None:
    world.api.failure = TimeoutError()
    fail(world)
    world.api.failure = None

    world.do(CreatePod(TARGET))

    assert [pod.metadata.name for pod in world.view.pods] == ["words-i1"]
    assert world.view.refusal is None


def test_a_wait_that_the_api_server_requests_is_respected(world: FailingWorld) -> None:
    world.api.failure = ApiError(429, "TooManyRequests", "later", 17)
    fail(world)

    world.do(CreatePod(TARGET))

    refusal = world.view.refusal
    assert refusal is not None
    assert refusal.retry_at == later(17)
