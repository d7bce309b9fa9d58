"""The kinds of objects that the API server in memory stores."""

from typing import Any, Final, NamedTuple

from podrelay.api import names
from podrelay.api.task_definition import TaskDefinition
from podrelay.api.task_run import TaskRun
from podrelay.api.task_schedule import TaskSchedule
from podrelay.api.task_signal import TaskSignal
from podrelay.kube.resources import (
    CONFIG_MAPS,
    EVENTS,
    LEASES,
    PODS,
    TASK_DEFINITIONS,
    TASK_ITERATIONS,
    TASK_RUNS,
    TASK_SCHEDULES,
    TASK_SIGNALS,
    Resource,
)

NAMESPACES: Final = "namespaces"
SECRETS: Final = "secrets"
SERVICE_ACCOUNTS: Final = "serviceaccounts"


class ObjectName(NamedTuple):
    """The key of an object."""

    plural: str
    namespace: str
    name: str


class Kind(NamedTuple):
    """A kind of object.

    Attributes:
        resource: its group, version and plural.
        name: its name in CamelCase.
        short_names: short names for kubectl.
        is_namespaced: whether its objects belong to namespaces.
        first_status: the initial status, for a kind with a status subresource.
    """

    resource: Resource
    name: str
    short_names: tuple[str, ...] = ()
    is_namespaced: bool = True
    first_status: dict[str, Any] | None = None

    @property
    def api_version(self) -> str:
        """Group and version, as objects name them."""
        return "/".join(filter(None, (self.resource.group, self.resource.version)))


_ALL: Final = (
    Kind(PODS, "Pod", ("po",), first_status={"phase": "Pending"}),
    Kind(EVENTS, "Event", ("ev",)),
    Kind(CONFIG_MAPS, "ConfigMap", ("cm",)),
    Kind(LEASES, "Lease"),
    Kind(Resource("", "v1", NAMESPACES), "Namespace", ("ns",), is_namespaced=False, first_status={"phase": "Active"}),
    Kind(Resource("", "v1", SECRETS), "Secret"),
    Kind(Resource("", "v1", SERVICE_ACCOUNTS), "ServiceAccount", ("sa",)),
    Kind(Resource("", "v1", "resourcequotas"), "ResourceQuota", ("quota",)),
    Kind(TASK_DEFINITIONS, "TaskDefinition", ("tdef",), first_status=dict(TaskDefinition.born)),
    Kind(TASK_RUNS, "TaskRun", ("trun",), first_status=dict(TaskRun.born)),
    Kind(TASK_ITERATIONS, "TaskIteration", ("titer",)),
    Kind(TASK_SCHEDULES, "TaskSchedule", ("tsched",), first_status=dict(TaskSchedule.born)),
    Kind(TASK_SIGNALS, "TaskSignal", ("tsig",), first_status=dict(TaskSignal.born)),
)
KINDS: Final[dict[str, Kind]] = {kind.resource.plural: kind for kind in _ALL}
"""All kinds, by plural."""
OF_PODRELAY: Final = frozenset(
    {names.TASK_DEFINITIONS, names.TASK_RUNS, names.TASK_ITERATIONS, names.TASK_SCHEDULES, names.TASK_SIGNALS}
)
