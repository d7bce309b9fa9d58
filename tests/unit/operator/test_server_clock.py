"""What the Date headers of responses say about the API server's clock."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.operator.server_clock import ServerClock

EPOCH = datetime(2026, 11, 29, tzinfo=UTC)


class World:
    """A boot clock, and an API server whose clock is ahead of it."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.boot = 1000.0
        self.ahead = ahead
        self.clock = ServerClock(lambda: self.boot)

    @property
    def server_time(self) -> datetime:
        return EPOCH + timedelta(seconds=self.boot + self.ahead)

    def respond(self, there: float = 0.01, back: float = 0.01) -> None:
        """A request arrives after `there` seconds, and its response after `back` more."""
        self.boot += there
        date = format_datetime(self.server_time, usegmt=True)
        self.boot += back
        self.clock.observe(date, there + back)


@given(
    ahead=st.floats(-1e6, 1e6),
    responses=st.lists(st.tuples(*[st.floats(0.001, 4)] * 3), min_size=2, max_size=8),
    later=st.floats(0, 15),
)
def test_the_clock_never_shows_less_than_the_earliest_time(
    ahead: float, responses: list[tuple[float, float, float]], later: float
) -> None:
    world = World(ahead)
    for pause, there, back in responses:
        world.boot += pause
        world.respond(there, back)

    earliest = world.clock.earliest(world.boot + later)

    assert earliest is not None
    world.boot += later
    assert earliest <= world.server_time + timedelta(microseconds=10)


def test_the_earliest_time_is_at_most_the_resolution_and_the_way_back_too_early() -> None:
    world = World(ahead=0.9)
    for _ in range(4):
        world.boot += 5.3
        world.respond(0.1, 0.2)

    earliest = world.clock.earliest(world.boot)

    assert earliest is not None
    assert world.server_time - earliest < timedelta(seconds=1.3)


def test_one_response_is_not_enough() -> None:
    world = World()
    assert world.clock.earliest(world.boot) is None
    world.respond()
    assert world.clock.earliest(world.boot) is None
    world.respond()
    assert world.clock.earliest(world.boot) is not None


@pytest.mark.parametrize("jump", [-3600.0, -4.0, 4.0, 3600.0])
def test_a_clock_that_jumps_is_trusted_again_after_two_responses(jump: float, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.respond()
    world.respond()

    world.ahead += jump
    world.respond()

    assert world.clock.earliest(world.boot) is None
    assert "jumped" in caplog.text
    world.respond()
    earliest = world.clock.earliest(world.boot)
    assert earliest is not None
    assert abs(earliest - world.server_time) < timedelta(seconds=2)


def test_api_servers_that_disagree_all_the_time_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    for _ in range(2):
        world.respond()
    for number in range(10):
        world.ahead = 60.0 * (number % 2)
        world.respond()

    assert world.clock.earliest(world.boot) is None
    assert caplog.text.count("disagree") == 1


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 2026 10:00:00 GMT"])
def test_a_header_that_is_no_date_is_ignored(date: str) -> None:
    world = World()
    world.respond()
    world.clock.observe(date, 0.01)
    world.respond()

    assert world.clock.earliest(world.boot) is not None


@given(
    ahead=st.floats(-1e6, 1e6),
    responses=st.lists(st.tuples(*[st.floats(0.001, 4)] * 3), min_size=2, max_size=8),
    later=st.floats(0, 15),
)
def test_the_clock_never_shows_more_than_the_latest_time(
    ahead: float, responses: list[tuple[float, float, float]], later: float
) -> None:
    world = World(ahead)
    for pause, there, back in responses:
        world.boot += pause
        world.respond(there, back)

    latest = world.clock.latest(world.boot + later)

    assert latest is not None
    world.boot += later
    assert latest >= world.server_time - timedelta(milliseconds=1)


def test_without_responses_the_latest_time_is_unknown() -> None:
    assert ServerClock(lambda: 0.0).latest(0.0) is None
