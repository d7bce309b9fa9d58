"""What the API server refuses of a TaskSchedule by itself, before any operator sees it, and what the policies add."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.harness.chart import RELEASE_NAMESPACE
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_run
from podrelay.schedules.timetable import in_text
from tests.support.quick import DRY_RUN, QuickKubectl, collection
from tests.support.schedules import TASK_SCHEDULES, task_schedule

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def quick(shared: Kubectl) -> QuickKubectl:
    return QuickKubectl.instead_of(shared)


VALID: list[dict[str, Any]] = [
    {"schedules": [{"cron": text}]}
    for text in (
        "30 2 * * *",
        "*/5 9-17 * * MON-FRI",
        "0 0 L * *",
        "0 0 LW * *",
        "0 9 * * FRI#2",
        "0 9 * * 5L",
        "5,7 * 1-7/2 jan,Feb *",
        "@hourly",
    )
] + [
    {"schedules": [{"every": "1h30m", "offset": "5m"}, {"cron": "0 0 1 1 *"}]},
    {"timeZone": "America/Argentina/Buenos_Aires"},
    {"exclude": [{"cron": "* * 24-26 12 *"}, {"date": "2026-12-31"}, {"from": "2026-01-01T00:00:00Z"}]},
]

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"schedules": []}, "spec.schedules"),
    ({"schedules": [{}]}, "set either cron or every"),
    ({"schedules": [{"cron": "* * * * *", "every": "1m"}]}, "set either cron or every"),
    ({"schedules": [{"cron": "* * * * *", "offset": "1m"}]}, "offset belongs to every"),
    ({"schedules": [{"cron": "* * * *"}]}, "spec.schedules[0].cron"),
    ({"schedules": [{"cron": "every day"}]}, "spec.schedules[0].cron"),
    ({"schedules": [{"cron": "0 0 * * * *"}]}, "spec.schedules[0].cron"),
    ({"schedules": [{"every": "9s"}]}, "every must be at least 10s"),
    ({"schedules": [{"every": "1 hour"}]}, "spec.schedules[0].every"),
    ({"schedules": [{"every": "1m", "offset": "60s"}]}, "offset must be shorter than every"),
    ({"timeZone": "../etc/passwd"}, "spec.timeZone"),
    ({"overlap": "Sometimes"}, "spec.overlap"),
    ({"exclude": [{"date": "2026-12-31", "cron": "* * * * *"}]}, "set one of cron, date, or from and until"),
    ({"exclude": [{}]}, "set one of cron, date, or from and until"),
    ({"jitterSeconds": -1}, "spec.jitterSeconds"),
    ({"run": {"definition": "countWords"}}, "must be the name of the TaskDefinition, not its id: use count-words"),
]


@pytest.mark.parametrize("spec", VALID, ids=str)
def test_a_valid_schedule_is_accepted(quick: QuickKubectl, spec: dict[str, Any]) -> None:
    created = quick.create(task_schedule(**spec), flags=(DRY_RUN,))
    assert created, str(created)


@pytest.mark.parametrize(("spec", "message"), INVALID, ids=lambda value: str(value)[:60])
def test_an_invalid_schedule_is_refused_with_a_message(quick: QuickKubectl, spec: dict[str, Any], message: str) -> None:
    refused = quick.create(task_schedule(**spec), flags=(DRY_RUN,))
    assert not refused
    assert message in str(refused)


def test_a_name_that_leaves_no_room_for_the_time_is_refused(quick: QuickKubectl) -> None:
    assert quick.create(task_schedule("x" * 33), flags=(DRY_RUN,))
    assert "at most 33 characters" in str(quick.create(task_schedule("x" * 34), flags=(DRY_RUN,)))


def test_an_input_that_is_too_large_is_refused(quick: QuickKubectl) -> None:
    refused = quick.create(task_schedule(run={"input": {"text": "x" * 300_000}}), flags=(DRY_RUN,))
    assert "256 KiB" in str(refused)


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def user(shared: Kubectl) -> QuickKubectl:
    """A user with the role podrelay-user in the namespace."""
    shared.do("create", "serviceaccount", "planner")
    subject = f"--serviceaccount={shared.namespace}:planner"
    shared.do("create", "rolebinding", "planner", "--clusterrole=podrelay-user", subject)
    return QuickKubectl.instead_of(shared.as_service_account("planner"))


@pytest.fixture(scope="module")
def limited(shared: Kubectl) -> QuickKubectl:
    """A user who may write schedules, and may start runs of one definition only."""
    shared.do("create", "serviceaccount", "limited")
    subject = f"--serviceaccount={shared.namespace}:limited"
    shared.do("create", "role", "limited", "--verb=create,patch,get", "--resource=taskschedules.podrelay.dev")
    shared.do("create", "role", "triggers", "--verb=trigger", "--resource=taskruns.podrelay.dev")
    flags = ("--verb=run", "--resource=taskdefinitions.podrelay.dev", "--resource-name=allowed")
    shared.do("create", "role", "runs-one", *flags)
    for role in ("limited", "triggers", "runs-one"):
        shared.do("create", "rolebinding", role, f"--role={role}", subject)
    return QuickKubectl.instead_of(shared.as_service_account("limited"))


def test_a_schedule_of_a_definition_needs_the_right_to_run_it(limited: QuickKubectl) -> None:
    assert limited.create(task_schedule(definition="allowed"), flags=(DRY_RUN,))
    refused = limited.create(task_schedule(definition="other"), flags=(DRY_RUN,))
    assert "may not start runs of the TaskDefinition other" in str(refused)


def test_a_schedule_cannot_be_pointed_to_another_definition(limited: QuickKubectl, quick: QuickKubectl) -> None:
    assert quick.create(task_schedule("pointed", "allowed"))
    assert limited.patch(TASK_SCHEDULES, "pointed", {"spec": {"suspend": True}})
    refused = limited.patch(TASK_SCHEDULES, "pointed", {"spec": {"run": {"definition": "other"}}})
    assert "may not start runs of the TaskDefinition other" in str(refused)


@pytest.mark.parametrize("field", ["suspendedBy", "created-by", "changed-by"])
def test_a_user_cannot_sign_with_another_name(user: QuickKubectl, field: str) -> None:
    if field == "suspendedBy":
        refused = user.create(task_schedule(suspend=True, suspendedBy="alice"), flags=(DRY_RUN,))
    else:
        metadata = {"annotations": {f"podrelay.dev/{field}": "alice"}}
        refused = user.create(task_schedule(metadata=metadata), flags=(DRY_RUN,))
    assert not refused
    assert "your own name" in str(refused)


def test_a_signed_schedule_can_be_paused_by_others_but_not_changed_without_a_signature(
    user: QuickKubectl, quick: QuickKubectl
) -> None:
    name = f"system:serviceaccount:{user.namespace}:planner"
    assert user.create(task_schedule("signed", metadata={"annotations": {"podrelay.dev/created-by": name}}))
    author = QuickKubectl.instead_of(quick)
    assert author.patch(TASK_SCHEDULES, "signed", {"spec": {"suspend": True}})
    assert user.patch(TASK_SCHEDULES, "signed", {"spec": {"run": {"input": {"shop": "linz"}}}})


def test_a_schedule_passes_only_secrets_that_its_author_may_read(user: QuickKubectl, quick: QuickKubectl) -> None:
    secret: dict[str, Any] = {"run": {"secret": "shop-credentials"}}
    assert quick.create(task_schedule("confidential", **secret))

    refused = user.create(task_schedule("other", **secret), flags=(DRY_RUN,))
    assert "may not pass the Secret shop-credentials to a task" in str(refused)
    refused = user.patch(TASK_SCHEDULES, "confidential", {"spec": {"run": {"input": {"print": True}}}})
    assert "may not pass the Secret shop-credentials to a task" in str(refused)
    assert user.patch(TASK_SCHEDULES, "confidential", {"spec": {"suspend": True}})
    assert user.patch(TASK_SCHEDULES, "confidential", {"spec": {"run": {"secret": None}}})


def test_only_the_status_subresource_changes_the_status(quick: QuickKubectl) -> None:
    assert quick.create(task_schedule("status"))
    assert quick.patch(TASK_SCHEDULES, "status", {"status": {"started": 5}})
    assert "started" not in quick.get(TASK_SCHEDULES, "status").get("status", {})


# --- the operator, with the rights of the chart -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def operator(admin: Kubectl, shared: Kubectl) -> QuickKubectl:
    """The operator's service account, in the namespace of the tests."""
    account = admin.in_namespace(RELEASE_NAMESPACE).as_service_account("podrelay-operator")
    return QuickKubectl.instead_of(account.in_namespace(shared.namespace))


