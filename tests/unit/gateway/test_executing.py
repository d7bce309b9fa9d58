"""Operations are executed field by field, within limits, and leave little garbage."""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from podrelay.gateway.event_loop import turns
from podrelay.gateway.schema import executing
from podrelay.gateway.schema.executing import MAX_FAILED_FIELDS
from tests.unit.gateway.builders import definition, run
from tests.unit.gateway.conftest import Gateway

SORTED = """query($s: [WebinyBackgroundTaskListSorter!]) { backgroundTasks { listTasks(sort: $s) { data { id } } } }"""


def many(field: str) -> str:
    return " ".join(f"a{number}: {field}" for number in range(28))


def listed(fields: str) -> str:
    return f"{{ backgroundTasks {{ listTasks(limit: 100) {{ data {{ id {fields} }} error {{ code }} }} }} }}"


@pytest.fixture(autouse=True)
def runs(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())
    gateway.cache.runs.replace(
        [run(f"r{number}", spec={"parent": "r0"} if number else {}) for number in range(100)], "1"
    )


async def most_tasks(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result, and how many tasks of asyncio there were at most."""
    working = asyncio.create_task(work())
    most = 0
    while not working.done():
        await asyncio.sleep(0)
        most = max(most, len(asyncio.all_tasks()))
    return working.result(), most


async def test_the_objects_of_a_list_are_completed_some_at_a_time(gateway: Gateway) -> None:
    answer, most = await most_tasks(lambda: gateway.ask(listed(many("childCounts { count }"))))

    found = answer["data"]["backgroundTasks"]["listTasks"]["data"]
    assert len(found) == 100
    assert all(one[f"a{number}"] is not None for one in found for number in range(28))
    assert {one["id"] for one in found} == {f"r{number}" for number in range(100)}
    assert most < 300  # of 2,900


async def test_attributes_need_nothing_of_what_resolvers_are_called_with(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: Counter[str] = Counter()
    original = executing.Execution.build_resolve_info

    def build(self: Any, field_def: Any, field_nodes: Any, *rest: Any) -> Any:
        resolved[field_nodes[0].name.value] += 1
        return original(self, field_def, field_nodes, *rest)

    monkeypatch.setattr(executing.Execution, "build_resolve_info", build)
    answer = await gateway.ask(listed("taskStatus iterations startedOn definitionId __typename parent { id }"))

    tasks = answer["data"]["backgroundTasks"]["listTasks"]["data"]
    assert (tasks[0]["taskStatus"], tasks[0]["startedOn"], tasks[0]["definitionId"]) == ("pending", None, "countWords")
    assert not {"taskStatus", "iterations", "startedOn", "definitionId", "id"} & set(resolved)
    assert (resolved["__typename"], resolved["parent"]) == (100, 100)


async def test_an_attribute_that_is_no_valid_value_is_an_error_in_its_place(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("r0", max_iterations=2**40))

    answer = await gateway.ask('{ backgroundTasks { getTask(id: "r0") { data { id maxIterations } } } }')

    assert answer["data"]["backgroundTasks"]["getTask"]["data"]["id"] == "r0"
    assert answer["errors"][0]["path"][-1] == "maxIterations"


async def test_null_for_what_cannot_be_null_is_a_bug(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.cache.runs.apply(run("r0", attempts=None))

    answer = await gateway.ask('{ backgroundTasks { getTask(id: "r0") { data { id attempts } } } }')

    assert answer["data"]["backgroundTasks"]["getTask"]["data"] is None
    assert "Cannot return null" in caplog.text
    assert "Cannot return null" not in str(answer["errors"])


async def test_fields_that_wait_for_one_response_are_completed_one_after_another(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.api.objects["/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns/r0"] = {"spec": {"input": {"x": "y"}}}
    monkeypatch.setattr(turns, "SLICE_SECONDS", 0)
    rounds, completed = 0, []

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    def encode(value: Any) -> bytes:
        completed.append(rounds)
        return json.dumps(value).encode()

    monkeypatch.setattr(executing, "encode_value", encode)
    counting = asyncio.create_task(count())
    await gateway.ask(f'{{ backgroundTasks {{ getTask(id: "r0") {{ data {{ {many("input")} }} }} }} }}')
    counting.cancel()

    assert len(completed) == 28
    assert max(Counter(completed).values()) == 1


async def test_lists_in_lists_share_the_number(gateway: Gateway) -> None:
    inner = f"children(limit: 99) {{ data {{ {many('ancestors { id }')} }} }}"

    answer, most = await most_tasks(
        lambda: gateway.ask(f'{{ backgroundTasks {{ getTask(id: "r0") {{ data {{ {inner} }} }} }} }}')
    )

    assert answer["data"] is None  # too many rows
    assert most < 300


async def test_an_error_in_an_item_is_in_its_place(gateway: Gateway) -> None:
    """Of 28 lists of one ancestor for each of 99 tasks, only the first thousand rows may be returned."""
    answer = await gateway.ask(
        "{ backgroundTasks { listTasks(limit: 100) { data { id "
        + " ".join(f"a{n}: ancestors {{ id }}" for n in range(14))
        + " } } } }"
    )

    failed = {(*error["path"],) for error in answer["errors"]}
    found = answer["data"]["backgroundTasks"]["listTasks"]["data"]
    nulls = {
        ("backgroundTasks", "listTasks", "data", index, f"a{n}")
        for index, one in enumerate(found)
        for n in range(14)
        if one[f"a{n}"] is None
    }
    assert failed == nulls
    assert 300 < len(failed) < MAX_FAILED_FIELDS


async def test_too_many_failed_fields_are_one_error(gateway: Gateway) -> None:
    answer = await gateway.ask(listed(many("ancestors { id }")))

    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BackgroundTasks/LimitExceeded"
    assert "More than 1000 fields have failed" in error["message"]
    assert "ask for less at once" in error["message"]
    assert "more than 1000 tasks and logs" in error["message"]


@pytest.mark.parametrize("fields", ["name", "ancestors { id }", "a0: ancestors { id } " * 1 + many("ancestors { id }")])
async def test_an_operation_leaves_little_garbage(gateway: Gateway, fields: str) -> None:
    """A full garbage collection blocks the event loop. An executor that refers to itself keeps all errors."""
    await gateway.ask(listed(fields))
    gc.collect()
    gc.disable()
    try:
        await gateway.ask(listed(fields))
        assert gc.collect() < 300
    finally:
        gc.enable()


async def test_one_wrong_value_gets_a_suggestion_but_not_many(gateway: Gateway) -> None:
    one = await gateway.ask(SORTED, s=["nameASC"])
    many = await gateway.ask(SORTED, s=["nameASC"] * 100)

    assert "Did you mean the enum value 'name_ASC'" in one["errors"][0]["message"]
    assert len(many["errors"]) == 51
    assert not any("Did you mean" in error["message"] for error in many["errors"])
