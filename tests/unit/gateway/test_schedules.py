"""Schedules in GraphQL: what is shown, and what is sent to the API server in the caller's name."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from podrelay.gateway.objects import Scheduled, ScheduleIdentity
from tests.support.schedules import task_schedule
from tests.unit.gateway.builders import metadata, run
from tests.unit.gateway.conftest import Gateway
from tests.unit.gateway.test_subscriptions import subscribe

PATH = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskschedules"
FIELDS = """id definition rules timeZone overlap suspended suspendNote suspendedBy ready reason nextTimes
  lastRun { id scheduledFor phase } activeRuns started missed skipped backfills { name from started finishedOn }"""
LIST = f"{{ backgroundTasks {{ listSchedules {{ data {{ {FIELDS} }} error {{ code }} }} }} }}"
GET = f"query($id: ID!) {{ backgroundTasks {{ getSchedule(id: $id) {{ data {{ {FIELDS} }} error {{ code }} }} }} }}"
PREVIEW = """query($cron: [String!], $zone: String! = "UTC", $id: ID) { backgroundTasks {
  previewSchedule(id: $id, cron: $cron, timeZone: $zone, start: "2026-03-28T00:00:00Z", count: 2) {
    data error { code message } } } }"""
TRIGGER = """mutation($id: ID!, $key: String) { backgroundTasks {
  triggerSchedule(id: $id, input: {shop: "linz"}, idempotencyKey: $key) { data { id } error { code } } } }"""
SUSPEND = """mutation($id: ID!, $on: Boolean!) { backgroundTasks {
  suspendSchedule(id: $id, suspend: $on, note: "moving") {
    data { suspended suspendNote suspendedBy } error { code } } } }"""
BACKFILL = """mutation($until: DateTime!) { backgroundTasks { backfillSchedule(
  id: "nightly", start: "2026-01-01T00:00:00Z", until: $until, overlap: ALLOW) {
    data { backfills { name from until started } } error { code message } } } }"""
CREATE = """mutation($id: ID!, $spec: JSON!) { backgroundTasks { createSchedule(id: $id, spec: $spec) {
  data { id definition rules createdBy spec } error { code message } } } }"""
UPDATE = """mutation($id: ID!, $spec: JSON!) { backgroundTasks { updateSchedule(id: $id, spec: $spec) {
  data { id timeZone spec } error { code message } } } }"""
UPDATED = "subscription($id: ID) { scheduleUpdated(id: $id) { id deleted schedule { id suspended } } }"
DELETE = "mutation($id: ID!) { backgroundTasks { deleteSchedule(id: $id) { data error { code } } } }"

STATUS = {
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Scheduling",
            "message": "runs start",
            "lastTransitionTime": "2026-01-01T00:00:05Z",
        }
    ],
    "nextTimes": ["2026-03-29T01:00:00Z"],
    "lastRun": {"name": "nightly-20260328t013000z", "scheduledFor": "2026-03-28T01:30:00Z", "phase": "Succeeded"},
    "active": [{"name": "nightly-20260328t013000z", "scheduledFor": "2026-03-28T01:30:00Z"}],
    "started": 7,
    "skipped": {"overlap": 2},
}


@pytest.fixture(autouse=True)
def _nightly(gateway: Gateway) -> None:
    metadata = {"namespace": "shop", "uid": "u1", "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z"}
    stored = task_schedule(metadata=metadata, timeZone="Europe/Vienna", run={"input": {"shop": "graz"}})
    stored["status"] = STATUS
    gateway.api.objects[f"{PATH}/nightly"] = stored
    gateway.api.objects[PATH] = {"metadata": {}, "items": [stored]}


async def ask(gateway: Gateway, document: str, token: str = "alice", **variables: Any) -> Any:
    answer = await gateway.ask(document, token, **variables)
    assert "errors" not in answer, answer
    (field,) = answer["data"]["backgroundTasks"].values()
    return field


async def test_a_schedule_is_shown(gateway: Gateway) -> None:
    shown = await ask(gateway, GET, id="nightly")
    assert shown["data"] == {
        "id": "nightly",
        "definition": "countWords",
        "rules": ["30 2 * * *"],
        "timeZone": "Europe/Vienna",
        "overlap": "Skip",
        "suspended": False,
        "suspendNote": None,
        "suspendedBy": None,
        "ready": True,
        "reason": "Scheduling",
        "nextTimes": ["2026-03-29T01:00:00.000Z"],
        "lastRun": {
            "id": "nightly-20260328t013000z",
            "scheduledFor": "2026-03-28T01:30:00.000Z",
            "phase": "Succeeded",
        },
        "activeRuns": ["nightly-20260328t013000z"],
        "started": 7,
        "missed": 0,
        "skipped": {"overlap": 2},
        "backfills": [],
    }
    assert (await ask(gateway, LIST))["data"] == [shown["data"]]


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (LIST, {}),
        (GET, {"id": "nightly"}),
        (PREVIEW, {"id": "nightly"}),
        (TRIGGER, {"id": "nightly"}),
        (SUSPEND, {"id": "nightly", "on": True}),
        (CREATE, {"id": "weekly", "spec": {}}),
        (UPDATE, {"id": "nightly", "spec": {}}),
        (DELETE, {"id": "nightly"}),
    ],
)
async def test_without_rights_nothing_is_shown_or_changed(
    gateway: Gateway, document: str, variables: dict[str, Any]
) -> None:
    answer = await ask(gateway, document, "bob", **variables)
    assert answer["error"]["code"] == "BackgroundTasks/NotAuthorized"
    assert not answer["data"]
    assert {method for method, _, user in gateway.api.seen if user == "bob"} == {"POST"}  # reviews only


@pytest.mark.parametrize("ident", ["missing", "../nightly", "a/b/c"])
async def test_an_unknown_schedule_is_an_error(gateway: Gateway, ident: str) -> None:
    for document in (GET, TRIGGER, DELETE):
        answer = await ask(gateway, document, id=ident)
        assert answer["error"]["code"] == "BackgroundTasks/Schedule/NotFoundError"


async def test_a_preview_of_expressions_or_of_a_schedule(gateway: Gateway) -> None:
    times = ["2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z"]
    assert (await ask(gateway, PREVIEW, cron=["30 2 * * *"], zone="Europe/Vienna"))["data"] == times
    assert (await ask(gateway, PREVIEW, id="nightly"))["data"] == times


async def test_a_preview_of_a_wrong_expression_says_what_is_wrong(gateway: Gateway) -> None:
    answer = await ask(gateway, PREVIEW, cron=["61 * * * *"])
    assert answer["error"]["code"] == "BackgroundTasks/ValidationError"
    assert "Bad minute" in answer["error"]["message"]


async def test_a_trigger_creates_a_run_of_the_schedule(gateway: Gateway) -> None:
    first = await ask(gateway, TRIGGER, id="nightly", key="1")
    name = first["data"]["id"]
    stored = gateway.api.objects[f"/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns/{name}"]
    assert stored["spec"]["input"] == {"shop": "linz"}
    assert stored["spec"]["scheduled"] | {"time": ""} == {"schedule": "nightly", "time": "", "manual": True}
    assert stored["metadata"]["annotations"] == {"podrelay.dev/created-by": "alice"}


async def test_a_suspension_names_the_caller(gateway: Gateway) -> None:
    assert (await ask(gateway, SUSPEND, id="nightly", on=True))["data"] == {
        "suspended": True,
        "suspendNote": "moving",
        "suspendedBy": "alice",
    }
    assert not (await ask(gateway, SUSPEND, id="nightly", on=False))["data"]["suspended"]


async def test_a_backfill_is_added_once(gateway: Gateway) -> None:
    wanted = {
        "name": "20260101t000000z-20260201t000000z",
        "from": "2026-01-01T00:00:00.000Z",
        "until": "2026-02-01T00:00:00.000Z",
        "started": 0,
    }
    for _ in range(2):
        assert (await ask(gateway, BACKFILL, until="2026-02-01T00:00:00Z"))["data"] == {"backfills": [wanted]}
    refused = await ask(gateway, BACKFILL, until="2025-02-01T00:00:00Z")
    assert refused["error"]["message"] == "until must be later than from."


async def test_a_deleted_schedule_is_gone(gateway: Gateway) -> None:
    assert (await ask(gateway, DELETE, id="nightly"))["data"] is True
    assert (await ask(gateway, GET, id="nightly"))["error"]["code"] == "BackgroundTasks/Schedule/NotFoundError"


async def test_a_schedule_is_created_in_the_name_of_the_caller(gateway: Gateway) -> None:
    spec = {"schedules": [{"cron": "@weekly"}], "run": {"definition": "count-words", "secret": "shop"}}

    answer = await ask(gateway, CREATE, id="weekly", spec=spec)

    assert answer["data"] == {
        "id": "weekly",
        "definition": "countWords",
        "rules": ["@weekly"],
        "createdBy": "alice",
        "spec": spec,
    }
    assert gateway.api.objects[f"{PATH}/weekly"]["kind"] == "TaskSchedule"


async def test_fields_of_a_schedule_are_changed(gateway: Gateway) -> None:
    answer = await ask(gateway, UPDATE, id="nightly", spec={"timeZone": "UTC"})

    assert answer["data"]["timeZone"] == "UTC"
    assert answer["data"]["spec"]["run"] == {"definition": "count-words", "input": {"shop": "graz"}}
    assert "annotations" not in gateway.api.objects[f"{PATH}/nightly"]["metadata"]


async def test_the_caller_signs_a_change_of_what_is_run(gateway: Gateway) -> None:
    await ask(gateway, UPDATE, id="nightly", spec={"run": {"definition": "count-lines"}})

    changed = gateway.api.objects[f"{PATH}/nightly"]
    assert changed["spec"]["run"]["definition"] == "count-lines"
    assert changed["metadata"]["annotations"] == {"podrelay.dev/changed-by": "alice"}


@pytest.mark.parametrize("document", [CREATE, UPDATE])
async def test_a_spec_that_is_no_object_is_refused(gateway: Gateway, document: str) -> None:
    answer = await ask(gateway, document, id="nightly", spec=["@weekly"])
    assert answer["error"]["code"] == "BackgroundTasks/ValidationError"
    assert answer["error"]["message"].startswith("spec must be a JSON object")


async def test_an_unknown_schedule_cannot_be_changed(gateway: Gateway) -> None:
    answer = await ask(gateway, UPDATE, id="missing", spec={"timeZone": "UTC"})
    assert answer["error"]["code"] == "BackgroundTasks/Schedule/NotFoundError"


# --- the subscription -------------------------------------------------------------------------------------------------


async def test_subscribers_get_the_current_state_then_each_change_then_the_deletion(gateway: Gateway) -> None:
    async with subscribe(gateway, UPDATED, id="nightly") as subscription:
        first = await subscription.next()
        await ask(gateway, SUSPEND, id="nightly", on=True)
        changes(gateway, "nightly", "6")
        second = await subscription.next()
        del gateway.api.objects[f"{PATH}/nightly"]
        gateway.cache.schedules.remove(identity("nightly", "7"))
        rest = await subscription.rest()

    assert first == {"id": "nightly", "deleted": False, "schedule": {"id": "nightly", "suspended": False}}
    assert second == {"id": "nightly", "deleted": False, "schedule": {"id": "nightly", "suspended": True}}
    assert rest == [{"id": "nightly", "deleted": True, "schedule": None}]


async def test_subscribers_to_all_schedules_get_those_that_change(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, is_listening = gateway.cache.schedules, asyncio.Event()
    listen = cache.listen

    def heard(listener: Any) -> Any:
        is_listening.set()
        return listen(listener)

    monkeypatch.setattr(cache, "listen", heard)
    gateway.api.objects[f"{PATH}/weekly"] = gateway.api.objects[f"{PATH}/nightly"]
    async with subscribe(gateway, UPDATED) as subscription:
        await is_listening.wait()
        changes(gateway, "weekly", "8")
        assert (await subscription.next())["id"] == "weekly"


async def test_subscribers_to_one_schedule_hear_nothing_of_another(gateway: Gateway) -> None:
    async with subscribe(gateway, UPDATED, id="nightly") as subscription:
        await subscription.next()
        changes(gateway, "weekly", "8")
        changes(gateway, "nightly", "9")
        assert (await subscription.next())["id"] == "nightly"


async def test_a_caller_without_the_right_to_watch_hears_nothing(gateway: Gateway) -> None:
    gateway.api.rights["alice"] -= {"watch taskschedules"}
    async with subscribe(gateway, UPDATED, id="nightly") as subscription:
        assert await subscription.error() == "BackgroundTasks/NotAuthorized"


def identity(name: str, version: str) -> ScheduleIdentity:
    return ScheduleIdentity(metadata(name, version=version))


def changes(gateway: Gateway, name: str, version: str) -> None:
    gateway.cache.schedules.apply(identity(name, version))


DETAILS = """{ backgroundTasks { getSchedule(id: "nightly") { data {
  namespace version uid succeeded failed consecutiveFailures manifest
  conditions { type status reason message changedOn }
  options { daylightSaving endAt exclusions jitterSeconds maxBuffered missedPolicy missedWindowSeconds pauseOnFailures }
  lastRun { startedOn finishedOn }
  active { id scheduledFor backfill }
  backfills { name overlap startsPerMinute processedUntil existing } } error { code } } } }"""


async def test_the_details_of_a_schedule_are_shown(gateway: Gateway) -> None:
    stored = gateway.api.objects[f"{PATH}/nightly"]
    stored["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    stored["spec"] |= {
        "exclude": [{"date": "2026-12-24"}, {"from": "2026-12-30", "until": "2027-01-02"}, {"cron": "* 3 * * *"}],
        "missed": {"policy": "All"},
        "backfills": [{"name": "june", "from": "2026-06-01T00:00:00Z", "until": "2026-07-01T00:00:00Z"}],
    }
    stored["status"] = STATUS | {
        "backfills": [{"name": "june", "processedUntil": "2026-06-03T01:30:00Z", "started": 2, "existing": 1}],
        "active": [{"name": "nightly-x", "scheduledFor": "2026-06-03T01:30:00Z", "backfill": "june"}],
        "succeeded": 5,
        "failed": 2,
        "consecutiveFailures": 1,
    }
    shown = (await ask(gateway, DETAILS))["data"]
    assert "managedFields" not in shown["manifest"]["metadata"]
    assert shown.pop("manifest")["spec"] == stored["spec"]
    assert shown == {
        "namespace": "shop",
        "version": "5",
        "uid": "u1",
        "succeeded": 5,
        "failed": 2,
        "consecutiveFailures": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Scheduling",
                "message": "runs start",
                "changedOn": "2026-01-01T00:00:05.000Z",
            }
        ],
        "options": {
            "daylightSaving": "Once",
            "endAt": None,
            "exclusions": ["2026-12-24", "2026-12-30 to 2027-01-02", "* 3 * * *"],
            "jitterSeconds": 0,
            "maxBuffered": 100,
            "missedPolicy": "All",
            "missedWindowSeconds": 86400,
            "pauseOnFailures": None,
        },
        "lastRun": {"startedOn": None, "finishedOn": None},
        "active": [{"id": "nightly-x", "scheduledFor": "2026-06-03T01:30:00.000Z", "backfill": "june"}],
        "backfills": [
            {
                "name": "june",
                "overlap": "OneByOne",
                "startsPerMinute": 60,
                "processedUntil": "2026-06-03T01:30:00.000Z",
                "existing": 1,
            }
        ],
    }


RUNS = """query($schedule: String) { backgroundTasks { listTasks(where: {scheduleId: $schedule}) {
  data { id scheduled { scheduleId scheduledFor manual backfill } } meta { totalCount } } } }"""


async def test_tasks_know_their_schedule_and_are_found_by_it(gateway: Gateway) -> None:
    scheduled = Scheduled("nightly", datetime(2026, 6, 3, 1, 30, tzinfo=UTC), backfill="june")
    gateway.cache.runs.apply(run("nightly-1", spec={"scheduled": scheduled}))
    gateway.cache.runs.apply(run("hourly-1", spec={"scheduled": Scheduled("hourly", scheduled.time)}))
    gateway.cache.runs.apply(run("words"))
    found = (await gateway.ask(RUNS, schedule="nightly"))["data"]["backgroundTasks"]["listTasks"]
    assert found["meta"] == {"totalCount": 1}
    assert found["data"] == [
        {
            "id": "nightly-1",
            "scheduled": {
                "scheduleId": "nightly",
                "scheduledFor": "2026-06-03T01:30:00.000Z",
                "manual": False,
                "backfill": "june",
            },
        }
    ]


ANNOUNCED = """subscription($id: ID) {
  scheduleUpdated(id: $id, announce: true) { id deleted isReady schedule { id version } } }"""


async def test_a_subscription_says_first_that_changes_are_sent_from_now_on(gateway: Gateway) -> None:
    ready = {"id": "", "deleted": False, "isReady": True, "schedule": None}
    async with subscribe(gateway, ANNOUNCED) as subscription:
        assert await subscription.next() == ready
        gateway.cache.schedules.apply(ScheduleIdentity(metadata("nightly")))
        changed = await subscription.next()
        assert changed == {
            "id": "nightly",
            "deleted": False,
            "isReady": False,
            "schedule": {"id": "nightly", "version": "5"},
        }
    async with subscribe(gateway, ANNOUNCED, id="nightly") as subscription:
        assert await subscription.next() == ready
        assert (await subscription.next())["schedule"]["version"] == "5"  # the current state
