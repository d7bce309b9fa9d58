"""What the executor makes of the API server's answers, on the model of one."""

from typing import Any

import msgspec
import pytest

from podrelay.kube.client import PODS, Resource
from podrelay.kube.errors import ApiError
from podrelay.reconciler import planner
from podrelay.reconciler.resources import TASK_RUNS
from podrelay.reconciler.view import ConfirmGone
from tests.support.modelapi import ModelApi, run
from tests.support.modelworld import KEY, World

DONE = {"status": "done", "output": {"rows": 1, "none": None}}


def world(**definition: Any) -> World:
    made = World(definition)
    assert made.operators[0].step()
    return made


def settle(made: World) -> None:
    operator = made.operators[0]
    for _ in range(20):
        operator.see(len(made.api.events))
        if not operator.step():
            return


def finish(made: World, response: dict[str, Any], exit_code: int = 0) -> dict[str, Any]:
    made.start("run-i1")
    (process,) = made.processes.values()
    made.answer(process.uid, response)
    made.exit("run-i1", exit_code)
    settle(made)
    return made.status


def test_an_output_is_copied_with_its_nulls() -> None:
    assert finish(world(), DONE)["output"] == {"rows": 1, "none": None}


def test_a_large_output_is_pointed_to() -> None:
    status = finish(world(), {"status": "done", "output": {"text": "x" * 40_000}})

    assert status["outputFrom"] == "run-i1"
    assert "output" not in status


def test_data_of_an_error_goes_into_the_status() -> None:
    error = {"message": "no luck", "code": "Luck", "data": {"row": 7}}

    assert finish(world(), {"status": "error", "error": error})["error"] == error


def test_a_pod_that_exists_already_and_is_ours_is_adopted() -> None:
    made = world()
    made.restart_operator(0)
    made.operators[0].store.pods.forget(KEY, "run-i1", made.pods()[0]["metadata"]["uid"])

    settle(made)

    assert len(made.pods()) == 1
    assert made.status["current"]["podUID"] == made.pods()[0]["metadata"]["uid"]


def test_a_name_that_a_strangers_pod_has_is_reported() -> None:
    made = World()
    run(made.api.create(PODS, KEY.namespace, {"metadata": {"name": "run-i1"}, "spec": {}}))

    settle(made)

    assert made.status["reason"] == "NameTaken"
    assert "delete it" in made.status["message"]


def refuse_pods(made: World, monkeypatch: pytest.MonkeyPatch, error: ApiError) -> None:
    create = ModelApi.create

    async def refuse(self: ModelApi, resource: Resource, *arguments: Any, **more: Any) -> bytes:
        if resource is PODS:
            raise error
        return await create(self, resource, *arguments, **more)

    monkeypatch.setattr(ModelApi, "create", refuse)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiError(403, "Forbidden", "exceeded quota: pods=1"), "QuotaExceeded"),
        (ApiError(403, "Forbidden", "violates PodSecurity"), "PodForbidden"),
        (ApiError(422, "Invalid", "spec.containers[0].name"), "PodInvalid"),
    ],
)
def test_a_refused_pod_shows_the_api_servers_words(
    monkeypatch: pytest.MonkeyPatch, error: ApiError, reason: str
) -> None:
    made = World()
    refuse_pods(made, monkeypatch, error)

    settle(made)

    assert (made.status["phase"], made.status["reason"]) == ("Pending", reason)
    assert made.status["message"] == error.message


def test_a_transient_refusal_is_left_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World()
    refuse_pods(made, monkeypatch, ApiError(503, "ServiceUnavailable", "later"))
    operator = made.operators[0]
    view = operator.store.view(KEY)
    assert view is not None

    with pytest.raises(ApiError, match="later"):
        run(operator.executor.carry_out(KEY, view, planner.plan(view, made.api.now).actions[0]))

    assert operator.store.start_failure(KEY) is None


def test_a_template_that_cannot_work_is_shown() -> None:
    made = World({"template": {"spec": {"containers": []}}})

    settle(made)

    assert made.status["reason"] == "InvalidTemplate"
    assert "containers is empty" in made.status["message"]


def test_a_conflict_means_that_the_run_is_read_again() -> None:
    made = world()
    operator = made.operators[0]
    made.suspend(value=True)  # a change that the operator has not seen

    assert operator.step()
    assert "current" not in made.status
    seen = operator.store.run(KEY)
    assert seen is not None
    assert seen.spec.suspend
    assert operator.step()
    assert made.status["current"]["podName"] == "run-i1"


def test_a_pod_that_only_lost_its_label_gets_it_back() -> None:
    made = world()
    settle(made)
    operator = made.operators[0]
    uid = made.pods()[0]["metadata"]["uid"]
    made.api.change("pods", "run-i1", {"metadata": {"labels": None}})
    operator.store.pods.forget(KEY, "run-i1", uid)
    view = operator.store.view(KEY)
    assert view is not None

    run(operator.executor.carry_out(KEY, view, ConfirmGone("run-i1", uid)))

    assert made.pods()[0]["metadata"]["labels"] == {"podrelay.dev/run": "run"}
    assert len(operator.store.pods.of(KEY)) == 1


def test_a_dead_pod_does_not_overwrite_the_answer_that_it_had_stored() -> None:
    made = world()
    settle(made)
    made.start("run-i1")
    operator = made.operators[0]
    operator.see(len(made.api.events))
    (process,) = made.processes.values()
    made.answer(process.uid, DONE)  # the operator sees the pod's end before the answer
    seen = len(made.api.events)
    made.exit("run-i1", 137)
    pod = msgspec.convert(made.api.read("pods", "run-i1"), type(operator.store.pods.of(KEY)[0]))
    operator.store.pods.apply(pod)
    operator.seen = seen

    settle(made)

    assert (made.status["phase"], made.status["reason"]) == ("Succeeded", "Done")


def test_an_answer_that_could_not_be_delivered_is_taken_from_the_termination_message() -> None:
    made = world()
    settle(made)
    made.start("run-i1")
    response = {"status": "done", "output": {"rows": 3}}
    message = msgspec.json.encode({"response": response}).decode()
    now = made.api.now.isoformat()
    terminated = {"exitCode": 1, "startedAt": now, "finishedAt": now, "message": message}
    made.api.change(
        "pods",
        "run-i1",
        {"status": {"phase": "Failed", "containerStatuses": [{"name": "task", "state": {"terminated": terminated}}]}},
    )

    settle(made)

    assert (made.status["phase"], made.status["output"]) == ("Succeeded", {"rows": 3})


def test_a_run_that_was_deleted_meanwhile_is_forgotten() -> None:
    made = world()
    made.api.remove(TASK_RUNS.plural, "run")
    operator = made.operators[0]

    assert operator.step()

    assert operator.store.run(KEY) is None
