"""Before a run gets its pod: its input is checked once, and it waits for its turn where limits apply."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import TASK_RUNS, Key
from podrelay.local.memory_client import run
from podrelay.operator.cache.store import Store
from podrelay.operator.executor.executor import Executor
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.plan import ConfirmAbsent, CreatePod, Plan, ReadInput, ReturnSlot, TakeSlot
from podrelay.operator.view import InputCheck, Refusal, Settings, Slot, View
from podrelay.schemas.process import SchemaProcess
from tests.support.modelapi import ModelApi
from tests.support.projections import seen
from tests.unit.operator.builders import (
    KEY,
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
    view,
)

SCHEMA = {"type": "object", "required": ["url"]}
CONCURRENCY = {"key": "customer.id"}
FIELD = {"code": "missing", "message": "Field required", "data": {"path": ["url"]}}
WRONG = InputCheck(invalid_fields={"url": FIELD})
FULL = Slot(is_granted=False, place=3, scope="definition", held=2, limit=2)
GRANTED = Slot(is_granted=True)
RUNNING: dict[str, Any] = {"phase": "Running", "reason": "IterationRunning", "startedAt": ago(60), "current": current()}


def status_of(following: Plan) -> TaskRunStatus:
    assert following.actions == ()
    assert following.status is not None
    return following.status


def limited(**spec: Any) -> TaskDefinition:
    return task_definition(maxConcurrentRuns=2, **spec)


def queued(position: int, **status: Any) -> TaskRun:
    shown = {"phase": "Pending", "reason": "Queued", "message": "number 5 in the queue", "queuePosition": position}
    return task_run(shown | status)


# --- the input --------------------------------------------------------------------------------------------------------


def test_without_schema_or_limit_the_input_is_not_read() -> None:
    assert isinstance(plan(view(), NOW).actions[0], CreatePod)


@pytest.mark.parametrize("spec", [{"inputSchema": SCHEMA}, {"concurrency": CONCURRENCY}])
@pytest.mark.parametrize("waits", [{}, {"delaySeconds": 3600}, {"suspend": True}])
def test_a_new_runs_input_is_read_before_anything_else(spec: dict[str, Any], waits: dict[str, Any]) -> None:
    assert plan(view(task_run(**waits), task_definition(**spec)), NOW).actions == (ReadInput(),)


def test_an_abort_comes_before_the_input() -> None:
    following = plan(view(task_run(abort={}), task_definition(inputSchema=SCHEMA), input=WRONG), NOW)

    assert status_of(following).phase == "Aborted"


@pytest.mark.parametrize("waits", [{}, {"delaySeconds": 3600}, {"suspend": True}])
def test_an_invalid_input_fails_the_run_at_once(waits: dict[str, Any]) -> None:
    following = plan(view(task_run(**waits), task_definition(inputSchema=SCHEMA), input=WRONG), NOW)

    status = status_of(following)
    assert (status.phase, status.reason, status.iterations) == ("Failed", "InvalidInput", 0)
    assert status.message == "Validation failed. url: Field required"
    assert status.error is not None
    assert (status.error.message, status.error.code) == ("Validation failed.", "VALIDATION_FAILED_INVALID_FIELDS")
    assert following.error_data == {"invalidFields": {"url": FIELD}}


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Pending", "reason": "Delayed"},
        {"phase": "Pending", "reason": "Suspended"},
        {"phase": "Pending", "reason": "QuotaExceeded"},
        {"phase": "Running", "reason": "Disrupted", "disruptions": 1},
    ],
)
def test_an_input_is_checked_once(status: dict[str, Any]) -> None:
    settled = view(task_run(status), task_definition(inputSchema=SCHEMA), settled=frozenset({"words-i1"}))

    assert isinstance(plan(settled, NOW).actions[0], CreatePod)


def test_an_invalid_schema_is_shown_and_waited_for() -> None:
    about = view(task_run(), task_definition(inputSchema={}), input=InputCheck("spec.inputSchema: no"))

    first = status_of(plan(about, NOW))

    assert (first.phase, first.reason, first.message) == ("Pending", "InvalidInputSchema", "spec.inputSchema: no")
    stalled = replace(about, run=msgspec.structs.replace(about.run, status=first))
    assert status_of(plan(stalled, later(899))).phase == "Pending"
    assert status_of(plan(stalled, later(900))).phase == "Failed"
    assert plan(replace(stalled, input=None), NOW).actions == (ReadInput(),)


def test_a_new_run_without_a_definition_shows_that_despite_its_delay() -> None:
    missing = View(run=task_run(delaySeconds=3600), definition=None, now=NOW)

    assert status_of(plan(missing, NOW)).reason == "DefinitionNotFound"


def test_a_waiting_run_does_not_fail_because_of_a_missing_definition() -> None:
    about = {"phase": "Running", "reason": "Waiting", "lastRecord": "words-i1", "nextIterationAt": later(9999)}

    status = status_of(plan(View(run=task_run(about), definition=None, now=NOW), later(5000)))

    assert (status.phase, status.reason) == ("Running", "Waiting")


# --- its turn ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "settings"),
    [
        (limited(), Settings()),
        (task_definition(), Settings(max_running_pods=1)),
        (task_definition(), Settings(max_running_pods_per_namespace=1)),
    ],
    ids=["of the definition", "of the operator", "of the namespace"],
)
def test_where_a_limit_applies_a_slot_comes_before_the_pod(definition: TaskDefinition, settings: Settings) -> None:
    asking = view(task_run(), definition, settings=settings)

    assert plan(asking, NOW).actions == (TakeSlot(None),)
    assert isinstance(plan(replace(asking, slot=GRANTED), NOW).actions[0], CreatePod)


def test_without_a_limit_no_slot_is_requested() -> None:
    assert isinstance(plan(view(), NOW).actions[0], CreatePod)


def test_a_slot_is_requested_with_the_value_that_was_read() -> None:
    asking = view(task_run(), task_definition(concurrency=CONCURRENCY), input=InputCheck(concurrency_key='"acme"'))

    assert plan(asking, NOW).actions == (TakeSlot('"acme"'),)


def test_a_queued_run_shows_its_place_and_the_limit() -> None:
    following = plan(view(task_run(), limited(), slot=FULL), NOW)

    status = status_of(following)
    assert (status.phase, status.reason, status.queue_position) == ("Pending", "Queued", 3)
    assert status.message == "number 3 in the queue of count-words: 2 of at most 2 runs have a pod"
    stalled = status.condition("Stalled")
    assert stalled is not None
    assert stalled.status == "False"
    assert following.requeue_at is None


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("value", "number 3 in the queue of count-words: 2 of at most 2 runs with the same customer.id have a pod"),
        ("operator", "number 3 in the queue of count-words: 2 of at most 2 runs of all definitions have a pod"),
        (None, "number 3 in the queue of count-words"),
    ],
)
def test_the_message_names_the_limit(scope: Any, words: str) -> None:
    about = view(
        task_run(),
        limited(concurrency=CONCURRENCY),
        slot=replace(FULL, scope=scope),
        input=InputCheck(concurrency_key="1"),
    )

    status = status_of(plan(about, NOW))
    assert status.message == words
    assert status.concurrency_key == "1"


def test_a_run_that_has_run_before_stays_running_in_the_queue() -> None:
    waited = task_run({"phase": "Running", "reason": "Waiting", "lastRecord": "words-i1", "iterations": 1})
    of_before = record(response={"status": "continue"})

    status = status_of(plan(view(waited, limited(), slot=FULL, records=(of_before,)), NOW))

    assert (status.phase, status.reason) == ("Running", "Queued")


@pytest.mark.parametrize(("shown", "place", "expected"), [(5, 3, 5), (5, 2, 2), (2, 1, 1), (3, 3, 3), (3, 7, 3)])
def test_a_place_is_written_again_when_it_has_halved(shown: int, place: int, expected: int) -> None:
    waiting = view(queued(shown), limited(), slot=replace(FULL, place=place))

    status = status_of(plan(waiting, NOW))

    assert status.queue_position == expected
    if expected != place:
        assert status.message == "number 5 in the queue"


def test_the_place_disappears_once_the_pod_exists() -> None:
    started = view(queued(3, concurrencyKey="1"), limited(), slot=GRANTED, pods=(pod(state=running()),))

    status = status_of(plan(started, NOW))

    assert (status.reason, status.queue_position, status.concurrency_key) == ("IterationRunning", None, "1")


def test_an_abort_of_a_run_in_the_queue_ends_it_at_once() -> None:
    aborted = task_run({"phase": "Pending", "reason": "Queued", "queuePosition": 3}, abort={"message": "enough"})

    status = status_of(plan(view(aborted, limited(), slot=FULL), NOW))

    assert (status.phase, status.message, status.queue_position) == ("Aborted", "enough", None)


@pytest.mark.parametrize("slot", [GRANTED, FULL], ids=["granted", "in the queue"])
@pytest.mark.parametrize(
    ("spec", "definition", "reason"),
    [
        ({"suspend": True}, limited(), "Suspended"),
        ({"delaySeconds": 3600}, limited(), "Delayed"),
        ({}, None, "DefinitionNotFound"),
    ],
    ids=["suspended", "not due", "no definition"],
)
def test_a_run_that_waits_for_something_else_gives_slot_and_place_back(
    slot: Slot, spec: dict[str, Any], definition: TaskDefinition | None, reason: str
) -> None:
    waiting = View(
        run=task_run({"phase": "Pending", "reason": "Queued"}, **spec), now=NOW, definition=definition, slot=slot
    )

    assert plan(waiting, NOW).actions == (ReturnSlot(),)
    assert status_of(plan(replace(waiting, slot=None), NOW)).reason == reason


def test_a_run_whose_pod_is_refused_gives_its_slot_back() -> None:
    refusal = Refusal("words-i1", "QuotaExceeded", "quota", NOW, later(5))

    following = plan(view(task_run(), limited(), slot=GRANTED, refusal=refusal), NOW)

    assert following.actions == (ReturnSlot(),)
    assert status_of(plan(view(task_run(), limited(), refusal=refusal), NOW)).reason == "QuotaExceeded"


def test_a_chain_that_continues_at_once_keeps_its_slot() -> None:
    answered = record(response={"status": "continue", "input": {}})
    ended = pod(state=terminated(), phase="Succeeded")

    following = plan(view(task_run(RUNNING), limited(), slot=GRANTED, pods=(ended,), records=(answered,)), NOW)

    assert isinstance(following.actions[0], CreatePod)


def test_a_chain_shows_that_it_waits_before_it_gives_its_slot_back() -> None:
    answered = record(response={"status": "continue", "input": {}, "waitSeconds": 60})
    ended = pod(state=terminated(), phase="Succeeded")

    following = plan(view(task_run(RUNNING), limited(), slot=GRANTED, pods=(ended,), records=(answered,)), NOW)

    assert status_of(following).reason == "Waiting"


def test_the_value_of_a_running_run_is_read_for_a_limit_that_was_added_later() -> None:
    at_work = view(task_run(RUNNING), task_definition(concurrency=CONCURRENCY), pods=(pod(state=running()),))

    assert plan(at_work, NOW).actions == (ReadInput(),)
    known = replace(at_work, input=InputCheck(concurrency_key='"acme"'))
    assert status_of(plan(known, NOW)).concurrency_key == '"acme"'


# --- the store --------------------------------------------------------------------------------------------------------


@pytest.fixture
def marked() -> list[Key]:
    return []


@pytest.fixture
def store(marked: list[Key]) -> Store:
    store = Store(marked.append, Settings())
    store.definitions.apply(task_definition(maxConcurrentRuns=1))
    store.slots.open()
    marked.clear()
    return store


OTHER = Key(KEY.namespace, "other")


def add_runs(store: Store, status: dict[str, Any] | None = None) -> None:
    store.runs.apply(task_run(status))
    store.runs.apply(task_run(name=OTHER.name, uid="uid-other", created=ago(5)))


def has_slot(store: Store, key: Key = KEY) -> bool:
    about = store.view(key)
    assert about is not None
    return about.slot is not None and about.slot.is_granted


@pytest.mark.parametrize("status", [{"phase": "Succeeded"}, {"phase": "Running", "reason": "Waiting"}])
def test_the_slot_of_a_pod_goes_to_the_next_run_when_the_status_names_no_pod(
    store: Store, marked: list[Key], status: dict[str, Any]
) -> None:
    add_runs(store, RUNNING)
    store.take_slot(task_run(name=OTHER.name, uid="uid-other"), None)
    assert (has_slot(store), has_slot(store, OTHER)) == (True, False)
    marked.clear()

    store.runs.apply(task_run(status))

    assert (has_slot(store), has_slot(store, OTHER)) == (False, True)
    assert OTHER in marked


def test_a_run_that_is_removed_gives_its_slot_back(store: Store) -> None:
    add_runs(store)
    store.take_slot(task_run(), None)
    store.take_slot(task_run(name=OTHER.name, uid="uid-other"), None)

    store.runs.remove(task_run())

    assert has_slot(store, OTHER)


def test_a_run_that_is_being_deleted_does_not_delay_the_others(store: Store) -> None:
    add_runs(store)
    store.take_slot(task_run(), None)
    store.take_slot(task_run(name=OTHER.name, uid="uid-other"), None)
    body = msgspec.to_builtins(task_run())
    body["metadata"]["deletionTimestamp"] = NOW

    store.runs.apply(seen(body, TaskRun))

    assert has_slot(store, OTHER)


def test_a_granted_slot_is_kept_until_the_pod_exists(store: Store) -> None:
    add_runs(store)
    store.take_slot(task_run(), None)

    store.runs.apply(task_run({"phase": "Pending", "reason": "Queued", "queuePosition": 1}))

    assert has_slot(store)


def test_a_pod_without_a_status_counts_after_a_crash(store: Store) -> None:
    store.runs.apply(task_run())
    store.pods.apply(pod())

    assert has_slot(store)


@pytest.mark.parametrize(
    "other",
    [
        pod(about={"run_uid": "uid-of-another"}),
        pod(state=terminated(), phase="Succeeded"),
    ],
    ids=["of an earlier run", "of an earlier iteration"],
)
def test_other_pods_do_not_count(store: Store, other: Any) -> None:
    store.runs.apply(task_run({"phase": "Running", "iterations": 1, "lastRecord": "words-i1"}))
    store.pods.apply(other)

    assert not has_slot(store)


def test_a_pod_counts_that_has_ended_before_the_status_names_it(store: Store) -> None:
    store.runs.apply(task_run())
    store.pods.apply(pod(state=terminated(), phase="Succeeded"))

    assert has_slot(store)


def test_after_a_restart_the_queue_is_restored_regardless_of_the_order_of_events() -> None:
    # given a store that has just listed: one run with a pod, two in the queue, and none of them in order
    store = Store(lambda _key: None, Settings())
    waiting = {"phase": "Pending", "reason": "Queued"}
    store.runs.apply(task_run(waiting, name="young", uid="y", created=ago(10)))
    store.runs.apply(task_run(waiting, name="old", uid="o", created=ago(90)))
    store.runs.apply(task_run(RUNNING))
    store.definitions.apply(task_definition(maxConcurrentRuns=2))

    store.slots.open()

    assert [has_slot(store, Key(KEY.namespace, name)) for name in ("old", "young")] == [True, False]


def test_values_are_known_after_a_restart() -> None:
    store = Store(lambda _key: None, Settings())
    store.definitions.apply(task_definition(concurrency=CONCURRENCY))
    store.runs.apply(task_run(RUNNING | {"concurrencyKey": '"acme"'}))
    waiting = {"phase": "Pending", "reason": "Queued", "concurrencyKey": '"acme"'}
    store.runs.apply(task_run(waiting, name=OTHER.name, uid="o"))

    store.slots.open()

    assert not has_slot(store, OTHER)


def test_a_raised_limit_grants_the_next_run_a_slot(store: Store, marked: list[Key]) -> None:
    add_runs(store, RUNNING)
    store.take_slot(task_run(name=OTHER.name, uid="uid-other"), None)
    marked.clear()
    body = msgspec.to_builtins(task_definition(maxConcurrentRuns=2))
    body["metadata"]["generation"] = 2

    store.definitions.apply(msgspec.convert(body, TaskDefinition))

    assert has_slot(store, OTHER)
    assert OTHER in marked


def test_a_definition_whose_status_alone_has_changed_marks_no_run(store: Store, marked: list[Key]) -> None:
    add_runs(store)
    marked.clear()

    store.definitions.apply(task_definition(maxConcurrentRuns=1))

    assert marked == []


def test_the_result_of_an_input_check_is_kept_until_the_status_shows_it(store: Store) -> None:
    definition = store.definition(KEY.namespace, "count-words")
    assert definition is not None
    store.runs.apply(task_run())
    store.input_read(task_run(), definition, WRONG)
    first = store.view(KEY)
    assert first is not None
    assert first.input == WRONG

    store.runs.apply(task_run({"phase": "Pending", "reason": "Delayed"}))

    second = store.view(KEY)
    assert second is not None
    assert second.input is None


def test_an_input_check_against_an_older_definition_does_not_count(store: Store) -> None:
    definition = store.definition(KEY.namespace, "count-words")
    assert definition is not None
    store.runs.apply(task_run())
    body = msgspec.to_builtins(task_definition())
    body["metadata"]["generation"] = 2
    store.definitions.apply(msgspec.convert(body, TaskDefinition))

    store.input_read(task_run(), definition, WRONG)

    about = store.view(KEY)
    assert about is not None
    assert about.input is None


# --- the executor -----------------------------------------------------------------------------------------------------


class FakeLease:
    def good_until(self) -> None:
        pass

    def require(self) -> None:
        pass


class World:
    """A run with an input, its definition, and an operator that has seen both."""

    def __init__(self, input: dict[str, Any] | None, schemas: SchemaProcess, **spec: Any) -> None:
        self.api = ModelApi(NOW)
        self.store = Store(lambda _key: None, Settings())
        self.executor = Executor(self.api, self.store, FakeLease(), lambda: NOW, schemas)
        self.store.definitions.apply(task_definition(**spec))
        given = {"definition": "count-words"} | ({"input": input} if input is not None else {})
        created = {"metadata": {"name": KEY.name}, "spec": given}
        self.store.runs.apply(
            msgspec.json.decode(run(self.api.create(TASK_RUNS, KEY.namespace, created)), type=TaskRun)
        )

    @property
    def view(self) -> View:
        about = self.store.view(KEY)
        assert about is not None
        return about


@pytest.mark.parametrize("input", [{"cursor": 1}, {}, None])
async def test_the_fields_of_an_invalid_input_are_in_the_status(input: dict[str, Any] | None) -> None:
    schemas = SchemaProcess()
    world = World(input, schemas, inputSchema=SCHEMA)

    await world.executor.carry_out(KEY, world.view, ReadInput())
    await world.executor.carry_out(KEY, world.view, ConfirmAbsent("words-i1"))
    following = plan(world.view, NOW)
    await world.executor.write_status(KEY, world.view, following)

    await schemas.close()
    status = world.api.read("taskruns", KEY.name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidInput")
    assert status["error"] == {
        "message": "Validation failed.",
        "code": "VALIDATION_FAILED_INVALID_FIELDS",
        "data": {"invalidFields": {"url": FIELD}},
    }
    assert world.view.input is None


def test_without_a_schema_only_the_value_is_read() -> None:
    schemas = SchemaProcess()
    world = World({"customer": {"id": 7}}, schemas, concurrency=CONCURRENCY)

    run(world.executor.carry_out(KEY, world.view, ReadInput()))

    assert world.view.input == InputCheck(concurrency_key="7")
    assert schemas._process is None


def test_a_run_that_is_gone_before_its_input_was_read_is_forgotten() -> None:
    world = World({"large": "x" * 3000}, SchemaProcess(), concurrency=CONCURRENCY)
    about = world.view
    world.api.remove("taskruns", KEY.name)
    with pytest.raises(NotFoundError):
        world.api.read("taskruns", KEY.name)

    run(world.executor.carry_out(KEY, about, ReadInput()))

    assert world.store.view(KEY) is None


def test_a_slot_is_taken_and_given_back() -> None:
    world = World(None, SchemaProcess(), maxConcurrentRuns=1)
    world.store.slots.open()

    run(world.executor.carry_out(KEY, world.view, TakeSlot(None)))
    assert world.view.slot == GRANTED
    run(world.executor.carry_out(KEY, world.view, ReturnSlot()))
    assert world.view.slot is None
