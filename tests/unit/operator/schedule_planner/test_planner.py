"""Rules of schedules that the scenarios do not show: missed times, failures, backfills, jitter, refusals, writes."""

from collections import deque
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.harness.manifests import task_run
from podrelay.api import names
from podrelay.kube.errors import ApiError
from podrelay.schedules.timetable import in_text
from tests.support.schedulemodel import BEGIN, NAMESPACE, World, accounted, times_between

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def ready(world: World) -> tuple[str, str]:
    condition = world.status.condition("Ready")
    assert condition is not None
    return condition.status, condition.reason


# --- imports ----------------------------------------------------------------------------------------------------------


def test_a_schedule_that_is_being_imported_decides_nothing() -> None:
    world = World(schedules=[{"every": "1m"}])
    world.annotate(names.ANNOTATION_IMPORTED, names.IMPORT_INCOMPLETE)
    operator = world.operator()
    world.play(operator, until=5 * MINUTE)
    assert (len(world.created), world.status.processed_until) == (0, None)

    world.annotate(names.ANNOTATION_IMPORTED, "2026-03-29T12:00:00Z")
    world.play(operator, until=2 * MINUTE)

    assert world.created


# --- missed times -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missed", "started", "count"),
    [
        ({"policy": "Skip"}, [], 24),
        ({"policy": "Latest"}, ["nightly-20260329t115500z"], 23),
        ({"policy": "Latest", "windowSeconds": 60}, [], 24),
        ({"policy": "All", "windowSeconds": 7200}, ["nightly-20260329t105500z", "nightly-20260329t115500z"], 22),
    ],
)
def test_an_operator_that_was_away_for_a_day(missed: dict[str, Any], started: list[str], count: int) -> None:
    world = World(schedules=[{"cron": "55 * * * *"}], missed=missed, overlap="Allow")
    world.operator().work()
    world.now += DAY

    world.operator().work()

    assert sorted(world.created) == started
    assert world.status.missed == count


def test_all_times_of_a_long_absence_are_made_up_for_beyond_a_hundred() -> None:
    world = World(schedules=[{"every": "1m"}], missed={"policy": "All"}, overlap="Allow")
    world.operator().work()
    world.now += 5 * HOUR

    operator = world.operator()
    world.play(operator, until=MINUTE / 2)

    assert len(world.created) == 300
    assert world.status.missed == 0


def test_a_time_that_came_a_moment_ago_is_not_missed() -> None:
    world = World(schedules=[{"every": "1h"}], missed={"policy": "Skip"})
    world.operator().work()
    world.now += HOUR + 59 * timedelta(seconds=1)

    world.operator().work()

    assert world.status.started == 1


def test_times_that_the_operator_itself_delays_are_not_missed() -> None:
    world = World(schedules=[{"every": "1h"}], missed={"policy": "Skip"})
    operator = world.operator()
    operator.work()
    world.now += HOUR + 5 * MINUTE
    operator.excused = 5 * MINUTE

    operator.work()

    assert world.status.started == 1


def test_a_clock_that_was_ahead_starts_no_time_twice() -> None:
    world = World(schedules=[{"every": "1h"}], missed={"policy": "All"}, overlap="Allow")
    operator = world.operator()
    operator.skew = 3 * HOUR
    operator.work()
    operator.skew = timedelta()

    world.play(operator, until=5 * HOUR)

    assert len(world.created) == 5
    assert set(world.created.values()) == {1}


def test_times_before_the_creation_and_before_a_change_of_the_rules_do_not_count() -> None:
    world = World(schedules=[{"cron": "0 * * * *"}], overlap="Allow")
    operator = world.operator()
    world.play(operator, until=HOUR)
    world.now += 30 * MINUTE
    world.patch(schedules=[{"cron": "15 * * * *"}])

    world.play(operator, until=MINUTE)

    assert sorted(world.created) == ["nightly-20260328t130000z"]
    assert world.status.next_times[0] == BEGIN + 2 * HOUR + 15 * MINUTE


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_schedule_whose_runs_fail_is_suspended_and_begins_afresh_when_it_is_resumed() -> None:
    world = World(schedules=[{"every": "1m"}], pauseOnFailures=2)
    operator = world.operator()
    world.play(operator, until=5 * MINUTE, finish="Failed")

    assert len(world.created) == 2
    assert world.schedule.spec.suspend
    assert world.schedule.spec.suspended_by == "podrelay"
    assert "2 runs failed in a row" in (world.schedule.spec.suspend_note or "")

    world.patch(suspend=False)
    world.play(operator, until=90 * timedelta(seconds=1), finish="Failed")

    assert not world.schedule.spec.suspend
    assert len(world.created) == 3
    assert world.status.skipped.suspended == 3


def test_a_run_that_succeeds_ends_a_row_of_failures() -> None:
    world = World(schedules=[{"every": "1m"}], pauseOnFailures=2)
    operator = world.operator()
    for phase in ("Failed", "Succeeded", "Failed"):
        world.play(operator, until=MINUTE)
        world.finish_all(phase)
    world.play(operator, until=timedelta(seconds=1))

    assert not world.schedule.spec.suspend
    assert (world.status.failed, world.status.succeeded, world.status.consecutive_failures) == (2, 1, 1)


