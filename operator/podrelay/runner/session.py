"""What stands behind the controller in a pod: state, record, time. It implements `podrelay.sdk.controller.Session`."""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from podrelay.api import limits
from podrelay.runner.environment import Environment
from podrelay.runner.record import Record, now
from podrelay.runner.signals import Interruption
from podrelay.sdk.answers import failed
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, SupersededError
from podrelay.sdk.task import TaskRun

FLUSH_SECONDS: Final = 2.0
FLUSH_BYTES_PER_SECOND: Final = 8 * limits.KIB
ANSWER_RESERVE_SECONDS: Final = 2.0
"""What is left of the grace period for the container to end after its last try to deliver the answer."""


class PodSession:
    """One iteration in this pod.

    Args:
        me: what this pod is.
        run: the TaskRun as it was read at the start.
        record: where everything is stored.
        interruption: what SIGTERM means.
        state: input and output to start with.
        clock: seconds; `started_at` is a time of it.
    """

    def __init__(
        self,
        me: Environment,
        run: dict[str, Any],
        record: Record,
        interruption: Interruption,
        state: tuple[dict[str, Any], dict[str, Any] | None],
        started_at: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.input, self.output = state
        self._me = me
        self._run = run
        self._record = record
        self._interruption = interruption
        self._clock = clock
        self._ends_at = started_at + me.iteration_timeout
        self._stopped = threading.Event()
        self._news = threading.Event()
        self._flusher: threading.Thread | None = None

    # --- sdk.controller.Session -----------------------------------------------------------------------------------------

    @property
    def task(self) -> TaskRun:
        """The run as this iteration sees it."""
        spec, metadata = self._run["spec"], self._run["metadata"]
        return TaskRun(
            id=self._me.run,
            name=spec.get("displayName") or "",
            definition=spec["definition"],
            status="aborted" if self._interruption.is_abort else "running",
            input=self.input,
            output=self.output,
            iterations=self._me.iteration,
            parent=spec.get("parent"),
            created_by=(metadata.get("annotations") or {}).get("podrelay.dev/created-by"),
        )

    @property
    def iteration(self) -> int:
        """Which call of run()."""
        return self._me.iteration

    @property
    def attempt(self) -> int:
        """Which try of it."""
        return self._me.attempt

    @property
    def is_final_attempt(self) -> bool:
        """Whether an error now is final."""
        return self._me.is_final_attempt

    @property
    def timeout_seconds(self) -> float:
        """How long the whole iteration may take."""
        return self._me.iteration_timeout

    def save(self) -> None:
        """Store input and output."""
        state: dict[str, Any] = {"input": self.input}
        if self.output is not None:
            state["output"] = self.output
        self._record.checkpoint(state, self.deadline())

    def report(self, percent: float | None, message: str) -> None:
        """Take progress, to be stored by the flusher."""
        self._record.set_progress(percent, message)
        self._wake_flusher()

    def write_log(self, kind: str, message: str, data: Any, error: Any) -> None:
        """Print a log line, and take it for the record."""
        item: dict[str, Any] = {"time": now(), "type": kind, "message": limits.cut(message, 8192)}
        if data is not None:
            item["data"] = _storable(data)
        if error is not None:
            answer = failed(error)
            item["error"] = _storable({"message": answer.message, "code": answer.code, "data": answer.data})
        print(json.dumps(item, ensure_ascii=False), flush=True)
        if self._me.record_logs:
            self._record.add_log(item)
            self._wake_flusher()

    def remaining_seconds(self) -> float:
        """Time until the iteration, or this pod, is ended."""
        left = max(0.0, self._ends_at - self._clock())
        grace = self._interruption.remaining()
        return left if grace is None else min(left, grace) if left else grace

    def is_aborted(self) -> bool:
        """Whether the run is to stop."""
        return self._interruption.is_abort

    def is_stopping(self) -> bool:
        """Whether only this pod ends."""
        return self._interruption.is_stop

    @property
    def abort_message(self) -> str | None:
        """Why the run is to stop."""
        return self._interruption.abort_message

    # --- the runner -----------------------------------------------------------------------------------------------------

    def deadline(self) -> float:
        """Return the time of the clock until which the API server is tried."""
        grace = self._interruption.remaining()
        if grace is not None:
            return self._clock() + max(0.5, grace - ANSWER_RESERVE_SECONDS)
        return self._ends_at + self._me.grace_period

    def answer(self, response: dict[str, Any]) -> None:
        """Store the response, and all that is not stored yet with it."""
        self._stopped.set()
        self._news.set()
        self._record.answer(response, self.deadline())

    def _wake_flusher(self) -> None:
        self._news.set()
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_for_ever, name="podrelay-flusher", daemon=True)
            self._flusher.start()

    def _flush_for_ever(self) -> None:
        while not self._stopped.is_set():
            self._news.wait()
            self._news.clear()
            if self._stopped.is_set():
                return
            try:
                self._record.flush(self._clock() + FLUSH_SECONDS)
            except ApiUnreachableError:
                self._news.set()  # the next write takes it along
            except (ApiRefusedError, SupersededError) as error:
                print(f"podrelay: progress and logs are not stored any more: {error}", file=sys.stderr, flush=True)
                return
            self._stopped.wait(max(FLUSH_SECONDS, self._record.size / FLUSH_BYTES_PER_SECOND))


def _storable(value: Any) -> dict[str, Any]:
    """Return `value` as a JSON object for a log line; what cannot be stored is described, never lost without a word."""
    wrapped = value if isinstance(value, dict) else {"value": value}
    try:
        limits.check_payload(wrapped, "data")
    except limits.PayloadError as error:
        return {"refused": str(error)}
    return wrapped
