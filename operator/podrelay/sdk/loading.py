"""Finds task definitions: MODULE:CLASS, where MODULE is importable from the current folder or a path to a file."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from podrelay.api import names
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import TaskModuleError


def load_module(reference: str) -> ModuleType:
    """Import a module by its dotted name or by its file.

    Raises:
        TaskModuleError: it cannot be imported; the cause is chained.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        if reference.endswith(".py") or "/" in reference:
            return _load_file(Path(reference))
        return importlib.import_module(reference)
    except (Exception, SystemExit) as error:
        raise TaskModuleError(f"cannot import {reference}: {type(error).__name__}: {error}") from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def definitions_of(module: ModuleType) -> list[type[TaskDefinition]]:
    """Return the definition classes of a module, in the order in which they stand there."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, TaskDefinition) and "id" in vars(value)
    ]


def load_definition(reference: str, wanted: str = "") -> type[TaskDefinition]:
    """Return the class that MODULE:CLASS names; of a MODULE alone the only one, or the one whose name is `wanted`.

    Raises:
        TaskModuleError: the module cannot be imported, or there is no such class in it.
    """
    module_name, _, class_name = reference.partition(":")
    module = load_module(module_name)
    found = definitions_of(module)
    there = ", ".join(item.__name__ for item in found) or "none"
    if class_name:
        value = getattr(module, class_name, None)
        if not isinstance(value, type) or not issubclass(value, TaskDefinition):
            raise TaskModuleError(f"{module_name} has no task definition {class_name}; there are: {there}")
        return value
    if len(found) == 1:
        return found[0]
    for item in found:
        if names.definition_name(item.id) == wanted:
            return item
    raise TaskModuleError(f"say which task definition of {module_name}: MODULE:CLASS; there are: {there}")
