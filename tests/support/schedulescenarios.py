"""Scenarios of schedules: what a user does, and the outcome. Each is written once and run in two worlds.

`tests/unit/operator/schedule_planner/test_scenarios.py` runs them in virtual time, and
`tests/integration/test_schedule_scenarios.py` on a real API server with a real operator. The runs have no definition,
so they wait without pods until a user aborts them.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from dev.harness.manifests import Manifest
from podrelay.schedules.timetable import in_text

INTERVAL = timedelta(seconds=10)
TIMES = 3
END_SECONDS = 28
"""When the outcome is determined, in seconds after the first time."""


@dataclass(frozen=True)
class Step:
    """A user aborts all unfinished runs of the schedule, or changes its spec."""

    seconds: int
    """When, in seconds after the first time of the schedule."""
    action: Literal["end runs", "patch"]
    spec: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What the status and the runs show at the end."""

    started: int
    active: int
    aborted: int = 0
    buffered: int = 0
    missed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduleScenario:
    """A schedule with three times, ten seconds apart."""

    name: str
    spec: dict[str, Any]
    expected: Outcome
    steps: tuple[Step, ...] = ()

    def spec_from(self, begin: datetime) -> dict[str, Any]:
        """Return the spec; `begin` is the first time, a multiple of ten seconds."""
        end = begin + TIMES * INTERVAL
        return {"schedules": [{"every": "10s"}], "startAt": in_text(begin), "endAt": in_text(end), **self.spec}


def first_time(now: datetime) -> datetime:
    """Return the first time of the scenarios that begin now."""
    return datetime.fromtimestamp((now.timestamp() // 10 + 2) * 10, now.tzinfo)


def outcome_of(status: Manifest) -> Outcome:
    """Return the outcome of a scenario."""
    return Outcome(
        started=status.get("started", 0),
        active=status.get("activeRuns", 0),
        aborted=status.get("aborted", 0),
        buffered=len(status.get("buffered", [])),
        missed=status.get("missed", 0),
        skipped={reason: number for reason, number in status.get("skipped", {}).items() if number},
    )


SCENARIOS = (
    ScheduleScenario("skip", {"overlap": "Skip"}, Outcome(started=1, active=1, skipped={"overlap": 2})),
    ScheduleScenario(
        "skip-after-the-end",
        {"overlap": "Skip"},
        Outcome(started=3, active=1, aborted=2),
        (Step(5, "end runs"), Step(15, "end runs")),
    ),
    ScheduleScenario(
        "buffer-one",
        {"overlap": "BufferOne"},
        Outcome(started=1, active=1, buffered=1, skipped={"bufferFull": 1}),
    ),
    ScheduleScenario(
        "buffer-one-starts",
        {"overlap": "BufferOne"},
        Outcome(started=2, active=1, aborted=1, skipped={"bufferFull": 1}),
        (Step(25, "end runs"),),
    ),
    ScheduleScenario(
        "buffer-all",
        {"overlap": "BufferAll"},
        Outcome(started=2, active=1, aborted=1, buffered=1),
        (Step(25, "end runs"),),
    ),
    ScheduleScenario(
        "buffer-all-is-limited",
        {"overlap": "BufferAll", "maxBuffered": 1},
        Outcome(started=1, active=1, buffered=1, skipped={"bufferFull": 1}),
    ),
    ScheduleScenario("abort-other", {"overlap": "AbortOther"}, Outcome(started=3, active=1, aborted=2)),
    ScheduleScenario("allow", {"overlap": "Allow"}, Outcome(started=3, active=3)),
    ScheduleScenario(
        "suspend-and-resume",
        {"overlap": "Allow"},
        Outcome(started=2, active=2, skipped={"suspended": 1}),
        (Step(5, "patch", {"suspend": True}), Step(15, "patch", {"suspend": False})),
    ),
    ScheduleScenario(
        "exclude",
        {"overlap": "Allow", "exclude": [{"cron": "* * * * *"}]},
        Outcome(started=0, active=0),
    ),
    ScheduleScenario(
        "another-rule",
        {"overlap": "Allow"},
        Outcome(started=1, active=1),
        (Step(5, "patch", {"schedules": [{"cron": "0 0 1 1 *"}]}),),
    ),
)