# --- overlap ----------------------------------------------------------------------------------------------------------


def test_a_manual_run_counts_for_the_overlap_until_it_has_finished() -> None:
    world = World(schedules=[{"every": "1m"}])
    operator = world.operator()
    scheduled = {"schedule": "nightly", "time": in_text(BEGIN), "manual": True}
    world.api.create(names.TASK_RUNS, NAMESPACE, task_run("nightly-by-hand", scheduled=scheduled))

    world.play(operator, until=MINUTE)
    assert (world.status.started, world.status.skipped.overlap) == (0, 1)
    assert [run.name for run in world.status.active] == ["nightly-by-hand"]

    world.finish_all()
    world.play(operator, until=MINUTE)
    assert world.status.started == 1


def test_an_unfinished_run_that_the_cache_does_not_have_yet_counts_for_the_overlap() -> None:
    world = World(schedules=[{"every": "1m"}])
    first, second = world.operator(), world.operator()
    world.play(first, until=MINUTE)
    # Runs and schedules have separate watches.
    second.inbox = deque(event for event in second.inbox if event.plural == names.TASK_SCHEDULES)
    world.now += MINUTE

    second.work()

    assert world.created == {"nightly-20260328t120100z": 1}
    assert (world.status.skipped.overlap, world.status.active_runs) == (1, 1)


def test_a_run_of_that_name_from_elsewhere_is_left_alone() -> None:
    world = World(schedules=[{"every": "1m"}])
    world.api.create(names.TASK_RUNS, NAMESPACE, task_run("nightly-20260328t120100z"))

    world.play(world.operator(), until=2 * MINUTE)

    assert (world.status.started, world.status.skipped.name_taken) == (1, 1)


def test_an_abort_names_the_run_that_replaces_the_aborted_one() -> None:
    world = World(schedules=[{"every": "1m"}], overlap="AbortOther")
    world.play(world.operator(), until=2 * MINUTE)

    first = world.api.get(names.TASK_RUNS, NAMESPACE, "nightly-20260328t120100z")
    assert first["spec"]["abort"]["message"] == "schedule nightly: replaced by nightly-20260328t120200z"


# --- backfills --------------------------------------------------------------------------------------------------------

YEAR = {"name": "year", "from": in_text(BEGIN - 365 * DAY), "until": in_text(BEGIN), "overlap": "Allow"}


def test_a_backfill_of_a_year_starts_each_day_once_at_its_rate() -> None:
    world = World(schedules=[{"cron": "0 3 * * *"}], backfills=[YEAR | {"startsPerMinute": 10}])
    operator = world.operator()
    world.play(operator, until=2 * MINUTE, finish="Succeeded")
    assert 19 <= len(world.created) <= 21

    world.play(operator, until=38 * MINUTE, finish="Succeeded")
    assert len(world.created) == 365
    backfill = world.status.backfills[0]
    assert (backfill.started, backfill.existing, backfill.finished_at is not None) == (365, 0, True)
    assert world.status.started == 0


def test_a_backfill_that_is_done_twice_is_done_once() -> None:
    world = World(schedules=[{"cron": "0 3 * * MON"}], backfills=[YEAR | {"startsPerMinute": 600}])
    operator = world.operator()
    world.play(operator, until=2 * MINUTE)
    world.patch(backfills=[YEAR | {"startsPerMinute": 600}, YEAR | {"name": "again", "startsPerMinute": 600}])

    world.play(operator, until=2 * MINUTE)

    assert set(world.created.values()) == {1}
    assert len(world.created) == 52
    assert [(item.started, item.existing) for item in world.status.backfills] == [(52, 0), (0, 52)]


def test_a_backfill_one_by_one_waits_for_its_own_runs_only() -> None:
    world = World(schedules=[{"cron": "0 3 * * *"}], backfills=[YEAR | {"overlap": "OneByOne"}])
    operator = world.operator()
    world.play(operator, until=10 * MINUTE)
    assert len(world.created) == 1
    world.finish_all()

    world.play(operator, until=10 * MINUTE)
    assert len(world.created) == 2


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 12))
def test_a_backfill_continues_wherever_the_operator_dies(number: int, is_after: bool) -> None:
    week = {"name": "week", "from": in_text(BEGIN - 7 * DAY), "until": in_text(BEGIN), "startsPerMinute": 600}
    world = World(schedules=[{"cron": "0 3 * * *"}], backfills=[week])
    victim, successor = world.operator(), world.operator()
    victim.client.writes_left, victim.client.is_killed_after = number, is_after
    for _ in range(20):
        if not victim.work():
            break
        world.finish_all()
        world.now += timedelta(seconds=1)
    world.finish_all()
    successor.sync()
    successor.collect()

    for _ in range(40):
        world.play(successor, until=timedelta(seconds=1))
        world.finish_all()
        successor.collect()

    assert set(world.created.values()) == {1}
    assert len(world.created) == 7
    assert world.status.backfills[0].started == 7


