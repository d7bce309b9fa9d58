"""TaskSchedules on a real API server: their runs start at their times, each once."""

from datetime import UTC, datetime, timedelta

import pytest

from dev.harness.manifests import Manifest
from dev.harness.waiting import eventually
from podrelay import AsyncTaskService, TaskService
from podrelay.cli.main import run
from podrelay.client import InvalidInputError, ScheduleNotFoundError
from podrelay.client.errors import ConflictError
from podrelay.schedules.timetable import in_text
from tests.support.relay import Relay
from tests.support.schedules import TASK_SCHEDULES, apply, runs_of, status

pytestmark = pytest.mark.integration


def test_a_run_starts_every_ten_seconds_and_knows_its_times(relay: Relay) -> None:
    relay.define_script(
        "echo-times",
        'printf \'{"status":"done","output":{"for":"%s","before":"%s","after":"%s"}}\' "$PODRELAY_SCHEDULED_FOR" '
        '"$PODRELAY_SCHEDULED_PREVIOUS" "$PODRELAY_SCHEDULED_NEXT" >/dev/termination-log',
    )

    apply(relay, "often", "echo-times", schedules=[{"every": "10s"}])

    def finished() -> list[Manifest]:
        return [run for run in runs_of(relay, "often") if run.get("status", {}).get("phase") == "Succeeded"]

    eventually("two of its runs have succeeded", lambda: len(finished()) >= 2, 60)
    run = finished()[0]
    time = datetime.fromisoformat(run["spec"]["scheduled"]["time"])
    assert run["metadata"]["name"] == f"often-{time:%Y%m%dt%H%M%Sz}"
    assert run["status"]["output"] == {
        "for": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "before": f"{time - timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}",
        "after": f"{time + timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}",
    }
    assert datetime.fromisoformat(run["metadata"]["creationTimestamp"]) - time < timedelta(seconds=5)
    eventually("the status counts them", lambda: status(relay, "often").get("succeeded", 0) >= 2)
    assert len(status(relay, "often")["nextTimes"]) == 5


# --- the task service and the commands --------------------------------------------------------------------------------


def test_a_schedule_is_controlled_by_the_task_service(relay: Relay) -> None:
    relay.define("Steps")
    apply(relay, "controlled", "steps", schedules=[{"cron": "0 3 1 1 *"}], run={"input": {"iterations": 1}})
    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        schedules = service.schedules
        eventually("an operator has seen it", lambda: schedules.get("controlled").is_ready)
        assert [time.month for time in schedules.preview("controlled", 2)] == [1, 1]

        run = schedules.trigger("controlled", idempotency_key="once")
        assert schedules.trigger("controlled", idempotency_key="once").id == run.id
        eventually("its status shows the run", lambda: run.id in schedules.get("controlled").active_runs)
        service.abort(run.id)
        eventually("its status shows the end", lambda: not schedules.get("controlled").active_runs)

        assert schedules.pause("controlled", "moving").suspend_note == "moving"
        eventually("it shows nothing next", lambda: not schedules.get("controlled").next_times)
        assert not schedules.resume("controlled").is_suspended

        begin = datetime(2020, 1, 1, tzinfo=UTC)
        for _ in range(2):
            schedules.backfill("controlled", begin, begin + timedelta(days=3 * 366), overlap="Allow")
        eventually("three years are filled", lambda: len(runs_of(relay, "controlled")) == 4, 30)
        with pytest.raises(ScheduleNotFoundError, match="podrelay schedule list"):
            schedules.get("missing")
        schedules.delete("controlled")
        assert len(runs_of(relay, "controlled")) == 4


async def test_the_asynchronous_task_service_has_the_same_methods(relay: Relay) -> None:
    apply(relay, "awaited", "missing")
    async with AsyncTaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        assert "awaited" in [schedule.name for schedule in await service.schedules.list()]
        assert (await service.schedules.pause("awaited", "later")).is_suspended
        assert not (await service.schedules.resume("awaited")).is_suspended
        assert len(await service.schedules.preview("awaited", 3)) == 3
        await service.schedules.delete("awaited")


