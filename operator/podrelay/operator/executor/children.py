"""The actions on parents and children: they read and write runs other than the planned one, too."""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.api import JSON_PATCH, LIST_TIMEOUT_SECONDS
from podrelay.kube.errors import ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.kube.paging import pages
from podrelay.kube.resources import TASK_RUNS, Key
from podrelay.operator.executor import pod_builder
from podrelay.operator.executor.requests import Requests
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import AbortChild, Action, AdoptRun, ConfirmChildren
from podrelay.operator.rbac import Permission
from podrelay.operator.view import View

log = logging.getLogger(__name__)

PERMISSIONS: Final = (Permission(names.GROUP, (names.TASK_RUNS,), ("list", "patch")),)

_decode_run = msgspec.json.Decoder(TaskRun).decode


class ChildActions:
    """Carries out the actions on parents and children.

    Args:
        requests: sends requests to the API server.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._store = requests.store

    @property
    def handlers(self) -> dict[type[Action], Callable[[Key, View, Any], Awaitable[None]]]:
        """The handler of each kind of action, called by `Executor.carry_out`."""
        return {ConfirmChildren: self._confirm_children, AbortChild: self._abort_child, AdoptRun: self._adopt}

    async def _confirm_children(self, key: Key, view: View, action: ConfirmChildren) -> None:
        # Without a resource version the API server returns the current state, as for a GET.
        params = {"fieldSelector": f"spec.parent={key.name}"}
        async for page in pages(self._requests.client, TASK_RUNS.path(key.namespace), params, LIST_TIMEOUT_SECONDS):
            for item in page.items:
                with contextlib.suppress(msgspec.ValidationError):  # the reflector skips and reports it, too
                    self._store.runs.apply(_decode_run(item))
        self._store.confirm_children(view.run, action.record)

    async def _abort_child(self, key: Key, _view: View, action: AbortChild) -> None:
        child = Key(key.namespace, action.child.name)
        abort = {"message": action.message, "cascade": True} | ({"by": action.by} if action.by is not None else {})
        try:
            await self._patch("abort_child", child, {"metadata": {"uid": action.child.uid}, "spec": {"abort": abort}})
        except (ConflictError, NotFoundError):
            await self._requests.refresh_run(child, action.child.uid)
        except InvalidError as error:
            run = await self._requests.refresh_run(child, action.child.uid)
            if run is not None and run.spec.abort is None and run.status.phase not in FINISHED:
                self._leave_alone(child, error.message)
        except ApiError as error:
            if error.is_transient and error.status != 500:
                raise
            # A policy or webhook refuses it; that must not prevent the abort of the run itself.
            self._leave_alone(child, error.message)

    def _leave_alone(self, child: Key, problem: str) -> None:
        log.warning("child not aborted: %s", problem, extra={"run": str(child)})
        self._store.abort_refused(child)

    async def _adopt(self, key: Key, view: View, action: AdoptRun) -> None:
        owner = pod_builder.owner_reference_to(action.parent.name, action.parent.uid)
        about = view.run.metadata
        where, value = ("/-", owner) if about.owner_references else ("", [owner])
        patch: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": about.resource_version},
            {"op": "add", "path": f"/metadata/ownerReferences{where}", "value": value},
        ]
        try:
            await self._patch("adopt_run", key, patch, JSON_PATCH)
        except (ConflictError, InvalidError, NotFoundError) as error:
            run = await self._requests.refresh_run(key, about.uid)
            if isinstance(error, InvalidError) and run == view.run:
                raise

    async def _patch(self, kind: str, key: Key, patch: Any, content_type: str | None = None) -> None:
        options: dict[str, Any] = {"content_type": content_type} if content_type else {}
        body = await self._requests.write(
            kind, self._requests.client.patch(TASK_RUNS, key.namespace, key.name, patch, **options)
        )
        self._store.runs.apply(_decode_run(body))
