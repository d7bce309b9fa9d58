"""The process that checks inputs, used by a program without an event loop."""

import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from podrelay.schemas.blocking import BlockingChecker
from podrelay.schemas.protocol import TOO_COMPLEX
from tests.unit.schemas.test_process import TREE, Import, nested

SCHEMA = Import.model_json_schema()
MISSING = {"url": {"code": "missing", "message": "Field required", "data": {"path": ["url"]}}}


@pytest.fixture
def checker() -> Iterator[BlockingChecker]:
    made = BlockingChecker()
    yield made
    made.close()


def test_invalid_fields_are_reported(checker: BlockingChecker) -> None:
    assert checker.check(SCHEMA, {"url": "x"}) == {}
    assert checker.check(SCHEMA, {"text": "x" * 300_000, "lines": "\n"}) == MISSING


def test_several_threads_use_one_process(checker: BlockingChecker) -> None:
    found: list[Any] = []

    def ask(input: dict[str, Any]) -> None:
        found.append((input, checker.check(SCHEMA, input)))

    threads = [threading.Thread(target=ask, args=({"url": "x"} if n % 2 else {},)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fields == (MISSING if not given else {}) for given, fields in found) == [True] * 8


def test_an_input_that_takes_too_long_is_reported_as_by_the_operator(checker: BlockingChecker) -> None:
    assert checker.check(TREE, nested(30, "wrong")) == TOO_COMPLEX
    assert checker.check(TREE, nested(3, None)) == {}


@pytest.mark.parametrize("schema", [{"type": "text"}, {"$ref": "https://example.org/x.json"}])
def test_an_invalid_schema_is_left_to_the_operator(checker: BlockingChecker, schema: dict[str, Any]) -> None:
    assert checker.check(schema, {}) is None


def test_a_killed_process_is_started_again(checker: BlockingChecker) -> None:
    checker.check(SCHEMA, {})
    assert checker._process is not None
    checker._process.send_signal(signal.SIGKILL)

    assert checker.check(SCHEMA, {}) == MISSING


def test_an_idle_process_ends_by_itself() -> None:
    checker = BlockingChecker(idle_seconds=0.01)
    checker.check(SCHEMA, {})
    process = checker._process
    assert process is not None

    assert process.wait(20) == -signal.SIGALRM
    assert checker.check(SCHEMA, {}) == MISSING
    checker.close()


@pytest.mark.parametrize("program", [("false",), ("/no/such/program",), (sys.executable, "-c", "print('ready')")])
def test_without_a_process_nothing_is_reported(program: tuple[str, ...]) -> None:
    checker = BlockingChecker(program)

    assert checker.check(SCHEMA, {}) is None
    checker.close()


def test_in_a_program_other_than_python_nothing_is_started(
    checker: BlockingChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")

    assert checker.check(SCHEMA, {}) is None


def test_closing_ends_the_process(checker: BlockingChecker) -> None:
    checker.check(SCHEMA, {})
    process = checker._process
    assert process is not None

    checker.close()

    assert process.returncode == 0