def test_the_commands_show_and_control_a_schedule(relay: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    apply(relay, "commanded", "missing", timeZone="Europe/Vienna")
    cluster = [f"--kubeconfig={relay.kubectl.kubeconfig}", f"--namespace={relay.kubectl.namespace}"]

    def podrelay(*arguments: str) -> str:
        assert run(["schedule", *arguments, *cluster]) == 0
        return capsys.readouterr().out

    eventually("an operator has seen it", lambda: status(relay, "commanded").get("nextTimes"))
    assert "30 2 * * *" in podrelay("list")
    assert "T01:30:00Z" in podrelay("preview", "commanded", "--from", "2026-01-01T00:00:00Z", "--count", "1")
    assert podrelay("pause", "commanded", "-m", "moving") == "taskschedule.podrelay.dev/commanded suspended\n"
    assert "moving" in podrelay("show", "commanded")
    assert podrelay("resume", "commanded") == "taskschedule.podrelay.dev/commanded resumed\n"
    assert podrelay("trigger", "commanded", "-o", "name").startswith("taskrun.podrelay.dev/commanded-")
    out = podrelay("backfill", "commanded", "--from", "2026-01-01T00:00:00Z", "--until", "2026-01-03T00:00:00Z")
    assert "20260101t000000z-20260103t000000z" in out
    eventually("its first run is there", lambda: "1 started" in podrelay("show", "commanded"), 30)


def test_a_rule_that_only_the_operator_can_refuse_is_shown(relay: Relay) -> None:
    apply(relay, "impossible", "missing", schedules=[{"cron": "0 0 31 2 *"}])

    def ready() -> Manifest | None:
        conditions = status(relay, "impossible").get("conditions", [])
        return next((item for item in conditions if item["type"] == "Ready"), None)

    condition = eventually("it is not ready", ready) or {}
    assert (condition["status"], condition["reason"]) == ("False", "InvalidSchedule")
    assert "Bad day-of-month" in condition["message"]


def test_runs_of_a_schedule_have_its_secret_and_overrides(relay: Relay) -> None:
    relay.kubectl.do("create", "secret", "generic", "of-the-schedule", "--from-literal=password=s3cret")
    relay.define_script(
        "confidential",
        'printf \'{"status":"done","output":{"password":"%s","level":"%s"}}\' '
        '"$(cat "$PODRELAY_SECRET_PATH/password")" "$LOG_LEVEL" >/dev/termination-log',
        allowOverrides=["env.LOG_LEVEL", "maxIterations"],
    )
    overrides = {"env": [{"name": "LOG_LEVEL", "value": "debug"}], "maxIterations": 7}
    run = {"secret": "of-the-schedule", "overrides": overrides}
    apply(relay, "confidential", "confidential", schedules=[{"every": "10s"}], run=run)

    def finished() -> list[Manifest]:
        return [run for run in runs_of(relay, "confidential") if run.get("status", {}).get("phase") == "Succeeded"]

    eventually("a run has succeeded", finished, 60)
    started = finished()[0]
    assert started["status"]["output"] == {"password": "s3cret", "level": "debug"}
    assert started["spec"]["overrides"] == overrides
    assert relay.kubectl.patch(TASK_SCHEDULES, "confidential", {"spec": {"suspend": True}})

    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        manual = service.schedules.trigger("confidential")
        assert service.wait(manual.id, 60).output == {"password": "s3cret", "level": "debug"}


def test_a_schedule_whose_overrides_are_no_longer_allowed_says_so(relay: Relay) -> None:
    relay.define_script("revoking", "exit 1", allowOverrides=["maxIterations"])
    rules = {"schedules": [{"every": "10s"}], "startAt": in_text(datetime.now(UTC) + timedelta(seconds=15))}
    apply(relay, "revoking", "revoking", run={"overrides": {"maxIterations": 7}}, **rules)
    relay.define_script("revoking", "exit 1")

    def message() -> str:
        conditions = status(relay, "revoking").get("conditions", ())
        return next(
            (item["message"] for item in conditions if item["type"] == "Ready" and item["status"] == "False"), ""
        )

    said = eventually("it says so", message, 60)
    assert "spec.overrides has maxIterations, but TaskDefinition revoking allows none" in said
    assert runs_of(relay, "revoking") == []
    relay.kubectl.do("delete", TASK_SCHEDULES, "revoking")


def test_schedules_are_created_and_changed_by_code_and_by_the_command_line(
    relay: Relay, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = {"schedules": [{"cron": "@yearly"}], "run": {"definition": "missing"}}
    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        assert service.schedules.create("by-code", spec).rules == ("@yearly",)
        with pytest.raises(ConflictError):
            service.schedules.create("by-code", spec)
        changed = service.schedules.update("by-code", {"timeZone": "Europe/Vienna", "run": {"displayName": "Yearly"}})
        assert (changed.time_zone, changed.definition) == ("Europe/Vienna", "missing")
        with pytest.raises(ScheduleNotFoundError):
            service.schedules.update("missing", {"timeZone": "UTC"})
        with pytest.raises(InvalidInputError):
            service.schedules.update("by-code", {"timezone": "UTC"})
        with pytest.raises(InvalidInputError):
            service.schedules.update("by-code", {"schedules": []})
        with pytest.raises(InvalidInputError):
            service.schedules.create("wrong", spec | {"overlaps": "Skip"})

    place = ("--namespace", relay.kubectl.namespace, "--kubeconfig", str(relay.kubectl.kubeconfig))
    command = ("schedule", "create", "by-command", "--definition", "missingOne", *place)
    assert run([*command, "--cron", "@yearly", "--input", '{"shop": "graz"}', "--secret", "shop", "--suspend"]) == 0
    assert capfd.readouterr().out == "taskschedule.podrelay.dev/by-command created\n"
    stored = relay.kubectl.get(TASK_SCHEDULES, "by-command")["spec"]
    assert stored["run"] == {"definition": "missing-one", "input": {"shop": "graz"}, "secret": "shop"}
    assert stored["suspend"]
    assert run([*command]) == 2
