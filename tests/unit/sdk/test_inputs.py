"""The type of the input is the annotation of the first parameter of run()."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from podrelay.sdk import inputs
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError, InputError

if TYPE_CHECKING:
    from podrelay.sdk.controller import Controller


class Row(BaseModel):
    number: int


class Import(BaseModel):
    url: str
    cursor: int = 0
    rows: list[Row] = []
    page_size: int = Field(default=10, alias="pageSize")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    at: datetime
    seen: set[str]


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


def with_run(run: Any) -> type[TaskDefinition]:
    return type("Example", (TaskDefinition,), {"id": "example", "title": "Example", "run": run})


def run_string(self: Any, input: Import, controller: Controller) -> None: ...


def run_dict(self: Any, input: dict[str, Any], controller: Controller) -> None: ...


def run_bare(self, input, controller): ...  # type: ignore[no-untyped-def]


def run_other_name(self: Any, _order: Import, _: Any) -> None: ...


async def run_async(self: Any, input: Import, controller: Controller) -> None: ...


def run_real(self: Any, input: Any, controller: Any) -> None: ...


run_real.__annotations__["input"] = Import


@pytest.mark.filterwarnings("ignore::podrelay.sdk.errors.DefinitionWarning")
@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (run_string, Import),
        (run_real, Import),
        (run_async, Import),
        (run_other_name, Import),
        (traced(run_string), Import),
        (run_dict, None),
        (run_bare, None),
        (lambda self: None, None),
    ],
    ids=["a string", "the class", "async", "other names", "decorated", "dict", "not annotated", "no parameter"],
)
def test_the_input_type_is_the_model_in_the_annotation_of_run(run: Any, expected: type | None) -> None:
    assert inputs.input_type(with_run(run)) is expected


def test_a_definition_that_inherits_run_inherits_its_input_type() -> None:
    base = with_run(run_string)

    assert inputs.input_type(type("Child", (base,), {"id": "child", "title": "Child"})) is Import


def test_without_pydantic_no_annotation_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pydantic")

    assert inputs.input_type(with_run(run_string)) is None


def test_an_annotation_that_cannot_be_resolved_is_named() -> None:
    def run(self: Any, input: Elsewhere, controller: Controller) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError, match="Elsewhere"):
        inputs.input_type(with_run(run))


def test_without_a_type_the_input_is_unchanged() -> None:
    assert inputs.parse(None, {"a": 1}) == {"a": 1}


def test_unknown_fields_are_allowed_and_defaults_filled_in() -> None:
    parsed = inputs.parse(Import, {"url": "x", "more": 1, "pageSize": 5})

    assert parsed == Import(url="x", pageSize=5)


def test_every_invalid_field_is_named_in_the_format_of_webiny() -> None:
    with pytest.raises(InputError) as caught:
        inputs.parse(Import, {"cursor": "far", "rows": [{"number": 1}, {"number": "x"}]})

    assert str(caught.value) == "Validation failed."
    assert caught.value.reason == "VALIDATION_FAILED_INVALID_FIELDS"
    fields = caught.value.data["invalidFields"]
    assert set(fields) == {"url", "cursor", "rows.1.number"}
    assert fields["url"] == {"code": "missing", "message": "Field required", "data": {"path": ["url"]}}
    assert fields["rows.1.number"]["data"] == {"path": ["rows", "1", "number"]}


def test_a_strict_model_reads_its_own_output() -> None:
    model = Strict(at=datetime(2026, 1, 2, tzinfo=UTC), seen={"a"})

    assert inputs.parse(Strict, model.model_dump(mode="json")) == model
