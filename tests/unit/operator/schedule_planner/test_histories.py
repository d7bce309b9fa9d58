"""Random histories of two operators: each time of a schedule has one run at most, and is counted exactly once.

Operators are killed at any write, take over from each other with old caches, have clocks that jump, and are away for
a day.
"""

from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.schedulemodel import BEGIN, World, accounted, times_between

MOVES = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 9, 10, 30, 61, 600, 3_600, 90_000])),
    st.tuples(st.just("jump"), st.sampled_from([-3_600, -61, -5, 5, 61, 3_600])),
    st.tuples(st.just("kill before"), st.integers(1, 5)),
    st.tuples(st.just("kill after"), st.integers(1, 5)),
    st.tuples(st.just("work"), st.integers(0, 5)),
    st.tuples(st.just("work"), st.none()),
    st.tuples(st.just("finish"), st.sampled_from(["Succeeded", "Failed", "Aborted"])),
    st.tuples(st.just("collect"), st.just(0)),
    st.tuples(st.just("suspend"), st.booleans()),
)
RULES = [[{"every": "10s"}], [{"every": "1m"}, {"cron": "*/7 * * * *"}], [{"cron": "5 * * * *"}]]
SPECS = st.fixed_dictionaries(
    {
        "schedules": st.sampled_from(RULES),
        "overlap": st.sampled_from(["Skip", "BufferOne", "BufferAll", "AbortOther", "Allow"]),
        "maxBuffered": st.sampled_from([1, 3, 100]),
        "missed": st.fixed_dictionaries(
            {"policy": st.sampled_from(["Skip", "Latest", "All"]), "windowSeconds": st.sampled_from([0, 100, 3600])}
        ),
        "jitterSeconds": st.sampled_from([0, 0, 7, 45]),
    }
)


@settings(max_examples=200, deadline=None)
@given(spec=SPECS, moves=st.lists(MOVES, max_size=25))
@example(  # a run exists, its status was not written, and the schedule is suspended
    spec={
        "schedules": [{"every": "10s"}],
        "overlap": "Allow",
        "maxBuffered": 1,
        "missed": {"policy": "Skip", "windowSeconds": 0},
        "jitterSeconds": 0,
    },
    moves=[("wait", 30), ("kill before", 2), ("suspend", True), ("kill before", 1)],
)
def test_each_time_has_one_run_at_most_and_is_counted_once(spec: dict[str, Any], moves: list[tuple[str, Any]]) -> None:
    world = World(**spec)
    leader, other = world.operator(), world.operator()
    for move, value in moves:
        match move:
            case "wait":
                world.now += timedelta(seconds=value)
            case "jump":
                leader.skew += timedelta(seconds=value)
            case "finish":
                world.finish_all(value)
            case "collect":
                leader.sync()
                leader.collect()
            case "suspend":
                world.patch(suspend=value)
            case "work":
                leader.work(value)
            case _:
                leader.client.writes_left, leader.client.is_killed_after = value, move == "kill after"
                if not leader.work():
                    killed, leader, other = leader, other, world.operator()
                    leader.skew = timedelta()
                    leader.schedules.begin_term()
                    if world.now.second % 2:
                        leader.work(0)  # its cache may be old
                    world.deliver_late(killed)
                    world.operators.remove(killed)
                leader.client.writes_left = None
        assert max(world.created.values(), default=0) <= 1

    world.patch(suspend=False)
    leader.skew = timedelta()
    world.now += timedelta(hours=2)  # later than any clock that was ahead
    leader.work()
    status = world.status
    assert max(world.created.values(), default=0) <= 1
    assert status.processed_until is not None
    decided = times_between(world.timetable, BEGIN, status.processed_until)
    assert accounted(status) == len(decided)
    assert status.started == len(world.created)
    assert set(status.buffered) <= set(decided)
    if spec["overlap"] != "Allow":
        assert len(world.unfinished()) <= 1
