"""Builds the pod of an iteration from the definition's template. Pure: values in, a manifest out.

Settings that the relay depends on are forced (restart policy, deadline, names, environment); the template sets the
others.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any, Final

from podrelay.api import limits, names, numbers, protocol
from podrelay.api.errors import PodrelayError
from podrelay.api.hooks import ON_BEFORE_TRIGGER
from podrelay.operator import object_rules, overrides
from podrelay.operator.objects.definitions import TaskDefinition, TaskDefinitionSpec
from podrelay.operator.objects.runs import Scheduled, TaskRun
from podrelay.operator.plan import Target

DEADLINE_RESERVE_SECONDS: Final = 120
"""The kubelet ends a pod this long after both of its timeouts, if no operator is running that ends it earlier."""

_NEAR_WEIGHT: Final = 10
_CLAIM_GATE: Final = {"name": names.CLAIM_GATE}
"""Of at most 100: a small preference, which does not outweigh a node with much more room."""
_OWN_PREFIX: Final = "PODRELAY_"
_SDK_SETTINGS: Final = frozenset({"PODRELAY_CLOSE_TO_TIMEOUT_SECONDS"})
"""Variables with Podrelay's prefix that a template may set."""


class TemplateError(PodrelayError):
    """No pod can be built from the definition's template; the message says what to change."""

    reason = "InvalidTemplate"


class OverridesNotAllowedError(PodrelayError):
    """The definition does not allow the overrides of the run, or no longer does."""

    reason = object_rules.OVERRIDES_NOT_ALLOWED


class InputTooLargeError(PodrelayError):
    """The input does not fit into an environment variable: it is too large, or nested too deeply."""

    reason = "InputTooLarge"


def build(
    run: TaskRun,
    definition: TaskDefinition,
    target: Target,
    input: dict[str, Any] | None = None,
    signals: Sequence[dict[str, Any]] = (),
    created_by: str | None = None,
) -> dict[str, Any]:
    """Return the manifest of the pod for `target`.

    Args:
        run: the run that the pod belongs to.
        definition: the definition with the template.
        target: the iteration and attempt.
        input: the input of the iteration; it is used only for pods that report by message.
        signals: the signals that the iteration is given; they are used only for pods that report by message.
        created_by: the user who created the run, or the run that it descends from; None if unknown.

    Raises:
        TemplateError: the template has no container that does the work, or has settings that the relay cannot allow.
        InputTooLargeError: the pod reports by message, and the input has more than 100 KiB or 200 levels.
        OverridesNotAllowedError: the definition does not allow the overrides of the run.
    """
    refusal = overrides.refusal(run, definition)
    if refusal is not None and not target.hooks:
        raise OverridesNotAllowedError(refusal)
    template = definition.spec.template
    by_message = object_rules.reports_by_message(definition)
    try:
        limits.check_payload(template, "spec.template")
    except limits.PayloadError as error:
        raise TemplateError(str(error)) from error
    spec = copy.deepcopy(template.get("spec"))
    if not isinstance(spec, dict):
        raise TemplateError("spec.template.spec is missing; it must be the spec of a pod")
    container = task_container(spec)
    variables = _environment(run, definition, target, str(container.get("image", "")))
    if by_message:
        variables += [_input_variable(input or {}), *_signals_variable(target, signals)]
        variables = _wanted(variables, definition.spec.variables)
    _complete_container(container, variables)
    if run.spec.secret is not None:
        _mount_secret(spec, container, run.spec.secret)
    if target.near:
        _prefer_node(spec, target.near)
    own = definition.spec
    spec["restartPolicy"] = "Never"
    # After the answer, hooks have as much time as an iteration.
    running_seconds = own.iteration_timeout_seconds * ((2 if own.hooks else 1) + (1 if target.after else 0))
    spec["activeDeadlineSeconds"] = own.pending_timeout_seconds + running_seconds + DEADLINE_RESERVE_SECONDS
    spec["terminationGracePeriodSeconds"] = own.abort_grace_period_seconds
    if by_message:
        _use_termination_message(spec, container)
    else:
        spec.setdefault("serviceAccountName", names.RUNNER_SERVICE_ACCOUNT)
        spec["automountServiceAccountToken"] = True
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": target.name,
            "namespace": run.metadata.namespace,
            # A restored pod is useless without its run, and one that reports by message would do its work again.
            "labels": {names.LABEL_VELERO_EXCLUDE: "true"} | _of_template(template, "labels") | labels(run, target),
            "annotations": _of_template(template, "annotations")
            | _annotations(definition, str(container["name"]), target)
            | _users(definition, created_by),
            "ownerReferences": [owner_reference(run, controller=True)],
            "finalizers": [names.ANSWER_FINALIZER],
        },
        "spec": spec,
    }


