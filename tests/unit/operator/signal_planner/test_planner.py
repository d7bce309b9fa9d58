"""Which signals are accepted, and which are rejected, and why."""

from datetime import datetime
from typing import Any

import pytest

from podrelay.api import limits, names
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.signal_planner.plan import Accept, Adopt, CheckPayload, Delete, Reject
from podrelay.operator.signal_planner.planner import plan
from podrelay.operator.signal_planner.view import SignalView
from tests.support.projections import seen
from tests.unit.operator.builders import KEY, NOW, ago, later, metadata, owned, task_definition, task_run

APPROVAL = [{"name": "release", "approval": {"required": 2, "groups": ["ops", "leads"], "excludeCreator": True}}]
SCHEMA = {"type": "object", "required": ["amount"]}


def signal(
    *,
    is_owned: bool = True,
    sender: str | None = "anna",
    created: datetime | None = None,
    status: dict[str, Any] | None = None,
    name: str = "payment",
    restored_by: str | None = None,
    **spec: Any,
) -> TaskSignal:
    about = owned("s1") if is_owned else metadata("s1")
    about["creationTimestamp"] = created or ago(5)
    if sender is not None:
        about["annotations"] = {names.ANNOTATION_CREATED_BY: sender}
    if restored_by is not None:
        about.setdefault("annotations", {})[names.ANNOTATION_RESTORED_BY] = restored_by
    body = {"metadata": about, "spec": {"taskRun": KEY.name, "signal": name, **spec}, "status": status or {}}
    return seen(body, TaskSignal)


def view(sent: TaskSignal, signals: list[dict[str, Any]] | None = None, **changes: Any) -> SignalView:
    spec: dict[str, Any] = {"signals": signals} if signals is not None else {}
    known: dict[str, Any] = {
        "run": task_run(),
        "definition": task_definition(**spec),
        "now": NOW,
        "created_by": "bob",
        **changes,
    }
    return SignalView(signal=sent, **known)


def decision(
    value: str | None = "Approve",
    groups: list[str] | None = None,
    sender: str | None = "anna",
    restored_by: str | None = None,
) -> TaskSignal:
    spec: dict[str, Any] = {"groups": groups if groups is not None else ["ops"]} | (
        {"decision": value} if value is not None else {}
    )
    return signal(name="release", sender=sender, restored_by=restored_by, **spec)


def reason_of(seen_view: SignalView) -> str:
    action = plan(seen_view).action
    assert isinstance(action, Reject), action
    assert action.message
    return action.reason


def test_a_signal_of_a_definition_without_signals_is_accepted() -> None:
    assert plan(view(signal())).action == Accept()


@pytest.mark.parametrize("status", [{}, {"phase": "Succeeded"}])
def test_a_signal_of_a_run_that_is_being_imported_waits(status: dict[str, Any]) -> None:
    run = task_run(status, annotations={names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE})

    assert plan(view(signal(is_owned=False), run=run)).action is None


def test_a_decision_from_a_backup_counts_only_for_a_run_from_a_backup() -> None:
    restored = decision(restored_by="root")
    imported = task_run(annotations={names.ANNOTATION_IMPORTED: "2026-03-01T12:00:00Z"})

    assert reason_of(view(restored, APPROVAL)) == "SenderNotAllowed"
    assert plan(view(restored, APPROVAL, run=imported)).action == Accept()
    assert plan(view(decision(), APPROVAL)).action == Accept()


def test_an_event_from_a_backup_is_accepted() -> None:
    assert plan(view(signal(restored_by="root"))).action == Accept()


def test_a_signal_without_an_owner_gets_its_run_as_owner_first() -> None:
    run = task_run()
    assert plan(view(signal(is_owned=False), run=run)).action == Adopt(KEY.name, run.metadata.uid)


def test_a_signal_of_a_former_run_is_left_to_garbage_collection() -> None:
    assert plan(view(signal(), run=task_run(uid="uid-of-another-run"))) == plan(view(signal(), run=None))
    assert plan(view(signal(), run=None)).action is None