# --- jitter, refusals, writes -----------------------------------------------------------------------------------------


def test_jitter_delays_a_run_by_the_same_time_always_and_keeps_its_name() -> None:
    world = World(schedules=[{"every": "1h"}], jitterSeconds=600)
    operator = world.operator()
    delays: list[timedelta] = []
    for hour in (1, 2):
        time = BEGIN + hour * HOUR
        world.play(operator, until=time + 11 * MINUTE)
        name = f"nightly-{time:%Y%m%dt%H%M%Sz}"
        created = world.api.get(names.TASK_RUNS, NAMESPACE, name)["metadata"]["creationTimestamp"]
        delays.append(datetime.fromisoformat(created) - time)
        world.finish_all()

    assert delays[0] == delays[1]
    assert timedelta() <= delays[0] <= timedelta(minutes=10)


def test_a_refused_run_is_shown_and_started_when_it_is_allowed() -> None:
    world = World(schedules=[{"every": "1h"}])
    operator = world.operator()
    operator.client.refusal = ApiError(403, "Forbidden", "exceeded quota: count/taskruns")
    world.play(operator, until=HOUR + timedelta(seconds=5))
    assert ready(world) == ("False", "RunRefused")
    writes = world.status_writes
    world.play(operator, until=timedelta(seconds=20))
    assert world.status_writes == writes

    operator.client.refusal = None
    world.play(operator, until=timedelta(seconds=5))
    assert ready(world) == ("True", "Scheduling")
    assert world.status.started == 1


def test_an_invalid_rule_is_shown_with_the_words_of_the_parser() -> None:
    world = World(schedules=[{"cron": "0 0 31 2 *"}])
    world.operator().work()

    condition = world.status.condition("Ready")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "InvalidSchedule")
    assert condition.message == "schedules[0]: '0 0 31 2 *' is not a cron expression: Bad day-of-month"


def test_the_status_is_written_only_if_something_has_changed() -> None:
    world = World(schedules=[{"every": "1h"}])
    operator = world.operator()
    world.play(operator, until=HOUR, finish=None)
    world.finish_all()
    world.play(operator, until=MINUTE)
    writes = world.status_writes  # its first, after the start, after the end of the run
    for _ in range(5):
        operator.marked[next(iter(operator.schedules.schedules.all_keys()))] = None
        operator.work()

    assert world.status_writes == writes == 3


def test_a_suspended_schedule_writes_nothing_while_its_times_pass() -> None:
    world = World(schedules=[{"every": "1m"}], suspend=True, suspendNote="migration", suspendedBy="anna")
    operator = world.operator()
    operator.work()
    writes = world.status_writes
    world.play(operator, until=HOUR)

    assert world.status_writes == writes
    condition = world.status.condition("Suspended")
    assert condition is not None
    assert condition.message == "suspended by anna: migration"

    world.patch(suspend=False)
    world.play(operator, until=timedelta(seconds=1))
    assert world.status.skipped.suspended == 60
    assert accounted(world.status) == len(times_between(world.timetable, BEGIN, world.now))


def test_a_run_has_the_times_before_and_after_its_own() -> None:
    world = World(
        schedules=[{"cron": "30 2 * * *"}],
        timeZone="Europe/Vienna",
        run={"input": {"shop": "graz"}, "displayName": "Totals", "ttlSecondsAfterFinished": 60},
        metadata={"annotations": {names.ANNOTATION_CREATED_BY: "anna"}},
    )
    world.play(world.operator(), until=DAY)

    run = world.api.get(names.TASK_RUNS, NAMESPACE, "nightly-20260329t010000z")
    assert run["spec"] == {
        "definition": "count-words",
        "displayName": "Totals",
        "input": {"shop": "graz"},
        "ttlSecondsAfterFinished": 60,
        "scheduled": {
            "schedule": "nightly",
            "time": "2026-03-29T01:00:00Z",
            "previous": "2026-03-28T01:30:00Z",
            "next": "2026-03-30T00:30:00Z",
        },
    }
    assert run["metadata"]["annotations"][names.ANNOTATION_CREATED_BY] == "anna"
    assert run["metadata"]["labels"][names.LABEL_SCHEDULE] == "nightly"


def test_an_input_that_is_not_kept_in_memory_is_read_again() -> None:
    world = World(schedules=[{"every": "1h"}], run={"input": {"text": "x" * 10_000}})
    world.play(world.operator(), until=HOUR)

    assert world.runs()[0]["spec"]["input"] == {"text": "x" * 10_000}


def test_a_schedule_without_further_times_says_so() -> None:
    world = World(schedules=[{"every": "1h"}], endAt=in_text(BEGIN + 90 * MINUTE))
    world.play(world.operator(), until=3 * HOUR)

    assert len(world.created) == 1
    assert world.status.next_times == ()
    assert ready(world) == ("True", "NoMoreTimes")
