"""Manifests and names of runs, and when two of them are the same."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from podrelay.api import triggering
from tests.support.numbers import KEPT


def test_a_whole_manifest() -> None:
    parent = {"metadata": {"name": "nightly", "uid": "uid-1"}}
    start = datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))

    made = triggering.manifest(
        "importProducts",
        {"url": "x", "none": None},
        namespace="shop",
        name="spring",
        display_name="Spring",
        start_at=start,
        parent=parent,
        created_by="ann",
        rerun_of="winter",
    )

    assert made == {
        "apiVersion": "podrelay.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {
            "name": "spring",
            "namespace": "shop",
            "labels": {"podrelay.dev/definition": "import-products"},
            "annotations": {"podrelay.dev/created-by": "ann", "podrelay.dev/rerun-of": "winter"},
            "ownerReferences": [
                {"apiVersion": "podrelay.dev/v1alpha1", "kind": "TaskRun", "name": "nightly", "uid": "uid-1"}
            ],
        },
        "spec": {
            "definition": "import-products",
            "displayName": "Spring",
            "input": {"url": "x", "none": None},
            "startAt": "2026-03-01T12:00:00Z",
            "parent": "nightly",
        },
    }


def test_the_smallest_manifest_has_a_name_of_its_own_each_time() -> None:
    first, second = triggering.manifest("import-products"), triggering.manifest("import-products")

    assert first["spec"] == {"definition": "import-products"}
    assert set(first["metadata"]) == {"name", "labels"}
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["name"].startswith("import-products-")


def test_equal_keys_give_equal_names() -> None:
    def name(definition: str, key: str) -> Any:
        return triggering.manifest(definition, idempotency_key=key)["metadata"]["name"]

    assert name("importProducts", "2026-03-01") == name("import-products", "2026-03-01")
    assert len({name("importProducts", "a"), name("importProducts", "b"), name("other", "a")}) == 3


@pytest.mark.parametrize("definition", ["a", "a" * 34 + "-b", "x" * 63])
def test_names_fit_and_are_labels(definition: str) -> None:
    for made in (triggering.name_for(definition, 1), triggering.random_name(definition)):
        assert len(made) <= 50
        assert "--" not in made


@pytest.mark.parametrize("field", ["definition", "input", "parent"])
def test_a_run_that_was_asked_for_otherwise_is_a_conflict(field: str) -> None:
    wanted = triggering.manifest("work", {"a": 1}, name="run")
    stored = triggering.manifest("work", {"a": 1}, name="run", display_name="another name does not matter")
    triggering.check_same(stored, wanted)

    stored["spec"][field] = "other"

    with pytest.raises(triggering.TriggerConflictError, match=f"TaskRun run already exists with a different {field}"):
        triggering.check_same(stored, wanted)


@pytest.mark.parametrize(("wanted", "kept"), KEPT, ids=repr)
def test_a_number_is_the_same_after_it_was_stored(wanted: float, kept: float) -> None:
    asked = triggering.manifest("work", {"a": [wanted]}, name="run")

    triggering.check_same(triggering.manifest("work", {"a": [kept]}, name="run"), asked)
