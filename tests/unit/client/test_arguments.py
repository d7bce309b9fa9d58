"""The caller's arguments are checked before anything is sent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

from podrelay import Controller, TaskDefinition
from podrelay.client import DefinitionNotFoundError, InvalidInputError, arguments


class ShopInput(BaseModel):
    url: str
    pages: int = Field(default=1, gt=0)


class ImportShop(TaskDefinition):
    id = "importShop"
    title = "Import a shop"

    def run(self, input: ShopInput, controller: Controller) -> Any: ...


class Needy(TaskDefinition):
    id = "needy"
    title = "Needs the cluster"

    def create_input_validation(self) -> Any:
        raise OSError("no database here")

    def run(self, input: ShopInput, controller: Controller) -> Any: ...


class Plain(TaskDefinition):
    id = "plain"
    title = "Takes anything"

    def run(self, input: dict[str, Any], controller: Controller) -> Any: ...


@pytest.mark.parametrize("definition", ["importShop", "import-shop", ImportShop])
def test_a_definition_is_an_id_a_name_or_the_class(definition: Any) -> None:
    assert arguments.definition_name(definition) == "import-shop"


@pytest.mark.parametrize(
    ("definition", "given", "stored"),
    [
        ("importShop", None, {}),
        ("importShop", {"anything": [1, None]}, {"anything": [1, None]}),
        (Plain, {"a": 1}, {"a": 1}),
        (ImportShop, {"url": "u", "kept": True}, {"url": "u", "kept": True}),
        (ImportShop, ShopInput(url="u"), {"url": "u", "pages": 1}),
        (Needy, {"url": "u"}, {"url": "u"}),
    ],
)
def test_a_valid_input_is_stored_as_given(definition: Any, given: Any, stored: dict[str, Any]) -> None:
    assert arguments.checked_input(definition, given) == stored


@pytest.mark.parametrize(
    ("definition", "given", "fields"),
    [
        (ImportShop, {"pages": 0}, {"url", "pages"}),
        (Needy, {"url": 3}, {"url"}),
        ("importShop", {"a": float("nan")}, {"input"}),
        ("importShop", {"a": "x" * 300_000}, {"input"}),
        ("importShop", [1], {"input"}),
        ("importShop", {"a": {1}}, {"input"}),
    ],
)
def test_each_invalid_field_is_named(definition: Any, given: Any, fields: set[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        arguments.checked_input(definition, given)

    assert set(caught.value.data["invalidFields"]) == fields
    assert all(set(field) == {"code", "message", "data"} for field in caught.value.data["invalidFields"].values())


def test_the_arguments_of_a_run_are_checked() -> None:
    wanted = arguments.checked_run(ImportShop, {"url": "a"}, delay=timedelta(hours=1), name="Later")

    assert (wanted.definition, wanted.delay_seconds, wanted.name) == ("import-shop", 3600, "Later")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delay": 1.5}, "delay: must be a whole number of seconds, not 1.5"),
        ({"delay": timedelta(days=355)}, "delay: must be shorter than 30672000 seconds"),
        ({"start_at": datetime(2026, 1, 2)}, "start_at: needs a time zone: 2026-01-02T00:00:00Z is UTC"),
        ({"start_at": datetime(2026, 1, 2, tzinfo=UTC), "delay": 1}, "start_at: cannot be combined with delay"),
        ({"name": "x" * 257}, "name: must have at most 256 characters"),
    ],
)
def test_an_invalid_argument_of_a_run_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        arguments.checked_run("importShop", None, **given)

    assert set(caught.value.data["invalidFields"]) == {message.partition(":")[0]}


def test_an_impossible_name_of_a_definition_is_not_found() -> None:
    with pytest.raises(DefinitionNotFoundError) as caught:
        arguments.checked_run("Import Shop", None)

    assert caught.value.data == {"id": "Import Shop"}


def test_a_time_needs_a_time_zone() -> None:
    assert arguments.aware(datetime(2026, 1, 2, tzinfo=UTC), "start_at") == datetime(2026, 1, 2, tzinfo=UTC)
    with pytest.raises(InvalidInputError, match="start_at: needs a time zone"):
        arguments.aware(datetime(2026, 1, 2), "start_at")


@pytest.mark.parametrize(
    ("make", "selector"),
    [
        (arguments.run_selector, None),
        (lambda: arguments.run_selector(ImportShop, None, "a-run"), "spec.definition=import-shop,spec.parent=a-run"),
        (
            lambda: arguments.run_selector(None, ["failed", "Aborted"]),
            "status.phase!=Pending,status.phase!=Running,status.phase!=Succeeded,status.phase!=",
        ),
        (
            lambda: arguments.run_selector(None, "pending"),
            "status.phase!=Running,status.phase!=Succeeded,status.phase!=Failed,status.phase!=Aborted",
        ),
    ],
)
def test_selectors(make: Callable[[], str | None], selector: str | None) -> None:
    assert make() == selector


@pytest.mark.parametrize("name", ["", "a,spec.parent=b", "UPPER", "a_b", "-a", "a" * 64, "a\n"])
def test_an_invalid_name_never_gets_into_a_selector(name: str) -> None:
    assert not arguments.is_name(name)
    with pytest.raises(InvalidInputError, match="parent"):
        arguments.run_selector(parent=name)
