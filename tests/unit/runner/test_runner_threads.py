"""Threads that outlive run() are told before their process ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from podrelay.runner import threads
from tests.support.waiting import eventually


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """What the threads of a test wait for; set at its end."""
    event = threading.Event()
    yield event
    event.set()


def told(name: str) -> list[str]:
    return [words for words in threads.still_running() if words.startswith(name)]


def test_a_thread_at_work_is_told_with_its_place(end: threading.Event) -> None:
    thread = threading.Thread(target=end.wait, name="upload-7")
    thread.start()

    (words,) = told("upload-7")
    assert words.startswith("upload-7 (at wait in threading.py:")

    end.set()
    thread.join()
    assert told("upload-7") == []


def test_daemons_and_our_own_are_not_told(end: threading.Event) -> None:
    made = [
        threading.Thread(target=end.wait, name="metrics", daemon=True),
        threading.Thread(target=end.wait, name="podrelay-x"),
    ]
    for thread in made:
        thread.start()

    assert (told("metrics"), told("podrelay-x")) == ([], [])


def test_of_an_executor_only_the_workers_that_have_work_are_told(end: threading.Event) -> None:
    with ThreadPoolExecutor(2, thread_name_prefix="pool") as pool:
        pool.submit(int).result()
        eventually("the worker waits for more", lambda: told("pool") == [])
        pool.submit(end.wait)
        eventually("it works", lambda: len(told("pool")) == 1)
        end.set()
