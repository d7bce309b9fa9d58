"""Loads task definitions: MODULE:CLASS, where MODULE is importable from the current folder or a path to a file."""

import importlib
import sys
import warnings
from pathlib import Path
from types import ModuleType

from podrelay.api import names
from podrelay.sdk import checking
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionWarning, TaskModuleError


def load_module(reference: str) -> ModuleType:
    """Import a module by its dotted name or its file. Callers must check the classes that they use (`checking.check`).

    Raises:
        TaskModuleError: the module cannot be imported; the cause is chained.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DefinitionWarning)
            if is_file(reference):
                return _load_file(Path(reference))
            return importlib.import_module(reference)
    except (Exception, SystemExit) as error:
        advice = "; MODULE must be importable from the current folder, or a path to a .py file"
        is_missing = isinstance(error, FileNotFoundError) or _is_about(error, reference)
        problem = f"{type(error).__name__}: {error}{advice if is_missing else ''}"
        raise TaskModuleError(f"cannot import {reference}: {problem}") from error


def is_file(reference: str) -> bool:
    """Return whether MODULE is the path of a file instead of a dotted name."""
    return reference.endswith(".py") or "/" in reference


def _is_about(error: BaseException, reference: str) -> bool:
    """Whether the module itself is missing, and not one that it imports."""
    return isinstance(error, ModuleNotFoundError) and f"{reference}.".startswith(f"{error.name}.")


def _load_file(path: Path) -> ModuleType:
    import importlib.util  # noqa: PLC0415 - only for files

    if not path.is_file():
        raise FileNotFoundError(f"file {path} does not exist")
    name = path.stem
    while name in sys.modules:  # the name of another file, or of a module of the standard library
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def definitions_of(module: ModuleType) -> list[type[TaskDefinition]]:
    """Return the task classes of a module, valid or not, in the order of the module."""
    found = {
        value: None  # an ordered set, because a class may have two names in the module
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, TaskDefinition) and "id" in vars(value)
    }
    return list(found)


def load_definition(reference: str, wanted: str = "") -> type[TaskDefinition]:
    """Return the class of MODULE:CLASS; for a MODULE alone its only task class, or the one whose name is `wanted`.

    Raises:
        TaskModuleError: the module cannot be imported, or has no such class.
        DefinitionError: the class cannot be used.
    """
    chosen = _chosen(reference, wanted)
    checking.check(chosen)
    return chosen


def _chosen(reference: str, wanted: str) -> type[TaskDefinition]:
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
        if isinstance(item.id, str) and names.definition_name(item.id) == wanted:
            return item
    raise TaskModuleError(f"specify the task definition of {module_name} as MODULE:CLASS; there are: {there}")
