"""Children are found again by their definition and input, regardless of the attempt that started them."""

import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from podrelay.api import names
from podrelay.api.wanted_run import TriggerConflictError, WantedRun
from podrelay.runner.children import Children
from podrelay.sdk.children import wanted_child
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError
from tests.unit.runner.runner_fakes import RUN_UID, FakeApi, me, unreachable

RESIZE = WantedRun("resize-image", {"url": "a", "sizes": [1, 2.5, None]})


def children(api: FakeApi, **variables: str) -> Children:
    """The children of one attempt."""
    return Children(api, me(**variables), lambda: api.clock.now + 60)


def stored_child(name: str, created: str = "2026-03-01T12:00:00Z", **fields: Any) -> dict[str, Any]:
    spec = {"definition": "resize-image", "parent": "shop", **fields.pop("spec", {})}
    return {"metadata": {"name": name, "creationTimestamp": created}, "spec": spec, **fields}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def test_a_child_satisfies_the_admission_policy(api: FakeApi) -> None:
    child = children(api).trigger(RESIZE)

    stored = api.objects[child.id]
    assert re.fullmatch(r"resize-image-[a-z2-7]{12}", child.id)
    assert stored["spec"] == {"definition": "resize-image", "parent": "shop", "input": RESIZE.input}
    assert stored["metadata"]["ownerReferences"] == [
        {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": "shop", "uid": RUN_UID}
    ]
    assert (child.status, child.parent, child.input) == ("pending", "shop", RESIZE.input)


def test_a_child_names_the_iteration_that_may_request_it_again(api: FakeApi) -> None:
    """A child that cleans itself up is kept as long: with a key for all iterations, otherwise for this one."""
    plain = children(api).trigger(RESIZE)
    keyed = children(api).trigger(RESIZE._replace(key="once"))

    assert api.objects[plain.id]["metadata"]["annotations"] == {names.ANNOTATION_PARENT_ITERATION: str(me().iteration)}
    assert names.ANNOTATION_PARENT_ITERATION not in api.objects[keyed.id]["metadata"].get("annotations", {})


def test_name_delay_and_start_are_passed_on(api: FakeApi) -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    delayed = children(api).trigger(RESIZE._replace(name="Resize", delay_seconds=60))
    timed = children(api).trigger(RESIZE._replace(key="timed", start_at=at))

    assert api.objects[delayed.id]["spec"] | {"input": 0} == {
        "definition": "resize-image",
        "parent": "shop",
        "input": 0,
        "displayName": "Resize",
        "delaySeconds": 60,
    }
    assert api.objects[timed.id]["spec"]["startAt"] == "2026-03-01T12:30:00Z"


@pytest.mark.parametrize(
    ("definition", "begins"),
    [("a" * 60, "a" * 35 + "-"), ("a" * 34 + "-and-more", "a" * 34 + "-"), ("chain", "chain-")],
)
def test_the_name_of_a_long_definition_is_truncated(api: FakeApi, definition: str, begins: str) -> None:
    name = children(api).trigger(WantedRun(definition, {})).id

    assert name.startswith(begins)
    assert len(name) == len(begins) + 12
    assert "--" not in name


def test_a_retry_finds_the_children_of_the_previous_attempt(api: FakeApi) -> None:
    first = children(api)
    asked = [RESIZE, RESIZE, RESIZE._replace(input={"url": "b"})]
    before = [first.trigger(child).id for child in asked]
    count = len(api.objects)

    again = children(api, **{names.ENV_TRY: "2", names.ENV_POD_NAME: "shop-i2t2", names.ENV_POD_UID: "another"})

    assert [again.trigger(child).id for child in asked] == before
    assert len(set(before)) == 3
    assert len(api.objects) == count


def test_the_next_iteration_and_another_run_start_separate_children(api: FakeApi) -> None:
    found = {
        children(api, **variables).trigger(RESIZE).id
        for variables in ({}, {names.ENV_ITERATION: "3"}, {names.ENV_RUN_UID: "uid-of-the-next-run"})
    }

    assert len(found) == 3


def test_the_order_of_the_fields_of_an_input_does_not_matter(api: FakeApi) -> None:
    one, other = (children(api).trigger(WantedRun("chain", value)).id for value in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))

    assert one == other


