"""Limits of one request: values, words, sorters, comparisons, and turns on the event loop."""

import asyncio
import dataclasses
import gc
import json
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import OperationDefinitionNode, get_introspection_query, parse

from podrelay.gateway import encoding
from podrelay.gateway.call import Budget, Call, Limits
from podrelay.gateway.documents import introspection, variables
from podrelay.gateway.errors import LimitError, ValidationError
from podrelay.gateway.event_loop.turns import Paced, Turns
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.query import filters, sorting
from podrelay.gateway.schema import executing
from podrelay.gateway.schema.build import build
from tests.unit.gateway.builders import definition, record, run
from tests.unit.gateway.conftest import Gateway, Start

SCHEMA = build().core
LIMIT = "BackgroundTasks/LimitExceeded"
INVALID = "BackgroundTasks/ValidationError"
LIST = """query($where: WebinyBackgroundTaskListWhereInput, $sort: [WebinyBackgroundTaskListSorter!], $search: String,
    $after: String) { backgroundTasks { listTasks(where: $where, sort: $sort, search: $search, after: $after) {
    data { id } error { code message } } } }"""


def operation(text: str) -> OperationDefinitionNode:
    (found,) = parse(text).definitions
    assert isinstance(found, OperationDefinitionNode)
    return found


# --- variables --------------------------------------------------------------------------------------------------------

WHERE = operation("query($w: WebinyBackgroundTaskListWhereInput, $i: JSON, $l: [[String]]) { a }")


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"w": {"name_in": ["x"] * 2001}}, LimitError, "more than the 2000 values"),
        ({"l": [["x"]] * 1000}, LimitError, "more than the 2000 values"),
        ({"w": {f"x{number}": 1 for number in range(5000)}}, ValidationError, "no entry 'x0'"),
        ({"w": {"x" * 500_000: 1}}, ValidationError, "no entry 'x{60}'"),
    ],
    ids=["list", "lists", "entries", "long"],
)
def test_variables_are_counted_before_they_are_processed(
    values: Any, error: type[LimitError | ValidationError], words: str
) -> None:
    with pytest.raises(error, match=words):
        variables.check(SCHEMA, WHERE, values)


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"i": {"rows": [*range(100_000)]}},
        {"w": {"name_in": ["x"] * 1990}},
        {"w": {"name_in": "x"}},
        {"w": None, "l": "x"},
        {"w": 7, "unused": ["x"] * 10_000},
    ],
)
def test_json_and_few_values_are_left_to_graphql(values: Any) -> None:
    variables.check(SCHEMA, WHERE, values)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"search": " ".join(f"w{number}" for number in range(11))}, INVALID, "more than 10 words"),
        ({"search": "x" * 1001}, INVALID, "more than 1000 characters"),
        ({"sort": ["createdOn_ASC"] * 11}, INVALID, "more than 10 sorters"),
        ({"where": {"name_not_in": ["x"] * 1001}}, INVALID, "name_not_in has more than 1000 values"),
        ({"where": {"iterations_between": [1] * 1001}}, INVALID, "more than 1000 values"),
        ({"after": "x" * 9000}, INVALID, "not a cursor"),
    ],
)
async def test_arguments_have_limits(gateway: Gateway, arguments: Any, code: str, words: str) -> None:
    error = (await gateway.ask(LIST, **arguments))["data"]["backgroundTasks"]["listTasks"]["error"]

    assert error["code"] == code
    assert words in error["message"]


