"""Admission of objects: the rules of `podrelay.local.schema`, and what pods as processes cannot do."""

import base64
from collections.abc import Callable
from typing import Any, Final

from podrelay.api import names
from podrelay.devserver import not_here
from podrelay.kube.errors import InvalidError, NotFoundError
from podrelay.kube.resources import PODS, TASK_DEFINITIONS
from podrelay.local import allowed_overrides, schema
from podrelay.local.kinds import KINDS, NAMESPACES, SECRETS
from podrelay.operator.executor import pod_builder

Object = dict[str, Any]


class Admission:
    """Validates objects and sets defaults, see `podrelay.local.memory_api.Admission`.

    Args:
        has_namespace: returns whether a namespace exists.
        read_definition: returns the TaskDefinition in a namespace with a name, or raises an ApiError.
    """

    def __init__(self, has_namespace: Callable[[str], bool], read_definition: Callable[[str, str], Object]) -> None:
        self._has_namespace = has_namespace
        self._read_definition = read_definition

    def __call__(self, plural: str, before: Object | None, after: Object) -> Object:
        """Return the object to store.

        Raises:
            ApiError: the object is refused.
        """
        namespace = after["metadata"].get("namespace", "")
        if before is None and KINDS[plural].is_namespaced and not self._has_namespace(namespace):
            raise NotFoundError(404, "NotFound", f'namespaces "{namespace}" not found')
        if plural in _RULES:
            after = _RULES[plural](before, after)
        admitted = schema.admitted(plural, before, after)
        allowed_overrides.check(plural, before, admitted, self._read_definition)
        return admitted


def _pod(before: Object | None, after: Object) -> Object:
    if before is not None:
        return after
    if names.ANNOTATION_CONTAINER not in (after["metadata"].get("annotations") or {}):
        raise not_here.refusal("only pods of TaskRuns run here")
    spec = after["spec"]
    others = [volume["name"] for volume in spec.get("volumes") or () if volume["name"] != names.SECRET_VOLUME]
    if len(spec["containers"]) > 1 or spec.get("initContainers"):
        raise _refusal("a pod is one process, without init containers and sidecars")
    if others:
        raise _refusal(f"a pod is a process without volumes, so it cannot have the volume {others[0]}")
    container = pod_builder.task_container(spec)
    if not any(word.endswith("podrelay-runner") for word in container.get("command") or ()):
        raise _refusal("there are no images, so the command must be podrelay-runner MODULE:CLASS")
    return after


def _definition(_before: Object | None, after: Object) -> Object:
    if (after.get("spec") or {}).get("reporting") == names.REPORTING_TERMINATION_MESSAGE:
        raise _refusal("a task with reporting TerminationMessage is a program in an image, and there are no images")
    return after


def _secret(_before: Object | None, after: Object) -> Object:
    given = after.get("stringData") or {}
    data = (after.get("data") or {}) | {key: base64.b64encode(str(v).encode()).decode() for key, v in given.items()}
    return {"type": "Opaque"} | {key: value for key, value in after.items() if key != "stringData"} | {"data": data}


def _quota(_before: Object | None, _after: Object) -> Object:
    raise _refusal("there are no quotas; --max-pods limits the number of pods")


def _namespace(_before: Object | None, after: Object) -> Object:
    labels = {"kubernetes.io/metadata.name": after["metadata"]["name"]} | (after["metadata"].get("labels") or {})
    return after | {"metadata": after["metadata"] | {"labels": labels}}


def _refusal(why: str) -> InvalidError:
    return InvalidError(422, "Invalid", not_here.refusal(why).message)


_RULES: Final[dict[str, Callable[[Object | None, Object], Object]]] = {
    PODS.plural: _pod,
    TASK_DEFINITIONS.plural: _definition,
    SECRETS: _secret,
    NAMESPACES: _namespace,
    "resourcequotas": _quota,
}
