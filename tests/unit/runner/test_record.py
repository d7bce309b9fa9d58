"""The record: claimed once, written with resource versions, answered once. With an API server in memory."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from podrelay.api import limits, names, protocol
from podrelay.runner import record as module
from podrelay.runner.flush import Flusher
from podrelay.runner.record import Record, ResponseLostError
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, SupersededError
from tests.support.numbers import KEPT
from tests.unit.runner.runner_fakes import LACKS_RIGHT, POD_UID, FakeApi, me, unreachable

DONE = {"status": "done", "output": {"rows": 3}}
ERROR = {"status": "error", "error": {"message": "no"}}


def deadline() -> float:
    return 1060.0


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def claimed(api: FakeApi, **variables: str) -> Record:
    record = Record(api, me(**variables))
    record.claim(deadline)
    api.calls.clear()
    return record


def lose_answer_of(api: FakeApi, method: str) -> None:
    """Let the next write of this kind succeed but return the conflict that a retry would cause."""

    def after(called: str, _name: str) -> tuple[int, dict[str, Any]] | None:
        if called != method:
            return None
        api.after = lambda _method, _name: None
        return 409, {"reason": "AlreadyExists" if method == "POST" else "Conflict"}

    api.after = after


# --- the claim --------------------------------------------------------------------------------------------------------


def test_the_claim_has_all_fields_of_the_pod(api: FakeApi) -> None:
    claimed(api)

    stored = api.record
    assert stored.pop("startedAt").endswith("Z")
    assert stored == {
        "apiVersion": "podrelay.dev/v1alpha1",
        "kind": "TaskIteration",
        "metadata": {
            "name": "shop-i2",
            "namespace": "default",
            "labels": {
                "podrelay.dev/run": "shop",
                "podrelay.dev/definition": "import-products",
                "podrelay.dev/iteration": "2",
                "podrelay.dev/try": "1",
            },
            "ownerReferences": [
                {"apiVersion": "podrelay.dev/v1alpha1", "kind": "TaskRun", "name": "shop", "uid": "uid-of-run"}
            ],
            "resourceVersion": "1",
        },
        "runName": "shop",
        "iteration": 2,
        "try": 1,
        "podName": "shop-i2",
        "podUID": POD_UID,
        "protocol": protocol.VERSION,
        "nodeName": "node-1",
        "image": "shop:1",
    }


def test_a_claim_whose_answer_was_lost_is_recognized(api: FakeApi) -> None:
    lose_answer_of(api, "POST")
    record = Record(api, me())

    record.claim(deadline)
    record.answer(DONE, deadline)

    assert api.record["response"] == DONE


@pytest.mark.parametrize("uid", ["another", POD_UID], ids=["another pod", "an earlier container of this pod"])
def test_a_claimed_name_cannot_be_claimed_again(api: FakeApi, uid: str) -> None:
    api.put("shop-i2", {"podUID": uid, "startedAt": "2026-01-01T00:00:00.000000Z"})

    with pytest.raises(SupersededError):
        Record(api, me()).claim(deadline)


def test_a_conflict_without_a_record_is_retried(api: FakeApi) -> None:
    conflicts = [(409, {"reason": "Conflict", "message": "resourcequotas"})] * 2
    api.before = lambda method, _name: conflicts.pop() if method == "POST" and conflicts else None

    Record(api, me()).claim(deadline)

    assert api.record["podUID"] == POD_UID


def test_endless_conflicts_end_at_the_deadline(api: FakeApi) -> None:
    api.before = lambda method, _name: (409, {"reason": "Conflict", "message": "quota"}) if method == "POST" else None

    with pytest.raises(ApiUnreachableError, match="quota"):
        Record(api, me()).claim(deadline)


def test_a_rejected_claim_is_an_error(api: FakeApi) -> None:
    api.before = lambda method, _name: (403, {"message": "forbidden"}) if method == "POST" else None

    with pytest.raises(ApiRefusedError, match="403: forbidden"):
        Record(api, me()).claim(deadline)


@pytest.mark.parametrize("status", [401, 403])
def test_a_claim_waits_until_a_missing_permission_is_restored(api: FakeApi, status: int) -> None:
    refusals = [(status, {"message": LACKS_RIGHT})] * 3
    api.before = lambda method, _name: refusals.pop() if method == "POST" and refusals else None

    Record(api, me()).claim(deadline)

    assert api.record["podUID"] == POD_UID


# --- while the task runs ----------------------------------------------------------------------------------------------


def test_progress_and_logs_are_stored_together_and_only_once(api: FakeApi) -> None:
    record = claimed(api)
    record.set_progress(30.0, "30/100")
    record.add_log({"message": "a"})
    record.add_log({"message": "b"})

    record.flush(deadline)
    record.flush(deadline)

    assert api.calls == ["PUT shop-i2"]
    assert (api.record["progress"]["percent"], api.record["progress"]["message"]) == (30.0, "30/100")
    assert [item["message"] for item in api.record["logs"]] == ["a", "b"]
    assert "droppedLogs" not in api.record


def test_updates_of_a_failed_flush_are_in_the_next_write(api: FakeApi) -> None:
    record = claimed(api)
    record.add_log({"message": "a"})
    api.before = unreachable
    with pytest.raises(ApiUnreachableError):
        record.flush(deadline)
    api.before = lambda _method, _name: None

    record.flush(deadline)

    assert [item["message"] for item in api.record["logs"]] == ["a"]


def test_a_reporting_task_does_not_wait_for_a_flush_in_progress(api: FakeApi) -> None:
    record = claimed(api)
    record.set_progress(None, "1")
    is_writing, may_end = threading.Event(), threading.Event()

    def block(_method: str, _name: str) -> None:
        is_writing.set()
        may_end.wait(10)

    api.before = block
    flusher = threading.Thread(target=record.flush, args=(deadline,), daemon=True)
    flusher.start()
    assert is_writing.wait(10)

    record.set_progress(None, "2")
    record.add_log({"message": "meanwhile"})
    assert "progress" not in api.record, "the write is still in progress"
    may_end.set()
    flusher.join(10)
    record.flush(deadline)

    assert api.record["progress"]["message"] == "2"
    assert api.record["logs"] == [{"message": "meanwhile"}]


def test_the_newest_200_logs_are_kept_and_the_others_counted(api: FakeApi) -> None:
    record = claimed(api)
    for number in range(205):
        record.add_log({"message": str(number)})

    record.flush(deadline)

    assert [api.record["logs"][i]["message"] for i in (0, -1)] == ["5", "204"]
    assert (len(api.record["logs"]), api.record["droppedLogs"]) == (200, 5)


def test_logs_are_kept_up_to_64_kib(api: FakeApi) -> None:
    record = claimed(api)
    for _ in range(30):
        record.add_log({"message": "ü" * 2000})

    record.flush(deadline)

    assert (len(api.record["logs"]), api.record["droppedLogs"]) == (16, 14)


def test_a_log_line_that_is_too_large_alone_does_not_push_out_the_others(api: FakeApi) -> None:
    record = claimed(api)
    record.add_log({"message": "before"})
    record.add_log({"message": "large", "type": "info", "data": {"text": "x" * module.LOG_BYTES}})

    record.flush(deadline)

    before, large = api.record["logs"]
    assert (before["message"], large["message"], large["type"]) == ("before", "large", "info")
    assert "exceed the limit" in large["data"]["refused"]
    assert "droppedLogs" not in api.record


def test_a_checkpoint_is_stored_immediately(api: FakeApi) -> None:
    record = claimed(api)

    record.checkpoint({"input": {"cursor": 1}}, deadline)

    assert api.record["checkpoint"] == {"input": {"cursor": 1}}


def test_a_rejected_checkpoint_does_not_affect_later_writes(api: FakeApi) -> None:
    record = claimed(api)
    record.checkpoint({"input": {"cursor": 1}}, deadline)
    api.before = lambda _method, _name: (413, {"message": "too large"})
    with pytest.raises(ApiRefusedError, match="too large"):
        record.checkpoint({"input": {"cursor": 2}}, deadline)
    api.before = lambda _method, _name: None

    record.answer(ERROR, deadline)

    assert api.record["checkpoint"] == {"input": {"cursor": 1}}


def test_a_change_by_another_client_is_kept(api: FakeApi) -> None:
    record = claimed(api)
    api.put("shop-i2", {**api.record, "metadata": {**api.record["metadata"], "annotations": {"a": "b"}}})

    record.checkpoint({"input": {}}, deadline)

    assert api.record["metadata"]["annotations"] == {"a": "b"}
    assert api.record["checkpoint"] == {"input": {}}


NEWS: list[Callable[[Record], None]] = [
    lambda record: record.heartbeat(),
    lambda record: record.set_progress(None, "1"),
    lambda record: record.add_log({"message": "a"}),
]


@pytest.mark.parametrize("give", NEWS, ids=["heartbeat", "progress", "log"])
def test_every_heartbeat_is_stored_with_the_next_write(api: FakeApi, give: Callable[[Record], None]) -> None:
    record = claimed(api)
    give(record)

    record.flush(deadline)
    record.flush(deadline)

    assert api.record["heartbeatAt"] >= api.record["startedAt"]
    assert api.calls == ["PUT shop-i2"]


def test_a_saved_state_is_a_heartbeat(api: FakeApi) -> None:
    record = claimed(api)
    record.checkpoint({"input": {}}, deadline)

    assert api.record["heartbeatAt"] >= api.record["startedAt"]


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["done", "continue", "aborted"])
def test_an_answer_drops_the_checkpoint_and_includes_pending_updates(api: FakeApi, status: str) -> None:
    record = claimed(api)
    record.checkpoint({"input": {}}, deadline)
    record.set_progress(100.0, "all")

    record.answer({"status": status}, deadline)

    assert api.record["response"] == {"status": status}
    assert api.record["progress"]["message"] == "all"
    assert api.record["finishedAt"] >= api.record["startedAt"]
    assert "checkpoint" not in api.record


def test_an_error_keeps_the_checkpoint_for_the_retry(api: FakeApi) -> None:
    record = claimed(api)
    record.checkpoint({"input": {"cursor": 1}}, deadline)

    record.answer(ERROR, deadline)

    assert api.record["checkpoint"] == {"input": {"cursor": 1}}


def test_an_answer_whose_acknowledgement_was_lost_is_recognized(api: FakeApi) -> None:
    record = claimed(api)
    lose_answer_of(api, "PUT")

    record.answer(dict(DONE), deadline)

    assert api.calls == ["PUT shop-i2", "GET shop-i2"]


@pytest.mark.parametrize(("sent", "kept"), [case for case in KEPT if type(case[0]) is float], ids=repr)
def test_an_answer_is_sent_in_its_stored_form_so_that_it_may_be_sent_again(
    api: FakeApi, sent: float, kept: float
) -> None:
    record = claimed(api)
    lose_answer_of(api, "PUT")

    record.answer({"status": "done", "output": {"x": [{"y": sent}]}, "waitSeconds": 5.0}, deadline)
    assert api.calls == ["PUT shop-i2", "GET shop-i2"]
    record.add_hook({"name": "onDone", "outcome": "Succeeded"}, deadline)

    assert api.record["hooks"]
    assert repr(api.record["response"]) == repr({"status": "done", "output": {"x": [{"y": kept}]}, "waitSeconds": 5})


def test_an_error_is_sent_again_with_its_data(api: FakeApi) -> None:
    record = claimed(api)
    record.checkpoint({"input": {"x": 1.0}, "output": {"x": 2.0}}, deadline)

    record.answer({"status": "error", "error": {"message": "no", "data": {"x": 1.0}}}, deadline)
    record.add_hook({"name": "onError", "outcome": "Succeeded"}, deadline)

    assert repr(api.record["checkpoint"]) == "{'input': {'x': 1}, 'output': {'x': 2}}"
    assert api.record["hooks"]


WRITES: list[Callable[[Record], None]] = [
    lambda record: record.checkpoint({"input": {"cursor": 7}}, deadline),
    lambda record: record.answer(dict(DONE), deadline),
    lambda record: record.add_hook({"name": "onDone", "outcome": "Succeeded"}, deadline),
]


@pytest.mark.parametrize("refusal", [(401, {}), (403, {"message": LACKS_RIGHT}), (404, {})], ids=["401", "403", "404"])
@pytest.mark.parametrize("write", WRITES, ids=["checkpoint", "answer", "hook"])
def test_writes_wait_for_a_missing_permission_until_the_deadline(
    api: FakeApi, write: Callable[[Record], None], refusal: tuple[int, dict[str, Any]]
) -> None:
    record = claimed(api)
    began = api.clock()
    api.before = lambda method, _name: refusal if method == "PUT" and api.clock() < began + 50 else None

    write(record)

    assert {"checkpoint", "response", "hooks"} & set(api.record)
    api.before = lambda _method, _name: refusal
    with pytest.raises(ApiUnreachableError, match=str(refusal[0])):
        record.checkpoint({"input": {}}, deadline)


def test_the_read_after_a_conflict_waits_for_a_missing_permission(api: FakeApi) -> None:
    record = claimed(api)
    lose_answer_of(api, "PUT")
    refusals = [(403, {"message": LACKS_RIGHT})] * 3
    api.before = lambda method, _name: refusals.pop() if method == "GET" and refusals else None

    record.answer(dict(DONE), deadline)

    assert not refusals


def test_a_rejection_by_a_policy_is_reported_immediately(api: FakeApi) -> None:
    record = claimed(api)
    words = 'taskiterations "shop-i2" is forbidden: admission webhook "x.dev" denied the request: no'
    api.before = lambda method, _name: (403, {"message": words}) if method == "PUT" else None

    with pytest.raises(ApiRefusedError, match="denied the request"):
        record.answer(dict(DONE), deadline)

    assert api.clock.naps == []


def test_a_flush_without_permission_is_made_up_for_by_the_next(api: FakeApi) -> None:
    record = claimed(api)
    record.add_log({"message": "a"})
    api.before = lambda _method, _name: (403, {"message": LACKS_RIGHT})
    flusher = Flusher(record, api.clock)
    assert flusher.step() is not None, "it continues"
    api.before = lambda _method, _name: None

    flusher.step()

    assert [item["message"] for item in api.record["logs"]] == ["a"]


@pytest.mark.parametrize("version", ["old", "same"], ids=["409", "422"])
def test_the_first_stored_response_wins(api: FakeApi, version: str) -> None:
    record = claimed(api)
    before = api.record["metadata"]["resourceVersion"]
    api.put("shop-i2", {**api.record, "response": {"status": "aborted"}})
    if version == "same":
        api.record["metadata"]["resourceVersion"] = before

    with pytest.raises(ResponseLostError, match="another response was stored first"):
        record.answer(dict(DONE), deadline)

    assert api.record["response"] == {"status": "aborted"}


def test_a_record_of_another_pod_is_left_alone(api: FakeApi) -> None:
    record = claimed(api)
    api.put("shop-i2", {"podUID": "another"})

    with pytest.raises(SupersededError):
        record.answer(dict(DONE), deadline)

    assert "response" not in api.record


def test_a_deleted_record_is_not_created_again(api: FakeApi) -> None:
    record = claimed(api)
    del api.objects["shop-i2"]
    api.before = lambda method, _name: (409, {}) if method == "PUT" else None

    with pytest.raises(SupersededError):
        record.answer(dict(DONE), deadline)


def test_an_answer_that_the_schema_rejects_is_an_error(api: FakeApi) -> None:
    record = claimed(api)
    api.before = lambda method, _name: (422, {"message": "invalid"}) if method == "PUT" else None

    with pytest.raises(ApiRefusedError, match="422: invalid"):
        record.answer(dict(DONE), deadline)


# --- the size ---------------------------------------------------------------------------------------------------------

LARGE = {"text": "x" * (limits.PAYLOAD_BYTES - 100)}


@pytest.mark.parametrize(
    ("final", "kept"), [("true", {"response"}), ("false", {"response", "checkpoint"})], ids=["final", "to be retried"]
)
def test_an_error_in_a_full_record_keeps_what_is_still_needed(api: FakeApi, final: str, kept: set[str]) -> None:
    record = claimed(api, **{names.ENV_FINAL_ATTEMPT: final})
    for number in range(64):
        record.add_log({"message": f"{number} " + "x" * 900})
    record.checkpoint({"input": LARGE, "output": LARGE}, deadline)

    record.answer({"status": "error", "error": {"message": "no", "data": LARGE}, "output": LARGE}, deadline)

    stored = api.record
    assert module._bytes(stored) <= module.RECORD_BYTES
    assert {"response", "checkpoint"} & set(stored) == kept
    assert stored["response"]["error"]["message"] == "no"
    assert ("output" in stored["response"]) is (final == "true")


def test_a_checkpoint_is_kept_for_a_retry_that_the_task_requests(api: FakeApi) -> None:
    """If retry.on lacks Error, errors are final, except for answers with Retry."""
    record = claimed(api, **{names.ENV_FINAL_ATTEMPT: "true"})
    record.checkpoint({"input": LARGE, "output": LARGE}, deadline)
    error = {"message": "busy", "data": LARGE}

    record.answer({"status": "error", "error": error, "output": LARGE, "retryable": True}, deadline)

    assert module._bytes(api.record) <= module.RECORD_BYTES
    assert api.record["checkpoint"] == {"input": LARGE, "output": LARGE}


def test_the_oldest_logs_give_way_to_payloads(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORD_BYTES", 8000)
    record = claimed(api)
    for number in range(10):
        record.add_log({"message": f"{number} " + "x" * 500})

    record.answer({"status": "done", "output": {"text": "x" * 4000}}, deadline)

    assert module._bytes(api.record) <= 8000
    assert 0 < len(api.record["logs"]) < 10
    assert api.record["logs"][-1]["message"].startswith("9 ")
    assert api.record["droppedLogs"] == 10 - len(api.record["logs"])
