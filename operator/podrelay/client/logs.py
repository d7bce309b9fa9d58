"""The structured log lines of a run, out of its records, each of them once and in order."""

import threading
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any, Final

from podrelay.api import names
from podrelay.api.errors import PodrelayError
from podrelay.client.errors import TaskNotFoundError
from podrelay.client.resources import Query, Resource, Resources
from podrelay.client.stream import Cancellation, Deadline, Stream
from podrelay.client.values import LogLine, Run
from podrelay.client.watching import follow

OUTPUT: Final = "output"
"""Type of a line that a pod has printed."""


def records(namespace: str, run: str) -> Query:
    """Return the query for all records of a run."""
    return Query(names.TASK_ITERATIONS, namespace, labels=f"{names.LABEL_RUN}={run}")


def order(record: Resource) -> tuple[Any, ...]:
    """Return the key that sorts records as they were written: by iteration and try, pods of hooks last."""
    return record.get("hook") is not None, record["iteration"], record["try"], record["metadata"]["creationTimestamp"]


class Reader:
    """Tells of each record what it has not told yet.

    Args:
        iteration: tell of this iteration only.
        console: tell also what pods have printed besides, once they have answered: as lines of the type `output`.
    """

    def __init__(self, iteration: int | None = None, *, console: bool = False) -> None:
        self._iteration = iteration
        self._console = console
        self._told: dict[str, int] = {}
        self._printed: dict[str, str] = {}

    def news(self, record: Resource) -> Iterator[LogLine]:
        """Return the lines of a record that are new since the last call for it.

        A record keeps its newest lines and counts the others; what was dropped unseen is counted in the first line.
        """
        if self._iteration not in {None, record["iteration"]}:
            return
        uid, items = record["metadata"]["uid"], record.get("logs") or []
        total = record.get("droppedLogs", 0) + len(items)
        new = total - self._told.get(uid, 0)
        self._told[uid] = max(total, self._told.get(uid, 0))
        dropped = max(0, new - len(items))
        for item in items[len(items) - min(max(new, 0), len(items)) :]:
            yield LogLine(
                time=datetime.fromisoformat(item["time"]),
                type=item["type"],
                message=item["message"],
                data=item.get("data"),
                error=item.get("error"),
                iteration=record["iteration"],
                attempt=record["try"],
                pod=record["podName"],
                dropped=dropped,
            )
            dropped = 0
        if self._console:
            yield from self._output(record)

    def _output(self, record: Resource) -> Iterator[LogLine]:
        """Return the lines that the pod has printed, when it has answered: until then there are more to come."""
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
        for line in lines:
            yield LogLine(
                time=datetime.fromisoformat(record["finishedAt"]),
                type=OUTPUT,
                message=line,
                data=None,
                error=None,
                iteration=record["iteration"],
                attempt=record["try"],
                pod=record["podName"],
            )


def _after(before: str, text: str) -> str:
    """Return what hooks have printed since; of what was there before, first lines may have been dropped meanwhile."""
    start = 0
    while start < len(before):
        if text.startswith(before[start:]):
            return text[len(before) - start :]
        start = before.find("\n", start) + 1 or len(before)
    return text


def stored(resources: Resources, query: Query, reader: Reader) -> Iterator[LogLine]:
    """Return the lines that are there now.

    Raises:
        RequestRefusedError: it is forbidden.
        ApiUnavailableError: also after some tries.
    """
    for record in sorted(resources.items(query), key=order):
        yield from reader.news(record)


def followed(
    resources: Resources, query: Query, reader: Reader, states: Stream[Run], cancellation: Cancellation
) -> Generator[LogLine]:
    """Return the lines that are there, and those that come, until the run has finished or is deleted.

    Args:
        resources: of which API server.
        query: the records of the run.
        reader: of those records.
        states: the run; it ends when the run does.
        cancellation: ends it early.

    Raises:
        RequestRefusedError: it is forbidden.
        ApiUnavailableError: the API server was away for 5 minutes.
    """
    lines_end = cancellation.dependent()
    end = _End(states, lines_end)
    end.start()
    try:
        for change in follow(resources, query, lines_end, Deadline(None), order):
            if change.type in {"ADDED", "MODIFIED"}:
                yield from reader.news(change.resource)
        if cancellation.is_set:
            return
        end.join()
        if end.error is not None:
            raise end.error
        yield from stored(resources, query, reader)  # what came with the end
    finally:
        states.close()
        lines_end.cancel()


class _End(threading.Thread):
    """Waits for the end of a run, and ends the watch of its records then."""

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
            pass  # selfCleanup, or somebody, has deleted it: there are no further lines
        except PodrelayError as error:
            self.error = error
        finally:
            self._lines_end.cancel()
