"""The structured log lines of a run, read from its records, each exactly once and in order."""

import threading
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any, Final

from podrelay.api import names
from podrelay.api.errors import PodrelayError
from podrelay.client.errors import TaskNotFoundError
from podrelay.client.resources import Query, Resource, Resources
from podrelay.client.results import LogLine, Run
from podrelay.client.stream import Cancellation, Deadline, Stream
from podrelay.client.watching import Follower

OUTPUT: Final = "output"
"""The type of a line that a pod has printed."""


def records(namespace: str, run: str) -> Query:
    """Return the query for all records of a run."""
    return Query(names.TASK_ITERATIONS, namespace, labels=f"{names.LABEL_RUN}={run}")


def order(record: Resource) -> tuple[Any, ...]:
    """Return the key that sorts records as they were written: by iteration and attempt, pods of hooks last."""
    return record.get("hook") is not None, record["iteration"], record["try"], record["metadata"]["creationTimestamp"]


class Reader:
    """Returns the lines of records that it has not returned before.

    Args:
        iteration: only the lines of this iteration.
        console: also what pods have printed, as lines of the type `output`, once the pods have answered.
    """

    def __init__(self, iteration: int | None = None, *, console: bool = False) -> None:
        self._iteration = iteration
        self._console = console
        self._returned: dict[str, int] = {}
        self._printed: dict[str, str] = {}

    def new_lines(self, record: Resource) -> Iterator[LogLine]:
        """Yield the lines of a record that are new since the last call for it.

        A record keeps only its newest lines. If others were dropped before they were read, the first line counts them.
        """
        if self._iteration not in {None, record["iteration"]}:
            return
        uid, items = record["metadata"]["uid"], record.get("logs") or []
        total = record.get("droppedLogs", 0) + len(items)
        new = total - self._returned.get(uid, 0)
        self._returned[uid] = max(total, self._returned.get(uid, 0))
        dropped = max(0, new - len(items))
        for item in items[len(items) - min(max(new, 0), len(items)) :]:
            yield LogLine(
                time=datetime.fromisoformat(item["time"]),
                type=item["type"],
                message=item["message"],
                data=item.get("data"),
                error=item.get("error"),
                dropped=dropped,
                **_about(record),
            )
            dropped = 0
        if self._console:
            yield from self._output(record)

    def _output(self, record: Resource) -> Iterator[LogLine]:
        """Yield the lines that the pod has printed, once it has answered: before that, more lines may follow."""
        console, uid = record.get("console"), record["metadata"]["uid"]
        if console is None or record.get("finishedAt") is None:
            return
        before = self._printed.get(uid)
        text = console.get("text", "")
        self._printed[uid] = text
        new = text if before is None else _after(before, text)
        lines = new.splitlines()
        if before is None and console.get("droppedBytes"):
            lines.insert(0, f"({console['droppedBytes']} bytes before this are not kept)")
        if before is None and console.get("problem"):
            lines.append(f"({console['problem']})")
        time = datetime.fromisoformat(record["finishedAt"])
        for line in lines:
            yield LogLine(time, OUTPUT, line, data=None, error=None, **_about(record))


def _about(record: Resource) -> dict[str, Any]:
    return {"iteration": record["iteration"], "attempt": record["try"], "pod": record["podName"]}


def _after(before: str, text: str) -> str:
    """Return what hooks have printed since `before`, whose first lines may have been dropped in the meantime."""
    start = 0
    while start < len(before):
        if text.startswith(before[start:]):
            return text[len(before) - start :]
        start = before.find("\n", start) + 1 or len(before)
    return text


def stored(resources: Resources, query: Query, reader: Reader) -> Iterator[LogLine]:
    """Yield the existing lines.

    Raises:
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server is unavailable, even after retries.
    """
    for record in sorted(resources.items(query), key=order):
        yield from reader.new_lines(record)


def followed(
    resources: Resources, query: Query, reader: Reader, states: Stream[Run], cancellation: Cancellation
) -> Generator[LogLine]:
    """Yield the existing lines, then new ones, until the run has finished or was deleted.

    Args:
        resources: the API server.
        query: selects the records of the run.
        reader: reads those records.
        states: the states of the run; the stream ends when the run has finished.
        cancellation: ends it early.

    Raises:
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server was unavailable for 5 minutes.
    """
    lines_end = cancellation.dependent()
    end = _End(states, lines_end)
    end.start()
    try:
        for change in Follower(resources, query, lines_end, Deadline(None), order).changes():
            if change.type in {"ADDED", "MODIFIED"}:
                yield from reader.new_lines(change.resource)
        if cancellation.is_set:
            return
        end.join()
        if end.error is not None:
            raise end.error
        yield from stored(resources, query, reader)  # lines that arrived with the end of the run
    finally:
        states.close()
        lines_end.cancel()


class _End(threading.Thread):
    """Waits for the end of a run, then ends the watch of its records."""

    def __init__(self, states: Stream[Run], lines_end: Cancellation) -> None:
        super().__init__(name="podrelay-logs", daemon=True)
        self._states = states
        self._lines_end = lines_end
        self.error: PodrelayError | None = None

    def run(self) -> None:
        try:
            for _ in self._states:
                pass
        except TaskNotFoundError:
            pass  # deleted by selfCleanup, a user or another client: there are no further lines
        except PodrelayError as error:
            self.error = error
        finally:
            self._lines_end.cancel()
