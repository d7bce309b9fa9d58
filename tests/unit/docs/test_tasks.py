"""The tables of docs/tasks.md: every class variable, with its actual default."""

import re

from dev.tools import reference
from podrelay import TaskDefinition
from podrelay.api.task_definition import RetryPolicy
from tests.support.docpages import DOCS

PAGE = (DOCS / "tasks.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[str, str]]:
    """Return the name and default in each row of all tables with this heading."""
    tables = re.findall(rf"^\| {re.escape(heading)} \| default \| \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [row for table in tables for row in re.findall(r"^\| `(\w+)` \| `?(.*?)`? \|", table, re.MULTILINE)]


def test_the_guide_lists_each_class_variable_once() -> None:
    assert sorted(name for name, _ in rows("class variable")) == sorted(TaskDefinition.__annotations__)


def test_the_guide_has_the_actual_defaults() -> None:
    required = {"id": "required", "title": "required"}
    defaults = dict.fromkeys(TaskDefinition.__annotations__, "None") | reference.resource_defaults() | required

    assert {name: defaults[name] for name, _ in rows("class variable")} == dict(rows("class variable"))


def test_the_guide_lists_each_key_of_retry() -> None:
    policy = RetryPolicy().model_dump(mode="json", by_alias=True)

    assert dict(rows("key of `retry`")) == {key: reference.literal(value) for key, value in policy.items()}
