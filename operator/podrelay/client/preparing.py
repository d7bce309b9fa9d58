"""Prepares a namespace for tasks: `podrelay namespace prepare`.

Each object is written by server-side apply with the field manager `podrelay`, so a repetition changes nothing, and
fields of other managers are kept.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from podrelay.api import task_namespace
from podrelay.client import arguments, operators
from podrelay.client.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RequestRefusedError,
    ServiceError,
)
from podrelay.client.packages import kubernetes
from podrelay.client.resources import Resource, Resources

FIELD_MANAGER: Final = "podrelay"
_APPLY: Final = "application/apply-patch+yaml"
_INSTALL: Final = "helm install podrelay charts/podrelay -n podrelay-system --create-namespace"


class NamespaceError(ServiceError):
    """A namespace cannot be prepared; the message says what to do."""

    reason = "Namespace"
    code = "BackgroundTasks/Namespace"


@dataclass(frozen=True, slots=True)
class Step:
    """One object that a namespace needs.

    Attributes:
        what: kind and name, as kubectl prints them.
        done: what was done with it.
    """

    what: str
    done: Literal["created", "configured", "unchanged"]


@dataclass(frozen=True, slots=True)
class Watching:
    """Whether an operator watches a namespace.

    Attributes:
        is_certain: an operator watches the namespace, so nothing remains to be done.
        message: the result in plain text, with what remains to be done, if anything.
    """

    is_certain: bool
    message: str


class Preparation:
    """Prepares one namespace.

    Args:
        client: an ApiClient of the kubernetes package.
        resources: the custom resources of the same API server.
        namespace: its name.

    Raises:
        InvalidInputError: the name is not valid for a namespace.
    """

    def __init__(self, client: Any, resources: Resources, namespace: str) -> None:
        if not arguments.is_name(namespace):
            message = (
                f"'{namespace}' is not a valid name of a namespace: use lower case letters, digits and '-', at most 63 "
                "characters"
            )
            raise InvalidInputError.of_field("name", message)
        self._client = client
        self._resources = resources
        self._namespace = namespace
        self._core: Any = kubernetes.client.CoreV1Api(client)
        self._rbac: Any = kubernetes.client.RbacAuthorizationV1Api(client)
        self._apply: dict[str, tuple[str, Callable[..., Any], Callable[..., Any]]] = {
            "ServiceAccount": (
                "serviceaccount",
                self._core.read_namespaced_service_account,
                self._core.patch_namespaced_service_account,
            ),
            "RoleBinding": (
                "rolebinding.rbac.authorization.k8s.io",
                self._rbac.read_namespaced_role_binding,
                self._rbac.patch_namespaced_role_binding,
            ),
        }

    def steps(self) -> Iterator[Step]:
        """Create what is missing, and yield what was done with each object as soon as it is done.

        Raises:
            NamespaceError: Podrelay is not installed, the namespace is being deleted, a right is missing, or one of the
                objects exists and is different.
            ApiUnavailableError: the API server cannot be reached, even after retries.
            RequestRefusedError: the API server refuses a request for another reason.
        """
        self._find_role()
        yield self._make_namespace()
        for manifest in task_namespace.objects(self._namespace):
            yield self._make(manifest)

    def watching(self) -> Watching:
        """Return whether an operator watches the namespace.

        Raises:
            ApiUnavailableError: the API server cannot be reached, even after retries.
            RequestRefusedError: the API server refuses a request for another reason.
        """
        found = operators.deployed(self._client, self._resources)
        name = self._namespace
        if found is None:
            words = f"whether an operator watches {name} is unknown, because you may not list Deployments: "
            return Watching(False, f"{words}ask the person who installed Podrelay")
        watching = next((operator for operator in found if operator.watches(name)), None)
        if watching is not None:
            which = "this namespace" if watching.watched else "all namespaces"
            return Watching(True, f"operator {watching.namespace}/{watching.name} watches {which}")
        if not found:
            return Watching(False, f"no operator is deployed in this cluster: start one that watches {name}")
        operator = found[0]
        wanted = ",".join((*operator.watched, name))
        upgrade = (
            f"helm upgrade {operator.release or 'podrelay'} charts/podrelay -n {operator.namespace} "
            f"--reset-then-reuse-values --set 'operator.namespaces={{{wanted}}}'"
        )
        words = f"operator {operator.namespace}/{operator.name} watches only {', '.join(operator.watched)}"
        return Watching(False, f"{words}; to add {name}: {upgrade}")

    def _find_role(self) -> None:
        role = task_namespace.RUNNER_CLUSTER_ROLE
        try:
            self._resources.ask(self._rbac.read_cluster_role, name=role)
        except ForbiddenError:
            return  # few users may read it; applying the binding shows whether it exists
        except NotFoundError as missing:
            raise NamespaceError(
                f"this cluster has no ClusterRole {role}, so Podrelay is not installed: {_INSTALL}"
            ) from missing

    def _make_namespace(self) -> Step:
        name, what = self._namespace, f"namespace/{self._namespace}"
        try:
            found = self._resources.ask(self._core.read_namespace, name=name)
        except ForbiddenError:
            return Step(what, "unchanged")  # if it is missing, the next request reports it
        except NotFoundError:
            pass
        else:
            if found.get("status", {}).get("phase") == "Terminating":
                raise NamespaceError(f"namespace {name} is being deleted: run this again when it is gone")
            return Step(what, "unchanged")
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            # If it exists now, another client has just created it, or an earlier request of this call.
            with contextlib.suppress(ConflictError):
                self._resources.ask(self._core.create_namespace, body=manifest, field_manager=FIELD_MANAGER)
        except ForbiddenError as refused:
            raise NamespaceError(
                f"there is no namespace {name}, and you may not create it: ask an administrator to run "
                f"`kubectl create namespace {name}`, then run this again ({refused})"
            ) from refused
        return Step(what, "created")

    def _make(self, manifest: Resource) -> Step:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        word, read, patch = self._apply[kind]
        place = {"name": name, "namespace": self._namespace}
        before = self._version(read, place)
        try:
            stored = self._resources.ask(
                patch, **place, body=manifest, field_manager=FIELD_MANAGER, _content_type=_APPLY
            )
        except (InvalidInputError, RequestRefusedError) as refused:
            raise NamespaceError(f"{self._advice(manifest, refused)} ({refused})") from refused
        after = stored["metadata"]["resourceVersion"]
        return Step(f"{word}/{name}", "created" if before is None else "unchanged" if before == after else "configured")

    def _version(self, read: Callable[..., Any], place: dict[str, str]) -> str | None:
        try:
            version: str = self._resources.ask(read, **place)["metadata"]["resourceVersion"]
        except RequestRefusedError:
            return None  # applying it reports the problem
        return version

    def _advice(self, manifest: Resource, refused: ServiceError) -> str:
        """Return why an object could not be applied, and what to do about it."""
        namespace, kind, name = self._namespace, manifest["kind"], manifest["metadata"]["name"]
        if isinstance(refused, NotFoundError):
            return f"there is no namespace {namespace}: kubectl create namespace {namespace}, then run this again"
        # The role of a binding is immutable, and another manager may own the subjects.
        if isinstance(refused, InvalidInputError | ConflictError):
            return (
                f"the {kind} {name} of {namespace} is not the one that tasks need: if nothing else uses it, "
                f"kubectl -n {namespace} delete {self._apply[kind][0]} {name}, then run this again"
            )
        if kind == "RoleBinding":
            return (
                f"you may not bind the ClusterRole {task_namespace.RUNNER_CLUSTER_ROLE}: you need the right to write "
                f"RoleBindings in {namespace}, and the verb bind on that ClusterRole, which cluster-admin has"
            )
        return f"you may not write a {kind} in {namespace}: ask for a RoleBinding to the ClusterRole admin there"
