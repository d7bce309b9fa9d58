"""The reference documents every name of the public API, and no others."""

from collections.abc import Iterator

import griffe
import pytest

import podrelay
from dev.tools import reference
from podrelay import testing

PACKAGE = reference.load()
OBJECTS = {path: reference.find(PACKAGE, path) for group in reference.GROUPS for path in group.objects}


def walk() -> Iterator[tuple[str, griffe.Object]]:
    for path, item in OBJECTS.items():
        yield path, item
        if isinstance(item, griffe.Class):
            yield from ((f"{path}.{member.name}", member) for member in reference.members(item))


DOCUMENTED = dict(walk())


def listed(item: griffe.Object, kind: type[griffe.DocstringSection]) -> set[str]:
    """Return the names that a section of a docstring lists."""
    return {entry.name for section in reference.parsed(item) if isinstance(section, kind) for entry in section.value}


def test_every_public_name_is_on_the_page() -> None:
    public = {*podrelay.__all__, *(f"testing.{name}" for name in testing.__all__)}

    assert public - OBJECTS.keys() == set()


def test_every_documented_name_can_be_imported() -> None:
    exported = [path for path in OBJECTS if not path.startswith("sdk.")]

    assert len(exported) > 20
    assert all(path.removeprefix("testing.") in testing.__all__ for path in exported if path.startswith("testing."))
    assert all(path in podrelay.__all__ for path in exported if "." not in path)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_everything_public_has_a_docstring(path: str) -> None:
    assert reference.parsed(DOCUMENTED[path]), path


@pytest.mark.parametrize("path", [path for path, item in DOCUMENTED.items() if isinstance(item, griffe.Function)])
def test_a_docstring_documents_exactly_the_existing_parameters(path: str) -> None:
    item = DOCUMENTED[path]
    assert isinstance(item, griffe.Function)

    parameters = {parameter.name for parameter in item.parameters} - {"self"}

    assert listed(item, griffe.DocstringSectionParameters) == parameters


@pytest.mark.parametrize("path", [path for path, item in OBJECTS.items() if isinstance(item, griffe.Class)])
def test_a_class_documents_exactly_its_attributes(path: str) -> None:
    item = OBJECTS[path]
    assert isinstance(item, griffe.Class)

    parameters = listed(item, griffe.DocstringSectionParameters)
    documented = reference.field_texts(item).keys()

    assert reference.fields(item).keys() - parameters == documented
    if not reference.is_given(item):
        assert {parameter.name for parameter in item.parameters} - {"self"} <= documented | parameters


def test_the_page_shows_the_docstrings() -> None:
    page = reference.page(PACKAGE)

    assert "class variable" in page
    assert "- `max_iterations` (`int | None`, default `50`): Maximum number of iterations of a TaskRun" in page
    assert "Raises `PayloadError`" in page
    assert (
        "### run_task\n\n```python\nrun_task(\n    task: type[TaskDefinition],\n    input: Any = None,\n    *,\n"
        in page
    )


def test_an_unknown_section_is_not_left_out() -> None:
    with pytest.raises(ValueError, match="cannot show a section of kind yields"):
        list(reference.shown(griffe.DocstringSectionYields([])))