def test_a_stored_number_identifies_the_same_child(api: FakeApi) -> None:
    """A retry reads 1 from the checkpoint where the previous attempt had 1.0."""
    one, other = (
        children(api).trigger(wanted_child("chain", {"x": [value], "y": big})).id
        for value, big in ((1.0, 2.0**62), (1, 4611686018427388000))
    )

    assert one == other
    assert repr(api.objects[one]["spec"]["input"]) == "{'x': [1], 'y': 4611686018427388000}"


def test_calls_with_one_key_give_one_child_in_every_iteration(api: FakeApi) -> None:
    keyed = RESIZE._replace(key="once")
    found = {
        children(api, **{names.ENV_ITERATION: number}).trigger(keyed).id for number in ("2", "3") for _ in range(2)
    }
    other = children(api).trigger(RESIZE._replace(key="twice")).id

    assert len(found) == 1
    assert other not in found


def test_a_key_with_another_input_is_a_conflict(api: FakeApi) -> None:
    name = children(api).trigger(RESIZE._replace(key="once")).id

    with pytest.raises(TriggerConflictError, match=f"{name} already exists with a different input") as caught:
        children(api).trigger(RESIZE._replace(key="once", input={}))
    assert caught.value.reason == "TriggerConflict"


def test_a_foreign_run_with_that_name_is_a_conflict(api: FakeApi) -> None:
    name = children(api).trigger(RESIZE).id
    del api.objects[name]["spec"]["parent"]

    with pytest.raises(TriggerConflictError, match="a different parent"):
        children(api).trigger(RESIZE)


def test_an_existing_child_is_returned_with_its_status(api: FakeApi) -> None:
    name = children(api).trigger(RESIZE).id
    api.objects[name]["status"] = {"phase": "Succeeded", "output": {"rows": 3}}

    found = children(api).trigger(RESIZE)

    assert (found.status, found.output) == ("success", {"rows": 3})


def test_a_child_that_is_deleted_between_two_requests_is_created(api: FakeApi) -> None:
    name = children(api).trigger(RESIZE).id
    pending = [name]

    def vanish(method: str, about: str) -> None:
        if method == "GET" and pending:
            del api.objects[pending.pop()]

    api.before = vanish

    assert children(api).trigger(RESIZE).id == name
    assert name in api.objects


def test_a_conflict_about_another_object_is_retried(api: FakeApi) -> None:
    conflicts = [(409, {"reason": "Conflict", "message": "resource quotas are busy"})]
    api.before = lambda method, _name: conflicts.pop() if method == "POST" and conflicts else None

    assert children(api).trigger(RESIZE).id in api.objects
    assert sum(api.clock.naps) == pytest.approx(0.1)


def test_endless_conflicts_end_at_the_deadline(api: FakeApi) -> None:
    api.before = lambda _method, _name: (409, {"reason": "Conflict", "message": "resource quotas are busy"})

    with pytest.raises(ApiUnreachableError, match="resource quotas are busy"):
        Children(api, me(), lambda: 1001.0).trigger(RESIZE)


def test_a_rejection_has_its_message_and_a_repeated_call_gives_the_same_child(api: FakeApi) -> None:
    names_asked_for = []
    refusals = [(403, {"message": "exceeded quota: runs=5"})]

    def before(method: str, name: str) -> Any:
        names_asked_for.append(name)
        return refusals.pop() if refusals else None

    api.before = before
    mine = children(api)
    with pytest.raises(ApiRefusedError, match="exceeded quota: runs=5"):
        mine.trigger(RESIZE)

    assert mine.trigger(RESIZE).id == names_asked_for[0]


