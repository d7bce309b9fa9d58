"""The input of a run's first pod comes from memory if it is small, otherwise from the API server."""

import sys
from typing import Any

import msgspec
import pytest

from podrelay.kube.resources import TASK_RUNS, Resource
from podrelay.local.memory_client import run
from podrelay.operator.executor.payloads import Payloads, State
from podrelay.operator.objects.runs import KEPT_INPUT_BYTES, TaskRun, TaskRunStatus
from podrelay.operator.plan import Target
from podrelay.operator.view import View
from tests.support.modelapi import ModelApi
from tests.support.projections import seen
from tests.unit.operator.builders import KEY, NOW

FIRST = Target(1, 1, "words-i1", None, None, is_final_attempt=True)


class Api(ModelApi):
    """Counts the reads."""

    gets = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        self.gets += 1
        return await super().get(resource, namespace, name)


@pytest.fixture
def api() -> Api:
    return Api(NOW)


def make(api: Api, **spec: Any) -> TaskRun:
    """A run, as the operator sees it."""
    run(api.create(TASK_RUNS, KEY.namespace, {"metadata": {"name": KEY.name}, "spec": {"definition": "w", **spec}}))
    return seen(api.read("taskruns", KEY.name), TaskRun)


def state_for(api: Api, made: TaskRun) -> State:
    return run(Payloads(api).state_for(KEY, View(made, None, NOW), FIRST))


def of_size(size: int) -> dict[str, str]:
    return {"text": "x" * (size - len('{"text":""}'))}


@pytest.mark.parametrize(
    "input",
    [
        {},
        {"null": None, "true": True, "nested": {"list": [1, [], {}, None]}, "": ""},
        {"largest": 2**63 - 1, "smallest": -(2**63), "float": 0.1, "tiny": 5e-324, "huge": 1.7976931348623157e308},
        {"text": 'Füße 🙂 \u2028 </script> & "quoted" \\ $(NAME) $$', "schlüssel": "\x00\n"},
        of_size(KEPT_INPUT_BYTES),
    ],
    ids=["empty", "kinds", "numbers", "text", "largest kept input"],
)
def test_a_small_input_is_not_read_again_and_stays_unchanged(api: Api, input: dict[str, Any]) -> None:
    made = make(api, input=input)

    state = state_for(api, made)

    assert state == State(input)
    assert msgspec.json.encode(state.input) == msgspec.json.encode(input)  # 1, 1.0 and True are equal, but not as JSON
    assert api.gets == 0


def test_a_run_without_an_input_starts_from_an_empty_one(api: Api) -> None:
    assert state_for(api, make(api)) == State({})
    assert api.gets == 0


def test_a_large_input_is_read_again(api: Api) -> None:
    large = of_size(KEPT_INPUT_BYTES + 1)

    assert state_for(api, make(api, input=large)) == State(large)
    assert api.gets == 1


def test_neither_a_large_input_nor_the_input_of_a_finished_run_is_kept_in_memory(api: Api) -> None:
    small = make(api, input={"n": 1})
    finished = msgspec.structs.replace(small, status=TaskRunStatus(phase="Succeeded"))
    large = seen({"metadata": small.metadata, "spec": {"definition": "w", "input": of_size(4096)}}, TaskRun)

    assert [len(known.spec.input) for known in (small, finished, large)] == [len('{"n":1}'), 0, 0]


def test_a_kept_input_does_not_keep_the_response_that_it_was_read_from(api: Api) -> None:
    make(api, input={"n": 1})
    read = msgspec.json.encode(api.read("taskruns", KEY.name))
    holders = sys.getrefcount(read)

    made = msgspec.json.decode(read, type=TaskRun)

    assert bytes(made.spec.input) == b'{"n":1}'
    assert sys.getrefcount(read) == holders
