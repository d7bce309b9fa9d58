"""Errors in the class of a task are reported before anything runs, with a suggestion."""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from podrelay.sdk import checking
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError, DefinitionWarning
from tests.support import author_tasks, gated_tasks, scenario_tasks, tasks


class Row(BaseModel):
    number: int


@dataclass
class Point:
    x: int


class Form(TypedDict):
    number: int


def work(self: Any, input: Any, controller: Any) -> Any:
    """A valid run method."""


def defined(**body: Any) -> type[TaskDefinition]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DefinitionWarning)
        return type("Example", (TaskDefinition,), {"id": "example", "title": "Example", "run": work, **body})


def refusal(**body: Any) -> str:
    """Return the problems of a class, "" if it is valid."""
    try:
        checking.check(defined(**body))
    except DefinitionError as error:
        return str(error).removeprefix("Example: ")
    return ""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_iteration", "max_iterations"),
        ("maxIterations", "max_iterations"),
        ("max_iteratoins", "max_iterations"),
        ("retries", "retry"),
        ("retry_limit", "retry"),
        ("timeout", "iteration_timeout_seconds"),
        ("iteration_timeout", "iteration_timeout_seconds"),
        ("max_concurrent", "max_concurrent_runs"),
        ("resource", "resources"),
        ("ttl_seconds", "ttl_seconds_after_finished"),
        ("descripton", "description"),
    ],
)
def test_an_unknown_class_variable_is_rejected_with_a_suggestion(name: str, meant: str) -> None:
    assert refusal(**{name: 5}) == (
        f"{name} is not a class variable of a task; did you mean {meant}? "
        f"If it is your own, rename it, for example to _{name}"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_success", "on_done"),
        ("onDone", "on_done"),
        ("on_errors", "on_error"),
        ("on_failure", "on_error"),
        ("on_max_iteration", "on_max_iterations"),
        ("validate_input", "create_input_validation"),
    ],
)
def test_an_unknown_method_is_rejected_with_a_suggestion(name: str, meant: str) -> None:
    assert f"did you mean {meant}?" in refusal(**{name: lambda self, task: None})


@pytest.mark.parametrize(
    "name",
    ["_max_iteration", "BATCH", "url", "page_size", "private_key", "pod", "record", "node", "limit", "ids", "name"],
)
def test_other_variables_are_allowed(name: str) -> None:
    assert refusal(**{name: 5}) == ""


@pytest.mark.parametrize("name", ["fetch", "retry_page", "on_page", "timeout", "trigger", "abort"])
def test_other_methods_are_allowed(name: str) -> None:
    assert refusal(**{name: lambda self, page: None}) == ""


def test_other_classes_and_properties_are_allowed() -> None:
    assert refusal(Retries=Row, retries=property(lambda self: 5)) == ""


def test_a_base_class_of_the_author_is_checked_and_a_mixin_is_not() -> None:
    class Mixin:
        retries = 3

    class Base(TaskDefinition):
        title = "Base"
        max_iteration = 5
        run = work

    with pytest.warns(DefinitionWarning, match="max_iteration") as warned:

        class Derived(Mixin, Base):
            id = "derived"

    assert len(warned) == 1
    assert warned[0].filename == __file__, "the warning shows where the class is defined"
    with pytest.raises(DefinitionError, match=r"Derived: max_iteration is not a class variable"):
        checking.check(Derived)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return wrapper


@pytest.mark.parametrize(
    ("run", "written"),
    [
        (lambda self, input: None, "(self, input)"),
        (lambda self: None, "(self)"),
        (lambda self, input, controller, more: None, "(self, input, controller, more)"),
        (lambda self, input, *, controller: None, "(self, input, *, controller)"),
        (staticmethod(lambda input: None), "(input)"),
        (classmethod(lambda cls, input: None), "(cls, input)"),
    ],
)
def test_a_run_method_with_a_wrong_signature_is_rejected(run: Any, written: str) -> None:
    assert refusal(run=run) == f"run is called as run(self, input, controller), but is written <lambda>{written}"


