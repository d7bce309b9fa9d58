"""Documents before their execution: limits that are cheap to check, and the cache of valid documents."""

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Callable

import pytest
from graphql import GraphQLError, get_introspection_query, parse

from podrelay.gateway.documents import shapes
from podrelay.gateway.documents.reader import TOKEN_BYTES, InvalidError, Reader
from podrelay.gateway.documents.shapes import DocumentLimits
from podrelay.gateway.errors import LimitError
from podrelay.gateway.event_loop import offloop
from podrelay.gateway.event_loop.offloop import OffLoop
from podrelay.gateway.schema.build import build
from tests.unit.gateway.conftest import Gateway

SCHEMA = build().core
HELLO = "{ backgroundTasks { __typename } }"


def doubling(count: int) -> str:
    """Return a document of 2^count fields in `count` fragments, each of which spreads the next one twice."""
    inner = (f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(count))
    return "{ ...F0 } " + " ".join(inner) + f" fragment F{count} on Query {{ a: __typename }}"


def checked(text: str) -> None:
    shapes.check(parse(text), DocumentLimits())


async def test_fragments_that_spread_each_other_twice_are_refused_at_once(gateway: Gateway) -> None:
    before = time.thread_time()
    answer = await gateway.ask(doubling(40))

    assert answer["errors"][0]["extensions"]["code"] == "BackgroundTasks/LimitExceeded"
    assert time.thread_time() - before < 1  # without the check, 2^40 steps


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (doubling(12), "4096 fields"),
        (doubling(48), "millions of fields"),
        (doubling(6), "64 aliases"),
        (
            "{" + " ".join(f"...F{n}" for n in range(50)) + "}" + "fragment F on Query {__typename}" * 50,
            "51 operations",
        ),
        ("{ " + "__typename " * 101 + "}", "__typename 101 times"),
        ("{ a { ...F } } fragment F on A { " + "b { " * 15 + "c" + " }" * 16, "16 levels of nested fields"),
        ("{ a: b ...F ...F } fragment F on A { " + " ".join(f"a{n}: b{n}" for n in range(15)) + "}", "31 aliases"),
    ],
    ids=["fields", "millions", "aliases", "definitions", "same", "depth", "spread-aliases"],
)
def test_a_refusal_names_the_limit_and_says_what_to_do(text: str, words: str) -> None:
    with pytest.raises(LimitError, match=words) as refused:
        checked(text)

    assert ": " in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{ a { ...F } } fragment F on A { " + "b { " * 14 + "c" + " }" * 15,
        "{ ...Nope }",
        "{ ...F } fragment F on A { ...Nope b }",
        "{ __schema { " + "__type { " * 30 + "b" + "}" * 31 + " }",
        get_introspection_query(),
    ],
)
def test_documents_within_the_limits_are_left_to_the_validation(text: str) -> None:
    checked(text)


@pytest.mark.parametrize(
    "text", ["{ ...A } fragment A on Q { ...A }", "{ x } fragment A on Q { b { ...B } } fragment B on Q { ...A }"]
)
def test_fragments_in_a_circle_are_reported(text: str) -> None:
    with pytest.raises(GraphQLError, match="circle: "):
        checked(text)


async def test_a_document_is_parsed_once() -> None:
    reader, line = Reader(SCHEMA, DocumentLimits()), OffLoop()

    first, second = await asyncio.gather(reader.read(HELLO, line, "alice"), reader.read(HELLO, line, "alice"))

    assert first is second
    assert await reader.read(HELLO, line, "bob") is first


async def test_invalid_documents_are_not_kept() -> None:
    reader, line = Reader(SCHEMA, DocumentLimits()), OffLoop()

    for text in ("{", "{ nonsense }", "{ " + "__typename " * 200 + "}"):
        for _ in range(2):
            with pytest.raises((InvalidError, LimitError)):
                await reader.read(text, line, "alice")

    assert not reader._kept
    assert not reader._reading


async def test_kept_documents_have_a_limit_of_bytes() -> None:
    tokens = len(HELLO.split()) + 4  # two for a name, and both ends
    reader, line = Reader(SCHEMA, DocumentLimits(), kept_bytes=3 * tokens * TOKEN_BYTES), OffLoop()

    for number in range(20):
        await reader.read(f"query Q{number} {HELLO}", line, "alice")
        await reader.read(f"query Q0 {HELLO}", line, "alice")

    assert len(reader._kept) == 3
    assert f"query Q0 {HELLO}" in reader._kept  # used again and again
    assert reader._left >= 0


async def test_a_large_document_is_refused_before_it_is_parsed() -> None:
    reader, line = Reader(SCHEMA, DocumentLimits(size=100)), OffLoop()

    for text in ("#" * 101, "#" + "ä" * 50):
        with pytest.raises(LimitError, match="longer than the 100 bytes"):
            await reader.read(text, line, "alice")
    with pytest.raises(LimitError, match="more than the 2000 tokens"):
        await Reader(SCHEMA, DocumentLimits()).read("{" + "a " * 2000 + "}", line, "alice")


async def test_a_caller_with_many_unknown_documents_keeps_others_waiting_for_one_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offloop, "MAX_WAITING", 3)
    line, go, done = OffLoop(), threading.Event(), []

    def work(name: str) -> Callable[[], None]:
        def act() -> None:
            go.wait(10)
            done.append(name)

        return act

    tasks = [asyncio.create_task(line.run("alice", work(f"alice {number}"))) for number in range(3)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(line.run("bob", work("bob"))))
    await asyncio.sleep(0)
    with pytest.raises(LimitError, match="fewer at once"):
        await line.run("alice", work("too much"))
    go.set()
    await asyncio.gather(*tasks)

    assert done == ["alice 0", "bob", "alice 1", "alice 2"]
    assert not line._lines


async def test_a_cancelled_request_leaves_the_document_to_the_others() -> None:
    reader, line = Reader(SCHEMA, DocumentLimits()), OffLoop()
    first = asyncio.create_task(reader.read(HELLO, line, "alice"))
    second = asyncio.create_task(reader.read(HELLO, line, "alice"))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).definitions


async def test_few_mistakes_get_suggestions_and_many_do_not(gateway: Gateway) -> None:
    few = await gateway.ask("{ backgroundTask { __typename } }")
    wrong = " ".join(f"revisionFirstPublishedOn_betwee{n}: 1" for n in range(40))
    many = await gateway.ask(f"{{ backgroundTasks {{ listTasks(where: {{ {wrong} }}) {{ data {{ id }} }} }} }}")

    assert "Did you mean 'backgroundTasks'?" in few["errors"][0]["message"]
    assert len(many["errors"]) == 11
    assert not any("Did you mean" in error["message"] for error in many["errors"])


@pytest.mark.parametrize("spoiled", ["", " nonsense", " }", " nonsense" * 100])
async def test_reading_a_document_leaves_little_garbage(spoiled: str) -> None:
    """Validation rules and tokens form reference cycles, and a full garbage collection blocks the event loop."""
    lists = " ".join(f"a{number}: listTasks {{ data {{ id name {spoiled} }} }}" for number in range(29))
    text = f"{{ backgroundTasks {{ {lists} }} }}"
    reader, line = Reader(SCHEMA, DocumentLimits()), OffLoop()
    with contextlib.suppress(InvalidError, LimitError):
        await reader.read(text.replace("name", "name reason"), line, "alice")  # creates what stays in memory
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(InvalidError, LimitError):
            await reader.read(text, line, "alice")
        assert gc.collect() < 1000  # without the clean-up 2,000 and more, mostly tokens and objects of the rules
    finally:
        gc.enable()
        line.close()
