"""Checks the class of a task for mistakes before anything runs. Standard library only, because every pod does this."""

import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Final

from podrelay.api import hooks, names
from podrelay.sdk import cleanup, inputs
from podrelay.sdk.errors import DefinitionError

_RUN: Final = "run(self, input, controller)"
_METHODS: Final = {
    "create_input_validation": "create_input_validation(self)",
    "on_before_trigger": "on_before_trigger(self, data)",
    **{method: f"{method}(self, task)" for method in hooks.METHODS.values() if method != "on_before_trigger"},
}
"""Methods that an author may override in addition to run, with their parameters."""
_FAMILIAR: Final = {
    "retry": ("retries", "maxretries", "retrylimit", "retrypolicy"),
    "iteration_timeout_seconds": ("timeout", "timeoutseconds"),
    "abort_grace_period_seconds": ("graceperiod", "graceperiodseconds"),
    "max_concurrent_runs": ("concurrencylimit", "maxconcurrency", "maxparallel"),
    "ttl_seconds_after_finished": ("ttl",),
    "create_input_validation": ("inputschema", "inputvalidation", "validateinput"),
    "on_done": ("onsuccess", "oncomplete", "oncompleted", "onfinish", "onfinished"),
    "on_error": ("onfail", "onfailed", "onfailure", "onexception"),
    "on_abort": ("onaborted", "oncancel"),
    "on_before_trigger": ("onstart", "beforetrigger"),
}
"""By the name in Podrelay, names that are familiar from other systems, in lower case and without underscores."""
_MEANT: Final = {familiar: name for name, known in _FAMILIAR.items() for familiar in known}
_OF_PYTHON: Final = (types.FunctionType, classmethod, staticmethod)


def problems(cls: Any) -> list[str]:
    """Return messages about mistakes in a class that can be found as soon as it is defined.

    Args:
        cls: a class derived from TaskDefinition that has an id.
    """
    found = []
    task = getattr(cls, "id", None)
    if not isinstance(task, str) or not names.is_camel_case(task):
        found.append(f'Task ID "{task}" is invalid. It must be in camelCase format, for example: "myCustomTask".')
    if not isinstance(getattr(cls, "title", None), str) or not cls.title:
        found.append(f"Task {task} has no title; set the class variable title")
    try:
        cleanup.outcomes(cls.self_cleanup, str(task))
    except DefinitionError as error:
        found.append(str(error))
    return [*found, *_unknown_names(cls), *_wrong_signatures(cls)]


def check(cls: Any) -> None:
    """Check that a class can be used.

    Args:
        cls: a class derived from TaskDefinition.

    Raises:
        DefinitionError: the class cannot be used; the message names it and says what to change.
    """
    found = problems(cls)
    if cls.reporting != names.REPORTING_TERMINATION_MESSAGE:
        if cls.run is _base(cls).run:
            found.append(f"it has no method {_RUN}; write one")
        found += _wrong_input_type(cls)
    if found:
        raise DefinitionError(f"{cls.__qualname__}: {'; '.join(found)}")


def _base(cls: type) -> Any:
    """Return TaskDefinition. It cannot be imported here, because its module imports this one."""
    return next(item for item in cls.__mro__ if item.__module__ == "podrelay.sdk.definition")


# --- names --------------------------------------------------------------------------------------------------------


def _unknown_names(cls: type) -> list[str]:
    """Return a message for each name that is probably a misspelled one of TaskDefinition, and would be ignored."""
    base = _base(cls)
    variables = [*base.__annotations__]
    found = []
    for name, value in ((name, value) for item in _own_classes(cls) for name, value in vars(item).items()):
        if name.startswith("_") or name in variables or name in _METHODS or name == "run":
            continue
        is_method = isinstance(value, _OF_PYTHON)
        if not is_method and (callable(value) or isinstance(value, property)):
            continue  # a nested class or another object of the author
        meant = _meant(name, [*_METHODS] if is_method else variables)
        if meant:
            what = "method that Podrelay calls" if is_method else "class variable of a task"
            found.append(
                f"{name} is not a {what}; did you mean {meant}? If it is your own, rename it, for example to _{name}"
            )
    return found


def _own_classes(cls: type) -> list[type]:
    """Return the author's task classes; mixins that are not derived from TaskDefinition may have any names."""
    base = _base(cls)
    return [item for item in cls.__mro__ if item is not base and issubclass(item, base)]


