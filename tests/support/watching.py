"""Every state of some objects, from watches that run beside a test: also of those that are deleted soon after."""

import json
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.kubectl import Kubectl, Manifest

PLURALS = ("taskruns", "taskiterations")


class Watch:
    """What has been seen of the TaskRuns and TaskIterations of a namespace."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        self._deleted: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def states(self, plural: str, name: str) -> list[Manifest]:
        """All states of an object, the newest last."""
        with self._lock:
            return list(self._states[plural, name])

    def newest(self, plural: str) -> list[Manifest]:
        """The last state of each object, in the order of their creation; also of those that have been deleted."""
        with self._lock:
            return [states[-1] for (kind, _), states in self._states.items() if kind == plural and states]

    def is_deleted(self, plural: str, name: str) -> bool:
        with self._lock:
            return (plural, name) in self._deleted

    def read(self, plural: str, process: "subprocess.Popen[str]") -> None:
        """Take all events that a watch prints, one in each line."""
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            seen = event["object"]
            key = plural, seen["metadata"]["name"]
            with self._lock:
                self._states[key].append(seen)
                if event["type"] == "DELETED":
                    self._deleted.add(key)


@contextmanager
def watching(kubectl: Kubectl) -> Iterator[Watch]:
    """Watch what is created from now on."""
    watch = Watch()
    processes = []
    for plural in PLURALS:
        path = f"/apis/podrelay.dev/v1alpha1/namespaces/{kubectl.namespace}/{plural}?watch=true"
        processes.append(kubectl.start("get", "--raw", path))
        threading.Thread(target=watch.read, args=(plural, processes[-1]), daemon=True).start()
    try:
        yield watch
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=10)