async def test_the_allowed_maximum_works(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    answer = await gateway.ask(
        LIST,
        where={"name_not_in": [f"n{number}" for number in range(1000)], "id_in": ["words"]},
        sort=["createdOn_ASC"] * 10,
        search="w o r d s wo or rd ds count",
    )

    assert answer["data"]["backgroundTasks"]["listTasks"] == {"data": [{"id": "words"}], "error": None}


def test_many_conditions_are_refused() -> None:
    many = [filters.Condition("name", "not", "x")] * 51

    with pytest.raises(ValidationError, match="more than 50 entries"):
        filters.predicate({}, many, None)


def test_the_same_word_is_searched_once() -> None:
    assert filters.weight([], "a A a") == filters.weight([], "a") > filters.weight([], None)
    assert sorting.MAX_SORTERS == 10


# --- the budget of an operation ---------------------------------------------------------------------------------------


async def test_all_lists_of_an_operation_have_one_budget(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "for_operation", lambda self: dataclasses.replace(self, budget=Budget(looks=5000)))
    gateway.cache.runs.replace([run(f"r{number}") for number in range(1000)], "1")
    one = 'listTasks(where: {name_not: "x"}, sort: [name_ASC], limit: 1) { data { id } error { code message } }'
    lists = " ".join(f"l{number}: backgroundTasks {{ {one} }}" for number in range(3))

    found = [root["listTasks"] for root in (await gateway.ask(f"{{ {lists} }}"))["data"].values()]
    alone = (await gateway.ask(f"{{ backgroundTasks {{ {one} }} }}"))["data"]["backgroundTasks"]["listTasks"]

    assert LIMIT in {one["error"]["code"] for one in found if one["error"]}
    assert "narrow the list" in json.dumps(found)
    assert alone["error"] is None


async def test_payloads_have_a_limit_of_bytes(gateway: Gateway) -> None:
    root = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns"
    for number in range(90):
        gateway.cache.runs.apply(run(f"r{number}"))
        gateway.api.objects[f"{root}/r{number}"] = {"spec": {"input": {"x": "y" * 200_000}}}

    answer = await gateway.ask("{ backgroundTasks { listTasks(limit: 100) { data { input } } } }")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {LIMIT}
    assert "16 MiB" in answer["errors"][0]["message"]


@pytest.mark.parametrize("large", ["a" * 200_000, {"x": 2**70, "y": "z" * 200_000}], ids=["text", "large integer"])
async def test_an_answer_has_a_limit_although_each_object_is_read_once(gateway: Gateway, large: Any) -> None:
    root = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns"
    for number in range(5):
        gateway.cache.runs.apply(run(f"r{number}"))
        gateway.api.objects[f"{root}/r{number}"] = {"spec": {"input": {"x": large}}}
    again = " ".join(f"a{number}: input" for number in range(28))

    answer = await gateway.ask(f"{{ backgroundTasks {{ listTasks {{ data {{ {again} }} }} }} }}")

    assert {error["extensions"]["code"] for error in answer["errors"]} == {LIMIT}
    assert "The answer would have more than 16 MiB" in answer["errors"][0]["message"]
    shown = [value for task in answer["data"]["backgroundTasks"]["listTasks"]["data"] for value in task.values()]
    assert 70 < sum(value is not None for value in shown) < 90, "what fits is returned"


async def test_a_value_is_encoded_once(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.cache.runs.apply(run("r0"))
    deep: Any = "x"
    for _ in range(300):  # more than the fast encoder takes
        deep = [deep]
    gateway.api.objects["/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns/r0"] = {"spec": {"input": {"x": deep}}}
    encoded = []

    def noted(value: Any, **options: Any) -> str:
        encoded.append(value)
        return json.dumps(value, **options)

    monkeypatch.setattr(encoding, "json", SimpleNamespace(dumps=noted))
    answer = await gateway.post({"query": "{ backgroundTasks { listTasks { data { a: input b: input } } } }"})

    assert encoded == [{"x": deep}] * 2
    assert (await answer.json())["data"]["backgroundTasks"]["listTasks"]["data"] == [
        {"a": {"x": deep}, "b": {"x": deep}}
    ]


@pytest.mark.parametrize(
    ("alias", "field", "message"),
    [
        ("a", "message", "m" * 1000),
        ("a", "message", "\u0001" * 200),
        ("a", "message", "m" * 31),
        ("a" * 98, "queue { position }", "m"),
    ],
    ids=["texts", "escaped", "short", "names"],
)
async def test_small_values_count_too(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, alias: str, field: str, message: str
) -> None:
    monkeypatch.setattr(executing, "MAX_ANSWER_BYTES", 100_000)
    for number in range(100):
        gateway.cache.runs.apply(run(f"r{number}", phase="Failed", message=message))
    aliases = " ".join(f"{alias}{n:02}: {field}" for n in range(28))

    answer = await gateway.ask(f"{{ backgroundTasks {{ listTasks(limit: 100) {{ data {{ {aliases} }} }} }} }}")

    assert {error["extensions"]["code"] for error in answer["errors"]} == {LIMIT}
    assert len(json.dumps(answer["data"])) < 110_000


async def test_a_batch_has_the_answers_of_one_operation(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "for_batch", lambda self: dataclasses.replace(self, batch=Budget(answer_bytes=50_000)))
    for number in range(100):
        gateway.cache.runs.apply(run(f"r{number}", phase="Failed", message="m" * 200))
    query = "{ backgroundTasks { listTasks(limit: 100) { data { message } } } }"

    response = await gateway.post([{"query": query}] * 10)

    sizes = [len(json.dumps(one["data"])) for one in await response.json()]
    assert sizes[0] > 20_000
    assert sum(sizes) < 80_000


async def test_an_alias_must_be_short(gateway: Gateway) -> None:
    alias = "a" * 100
    assert "errors" not in await gateway.ask(f"{{ {alias}: __typename }}")

    refused = await gateway.ask(f"{{ {alias}b: __typename }}")
    assert refused["errors"][0]["extensions"]["code"] == LIMIT
    assert "has 101 characters, more than the 100 that are allowed" in refused["errors"][0]["message"]


async def test_a_refusal_of_one_list_leaves_an_answer_for_all(gateway: Gateway) -> None:
    """Lists that show the same logs share each read; a refused list no longer waits for it, but the others do."""
    for number in range(100):
        gateway.cache.runs.apply(run(f"r{number}"))
        gateway.cache.records.apply(record(f"r{number}"))
    one = "listLogs(limit: 100) { data { items { message } task { id } } error { code } }"
    lists = " ".join(f"l{number}: {one}" for number in range(12))

    answer = await gateway.ask(f"{{ backgroundTasks {{ {lists} }} }}")
    assert LIMIT in {error["extensions"]["code"] for error in answer["errors"]}


async def test_a_thousand_refused_fields_leave_little_garbage(gateway: Gateway) -> None:
    """The garbage collector frees reference cycles all at once, and blocks the event loop; they were 87,000 objects."""
    for number in range(100):
        gateway.cache.runs.apply(run(f"r{number}"))
        gateway.cache.records.apply(record(f"r{number}"))
    lists = " ".join(f"l{number}: listTasks(limit: 100) {{ data {{ logs {{ id }} }} }}" for number in range(20))
    document = f"{{ backgroundTasks {{ {lists} }} }}"
    await gateway.ask(document)
    gc.collect()
    gc.disable()
    try:
        answer = await gateway.ask(document)
        left = gc.collect()
    finally:
        gc.enable()

    assert LIMIT in {error["extensions"]["code"] for error in answer["errors"]}
    assert left < 10_000


async def test_an_internal_error_keeps_its_traceback_for_the_log(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr(Payloads, "run", fail)
    gateway.cache.runs.apply(run("words"))
    answer = await gateway.ask('{ backgroundTasks { getTask(id: "words") { data { input } } } }')

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BackgroundTasks/InternalError"]
    assert "swordfish" not in json.dumps(answer)
    assert "in fail" in caplog.text


# --- the schema itself ------------------------------------------------------------------------------------------------


async def test_graphiqls_introspection_query_is_answered(gateway: Gateway) -> None:
    text = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    answer = await gateway.ask(text)

    assert "errors" not in answer
    assert "WebinyBackgroundTask" in {kind["name"] for kind in answer["data"]["__schema"]["types"]}


async def test_the_schema_must_be_queried_alone_and_within_a_limit(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection, "MAX_FIELDS", 300)
    kind = await gateway.ask("query($n: String!) { __type(name: $n) { name } __typename }", n="JSON")
    mixed = await gateway.ask("{ ...F } fragment F on Query { __schema { __typename } backgroundTasks { __typename } }")
    long = await gateway.ask("{ __schema { types { fields { type { fields { name } } } } } }")

    assert kind["data"] == {"__type": {"name": "JSON"}, "__typename": "Query"}
    assert "separate operation, without backgroundTasks" in mixed["errors"][0]["message"]
    assert long["errors"][0]["extensions"]["code"] == LIMIT


# --- turns ------------------------------------------------------------------------------------------------------------


class Time:
    """A clock that the work of the test advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_only_one_long_work_runs_in_an_iteration_of_the_loop() -> None:
    clock = Time()
    turns, worked = Turns(clock), []

    async def work(name: int) -> None:
        for _ in range(3):
            await turns.give()
            clock.now += 0.005
            worked.append((rounds, name))

    tasks = [asyncio.create_task(work(name)) for name in range(4)]
    rounds = 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        rounds += 1

    assert len(worked) == 12
    assert len({seen for seen, _ in worked}) == 12  # each in a separate iteration
    assert [name for _, name in worked[:4]] == [0, 1, 2, 3]  # and each in turn


async def test_short_work_that_waits_shares_an_iteration_of_the_loop() -> None:
    clock = Time()
    turns, worked = Turns(clock), []

    async def work(name: int) -> None:
        await turns.give()
        clock.now += 0.0005
        worked.append((rounds, name))

    tasks = [asyncio.create_task(work(name)) for name in range(100)]
    rounds = 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        rounds += 1

    each = Counter(seen for seen, _ in worked)
    assert max(each.values()) == 8  # 4 ms
    assert len(each) < 20
    assert sorted(name for _, name in worked) == [*range(100)]
    assert [name for _, name in worked[1:]] == sorted(name for _, name in worked[1:])  # the first one need not wait


async def test_work_goes_on_if_other_things_take_all_of_the_time() -> None:
    clock = Time()
    turns = Turns(clock)
    tasks = [asyncio.create_task(turns.give()) for _ in range(20)]
    rounds = 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        clock.now += 1
        rounds += 1
        assert rounds < 100


async def test_short_work_does_not_wait() -> None:
    clock = Time()
    turns = Turns(clock)
    await turns.give()
    before = asyncio.get_running_loop().time()

    for _ in range(1000):
        await turns.give()
    assert asyncio.get_running_loop().time() - before < 5
    assert not turns._waiting


async def test_cancelled_work_does_not_delay_the_others() -> None:
    clock = Time()
    turns = Turns(clock)
    cancelled = [asyncio.create_task(turns.give()) for _ in range(3)]
    other = asyncio.create_task(turns.give())
    await asyncio.sleep(0)
    for task in cancelled:
        task.cancel()

    await asyncio.wait_for(other, 5)
    assert not turns._waiting


async def test_a_list_can_be_iterated_twice() -> None:
    items = Paced(Turns(), [1, 2, 3], str)

    assert [item async for item in items] == [item async for item in items] == ["1", "2", "3"]


async def test_lists_are_created_in_turns_and_can_have_two_names(start: Start) -> None:
    gateway = await start(limits=Limits(max_page=1000))
    gateway.cache.runs.replace([run(f"r{number}") for number in range(300)], "1")
    gateway.cache.definitions.replace([definition(f"d{number}", f"d{number}") for number in range(300)], "1")
    gateway.cache.records.apply(record("r1"))
    answer = await gateway.ask(
        """{ backgroundTasks { listTasks(limit: 300) { data { id } again: data { id } } listDefinitions { data { id } }
             listLogs { data { id } } getTask(id: "r1") { data { logs { id } } } } }"""
    )
    found = answer["data"]["backgroundTasks"]

    assert len(found["listTasks"]["data"]) == 300
    assert found["listTasks"]["again"] == found["listTasks"]["data"]
    assert len(found["listDefinitions"]["data"]) == 300
    assert found["listLogs"]["data"] == found["getTask"]["data"]["logs"] == [{"id": "r1-i1"}]


async def test_a_large_input_is_processed_outside_the_event_loop(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())
    document = """mutation($i: JSON) { backgroundTasks {
        triggerTask(definition: "countWords", input: $i) { data { id } error { code message } } } }"""
    rows = {"rows": [0] * 120_000}
    before = time.thread_time()
    fine = await gateway.ask(document, i=rows)
    spent = time.thread_time() - before
    large = await gateway.ask(document, i={"rows": [0] * 200_000})

    assert fine["data"]["backgroundTasks"]["triggerTask"]["error"] is None
    assert spent < 1
    assert "the limit is 262144" in large["data"]["backgroundTasks"]["triggerTask"]["error"]["message"]