def _meant(name: str, known: list[str]) -> str:
    plain = _plain(name)
    for candidate in known:
        if plain == _plain(candidate):
            return candidate
    meant = _MEANT.get(plain, "")
    if meant and (meant in known or meant in _METHODS):
        return meant
    if "_" in name:
        beginning = [candidate for candidate in known if candidate.startswith(f"{name}_")]
        if len(beginning) == 1:
            return beginning[0]
    near = [candidate for candidate in known if len(candidate) > 4 and _is_near(name, candidate)]
    return near[0] if near else ""


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _is_near(one: str, other: str) -> bool:
    """Whether the names differ by a typing error: an edit distance of 1, or of 2 for a long name."""
    allowed = 1 if len(other) <= 8 else 2
    if abs(len(one) - len(other)) > allowed:
        return False
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        above, row[0] = row[0], at
        for place, wanted in enumerate(other, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (letter != wanted))
    return row[-1] <= allowed


# --- signatures ---------------------------------------------------------------------------------------------------


def _wrong_signatures(cls: Any) -> list[str]:
    if not callable(cls.run):
        return [f"run must be a method {_RUN}"]
    found = []
    for name, wanted in {"run": _RUN, **_METHODS}.items():
        function, given = _function_of(cls, name)
        if function is None:
            continue
        code = function.__code__
        if not _takes(function, given, wanted.count(",")):
            found.append(f"{name} is called as {wanted}, but is written {_written(function)}")
        elif name == "run" and code.co_varnames[given : given + 2] == ("controller", "input"):
            found.append(f"the parameters of run are in the wrong order; write {_RUN}")
        elif name == "run" and code.co_flags & (_GENERATOR | _ASYNC_GENERATOR):
            found.append("run is a generator, because it contains a yield; Podrelay does not iterate over it")
    return found


_VARARGS: Final = 0x04
_GENERATOR: Final = 0x20
_ASYNC_GENERATOR: Final = 0x200
"""Flags of code objects, copied from the module inspect, which takes 10 ms to import."""


def _function_of(cls: type, name: str) -> tuple[types.FunctionType | None, int]:
    """Return the function of a method, and how many of its first parameters Python passes by itself."""
    raw = next((vars(item)[name] for item in cls.__mro__ if name in vars(item)), None)
    if isinstance(raw, staticmethod):
        raw, given = raw.__func__, 0
    elif isinstance(raw, classmethod):
        raw, given = raw.__func__, 1
    else:
        given = 1
    return (raw, given) if isinstance(raw, types.FunctionType) else (None, 0)


def _takes(function: types.FunctionType, given: int, parameters: int) -> bool:
    """Whether `function` accepts this many positional arguments, in addition to the `given` ones that Python passes."""
    code, wanted = function.__code__, given + parameters
    required = code.co_argcount - len(function.__defaults__ or ())
    of_keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    has_all = all(name in (function.__kwdefaults__ or {}) for name in of_keywords)
    return has_all and required <= wanted and (code.co_argcount >= wanted or bool(code.co_flags & _VARARGS))


def _written(function: types.FunctionType) -> str:
    code = function.__code__
    names_of = [*code.co_varnames[: code.co_argcount]]
    if code.co_kwonlyargcount:
        names_of += ["*", *code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]]
    return f"{function.__name__}({', '.join(names_of)})"


# --- the type of the input ------------------------------------------------------------------------------------------


def _wrong_input_type(cls: Any) -> list[str]:
    try:
        annotation = inputs.annotation_of(cls)
    except DefinitionError as error:
        # If pydantic is not loaded, the annotation cannot be a model.
        return [str(error)] if "pydantic" in sys.modules else []
    model: Callable[[Any], bool] = inputs.is_model
    if any(map(model, typing.get_args(annotation))) and typing.get_origin(annotation) is not dict:
        return ["the input of run is one of several types; annotate it with one pydantic model, or with dict"]
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type) or kind in {object, Any, types.UnionType} or model(kind) or _is_dict(kind):
        return []
    return [
        f"the input of run is annotated with {getattr(annotation, '__name__', annotation)}, but it is a JSON object: "
        "annotate it with dict, or with a pydantic.BaseModel that has its fields"
    ]


def _is_dict(kind: type) -> bool:
    try:
        return issubclass(kind, dict) or issubclass(dict, kind)
    except TypeError:  # some classes do not support issubclass
        return True
