"""The rules of a task for its input are enforced, and defaults are filled in."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field, field_validator

from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError, InputError
from podrelay.sdk.validation import NO_RULES, InputRules, rules_of


class Customer(BaseModel):
    number: int
    kind: str = "shop"


class Order(BaseModel):
    url: str
    cursor: int = 0
    customer: Customer | None = None
    others: list[Customer] = []
    page_size: int = Field(default=10, alias="pageSize")


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str

    @computed_field
    def host(self) -> str:
        return self.url.split("/")[2]


class Secret(BaseModel):
    token: SecretStr
    count: int = 3


class Growing(BaseModel):
    name: str
    count: int = 3

    @field_validator("name")
    @classmethod
    def longer(cls, value: str) -> str:
        return f"x-{value}"


class ByBothNames(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    page_size: int = Field(default=10, alias="pageSize")


class Whole(BaseModel):
    cursor: int


def task(returned: Any = None, annotated: Any = dict) -> TaskDefinition:
    def run(self: Any, input: Any, controller: Any) -> None: ...

    run.__annotations__["input"] = annotated
    body = {"id": "example", "title": "Example", "run": run, "create_input_validation": lambda self: returned}
    definition: type[TaskDefinition] = type("Example", (TaskDefinition,), body)
    return definition()


def invalid_fields(rules: InputRules, value: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(InputError) as caught:
        rules.check(value)
    assert str(caught.value) == "Validation failed."
    assert caught.value.reason == "VALIDATION_FAILED_INVALID_FIELDS"
    fields: dict[str, Any] = caught.value.data["invalidFields"]
    return fields


# --- what is stored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "stored"),
    [
        (Order, {"url": "x"}, {"url": "x", "cursor": 0, "customer": None, "others": [], "pageSize": 10}),
        (Customer, {"number": "5", "more": [1]}, {"number": 5, "kind": "shop", "more": [1]}),
        (Closed, {"url": "https://a/b"}, {"url": "https://a/b"}),
        (ByBothNames, {"page_size": 5}, {"pageSize": 5}),
        (ByBothNames, {"page_size": 5, "pageSize": 6}, {"page_size": 5, "pageSize": 6}),
    ],
    ids=["defaults", "unknown keys", "computed", "by name", "by both"],
)
def test_the_input_is_stored_in_its_parsed_form(model: type, given: dict[str, Any], stored: dict[str, Any]) -> None:
    assert InputRules(model).check(given) == stored
    assert InputRules(model).check(stored) == stored


def test_unknown_keys_are_kept_in_nested_models_too() -> None:
    given = {"url": "x", "customer": {"number": 1, "note": "a"}, "others": [{"number": "2", "note": "b"}]}

    stored = InputRules(Order).check(given)

    assert stored["customer"] == {"number": 1, "kind": "shop", "note": "a"}
    assert stored["others"] == [{"number": 2, "kind": "shop", "note": "b"}]


def test_a_secret_value_is_unchanged() -> None:
    assert InputRules(Secret).check({"token": "abc"}) == {"token": "abc", "count": 3}


def test_a_value_that_a_validator_changes_repeatedly_is_stored_as_given() -> None:
    rules = InputRules(Growing)

    stored = rules.check(rules.check({"name": "a"}))

    assert stored == {"name": "a", "count": 3}
    assert rules.typed(stored).name == "x-a"


def test_without_rules_everything_is_unchanged() -> None:
    given = {"a": 1}

    assert NO_RULES.check(given) is given
    assert NO_RULES.typed(given) is given
    assert rules_of(task()).models == ()


def test_changes_are_merged_and_the_whole_is_checked() -> None:
    rules = InputRules(ByBothNames)

    assert rules.merge({"pageSize": 10, "kept": 1}, {"page_size": 20}) == {"pageSize": 20, "kept": 1}
    with pytest.raises(InputError):
        rules.merge({"pageSize": 10}, {"pageSize": "many"})


# --- create_input_validation ------------------------------------------------------------------------------------------


async def later(value: Any) -> Any:
    return value


FIELDS = {"cursor": int, "limit": (Annotated[int, Field(gt=0)], 5), "copy": (str, "no"), "page-size": (int, 3)}


@pytest.mark.parametrize("returned", [FIELDS, later(FIELDS)], ids=["a method", "a coroutine function"])
def test_a_dict_of_fields_allows_other_fields(returned: Any) -> None:
    rules = rules_of(task(returned))

    assert rules.check({"cursor": 1, "other": "x"}) == {
        "cursor": 1,
        "other": "x",
        "limit": 5,
        "copy": "no",
        "page-size": 3,
    }
    assert set(invalid_fields(rules, {"limit": 0})) == {"cursor", "limit"}
    assert rules.typed({"cursor": 1}) == {"cursor": 1}, "the input of run is a dict"


def test_a_model_applies_to_the_whole_input() -> None:
    fields = invalid_fields(rules_of(task(Closed)), {"url": "https://a/b", "more": 1})

    assert fields["more"] == {
        "code": "extra_forbidden",
        "message": "Extra inputs are not permitted",
        "data": {"path": ["more"]},
    }


def test_both_apply_and_all_fields_are_reported_together() -> None:
    rules = rules_of(task({"limit": int}, annotated=Order))

    assert set(invalid_fields(rules, {"cursor": "far"})) == {"url", "cursor", "limit"}
    assert rules.check({"url": "x", "limit": "7"})["limit"] == 7
    assert rules.typed({"url": "x", "limit": 7}) == Order(url="x")


def test_a_field_of_both_is_reported_once() -> None:
    rules = rules_of(task(Whole, annotated=Order))

    assert set(invalid_fields(rules, {"url": "x", "cursor": "far"})) == {"cursor"}


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ([1], "not list"),
        (int, "not int"),
        ({"cursor": 5}, "cannot be used"),
        ({"_cursor": int}, "begins with _"),
    ],
)
def test_an_invalid_return_value_is_reported(returned: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        rules_of(task(returned))
