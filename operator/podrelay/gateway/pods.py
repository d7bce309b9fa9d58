"""A pod of a run as the API server shows it, read with the caller's token."""

from datetime import datetime

import msgspec

from podrelay.api import names
from podrelay.gateway.call import Budget, Call
from podrelay.gateway.errors import API_FAILURES, from_api
from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import PODS, Key


class _Struct(msgspec.Struct, rename="camel", frozen=True):
    pass


class _Annotations(_Struct, frozen=True):
    container: str = msgspec.field(default=names.TASK_CONTAINER, name=names.ANNOTATION_CONTAINER)


class _Metadata(_Struct, frozen=True):
    name: str
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: _Annotations = _Annotations()


class _Container(_Struct, frozen=True):
    name: str
    image: str = ""


class _Spec(_Struct, frozen=True):
    node_name: str | None = None
    containers: tuple[_Container, ...] = ()


class _Waiting(_Struct, frozen=True):
    reason: str | None = None
    message: str | None = None


class _Running(_Struct, frozen=True):
    started_at: datetime | None = None


class _Terminated(_Struct, frozen=True):
    exit_code: int
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class _State(_Struct, frozen=True):
    waiting: _Waiting | None = None
    running: _Running | None = None
    terminated: _Terminated | None = None


class _ContainerStatus(_Struct, frozen=True):
    name: str
    state: _State = _State()
    restart_count: int = 0


class _Condition(_Struct, frozen=True):
    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class _Status(_Struct, frozen=True):
    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    conditions: tuple[_Condition, ...] | None = None
    container_statuses: tuple[_ContainerStatus, ...] | None = None


class PodState(_Struct, frozen=True):
    """A pod, and the container that does the work."""

    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def image(self) -> str | None:
        """The image of the container."""
        return next(
            (one.image for one in self.spec.containers if one.name == self.metadata.annotations.container), None
        )

    @property
    def restarts(self) -> int:
        """How many times the kubelet has started the container again."""
        return self._container.restart_count

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container; None until it has ended."""
        ended = self._container.state.terminated
        return ended.exit_code if ended is not None else None

    @property
    def scheduled_at(self) -> datetime | None:
        """When the pod was assigned to a node."""
        found = self._condition("PodScheduled")
        return found.last_transition_time if found is not None and found.status == "True" else None

    @property
    def started_at(self) -> datetime | None:
        """When the container started."""
        state = self._container.state
        found = state.terminated or state.running
        return found.started_at if found is not None else None

    @property
    def finished_at(self) -> datetime | None:
        """When the container ended."""
        ended = self._container.state.terminated
        return ended.finished_at if ended is not None else None

    @property
    def reason(self) -> str | None:
        """Why the pod failed, or cannot be scheduled, or why its container waits or has ended."""
        return self.status.reason or self._problem.reason

    @property
    def message(self) -> str | None:
        """The reason in plain text."""
        return self.status.message or self._problem.message

    @property
    def _problem(self) -> _Waiting:
        scheduled, state = self._condition("PodScheduled"), self._container.state
        if scheduled is not None and scheduled.status == "False":
            return _Waiting(scheduled.reason, scheduled.message)
        if state.waiting is not None:
            return state.waiting
        return (
            _Waiting(state.terminated.reason, state.terminated.message) if state.terminated is not None else _Waiting()
        )

    @property
    def _container(self) -> _ContainerStatus:
        name = self.metadata.annotations.container
        statuses = self.status.container_statuses or ()
        return next((one for one in statuses if one.name == name), _ContainerStatus(name))

    def _condition(self, kind: str) -> _Condition | None:
        return next((one for one in self.status.conditions or () if one.type == kind), None)


async def read(call: Call, pod: Key, budget: Budget) -> PodState | None:
    """Return a pod; None if it does not exist.

    Args:
        call: the call, with the caller's token.
        pod: the pod.
        budget: what remains for the operation; the size of the pod counts.

    Raises:
        GatewayError: it cannot be read, or is larger than what remains of the budget.
    """
    await call.services.turns.give()
    try:
        async with budget.fetching:
            stored = await call.caller.client.get(PODS, pod.namespace, pod.name)
    except NotFoundError:
        return None
    except API_FAILURES as error:
        raise from_api(error, f"read pod {pod.name}") from error
    budget.take_payload(len(stored))
    return msgspec.json.decode(stored, type=PodState)