def run_of(schedule: str | None) -> dict[str, Any]:
    scheduled = {"schedule": schedule, "time": "2026-03-28T01:30:00Z"}
    spec: dict[str, Any] = {"scheduled": scheduled} if schedule else {}
    return task_run("nightly-20260328t013000z", metadata={"annotations": {"podrelay.dev/created-by": "alice"}}, **spec)


def test_the_operator_names_the_author_of_a_schedule_as_the_creator_of_its_runs(operator: QuickKubectl) -> None:
    created = operator.create(run_of("nightly"), flags=(DRY_RUN,))
    assert created, str(created)


def test_the_operator_passes_the_secret_of_a_schedule_but_no_other(operator: QuickKubectl) -> None:
    secret: dict[str, Any] = {"secret": "shop-credentials"}
    scheduled = run_of("nightly")
    created = operator.create(scheduled | {"spec": scheduled["spec"] | secret}, flags=(DRY_RUN,))
    assert created, str(created)
    assert not operator.create(task_run("free", **secret), flags=(DRY_RUN,))


def test_a_user_cannot_pass_a_secret_as_the_operator_does(user: QuickKubectl) -> None:
    scheduled = run_of("nightly")
    scheduled["metadata"]["annotations"] = {}
    refused = user.create(scheduled | {"spec": scheduled["spec"] | {"secret": "shop"}}, flags=(DRY_RUN,))
    assert "may not pass the Secret shop to a task" in str(refused)


