"""The output of `podrelay manifests` for the classes of a module."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml

from podrelay.api.task_definition import TaskDefinitionSpec
from podrelay.cli import main

MODULE = """
from __future__ import annotations
from pydantic import BaseModel, Field
from podrelay import Controller, TaskDefinition, TaskRun

class Row(BaseModel):
    number: int

class ImportInput(BaseModel):
    url: str
    page_size: int = Field(default=10, alias="pageSize")
    rows: list[Row] = []

class ImportProducts(TaskDefinition):
    id = "importProducts"
    title = "Import products"
    description = "Reads: everything"
    max_iterations = 500
    private = False
    retry = {"limit": 2}
    self_cleanup = "onSuccess"
    triggers = []

    def run(self, input: ImportInput, controller: Controller): ...
    def on_done(self, task: TaskRun): ...
    def on_abort(self, task: TaskRun): ...

class Report(TaskDefinition):
    id = "report"
    title = "Report"
    resources = {"limits": {"memory": "1Gi"}}
    template = {
        "metadata": {"labels": {"team": "shop"}},
        "spec": {
            "nodeSelector": {"disk": "fast"},
            "containers": [{"name": "task", "env": [{"name": "A", "value": "1"}]}, {"name": "proxy", "image": "p"}],
        },
    }

    def run(self, input: dict, controller: Controller): ...
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "shop_tasks.py").write_text(MODULE)
    (tmp_path / "shop_empty.py").write_text("from podrelay import TaskDefinition\n")
    before = set(sys.modules)
    yield tmp_path
    for name in {name for name in set(sys.modules) - before if name.startswith("shop_")}:
        del sys.modules[name]


