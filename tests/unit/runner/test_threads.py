"""Threads that outlive run() are reported before their process ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dev.harness.waiting import eventually
from podrelay.runner import threads


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """The event that the threads of a test wait for; set at its end."""
    event = threading.Event()
    yield event
    event.set()


def reported(name: str) -> list[str]:
    return [words for words in threads.still_running() if words.startswith(name)]


def test_a_running_thread_is_reported_with_its_position(end: threading.Event) -> None:
    thread = threading.Thread(target=end.wait, name="upload-7")
    thread.start()

    (words,) = reported("upload-7")
    assert words.startswith("upload-7 (at wait in threading.py:")

    end.set()
    thread.join()
    assert reported("upload-7") == []


def test_daemons_and_threads_of_the_runner_are_not_reported(end: threading.Event) -> None:
    made = [
        threading.Thread(target=end.wait, name="metrics", daemon=True),
        threading.Thread(target=end.wait, name="podrelay-x"),
    ]
    for thread in made:
        thread.start()

    assert (reported("metrics"), reported("podrelay-x")) == ([], [])


def test_only_busy_workers_of_an_executor_are_reported(end: threading.Event) -> None:
    with ThreadPoolExecutor(2, thread_name_prefix="pool") as pool:
        pool.submit(int).result()
        eventually("the worker waits for more", lambda: reported("pool") == [])
        pool.submit(end.wait)
        eventually("it works", lambda: len(reported("pool")) == 1)
        end.set()
