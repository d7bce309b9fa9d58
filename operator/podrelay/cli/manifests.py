"""`podrelay manifests MODULE --image IMAGE`: prints the TaskDefinitions that a module's classes describe."""

import argparse
import contextlib
import copy
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from podrelay.api import hooks, names
from podrelay.cli import input_schema, yaml
from podrelay.sdk import checking, cleanup, loading, signals
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError, TaskModuleError

_WRITTEN_OTHERWISE: Final = frozenset({"id", "title", "self_cleanup", "signals", "template", "resources"})
_FIELDS: Final = tuple(name for name in TaskDefinition.__annotations__ if name not in _WRITTEN_OTHERWISE)
"""Class variables that are fields of the resource, under the same name in camelCase, if they are set."""
DEFAULT_RESOURCES: Final = {"requests": {"cpu": "100m", "memory": "64Mi"}}
"""The resources of a container whose class does not set them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command to `parser`."""
    parser.epilog = "example: podrelay manifests shop.tasks --image registry/shop:1 | kubectl apply -f -"
    parser.add_argument("module", metavar="MODULE", help="importable from the current folder, or a path to a .py file")
    parser.add_argument("--image", required=True, help="the image that contains the module and podrelay")
    parser.add_argument("--definition", metavar="ID", help="only this definition; default: all of the module")
    parser.add_argument(
        "--module-in-image", metavar="MODULE", help="the module's name or path in the image; default: MODULE"
    )
    parser.add_argument("--namespace", "-n", metavar="NAME", help="write this namespace into the manifests")
    parser.add_argument("--service-account", metavar="NAME", help="default: podrelay-runner, set by the operator")
    parser.add_argument("--output", "-o", choices=("yaml", "json"), default="yaml", help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Print the manifests and return the exit code: 1 if a class cannot be used; it is reported on stderr and skipped.

    Raises:
        TaskModuleError: the module cannot be imported or has no definitions, or its place in the image is unknown.
    """
    module_in_image = _in_image(arguments)
    with contextlib.redirect_stdout(sys.stderr):  # the module's own output does not belong to the manifests
        module = loading.load_module(arguments.module)
    found = _chosen(loading.definitions_of(module), arguments)
    manifests = []
    for item in found:
        try:
            manifests.append(
                manifest(
                    item,
                    module_in_image,
                    arguments.image,
                    namespace=arguments.namespace,
                    service_account=arguments.service_account,
                )
            )
        except DefinitionError as error:
            print(f"podrelay manifests: {error}", file=sys.stderr)
    if not manifests:
        return 1
    if arguments.output == "json":
        document = manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": manifests}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        sys.stdout.write("---\n".join(map(yaml.dump, manifests)))
    return 0 if len(manifests) == len(found) else 1


def _in_image(arguments: argparse.Namespace) -> str:
    """Return the name or path by which the image imports the module."""
    module: str = arguments.module_in_image or arguments.module
    if not loading.is_file(module) or arguments.module_in_image:
        return module
    path = os.path.normpath(module)
    if Path(path).is_absolute() or path.startswith(os.pardir):
        raise TaskModuleError(
            f"{module} is a path on this computer, not in the image; set the path of the module in the image, relative "
            f"to its working directory: --module-in-image {Path(path).name}, or the name to import: "
            f"--module-in-image {Path(path).stem}"
        )
    return path


def _chosen(available: list[type[TaskDefinition]], arguments: argparse.Namespace) -> list[type[TaskDefinition]]:
    if not available:
        raise TaskModuleError(
            f"{arguments.module} has no task definition; add a class to it: class MyTask(podrelay.TaskDefinition)"
        )
    if not arguments.definition:
        return available
    wanted = names.definition_name(arguments.definition)
    found = [item for item in available if names.definition_name(str(item.id)) == wanted]
    if not found:
        ids = ", ".join(str(item.id) for item in available)
        raise TaskModuleError(f"{arguments.module} has no task definition {arguments.definition}; there are: {ids}")
    return found


def manifest(
    definition: type[TaskDefinition],
    module: str,
    image: str,
    *,
    namespace: str | None = None,
    service_account: str | None = None,
) -> dict[str, Any]:
    """Return the TaskDefinition resource of a class.

    Args:
        definition: the class.
        module: name or path by which the image imports the class's module.
        image: the image of the container.
        namespace: written into the metadata, if given.
        service_account: service account of the pods; None: the operator sets it.

    Raises:
        DefinitionError: the class cannot be used.
    """
    checking.check(definition)
    metadata = {"name": names.definition_name(definition.id)}
    if namespace:
        metadata["namespace"] = namespace
    spec: dict[str, Any] = {"id": definition.id, "title": definition.title}
    for field in _FIELDS:
        value = getattr(definition, field)
        if value is not None:
            spec[_camel(field)] = copy.deepcopy(value)
    if definition.self_cleanup is not None:
        spec["selfCleanup"] = cleanup.outcomes(definition.self_cleanup, definition.id)
    if definition.signals is not None:
        spec["signals"] = [signals.in_resource(signal) for signal in definition.signals]
    schema = input_schema.of(definition)
    if schema is not None:
        spec["inputSchema"] = schema
    implemented = [hook for hook, method in hooks.METHODS.items() if _is_overridden(definition, method)]
    if implemented:
        spec["hooks"] = implemented
    spec["template"] = _template(definition, f"{module}:{definition.__name__}", image, service_account)
    return {"apiVersion": names.API_VERSION, "kind": "TaskDefinition", "metadata": metadata, "spec": spec}


def _template(
    definition: type[TaskDefinition], reference: str, image: str, service_account: str | None
) -> dict[str, Any]:
    """Return a pod template that restricted Pod Security accepts, merged with the class's own template."""
    container = {
        "name": names.TASK_CONTAINER,
        "image": image,
        "command": ["podrelay-runner", reference],
        "resources": copy.deepcopy(definition.resources or DEFAULT_RESOURCES),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec: dict[str, Any] = {"containers": [container]}
    if service_account:
        spec["serviceAccountName"] = service_account
    return _merged({"spec": spec}, copy.deepcopy(definition.template or {}))


def _merged(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Merge `overrides` into `base`: objects by key, containers by name; everything else is replaced."""
    for key, value in overrides.items():
        present = base.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merged(present, value)
        elif key == "containers" and isinstance(present, list) and isinstance(value, list):
            by_name = {item.get("name"): item for item in present}
            for item in value:
                if item.get("name") in by_name:
                    _merged(by_name[item["name"]], item)
                else:
                    present.append(item)
        else:
            base[key] = value
    return base


def _is_overridden(definition: type[TaskDefinition], method: str) -> bool:
    return getattr(definition, method) is not getattr(TaskDefinition, method)


def _camel(field: str) -> str:
    first, *others = field.split("_")
    return first + "".join(word.capitalize() for word in others)
