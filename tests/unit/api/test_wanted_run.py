"""The arguments of a new run, its manifest, and when two runs are the same."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from podrelay.api import limits
from podrelay.api.wanted_run import (
    DelayTooLongError,
    InvalidRunError,
    TriggerConflictError,
    WantedRun,
    check_same,
    definition_name,
    new_start,
    wanted_run,
)
from tests.support.numbers import KEPT


def test_a_complete_manifest() -> None:
    parent = {"metadata": {"name": "nightly", "uid": "uid-1"}}
    start = datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))

    made = wanted_run(
        "importProducts", {"url": "x", "none": None}, name="Spring", start_at=start, secret="shop"
    ).manifest(namespace="shop", resource_name="spring", parent=parent, created_by="ann", rerun_of="winter")

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
            "secret": "shop",
            "parent": "nightly",
        },
    }


def test_the_smallest_manifest_gets_a_new_name_each_time() -> None:
    first, second = wanted_run("import-products").manifest(), wanted_run("import-products").manifest()

    assert first["spec"] == {"definition": "import-products"}
    assert set(first["metadata"]) == {"name", "labels"}
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["name"].startswith("import-products-")


def test_equal_keys_give_equal_names() -> None:
    def name(definition: str, key: str) -> Any:
        return wanted_run(definition, key=key).manifest()["metadata"]["name"]

    assert name("importProducts", "2026-03-01") == name("import-products", "2026-03-01")
    assert len({name("importProducts", "a"), name("importProducts", "b"), name("other", "a")}) == 3


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [(None, None), (0, 0), (10, 10), (3.0, 3), (timedelta(hours=1), 3600), (30_671_999, 30_671_999)],
)
def test_a_delay_is_whole_seconds(delay: Any, seconds: int | None) -> None:
    wanted = wanted_run("work", delay=delay)

    assert (wanted.delay_seconds, type(wanted.delay_seconds)) == (seconds, type(seconds))


@pytest.mark.parametrize("delay", [-1, 1.5, timedelta(seconds=0.5), math.inf, math.nan, True, "5", timedelta(days=-1)])
def test_an_invalid_delay_is_rejected(delay: Any) -> None:
    with pytest.raises(InvalidRunError, match=r"^delay must be a whole number of seconds"):
        wanted_run("work", delay=delay)


@pytest.mark.parametrize("delay", [30_672_000, 1e300, timedelta(days=355)])
def test_a_delay_of_355_days_is_too_long(delay: Any) -> None:
    with pytest.raises(DelayTooLongError, match=r"^delay must be shorter than 30672000 seconds \(355 days\)"):
        wanted_run("work", delay=delay)


def test_a_start_is_one_point_in_time() -> None:
    two_hours_east = timezone(timedelta(hours=2))

    assert str(wanted_run("work", start_at=datetime(2026, 3, 1, 14, tzinfo=two_hours_east)).start_at) == (
        "2026-03-01 12:00:00+00:00"
    )
    with pytest.raises(InvalidRunError, match="start_at needs a time zone: 2026-03-01T14:00:00Z is UTC"):
        wanted_run("work", start_at=datetime(2026, 3, 1, 14))
    with pytest.raises(InvalidRunError, match="start_at cannot be combined with delay"):
        wanted_run("work", start_at=datetime(2026, 3, 1, 14, tzinfo=UTC), delay=0)


def test_a_start_outside_of_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidRunError, match="start_at must be between the years 1 and 9999 in UTC"):
        wanted_run("work", start_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))


@pytest.mark.parametrize("definition", ["", "Import Products", "ImportProducts", "-a", "a-", "a" * 64, "a,b=c", "a\n"])
def test_an_invalid_name_of_a_definition_is_rejected(definition: str) -> None:
    with pytest.raises(InvalidRunError, match="is not an id such as importProducts, nor a name such as") as caught:
        wanted_run(definition)

    assert caught.value.argument == "definition"


def test_a_definition_has_an_id_and_a_name() -> None:
    assert definition_name("importProducts") == definition_name("import-products") == "import-products"


def test_a_display_name_has_at_most_256_characters() -> None:
    assert wanted_run("work", name="x" * 256).name == "x" * 256
    assert wanted_run("work", name="").name is None
    with pytest.raises(InvalidRunError, match="name must have at most 256 characters"):
        wanted_run("work", name="x" * 257)


@pytest.mark.parametrize("input", [[1], {"x": math.nan}, {"x": {1}}, {"x": "y" * limits.PAYLOAD_BYTES}])
def test_an_input_that_cannot_be_stored_is_rejected(input: Any) -> None:
    with pytest.raises(limits.PayloadError, match="input"):
        wanted_run("work", input)


@pytest.mark.parametrize("field", ["definition", "input", "parent", "secret"])
def test_a_run_with_other_arguments_is_a_conflict(field: str) -> None:
    wanted = WantedRun("work", {"a": 1}).manifest(resource_name="run")
    stored = WantedRun("work", {"a": 1}, name="another name does not matter").manifest(resource_name="run")
    check_same(stored, wanted)

    stored["spec"][field] = "other"

    with pytest.raises(TriggerConflictError, match=f"TaskRun run already exists with a different {field}"):
        check_same(stored, wanted)


@pytest.mark.parametrize(("wanted", "kept"), KEPT, ids=repr)
def test_a_number_is_the_same_after_it_was_stored(wanted: float, kept: float) -> None:
    asked = WantedRun("work", {"a": [wanted]}).manifest(resource_name="run")

    check_same(WantedRun("work", {"a": [kept]}).manifest(resource_name="run"), asked)


def test_overrides_are_part_of_the_manifest_and_of_what_a_run_is() -> None:
    given = {"retry": {"limit": 2, "factor": 3.0}, "env": [{"name": "LOG_LEVEL", "value": "debug"}]}
    manifest = wanted_run("importProducts", overrides=given, key="1").manifest()

    assert manifest["spec"]["overrides"] == {"retry": {"limit": 2, "factor": 3}, "env": given["env"]}
    check_same(manifest, wanted_run("importProducts", overrides=given, key="1").manifest())
    with pytest.raises(TriggerConflictError, match="different overrides"):
        check_same(manifest, wanted_run("importProducts", key="1").manifest())
    assert "overrides" not in wanted_run("importProducts", overrides={}).manifest()["spec"]


@pytest.mark.parametrize("given", [{"image": "other"}, {"env": [{"name": "A", "value": object()}]}, ["env"]])
def test_invalid_overrides(given: Any) -> None:
    with pytest.raises(InvalidRunError) as caught:
        wanted_run("importProducts", overrides=given)
    assert caught.value.argument == "overrides"


def test_another_start() -> None:
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    vienna = datetime(2026, 3, 2, 1, 0, tzinfo=timezone(timedelta(hours=1)))

    assert new_start(now, start_at=vienna) == {"startAt": "2026-03-02T00:00:00Z", "delaySeconds": None}
    assert new_start(now, delay=90) == {"startAt": "2026-03-01T12:01:30Z", "delaySeconds": None}
    assert new_start(now + timedelta(milliseconds=1), delay=90)["startAt"] == "2026-03-01T12:01:31Z"
    assert new_start(now, delay=0) == new_start(now) == {"startAt": None, "delaySeconds": None}
    for wrong in ({"delay": 1, "start_at": vienna}, {"delay": -1}, {"start_at": vienna.replace(tzinfo=None)}):
        with pytest.raises(InvalidRunError):
            new_start(now, **wrong)