def manifests(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    code = main.run(["manifests", "shop_tasks", "--image", "registry/shop:1", *arguments])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return list(pyyaml.safe_load_all(captured.out))


def test_a_definition_says_only_what_its_class_sets(capsys: pytest.CaptureFixture[str]) -> None:
    definition = manifests(capsys)[0]
    spec = definition.pop("spec")

    assert definition == {
        "apiVersion": "podrelay.dev/v1alpha1",
        "kind": "TaskDefinition",
        "metadata": {"name": "import-products"},
    }
    assert {key: value for key, value in spec.items() if key not in {"inputSchema", "template"}} == {
        "id": "importProducts",
        "title": "Import products",
        "description": "Reads: everything",
        "maxIterations": 500,
        "private": False,
        "retry": {"limit": 2},
        "selfCleanup": ["OnSuccess"],
        "triggers": [],
        "hooks": ["onDone", "onAbort"],
    }


def test_the_input_schema_is_that_of_the_model_by_its_aliases(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = manifests(capsys)
    schema = first["spec"]["inputSchema"]

    assert set(schema["properties"]) == {"url", "pageSize", "rows"}
    assert schema["required"] == ["url"]
    assert set(schema["$defs"]) == {"Row"}
    assert "inputSchema" not in second["spec"]


VALIDATED = """
from pydantic import BaseModel
from podrelay import TaskDefinition

class Row(BaseModel):
    number: int

class Order(BaseModel):
    rows: list[Row]

class Rows(TaskDefinition):
    id = "rows"
    title = "Rows"

    def run(self, input: {annotation}, controller): ...

    {prefix}def create_input_validation(self):
        print("hello")
        {body}
"""


@pytest.mark.parametrize(
    ("annotation", "prefix", "properties"),
    [
        ("dict", "", [{"limit", "more"}]),
        ("dict", "async ", [{"limit", "more"}]),
        ("Order", "", [{"limit", "more"}, {"rows"}]),
    ],
)
def test_the_schema_covers_all_models_of_the_input(
    folder: Path, capsys: pytest.CaptureFixture[str], annotation: str, prefix: str, properties: list[set[str]]
) -> None:
    body = "return {'limit': int, 'more': (list[Row], [])}"
    (folder / "shop_rows.py").write_text(VALIDATED.format(annotation=annotation, prefix=prefix, body=body))

    assert main.run(["manifests", "shop_rows", "--image", "i", "-o", "json"]) == 0

    captured = capsys.readouterr()
    schema = json.loads(captured.out)["spec"]["inputSchema"]
    assert captured.err == "hello\n"
    found = [resolved(schema, part) for part in schema.get("allOf", [schema])]
    assert [set(part["properties"]) for part in found] == properties
    assert set(references(schema)) == {f"#/$defs/{name}" for name in schema["$defs"]}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (part["$ref"],) if "$ref" in part else ()
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from references(child)


def resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference within the schema."""
    name = part.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schema["$defs"][name] if name else part
    return found


@pytest.mark.parametrize(("annotation", "kept"), [("dict", False), ("Order", True)])
def test_a_validation_that_fails_here_is_omitted_with_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str], annotation: str, kept: bool
) -> None:
    body = "raise ConnectionError('no cluster')"
    (folder / "shop_rows.py").write_text(VALIDATED.format(annotation=annotation, prefix="", body=body))

    assert main.run(["manifests", "shop_rows", "--image", "i", "-o", "json"]) == 0

    captured = capsys.readouterr()
    assert ("inputSchema" in json.loads(captured.out)["spec"]) is kept
    assert "rows: create_input_validation failed (ConnectionError: no cluster); inputSchema omits it" in captured.err


def test_the_pod_is_accepted_by_restricted_pod_security(capsys: pytest.CaptureFixture[str]) -> None:
    assert manifests(capsys)[0]["spec"]["template"] == {
        "spec": {
            "containers": [
                {
                    "name": "task",
                    "image": "registry/shop:1",
                    "command": ["podrelay-runner", "shop_tasks:ImportProducts"],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ]
        }
    }


def test_the_template_of_a_class_is_merged(capsys: pytest.CaptureFixture[str]) -> None:
    template = manifests(capsys)[1]["spec"]["template"]
    task, proxy = template["spec"]["containers"]

    assert template["metadata"] == {"labels": {"team": "shop"}}
    assert template["spec"]["nodeSelector"] == {"disk": "fast"}
    assert (task["image"], task["env"]) == ("registry/shop:1", [{"name": "A", "value": "1"}])
    assert task["resources"] == {"limits": {"memory": "1Gi"}}
    assert proxy == {"name": "proxy", "image": "p"}


def test_the_output_of_the_module_does_not_get_into_the_manifests(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "shop_loud.py").write_text(MODULE + "print('loaded: 2 tasks')")

    assert main.run(["manifests", "shop_loud", "--image", "i", "-o", "json"]) == 0

    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["items"]) == 2
    assert captured.err == "loaded: 2 tasks\n"


def test_printing_twice_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert manifests(capsys) == manifests(capsys)


def test_the_resource_model_accepts_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for manifest in manifests(capsys):
        TaskDefinitionSpec.model_validate(manifest["spec"])


@pytest.mark.parametrize("wanted", ["report", "importProducts", "import-products"])
def test_one_definition_can_be_chosen_in_both_spellings(capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    (chosen,) = manifests(capsys, "--definition", wanted)

    assert wanted in {chosen["spec"]["id"], chosen["metadata"]["name"]}


def test_namespace_service_account_and_the_module_in_the_image_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    definition = manifests(
        capsys,
        "-n",
        "shop",
        "--service-account",
        "importer",
        "--module-in-image",
        "app.tasks",
        "--definition",
        "report",
    )[0]

    assert definition["metadata"]["namespace"] == "shop"
    assert definition["spec"]["template"]["spec"]["serviceAccountName"] == "importer"
    assert definition["spec"]["template"]["spec"]["containers"][0]["command"][1] == "app.tasks:Report"


def test_json_is_one_object_or_a_list_with_the_same_content(capsys: pytest.CaptureFixture[str]) -> None:
    in_yaml = manifests(capsys)

    main.run(["manifests", "shop_tasks", "--image", "registry/shop:1", "-o", "json"])
    several = json.loads(capsys.readouterr().out)
    main.run(["manifests", "shop_tasks", "--image", "registry/shop:1", "-o", "json", "--definition", "report"])
    one = json.loads(capsys.readouterr().out)

    assert (several["kind"], several["items"]) == ("List", in_yaml)
    assert one == in_yaml[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing_module"], "a path to a .py file"),
        (["./missing_module.py"], "a path to a .py file"),
        (["shop_empty"], "add a class to it: class MyTask(podrelay.TaskDefinition)"),
        (["shop_tasks", "--definition", "another"], "there are: importProducts, report"),
    ],
)
def test_errors_on_stderr_say_what_to_do(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    code = main.run(["manifests", *arguments, "--image", "x"])
    captured = capsys.readouterr()

    assert (code, captured.out) == (1, "")
    assert captured.err.startswith("podrelay manifests: ")
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1


def test_an_invalid_class_is_reported_and_the_others_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "shop_mixed.py").write_text(
        MODULE + "\nclass Bad(TaskDefinition):\n    id = 'no-camel'\n    title = 'B'\n\n    def run(self, input): ...\n"
    )

    code = main.run(["manifests", "shop_mixed", "--image", "i", "-o", "json"])
    captured = capsys.readouterr()

    assert (code, [item["spec"]["id"] for item in json.loads(captured.out)["items"]]) == (
        1,
        ["importProducts", "report"],
    )
    assert captured.err.startswith('podrelay manifests: Bad: Task ID "no-camel" is invalid. It must be in camelCase')
    assert "but is written run(self, input)" in captured.err
    assert main.run(["manifests", "shop_mixed", "--image", "i", "--definition", "report"]) == 0
    assert capsys.readouterr().err == ""
    assert main.run(["manifests", "shop_mixed", "--image", "i", "--definition", "no-camel"]) == 1
    assert capsys.readouterr().out == ""


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the reference to the task in the container's command."""
    assert main.run(["manifests", *arguments, "--image", "i", "--definition", "report", "-o", "json"]) == 0
    reference: str = json.loads(capsys.readouterr().out)["spec"]["template"]["spec"]["containers"][0]["command"][1]
    return reference


def test_a_path_below_the_current_folder_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "shop_below.py").write_text(MODULE)

    assert command(capsys, "deep/shop_below.py") == "deep/shop_below.py:Report"
    assert command(capsys, "./deep/../deep/shop_below.py") == "deep/shop_below.py:Report"


def test_a_path_that_exists_only_on_this_computer_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shop_outside.py").write_text(MODULE)
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder / "inner")

    for path in ("../shop_outside.py", str(folder / "shop_outside.py"), "./../shop_outside.py"):
        assert main.run(["manifests", path, "--image", "i"]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "is a path on this computer, not in the image" in captured.err
        assert "--module-in-image shop_outside.py" in captured.err
    assert command(capsys, "../shop_outside.py", "--module-in-image", "shop_outside") == "shop_outside:Report"


def test_a_missing_library_is_not_reported_as_a_missing_module(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "shop_broken.py").write_text("import not_installed")

    main.run(["manifests", "shop_broken", "--image", "x"])

    assert "No module named 'not_installed'" in (error := capsys.readouterr().err)
    assert "a path to a .py file" not in error
