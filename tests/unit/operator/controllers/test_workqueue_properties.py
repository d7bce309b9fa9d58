"""In any sequence of adds, failures and completions, no key is lost, duplicated, or delayed by other groups."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.operator.controllers.workqueue import WorkQueue
from tests.unit.operator.virtual_time import run_virtually

Key = tuple[str, str, int]
"""Namespace, definition, number."""

keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 3))
moves = st.lists(
    st.one_of(
        st.tuples(st.just("add"), keys),
        st.tuples(st.just("later"), keys),
        st.tuples(st.sampled_from(["take", "succeed", "fail", "wait"]), st.none()),
    ),
    max_size=80,
)


def group_of(key: Key) -> tuple[str, str]:
    return key[:2]


async def taken_at_once(queue: WorkQueue[Key]) -> Key | None:
    """Take a key if there is one that may be processed."""
    try:
        async with asyncio.timeout(0.001):
            return await queue.get()
    except TimeoutError:
        return None


@settings(max_examples=400, deadline=None)
@given(moves)
def test_no_key_is_lost_and_none_is_processed_twice_at_once(steps: list[tuple[str, Key | None]]) -> None:
    async def main() -> None:
        queue: WorkQueue[Key] = WorkQueue(group_of, most_in_progress=8)
        wanted: set[Key] = set()
        working: list[Key] = []
        for step, key in steps:
            match step:
                case "add" if key is not None:
                    queue.add(key)
                    wanted.add(key)
                case "later" if key is not None:
                    queue.add_after(key, 5)
                    wanted.add(key)
                case "take":
                    taken = await taken_at_once(queue)
                    if taken is not None:
                        assert taken not in working
                        working.append(taken)
                        wanted.discard(taken)
                case "succeed" | "fail" if working:
                    given_back = working.pop(0)
                    if step == "fail":
                        queue.retry(given_back, is_held=True)
                        wanted.add(given_back)
                    else:
                        queue.succeeded(given_back)
                    queue.done(given_back)
                case "wait":
                    await asyncio.sleep(2)
            at_work = Counter(group for key in working for group in ((), key[:1], key[:2]))
            assert all(number <= 8 >> len(group) for group, number in at_work.items())
        for key in working:
            queue.done(key)
        await asyncio.sleep(120)  # all backoff is over
        rest: list[Key] = []
        while (left := await taken_at_once(queue)) is not None:
            rest.append(left)
            queue.done(left)
        assert wanted <= set(rest)
        assert len(rest) == len(set(rest))
        assert len(queue) == 0
        assert queue.oldest_seconds == 0

    run_virtually(main())


@given(st.lists(keys, max_size=60), st.integers(0, 30))
def test_a_key_that_comes_late_waits_for_one_key_of_each_other_group(burst: list[Key], taken_before: int) -> None:
    async def main() -> None:
        queue: WorkQueue[Key] = WorkQueue(group_of)
        for key in burst:
            queue.add(key)
        for _ in range(min(taken_before, len(queue))):
            queue.done(await queue.get())

        queue.add(("late", "lone", 0))

        before: list[Key] = []
        while (key := await queue.get()) != ("late", "lone", 0):
            queue.done(key)
            before.append(key)
        namespaces = [key[0] for key in before]
        assert len(namespaces) == len(set(namespaces)), "at most one of each other namespace"

    run_virtually(main())


@given(st.lists(keys, max_size=60))
def test_definitions_of_one_namespace_take_turns(burst: list[Key]) -> None:
    async def main() -> None:
        queue: WorkQueue[Key] = WorkQueue(group_of)
        for key in burst:
            queue.add(key)

        queue.add(("a", "lone", 0))

        before: list[Key] = []
        while (key := await queue.get()) != ("a", "lone", 0):
            queue.done(key)
            before.append(key)
        definitions = [key[1] for key in before if key[0] == "a"]
        assert len(definitions) == len(set(definitions)), "at most one of each other definition"

    run_virtually(main())
