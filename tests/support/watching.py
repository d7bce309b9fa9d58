"""Every state of some objects, from watches during a test: also of objects that are deleted soon after."""

import http.client
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dev.harness.kubectl import Kubectl, Manifest
from tests.support.quick import collection, connect, prefix_of, token_of

PODRELAY = ("taskruns", "taskiterations")


class Watch:
    """The observed states of some kinds of objects in a namespace."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        self._deleted: set[tuple[str, str]] = set()
        self._events: dict[str, list[tuple[str, bool, Manifest]]] = defaultdict(list)
        self._lock = threading.Lock()

    def states(self, plural: str, name: str) -> list[Manifest]:
        """Return all states of an object, the newest last."""
        with self._lock:
            return list(self._states[plural, name])

    def newest(self, plural: str) -> list[Manifest]:
        """Return the last state of each object, in the order of their creation, including deleted ones."""
        with self._lock:
            return [states[-1] for (kind, _), states in self._states.items() if kind == plural and states]

    def is_deleted(self, plural: str, name: str) -> bool:
        with self._lock:
            return (plural, name) in self._deleted

    def together(self, plural: str, counts: Callable[[Manifest], bool]) -> Iterator[tuple[str, set[str]]]:
        """Yield for each event in order its object, and the objects that existed after it in a state that counts."""
        with self._lock:
            events = list(self._events[plural])
        names: set[str] = set()
        for name, is_gone, state in events:
            names = names - {name} if is_gone or not counts(state) else names | {name}
            yield name, names

    def most_at_once(self, plural: str, counts: Callable[[Manifest], bool]) -> int:
        """Return the maximum number of objects that existed at the same time in a state that counts."""
        return max((len(names) for _, names in self.together(plural, counts)), default=0)

    def read(self, plural: str, response: http.client.HTTPResponse) -> None:
        """Read all events of a watch, one per line, until it is closed."""
        try:
            for line in response:
                self._take(plural, json.loads(line))
        except (http.client.HTTPException, OSError, ValueError):
            pass  # closed in the middle of a line

    def _take(self, plural: str, event: Manifest) -> None:
        seen, is_gone = event["object"], event["type"] == "DELETED"
        name = seen["metadata"]["name"]
        with self._lock:
            self._events[plural].append((name, is_gone, seen))
            self._states[plural, name].append(seen)
            if is_gone:
                self._deleted.add((plural, name))


@contextmanager
def watching(kubectl: Kubectl, *plurals: str) -> Iterator[Watch]:
    """Watch existing objects and those created from now on; by default TaskRuns and TaskIterations."""
    watch = Watch()
    connections = []
    for plural in plurals or PODRELAY:
        resource = plural if plural == "pods" else f"{plural}.podrelay.dev"
        connection = connect(kubectl.kubeconfig, timeout=None)
        connections.append(connection)
        headers = {"Authorization": f"Bearer {token_of(kubectl.kubeconfig)}"}
        path = f"{prefix_of(kubectl.kubeconfig)}{collection(resource, kubectl.namespace)}"
        connection.request("GET", f"{path}?watch=true", headers=headers)
        response = connection.getresponse()  # from here on no event is missed
        assert response.status == 200, response.read()
        threading.Thread(target=watch.read, args=(plural, response), daemon=True).start()
    try:
        yield watch
    finally:
        for connection in connections:
            connection.sock.shutdown(socket.SHUT_RDWR)
