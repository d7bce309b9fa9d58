"""The resources as models, and the CRDs that are generated from them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from podrelay.api.common import Model
from podrelay.api.crd import HEADER, custom_resource_definitions, render
from podrelay.api.task_definition import TaskDefinition
from podrelay.api.task_iteration import TaskIteration
from podrelay.api.task_run import TaskRun

ROOT = Path(__file__).parents[3]
KINDS: dict[str, type[Model]] = {"TaskDefinition": TaskDefinition, "TaskRun": TaskRun, "TaskIteration": TaskIteration}


def example_manifests() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.parent.name}/{path.name}/{document['kind']}")
        for path in sorted((ROOT / "examples").rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document and document.get("kind") in KINDS
    ]


def without_header(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind", "metadata"}}


@pytest.mark.parametrize("manifest", example_manifests())
def test_the_examples_match_the_models(manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == "podrelay.dev/v1alpha1"
    KINDS[manifest["kind"]].model_validate(without_header(manifest))


def test_there_are_examples() -> None:
    assert example_manifests()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"definition": "Import"}, "definition"),
        ({"definition": "x", "delaySeconds": -1}, "delaySeconds"),
        ({"definition": "x", "delaySeconds": 30_672_001}, "delaySeconds"),
        ({"definition": "x", "colour": "red"}, "colour"),
        ({}, "definition"),
    ],
)
def test_the_model_rejects_what_the_schema_rejects(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        TaskRun.model_validate({"spec": spec})


def test_models_are_immutable() -> None:
    run = TaskRun.model_validate({"spec": {"definition": "x"}})

    with pytest.raises(ValidationError):
        run.spec.suspend = True  # type: ignore[misc]


def test_external_names_are_in_camel_case() -> None:
    run = TaskRun.model_validate({"spec": {"definition": "x", "delaySeconds": 5}})

    assert run.spec.delay_seconds == 5
    assert run.model_dump(by_alias=True, exclude_none=True)["spec"]["delaySeconds"] == 5


# --- CRDs -------------------------------------------------------------------------------------------------------------


def crds() -> list[Any]:
    return [pytest.param(crd, id=crd["spec"]["names"]["kind"]) for crd in custom_resource_definitions().values()]


def schema_of(crd: dict[str, Any]) -> dict[str, Any]:
    (version,) = crd["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


@pytest.mark.parametrize("crd", crds())
def test_every_field_has_a_type_and_a_limit(crd: dict[str, Any]) -> None:
    unlimited = []
    for path, node in nodes(schema_of(crd)):
        if node.get("x-kubernetes-int-or-string"):
            assert node["maxLength"], path
            continue
        assert node["type"] in {"string", "integer", "number", "boolean", "array", "object"}, path
        if path in {".apiVersion", ".kind", ".metadata"}:
            continue  # defined by the API server
        limited = {
            "string": "maxLength" in node or "enum" in node,
            "integer": "minimum" in node,
            "array": "maxItems" in node and "items" in node,
            "object": "properties" in node
            or (
                "maxProperties" in node
                and node.keys() & {"x-kubernetes-preserve-unknown-fields", "additionalProperties"}
            ),
        }
        if not limited.get(node["type"], True):
            unlimited.append(path)
    assert unlimited == []


@pytest.mark.parametrize("crd", crds())
def test_no_schema_uses_keywords_that_the_api_server_rejects(crd: dict[str, Any]) -> None:
    for path, node in nodes(schema_of(crd)):
        assert not {"$ref", "anyOf", "allOf", "oneOf", "const", "title"} & set(node), path


@pytest.mark.parametrize("crd", crds())
def test_every_field_is_described(crd: dict[str, Any]) -> None:
    missing = [
        path
        for path, node in nodes(schema_of(crd))
        if path.count(".")
        and not path.endswith(("[]", ".*"))
        and path not in {".apiVersion", ".kind", ".metadata"}
        and "description" not in node
    ]
    assert missing == []


@pytest.mark.parametrize("crd", crds())
def test_names_and_scope_of_a_crd(crd: dict[str, Any]) -> None:
    spec = crd["spec"]

    assert crd["metadata"]["name"] == f"{spec['names']['plural']}.podrelay.dev"
    assert spec["names"]["categories"] == ["podrelay"]
    assert spec["names"]["shortNames"][0] in {"tdef", "trun", "titer", "tsched", "tsig"}
    assert spec["scope"] == "Namespaced"


@pytest.mark.parametrize("crd", crds())
def test_a_rendered_crd_is_marked_as_generated_and_parses_to_the_same(crd: dict[str, Any]) -> None:
    text = render(crd)

    assert text.startswith(HEADER)
    assert yaml.safe_load(text) == crd