def test_a_timeout_at_the_deadline_is_reported(api: FakeApi) -> None:
    api.before = unreachable

    with pytest.raises(ApiUnreachableError):
        children(api).trigger(RESIZE)


def test_threads_start_one_child_for_each_call(api: FakeApi) -> None:
    mine = children(api)
    threads = [threading.Thread(target=mine.trigger, args=(RESIZE,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(api.objects) == 8 + 1  # and the run itself


# --- the list ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(api: FakeApi) -> Children:
    for stored in (
        stored_child("b", status={"phase": "Running"}),
        stored_child("a", status={"phase": "Succeeded", "output": {"rows": 1}}),
        stored_child("older", "2026-03-01T11:00:00Z", spec={"definition": "chain"}),
        stored_child("foreign", spec={"parent": "shop-2"}),
    ):
        api.put(stored["metadata"]["name"], stored)
    return children(api)


def test_children_are_listed_by_age(mine: Children) -> None:
    found = mine.find(None)

    assert [child.id for child in found] == ["older", "a", "b"]
    assert [child.status for child in found] == ["pending", "success", "running"]
    assert [child.id for child in mine.find("chain")] == ["older"]


def test_long_lists_are_read_in_pages(api: FakeApi) -> None:
    for number in range(1203):
        api.put(f"child-{number:04}", stored_child(f"child-{number:04}"))

    assert [child.id for child in children(api).find(None)] == [f"child-{number:04}" for number in range(1203)]
    assert len(api.calls) == 3


def test_a_list_with_an_expired_continue_token_is_read_again(api: FakeApi) -> None:
    for number in range(600):
        api.put(f"child-{number}", stored_child(f"child-{number}"))
    gone = [(410, {"reason": "Expired"})]
    api.before = lambda _method, name: gone.pop() if "continue" in name and gone else None

    assert len(children(api).find(None)) == 600


def test_a_rejected_list_is_an_error(api: FakeApi) -> None:
    api.before = lambda _method, _name: (403, {"message": "cannot list taskruns"})

    with pytest.raises(ApiRefusedError, match="cannot list taskruns"):
        children(api).find(None)


def test_children_of_an_earlier_run_with_the_name_are_omitted(api: FakeApi, mine: Children) -> None:
    for name, uid in (("a", RUN_UID), ("b", "uid-of-an-earlier-run")):
        api.objects[name]["metadata"]["ownerReferences"] = [{"kind": "TaskRun", "name": "shop", "uid": uid}]

    assert [child.id for child in mine.find(None)] == ["older", "a"]


def test_a_child_has_the_fields_that_its_parent_needs(api: FakeApi) -> None:
    api.put(
        "child",
        stored_child(
            "child",
            spec={"displayName": "Child", "input": {"url": "a"}},
            status={
                "phase": "Failed",
                "message": "no such file",
                "iterations": 2,
                "error": {"message": "no such file", "code": "NoFile", "data": {"path": "/x"}},
                "startedAt": "2026-03-01T12:01:00Z",
                "finishedAt": "2026-03-01T12:02:00Z",
            },
        ),
    )

    (child,) = children(api).find(None)

    assert (child.name, child.status, child.message, child.iterations) == ("Child", "failed", "no such file", 2)
    assert child.error == {"message": "no such file", "code": "NoFile", "data": {"path": "/x"}}
    assert [child.created_on, child.started_on, child.finished_on] == [
        datetime(2026, 3, 1, 12, minute, tzinfo=UTC) for minute in (0, 1, 2)
    ]
    assert child.output is None


@pytest.mark.parametrize("record", [{"response": {"status": "done", "output": {"text": "large"}}}, None])
def test_a_large_output_is_read_from_its_record(api: FakeApi, record: dict[str, Any] | None) -> None:
    api.put("child", stored_child("child", status={"phase": "Succeeded", "outputFrom": "child-i3"}))
    if record is not None:
        api.put("child-i3", record)

    (child,) = children(api).find(None)

    assert child.output == ({"text": "large"} if record else None)
