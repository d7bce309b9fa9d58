"""Progress and logs are written soon, but not too often."""

import threading
from typing import Any

import pytest

from podrelay.api import limits
from podrelay.runner.flush import Flusher
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, SupersededError
from tests.unit.runner.runner_fakes import Clock


class FakeRecord:
    def __init__(self, size: int = 1024, error: Exception | None = None) -> None:
        self.size = size
        self.error = error
        self.deadlines: list[float] = []
        self.flushed = threading.Event()

    def flush(self, deadline: Any) -> None:
        self.deadlines.append(deadline())
        self.flushed.set()
        if self.error:
            raise self.error


def flusher(record: FakeRecord, clock: Clock | None = None, heartbeat_timeout: float | None = None) -> Flusher:
    return Flusher(record, clock or Clock(), heartbeat_timeout)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "seconds"), [(0, 2.0), (16 * limits.KIB, 2.0), (80 * limits.KIB, 10.0), (700 * limits.KIB, 87.5)]
)
def test_the_pause_is_two_seconds_or_the_record_size_at_8_kib_per_second(size: int, seconds: float) -> None:
    assert flusher(FakeRecord(size)).step() == seconds


def test_a_flush_times_out_after_two_seconds_because_the_next_one_includes_it() -> None:
    record = FakeRecord(error=ApiUnreachableError("x"))

    assert flusher(record, Clock()).step() == 2.0
    assert record.deadlines == [1002.0]


def test_a_failed_write_of_a_large_record_is_retried_soon() -> None:
    assert flusher(FakeRecord(700 * limits.KIB, ApiUnreachableError("x"))).step() == 2.0


@pytest.mark.parametrize("error", [ApiRefusedError(403, "no"), SupersededError("gone")])
def test_a_permanent_rejection_ends_the_flusher_with_a_message(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flusher(FakeRecord(error=error)).step() is None
    assert "progress and logs are no longer stored" in capsys.readouterr().err


def test_the_first_update_is_written_immediately_and_more_after_the_pause() -> None:
    record = FakeRecord()
    worker = flusher(record)

    worker.wake()
    assert record.flushed.wait(5)
    for _ in range(1000):
        worker.wake()
    worker.stop()

    assert worker._thread is not None
    worker._thread.join(5)
    assert not worker._thread.is_alive(), "stop does not wait for the pause"
    assert len(record.deadlines) == 1


def test_without_updates_there_is_no_thread() -> None:
    worker = flusher(FakeRecord())
    worker.stop()

    assert worker._thread is None


@pytest.mark.parametrize(("timeout", "seconds"), [(5.0, 2.0), (60.0, 20.0), (3600.0, 87.5)])
def test_a_large_record_is_written_often_enough_for_the_heartbeat_timeout(timeout: float, seconds: float) -> None:
    assert flusher(FakeRecord(700 * limits.KIB), heartbeat_timeout=timeout).step() == seconds


@pytest.mark.parametrize(("timeout", "seconds"), [(5.0, 2.0), (60.0, 20.0)])
def test_a_heartbeat_alone_is_written_three_times_per_timeout(timeout: float, seconds: float) -> None:
    clock = Clock()
    worker = flusher(FakeRecord(), clock, timeout)

    assert worker.patience() == 0.0, "the first one is written immediately"
    worker.step()
    assert worker.patience() == seconds
    clock.now += 1.5
    assert worker.patience() == seconds - 1.5
    clock.now += seconds
    assert worker.patience() == 0.0


def test_a_waiting_heartbeat_is_written_with_other_updates() -> None:
    record = FakeRecord()
    worker = flusher(record, heartbeat_timeout=3600.0)
    worker.step()
    record.flushed.clear()

    worker.beat()
    assert not record.flushed.is_set()
    worker.wake()

    assert record.flushed.wait(5)
    worker.stop()


def test_a_stopped_flusher_starts_no_thread() -> None:
    worker = flusher(FakeRecord(), heartbeat_timeout=5.0)
    worker.stop()
    worker.wake()
    worker.beat()

    assert worker._thread is None
