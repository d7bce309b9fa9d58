"""Kinds of objects, identified by the parts of their URLs, and the key of an object."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from podrelay.api import names


@dataclass(frozen=True)
class Resource:
    """A kind of object, identified by the parts of its URL."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of a collection or, with `name`, of an object."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"namespaces/{namespace}" if namespace else None
        return "/".join(filter(None, (root, place, self.plural, name, subresource)))


class Key(NamedTuple):
    """Namespace and name of an object; the work queue holds those of TaskRuns."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


TASK_RUNS: Final = Resource(names.GROUP, names.VERSION, names.TASK_RUNS)
TASK_DEFINITIONS: Final = Resource(names.GROUP, names.VERSION, names.TASK_DEFINITIONS)
TASK_SCHEDULES: Final = Resource(names.GROUP, names.VERSION, names.TASK_SCHEDULES)
TASK_SIGNALS: Final = Resource(names.GROUP, names.VERSION, names.TASK_SIGNALS)
TASK_ITERATIONS: Final = Resource(names.GROUP, names.VERSION, names.TASK_ITERATIONS)
PODS: Final = Resource("", "v1", "pods")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps")
EVENTS: Final = Resource("", "v1", "events")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