def task_container(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the container of a pod's spec that does the work: the one named `task`, or the only one.

    Raises:
        TemplateError: there is no such container, or it could be restarted.
    """
    containers = spec.get("containers")
    if not isinstance(containers, list) or not all(isinstance(item, dict) for item in containers) or not containers:
        raise TemplateError("spec.template.spec.containers is empty; add the container that does the work")
    at = overrides.task_container_index(containers)
    if at is None:
        raise TemplateError(
            f"none of the {len(containers)} containers of spec.template is named {names.TASK_CONTAINER}"
        )
    container: dict[str, Any] = containers[at]
    if not container.get("name"):
        container["name"] = names.TASK_CONTAINER
    if container.get("restartPolicy", "Never") != "Never" or container.get("restartPolicyRules"):
        raise TemplateError(
            f"container {container['name']} has a restartPolicy; remove it, and configure retries in spec.retry"
        )
    return container


def _complete_container(container: dict[str, Any], variables: list[dict[str, Any]]) -> None:
    env = container.get("env") or []
    if not isinstance(env, list) or not all(isinstance(item, dict) for item in env):
        raise TemplateError(f"env of container {container['name']} is not a list of objects with name and value")
    from_template = [
        item
        for item in env
        if not str(item.get("name", "")).startswith(_OWN_PREFIX) or item.get("name") in _SDK_SETTINGS
    ]
    container["env"] = from_template + variables
    container["terminationMessagePath"] = names.TERMINATION_MESSAGE_PATH
    # If a container fails without a message, the last lines of its log say more than its exit code.
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")


def _prefer_node(spec: dict[str, Any], node: str) -> None:
    """Prefer a node, which has the image and its files in memory, unless the template says where pods run."""
    if spec.get("affinity") or spec.get("nodeName") or spec.get("topologySpreadConstraints"):
        return
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": _NEAR_WEIGHT, "preference": term}]}
    spec["affinity"] = {"nodeAffinity": preferred}


def _mount_secret(spec: dict[str, Any], container: dict[str, Any], secret: str) -> None:
    """Mount a Secret into the container that does the work, with one file for each key."""
    volumes, mounts = spec.get("volumes") or [], container.get("volumeMounts") or []
    if not _is_list_of_objects(volumes) or not _is_list_of_objects(mounts):
        raise TemplateError("volumes of spec.template, or volumeMounts of its container, are not a list of objects")
    taken = [f"a volume {names.SECRET_VOLUME}" for item in volumes if item.get("name") == names.SECRET_VOLUME]
    taken += [f"a mount at {names.SECRET_PATH}" for item in mounts if item.get("mountPath") == names.SECRET_PATH]
    if taken:
        raise TemplateError(f"spec.template has {taken[0]}, which is reserved for the Secret of a run; use another one")
    spec["volumes"] = [*volumes, {"name": names.SECRET_VOLUME, "secret": {"secretName": secret}}]
    mount = {"name": names.SECRET_VOLUME, "mountPath": names.SECRET_PATH, "readOnly": True}
    container["volumeMounts"] = [*mounts, mount]


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _use_termination_message(spec: dict[str, Any], container: dict[str, Any]) -> None:
    """Make the pod report by message, and wait until the operator claims it: it cannot claim its record itself."""
    gates = spec.get("schedulingGates") or []
    if not isinstance(gates, list):
        raise TemplateError("spec.template.spec.schedulingGates is not a list")
    spec["schedulingGates"] = [*gates, _CLAIM_GATE]
    spec["automountServiceAccountToken"] = False
    container["terminationMessagePolicy"] = "File"


def let_start_unclaimed(manifest: dict[str, Any]) -> None:
    """Let a pod that reports by message start as soon as it exists."""
    gates = [gate for gate in manifest["spec"].pop("schedulingGates") if gate != _CLAIM_GATE]
    if gates:
        manifest["spec"]["schedulingGates"] = gates


def _input_variable(input: dict[str, Any]) -> dict[str, str]:
    try:
        data = limits.check_payload(_as_stored(input), "input")
    except limits.PayloadError as error:
        raise InputTooLargeError(str(error)) from error
    if len(data) > limits.ENVIRONMENT_INPUT_BYTES:
        raise InputTooLargeError(limits.too_large_for_environment(len(data)))
    # In the values of variables, Kubernetes expands $(NAME), and replaces $$ by a dollar sign.
    return {"name": names.ENV_INPUT, "value": data.decode().replace("$", "$$")}


def _signals_variable(target: Target, signals: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    if target.signals is None:
        return []
    text = json.dumps(list(signals), ensure_ascii=False, separators=(",", ":"))
    return [{"name": names.ENV_SIGNALS, "value": text.replace("$", "$$")}]


def _wanted(variables: list[dict[str, Any]], listed: Sequence[str] | None) -> list[dict[str, Any]]:
    """Return the variables that the definition lists; all if it lists none."""
    return variables if listed is None else [variable for variable in variables if variable["name"] in listed]


def _as_stored(input: dict[str, Any]) -> Any:
    try:
        # The API server stores an integer of more than 64 bits as a float, but writes it like an integer.
        return numbers.as_stored(input)
    except RecursionError:
        return input  # the check that follows reports it


def _environment(run: TaskRun, definition: TaskDefinition, target: Target, image: str) -> list[dict[str, Any]]:
    spec = definition.spec
    values = {
        names.ENV_NAMESPACE: run.metadata.namespace,
        names.ENV_RUN: run.metadata.name,
        names.ENV_RUN_UID: run.metadata.uid,
        names.ENV_DEFINITION: definition.metadata.name,
        names.ENV_ITERATION: str(target.iteration),
        names.ENV_TRY: str(target.try_),
        names.ENV_MAX_ITERATIONS: str(spec.max_iterations),
        names.ENV_POD_NAME: target.name,
        names.ENV_IMAGE: image,
        names.ENV_ITERATION_TIMEOUT: str(spec.iteration_timeout_seconds),
        names.ENV_AHEAD_GRACE_PERIOD if target.after else names.ENV_GRACE_PERIOD: str(spec.abort_grace_period_seconds),
        names.ENV_FINAL_ATTEMPT: _flag(value=target.is_final_attempt),
        names.ENV_PROTOCOL: str(protocol.VERSION),
    }
    if spec.reporting == names.REPORTING_API:
        # Other pods cannot read records, and variables make a pod larger (docs/performance.md).
        values |= {
            names.ENV_STATE: target.state or "",
            names.ENV_CHECKPOINT: target.checkpoint or "",
            names.ENV_RECORD_LOGS: _flag(value=spec.record_logs),
        }
    if target.after:
        values |= {names.ENV_AFTER: target.after, names.ENV_STANDBY: _flag(value=target.is_standby)}
    if target.signals is not None:
        values[names.ENV_WOKEN_BY] = target.woken_by
        if spec.reporting == names.REPORTING_API:
            values[names.ENV_SIGNALS] = ",".join(target.signals)
    if callable_hooks := _hooks_of(spec, target):
        values[names.ENV_HOOKS] = ",".join(callable_hooks)
    if target.hooks:
        values[names.ENV_HOOK] = ",".join(target.hooks)
    if run.metadata.origin_uid != run.metadata.uid:
        values[names.ENV_ORIGIN_UID] = run.metadata.origin_uid
    if run.spec.scheduled is not None:
        values |= _times_of(run.spec.scheduled)
    if run.spec.secret is not None:
        values[names.ENV_SECRET_PATH] = names.SECRET_PATH
    if spec.heartbeat_timeout_seconds is not None:
        values[names.ENV_HEARTBEAT_TIMEOUT] = str(spec.heartbeat_timeout_seconds)
    fields = {names.ENV_POD_UID: "metadata.uid", names.ENV_NODE_NAME: "spec.nodeName"}
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]


def _times_of(scheduled: Scheduled) -> dict[str, str]:
    """Return the variables that name the schedule of a run, and its times."""
    times = {
        names.ENV_SCHEDULED_FOR: scheduled.time,
        names.ENV_SCHEDULED_PREVIOUS: scheduled.previous,
        names.ENV_SCHEDULED_NEXT: scheduled.next,
    }
    given = {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items() if time is not None}
    return {names.ENV_SCHEDULE: scheduled.schedule, **given}


def _hooks_of(spec: TaskDefinitionSpec, target: Target) -> list[str]:
    """Return the hooks that the pod may call."""
    return [hook for hook in spec.hooks if hook != ON_BEFORE_TRIGGER or target.calls_before_trigger]


def _flag(*, value: bool) -> str:
    return "true" if value else "false"


def _annotations(definition: TaskDefinition, container: str, target: Target) -> dict[str, str]:
    spec = definition.spec
    heartbeat = spec.heartbeat_timeout_seconds
    optional = {names.ANNOTATION_HEARTBEAT_TIMEOUT: str(heartbeat)} if heartbeat is not None else {}
    if target.after:
        optional[names.ANNOTATION_AFTER] = target.after
    if target.signals is not None:
        optional[names.ANNOTATION_SIGNALS] = ",".join(target.signals)
    return {
        names.ANNOTATION_ITERATION_TIMEOUT: str(spec.iteration_timeout_seconds),
        names.ANNOTATION_PENDING_TIMEOUT: str(spec.pending_timeout_seconds),
        names.ANNOTATION_NODE_LOST_TIMEOUT: str(spec.node_lost_timeout_seconds),
        names.ANNOTATION_POD_CLEANUP: spec.pod_cleanup,
        names.ANNOTATION_CONTAINER: container,
        names.ANNOTATION_REPORTING: spec.reporting,
        names.ANNOTATION_TEMPLATE_HASH: object_rules.template_hash(definition),
        **optional,
    }


def _users(definition: TaskDefinition, created_by: str | None) -> dict[str, str]:
    """Return annotations that name the users behind a pod, for admission: the pod's creator is always the operator."""
    about = definition.metadata.annotations
    users = {
        names.ANNOTATION_CREATED_BY: created_by,
        names.ANNOTATION_WRITTEN_BY: about.changed_by or about.created_by,
    }
    return {annotation: user for annotation, user in users.items() if user}


def _of_template(template: dict[str, Any], field: str) -> dict[str, Any]:
    """Return labels or annotations of the template, without Podrelay's: a template cannot state who created a pod."""
    given = _mapping(_mapping(template, "metadata"), field, "metadata.")
    return {name: value for name, value in given.items() if not str(name).startswith(f"{names.GROUP}/")}


def _mapping(parent: dict[str, Any], field: str, path: str = "") -> dict[str, Any]:
    value = parent.get(field) or {}
    if not isinstance(value, dict):
        raise TemplateError(f"spec.template.{path}{field} must be an object, not {type(value).__name__}")
    return value


def labels(run: TaskRun, target: Target) -> dict[str, str]:
    """Return the labels of the pod and the record of `target`."""
    return {
        names.LABEL_RUN: run.metadata.name,
        names.LABEL_DEFINITION: run.spec.definition,
        names.LABEL_ITERATION: str(target.iteration),
        names.LABEL_TRY: str(target.try_),
    }


def owner_reference(run: TaskRun, *, controller: bool) -> dict[str, Any]:
    """Return the owner reference with which an object is garbage-collected when its run is deleted.

    It never has blockOwnerDeletion: a foreground deletion must not wait for a pod on a lost node.
    """
    reference = owner_reference_to(run.metadata.name, run.metadata.uid)
    return {**reference, "controller": True} if controller else reference


def owner_reference_to(name: str, uid: str) -> dict[str, Any]:
    """Return an owner reference to the TaskRun of this name and UID, without `controller`."""
    return {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": name, "uid": uid}