@pytest.mark.parametrize(
    "run",
    [
        work,
        decorated(work),
        decorated(lambda self, input: None),
        lambda self, *arguments: None,
        lambda self, input, controller, more=None, *, other=1: None,
        staticmethod(lambda input, controller: None),
        classmethod(lambda cls, data, context: None),
        functools.partial(work, None),
    ],
)
def test_any_callable_with_input_and_controller_is_allowed(run: Any) -> None:
    assert refusal(run=run) == ""


def test_parameters_in_the_wrong_order_are_rejected() -> None:
    assert "in the wrong order" in refusal(run=lambda self, controller, input: None)


def test_a_generator_is_rejected() -> None:
    def run(self: Any, input: Any, controller: Any) -> Any:
        yield 1

    assert "it contains a yield" in refusal(run=run)


def test_run_is_required_except_for_another_language() -> None:
    body = {"id": "example", "title": "Example"}
    assert type("Shell", (TaskDefinition,), {**body, "reporting": "TerminationMessage"})
    checking.check(type("Shell", (TaskDefinition,), {**body, "reporting": "TerminationMessage"}))
    with pytest.raises(DefinitionError, match=r"Nothing: it has no method run\(self, input, controller\)"):
        checking.check(type("Nothing", (TaskDefinition,), body))


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("on_done", lambda self: None, "on_done is called as on_done(self, task)"),
        ("on_before_trigger", lambda self, a, b: None, "called as on_before_trigger(self, data)"),
        ("create_input_validation", lambda self, input: {}, "called as create_input_validation(self)"),
    ],
)
def test_hooks_with_a_wrong_signature_are_rejected(name: str, wrong: Any, words: str) -> None:
    assert words in refusal(**{name: wrong})


def annotated(annotation: Any) -> str:
    def run(self: Any, input: Any, controller: Any) -> Any: ...

    run.__annotations__["input"] = annotation
    return refusal(run=run)


@pytest.mark.parametrize(
    ("annotation", "name"),
    [(str, "str"), ("str", "str"), (int, "int"), (Point, "Point"), (list[dict[str, Any]], "list")],
)
def test_an_input_that_is_not_a_json_object_is_rejected(annotation: Any, name: str) -> None:
    assert annotated(annotation) == (
        f"the input of run is annotated with {name}, but it is a JSON object: "
        "annotate it with dict, or with a pydantic.BaseModel that has its fields"
    )


@pytest.mark.parametrize("annotation", [Row | None, dict | Row, "Row | None"], ids=str)
def test_a_model_in_a_union_is_rejected_because_it_would_not_be_created(annotation: Any) -> None:
    assert "annotate it with one pydantic model" in annotated(annotation)


@pytest.mark.parametrize(
    "annotation",
    [dict, dict[str, Any], dict[str, Row], Mapping[str, Any], Any, object, Row, "Row", Form, dict | None, None],
    ids=str,
)
def test_models_and_types_of_dicts_are_allowed(annotation: Any) -> None:
    assert annotated(annotation) == ""


def test_a_type_that_cannot_be_resolved_is_rejected() -> None:
    assert "must be importable at run time" in annotated("Elsewhere")


def test_a_type_may_be_defined_later_in_the_file() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Early(TaskDefinition):
            id = "early"
            title = "Early"

            def run(self, input: "Late", controller: Any) -> Any: ...  # type: ignore[name-defined]  # noqa: F821

    assert Early.id == "early"


def test_all_problems_are_reported_together() -> None:
    message = refusal(id="No", retries=1, run=lambda self: None)

    assert [word in message for word in ("Task ID", "retries", "called as run")] == [True] * 3


@pytest.mark.parametrize("module", [tasks, author_tasks, gated_tasks, scenario_tasks])
def test_tasks_of_the_other_tests_are_valid(module: Any) -> None:
    from podrelay.sdk import loading

    for item in loading.definitions_of(module):
        checking.check(item)
