"""The rules for definition classes, checked when the class is defined."""

from typing import Any

import pytest

from podrelay.sdk import checking
from podrelay.sdk.controller import Controller
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError, DefinitionWarning


def define(**variables: Any) -> type[TaskDefinition]:
    return type("Example", (TaskDefinition,), variables)


def refused(words: str, **variables: Any) -> None:
    """Define an invalid class: there is an immediate warning, and using the class is an error."""
    with pytest.warns(DefinitionWarning, match=words):
        cls = define(run=lambda self, input, controller: None, **variables)
    with pytest.raises(DefinitionError, match=f"^Example: .*{words}"):
        checking.check(cls)


@pytest.mark.parametrize("definition_id", ["a", "importProducts", "import2", "http2Proxy", "planB"])
def test_an_id_in_camel_case_is_accepted(definition_id: str) -> None:
    assert define(id=definition_id, title="Example").id == definition_id


@pytest.mark.parametrize("definition_id", ["", "ImportProducts", "import-products", "import_products", "1st", "ä", 5])
def test_an_invalid_id_is_rejected_with_an_example_of_a_valid_one(definition_id: Any) -> None:
    refused("must be in camelCase format, for example", id=definition_id, title="Example")


@pytest.mark.parametrize("variables", [{}, {"title": ""}, {"title": None}, {"title": 5}])
def test_a_definition_needs_a_title(variables: dict[str, Any]) -> None:
    refused("has no title", id="example", **variables)


def test_a_base_class_without_id_is_allowed_and_may_set_the_title() -> None:
    class Base(TaskDefinition):
        title = "Shared"

    class Example(Base):
        id = "example"

    assert (Example.id, Example.title) == ("example", "Shared")


def test_a_definition_without_run_raises_a_clear_error() -> None:
    with pytest.raises(NotImplementedError, match=r"Example has no method run\(self, input, controller\)"):
        define(id="example", title="Example")().run({}, Controller(None))  # type: ignore[arg-type]
