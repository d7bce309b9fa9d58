"""The traceback of a failed task begins in the author's code, as if nothing had called it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podrelay.runner import tracebacks
from podrelay.sdk.calling import call
from podrelay.sdk.errors import TaskModuleError
from podrelay.sdk.loading import load_definition

TASK = """
from podrelay import TaskDefinition

raise LookupError("no such shop")

class Nothing(TaskDefinition):
    id = "nothing"
    title = "Nothing"
"""


def files_shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [Path(line.split('"')[1]).name for line in lines if line.lstrip().startswith("File ")]


def without_the_test(error: BaseException) -> BaseException:
    """Remove the frame of the test, which calls what the runner calls in a pod."""
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)


def fail(*_: Any) -> None:
    raise ConnectionError("refused")


async def fail_later(*_: Any) -> None:
    fail()


@pytest.mark.parametrize("function", [fail, fail_later])
def test_the_callers_of_a_task_are_not_shown(function: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        call(function)
    except ConnectionError as error:
        tracebacks.show(without_the_test(error))

    assert set(files_shown(capsys)) == {"test_tracebacks.py"}


def test_an_import_that_fails_shows_only_the_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tasks.py").write_text(TASK, encoding="utf-8")

    with pytest.raises(TaskModuleError) as failed:
        load_definition(str(tmp_path / "tasks.py"))
    tracebacks.show(without_the_test(failed.value))

    assert files_shown(capsys) == ["tasks.py"]


def test_an_error_of_podrelay_itself_is_shown_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError) as failed:
        call(lambda: None, 1)
    tracebacks.show(without_the_test(failed.value))

    assert files_shown(capsys) == ["calling.py"]
