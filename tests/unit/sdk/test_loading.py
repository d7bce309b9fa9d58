"""Loading definitions by MODULE:CLASS, from real files."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from podrelay.sdk import loading
from podrelay.sdk.errors import DefinitionError, TaskModuleError

ONE = """
from podrelay import TaskDefinition

class Base(TaskDefinition):
    title = "Shared"

    def run(self, input, controller):
        return {}

class ImportProducts(Base):
    id = "importProducts"
"""
TWO = (
    ONE
    + """
class Report(Base):
    id = "report"

Alias = Report
NUMBER = 5
"""
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder of a test; modules and paths are restored afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_dotted_name_is_imported_from_the_current_folder(folder: Path) -> None:
    (folder / "shop_a").mkdir()
    (folder / "shop_a" / "tasks.py").write_text(ONE)

    assert loading.load_definition("shop_a.tasks:ImportProducts").id == "importProducts"


def test_a_path_to_a_file_is_loaded_from_any_folder(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "shop_b.py").write_text(ONE)

    assert loading.load_definition("deep/shop_b.py:ImportProducts").id == "importProducts"
    assert loading.load_definition(str(folder / "deep" / "shop_b.py")).id == "importProducts"


def test_with_one_definition_in_a_module_the_class_is_optional(folder: Path) -> None:
    (folder / "shop_c.py").write_text(ONE)

    assert loading.load_definition("shop_c").id == "importProducts"


def test_one_of_several_definitions_is_selected_by_name(folder: Path) -> None:
    (folder / "shop_d.py").write_text(TWO)

    assert loading.load_definition("shop_d", "report").id == "report"


@pytest.mark.parametrize("wanted", ["", "another"])
def test_with_several_definitions_one_must_be_named(folder: Path, wanted: str) -> None:
    (folder / "shop_e.py").write_text(TWO)

    with pytest.raises(TaskModuleError, match=r"MODULE:CLASS; there are: ImportProducts, Report$"):
        loading.load_definition("shop_e", wanted)


@pytest.mark.parametrize("name", ["Missing", "NUMBER", "SimpleNamespace"])
def test_a_missing_or_invalid_class_is_an_error_that_lists_the_definitions(folder: Path, name: str) -> None:
    (folder / "shop_f.py").write_text(TWO)

    with pytest.raises(TaskModuleError, match=f"no task definition {name}; there are: ImportProducts, Report$"):
        loading.load_definition(f"shop_f:{name}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def", "SyntaxError"),
        ("raise ValueError('no luck')", "ValueError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os.environ['NO_SUCH_URL']", "KeyError: 'NO_SUCH_URL'"),
    ],
)
@pytest.mark.parametrize("reference", ["shop_g", "./shop_g.py"])
def test_a_module_that_cannot_be_imported_is_an_error_with_the_cause(
    folder: Path, reference: str, text: str, problem: str
) -> None:
    (folder / "shop_g.py").write_text(text)

    with pytest.raises(TaskModuleError, match=f"cannot import {reference}: {problem}") as caught:
        loading.load_definition(f"{reference}:Report")

    assert caught.value.__cause__ is not None
    assert "shop_g" not in sys.modules


@pytest.mark.parametrize("reference", ["not_there", "not/there.py", "not_there.py"])
def test_a_missing_module_is_an_error(reference: str) -> None:
    with pytest.raises(TaskModuleError, match=f"cannot import {reference}"):
        loading.load_module(reference)


def test_a_definition_with_two_names_in_its_module_is_one_definition(folder: Path) -> None:
    (folder / "shop_h.py").write_text(TWO)

    found = loading.definitions_of(loading.load_module("shop_h"))

    assert [item.__name__ for item in found] == ["ImportProducts", "Report"]


BAD = """
from podrelay import TaskDefinition

class Base(TaskDefinition):
    title = "Shared"

    def run(self, input, controller):
        return {}

class Bad(Base):
    id = "not-camel-case"

class Good(Base):
    id = "good"
"""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("reference", "wanted"), [("shop_j:Good", ""), ("shop_j", "good")])
def test_an_invalid_class_does_not_affect_the_others_in_its_module(folder: Path, reference: str, wanted: str) -> None:
    (folder / "shop_j.py").write_text(BAD)

    assert loading.load_definition(reference, wanted).id == "good"


@pytest.mark.parametrize(("reference", "wanted"), [("shop_k:Bad", ""), ("shop_k", "not-camel-case")])
def test_an_invalid_class_is_named(folder: Path, reference: str, wanted: str) -> None:
    (folder / "shop_k.py").write_text(BAD)

    with pytest.raises(DefinitionError, match=r'^Bad: Task ID "not-camel-case" is invalid'):
        loading.load_definition(reference, wanted)


def test_a_file_is_in_sys_modules_while_it_is_loaded(folder: Path) -> None:
    """pydantic and dataclasses resolve annotations that are strings in sys.modules."""
    (folder / "shop_i.py").write_text("import sys\nseen = sys.modules[__name__].__file__")
    sys.modules["shop_i"] = SimpleNamespace(__file__="another")  # type: ignore[assignment]

    module: Any = loading.load_module("./shop_i.py")

    assert Path(module.seen).name == "shop_i.py"