def test_a_signal_waits_an_hour_for_its_run() -> None:
    young = signal(is_owned=False, created=ago(60))
    assert plan(view(young, run=None)).requeue_at == later(3540)
    old = signal(is_owned=False, created=ago(3600))
    assert reason_of(view(old, run=None)) == "RunNotFound"


def test_a_rejected_signal_without_a_run_is_deleted_after_a_day() -> None:
    rejected = {"phase": "Rejected", "reason": "RunNotFound"}
    assert plan(view(signal(is_owned=False, created=ago(86_400), status=rejected), run=None)).action == Delete()
    assert plan(view(signal(is_owned=False, created=ago(60), status=rejected), run=None)).requeue_at == later(86_340)
    assert plan(view(signal(created=ago(86_400), status=rejected))).action is None, "its run is its owner"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Aborted"])
def test_a_signal_for_a_finished_run_is_rejected(phase: str) -> None:
    assert reason_of(view(signal(), run=task_run({"phase": phase}))) == "RunFinished"


@pytest.mark.parametrize("phase", ["Consumed", "Rejected"])
def test_a_signal_that_is_decided_stays_as_it_is(phase: str) -> None:
    finished: TaskRun = task_run({"phase": "Succeeded"})
    assert plan(view(signal(status={"phase": phase}), run=finished)).action is None


def test_a_signal_waits_for_the_definition() -> None:
    assert plan(view(signal(), definition=None)).action is None


def test_a_signal_that_the_definition_does_not_list_is_rejected() -> None:
    assert reason_of(view(signal(), [{"name": "note"}])) == "UnknownSignal"
    assert plan(view(signal(), [{"name": "payment"}])).action == Accept()


def test_a_payload_is_checked_before_the_signal_is_accepted() -> None:
    kinds = [{"name": "payment", "payloadSchema": SCHEMA}]
    assert plan(view(signal(), kinds)).action == CheckPayload(SCHEMA)
    assert plan(view(signal(), kinds, payload_problem="")).action == Accept()
    assert reason_of(view(signal(), kinds, payload_problem="amount: missing")) == "InvalidPayload"


def test_a_payload_that_is_too_large_is_rejected_if_no_policy_has_refused_it() -> None:
    assert reason_of(view(signal(payload={"text": "x" * limits.SIGNAL_BYTES}))) == "InvalidPayload"


def test_a_decision_about_something_that_is_not_an_approval_is_rejected() -> None:
    assert reason_of(view(signal(decision="Approve"))) == "NotAnApproval"
    assert reason_of(view(signal(decision="Approve"), [{"name": "payment"}])) == "NotAnApproval"


def test_a_decision_of_a_user_who_may_decide_is_accepted() -> None:
    assert plan(view(decision(), APPROVAL)).action == Accept()
    assert plan(view(decision("Reject", ["other", "leads"]), APPROVAL)).action == Accept()


@pytest.mark.parametrize(
    ("sent", "changes", "reason"),
    [
        (decision(None), {}, "DecisionMissing"),
        (decision(sender=None), {}, "SenderNotAllowed"),
        (decision(groups=[]), {}, "SenderNotAllowed"),
        (decision(groups=["system:masters"]), {}, "SenderNotAllowed"),
        (decision(), {"created_by": "anna"}, "SenderNotAllowed"),
        (decision(), {"has_decided": True}, "AlreadyDecided"),
    ],
    ids=["no decision", "no sender", "no group", "another group", "the creator", "a second time"],
)
def test_a_decision_that_does_not_count_is_rejected(sent: TaskSignal, changes: dict[str, Any], reason: str) -> None:
    assert reason_of(view(sent, APPROVAL, **changes)) == reason


def test_a_run_whose_creator_is_unknown_cannot_be_approved_if_the_creator_must_not() -> None:
    assert reason_of(view(decision(), APPROVAL, created_by=None)) == "SenderNotAllowed"
    others = [{"name": "release", "approval": {"required": 1}}]
    assert plan(view(decision(groups=[]), others, created_by=None)).action == Accept()
