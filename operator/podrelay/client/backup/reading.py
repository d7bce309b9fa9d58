"""Reads objects from text: a sequence of JSON values, YAML documents, and the lists that kubectl prints."""

import itertools
import json
from collections.abc import Iterator
from typing import Any, Final, TextIO

import yaml

from podrelay.client.backup import BackupError
from podrelay.client.resources import Resource


class _Loader(yaml.SafeLoader):
    """Reads YAML as Kubernetes does: a time is a string."""

    yaml_implicit_resolvers: Final = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def objects(text: TextIO) -> Iterator[Resource]:
    """Yield the objects in `text`, the items of lists one by one.

    If `text` has one JSON value per line, or YAML documents, only one of them is in memory at a time.

    Raises:
        BackupError: it is neither JSON nor YAML, or contains something that is not a Kubernetes object.
    """
    try:
        for value in _values(text):
            yield from _flat(value)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise BackupError(f"this is not a backup, or it is damaged: {error}") from error


def _values(text: TextIO) -> Iterator[Any]:
    first = next((line for line in text if line.strip()), "")
    if not first.lstrip().startswith(("{", "[")):
        yield from (value for value in yaml.load_all(_Joined(first, text), Loader=_Loader) if value is not None)
        return
    try:
        yield json.loads(first)
    except ValueError:
        yield from _whole(first + text.read())
        return
    for line in text:
        if line.strip():
            yield json.loads(line)


def _whole(text: str) -> Iterator[Any]:
    """Yield JSON values that span several lines, as kubectl writes them: its list is a single value."""
    decoder, place = json.JSONDecoder(), 0
    while True:
        while place < len(text) and text[place].isspace():
            place += 1
        if place == len(text):
            return
        value, place = decoder.raw_decode(text, place)
        yield value


def _flat(value: Any) -> Iterator[Resource]:
    if not isinstance(value, dict) or "kind" not in value:
        raise ValueError("it contains something that is not a Kubernetes object")
    if str(value["kind"]).endswith("List") and isinstance(value.get("items"), list):
        yield from itertools.chain.from_iterable(map(_flat, value["items"]))
    else:
        yield value


class _Joined:
    """A stream whose first line has already been read, with the methods that PyYAML needs."""

    def __init__(self, first: str, rest: TextIO) -> None:
        self._first = first
        self._rest = rest

    def read(self, size: int = -1) -> str:
        first, self._first = self._first, ""
        return first or self._rest.read(size)