def test_the_operator_cannot_name_others_as_the_creator_of_any_other_run(operator: QuickKubectl) -> None:
    refused = operator.create(run_of(None), flags=(DRY_RUN,))
    assert not refused


def test_the_operator_can_create_runs_of_schedules_only_under_their_own_names(operator: QuickKubectl) -> None:
    for other in (task_run("free"), run_of("nightly") | {"metadata": {"name": "nightly-20260328t013001z"}}):
        refused = operator.create(other, flags=(DRY_RUN,))
        assert "the operator may create runs of schedules only, named after the schedule and the time" in str(refused)


def test_a_user_cannot_name_others_as_the_creator_of_a_run_of_a_schedule(user: QuickKubectl) -> None:
    refused = user.create(run_of("nightly"), flags=(DRY_RUN,))
    assert "must be your own name" in str(refused)


def test_the_operator_suspends_a_schedule_and_writes_its_status(operator: QuickKubectl, quick: QuickKubectl) -> None:
    assert quick.create(task_schedule("failing"))
    suspended = operator.patch(TASK_SCHEDULES, "failing", {"spec": {"suspend": True, "suspendedBy": "podrelay"}})
    assert suspended, str(suspended)
    stored = quick.get(TASK_SCHEDULES, "failing") | {"status": {"started": 3}}
    path = f"{collection(TASK_SCHEDULES, quick.namespace)}/failing/status"
    assert operator.ask("PUT", path, stored)
    assert quick.get(TASK_SCHEDULES, "failing")["status"]["started"] == 3


@pytest.mark.parametrize(("seconds", "is_late"), [(60, False), (-60, True)])
def test_the_fence_refuses_a_run_that_is_created_too_late(quick: QuickKubectl, seconds: int, is_late: bool) -> None:
    good_until = in_text(datetime.now(UTC) + timedelta(seconds=seconds))
    late = task_run("late", metadata={"annotations": {"podrelay.dev/good-until": good_until}})
    created = quick.create(late, flags=(DRY_RUN,))
    assert bool(created) is not is_late
    assert not is_late or "the request to create this run took longer" in str(created)
