"""Bounded buffers: the newest state wins, and dropped items are counted at the place where they are missing."""

import asyncio

import pytest

from podrelay.gateway.query.buffers import Closed, Newest, NewestByKey


async def test_the_newest_state_of_each_key_waits() -> None:
    buffer: NewestByKey[int] = NewestByKey(10)
    for key, item in (("a", 1), ("b", 2), ("a", 3)):
        buffer.put(key, item)

    assert [await buffer.get(), await buffer.get()] == [(3, 0), (2, 0)]


async def test_beyond_the_limit_the_oldest_key_is_dropped_and_counted() -> None:
    buffer: NewestByKey[int] = NewestByKey(2)
    for number in range(5):
        buffer.put(number, number)

    assert await buffer.get() == (3, 3)
    assert await buffer.get() == (4, 0)


async def test_a_waiting_reader_is_woken() -> None:
    buffer: NewestByKey[int] = NewestByKey(2)
    waiting = asyncio.create_task(buffer.get())
    await asyncio.sleep(0)
    buffer.put("a", 1)

    assert await waiting == (1, 0)


async def test_dropped_lines_leave_a_gap_where_they_were() -> None:
    buffer: Newest[int] = Newest(2)
    for number in range(5):
        buffer.put(number)

    assert [await buffer.get() for _ in range(3)] == [(None, 3), (3, 0), (4, 0)]


async def test_a_closed_buffer_is_read_to_its_end_first() -> None:
    buffer: Newest[int] = Newest(5)
    buffer.put(1)
    buffer.close(ValueError("no"))
    buffer.close()

    assert await buffer.get() == (1, 0)
    with pytest.raises(ValueError, match="no"):
        await buffer.get()


async def test_closing_an_empty_buffer_ends_a_waiting_reader() -> None:
    buffer: Newest[int] = Newest(5)
    waiting = asyncio.create_task(buffer.get())
    await asyncio.sleep(0)
    buffer.close()

    with pytest.raises(Closed):
        await waiting
