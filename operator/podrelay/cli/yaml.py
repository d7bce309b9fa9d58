"""Writes JSON values as YAML in block style. PyYAML is not a base dependency, and writing needs very little of YAML.

Every scalar is written as JSON, which is also YAML, except plain words that cannot be mistaken for anything else.
"""

import json
import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_.-]+)*")
_RESERVED_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


def dump(value: dict[str, Any]) -> str:
    """Return a JSON object as a YAML document that ends with a line break."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(f"{_scalar(key)}:", item)]
    if isinstance(value, list | tuple) and value:
        return [line for item in value for line in _item(item)]
    return [_scalar(value)]


def _entry(head: str, value: Any) -> list[str]:
    if isinstance(value, dict | list | tuple) and value:
        return [head, *(f"  {line}" for line in _lines(value))]
    return [f"{head} {_scalar(value)}"]


def _item(value: Any) -> list[str]:
    first, *others = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in others)]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED_WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return "".join(character if character.isprintable() else _escaped(character) for character in text)
    if isinstance(value, float) and "e" in text and "." not in text:
        return text.replace("e", ".0e")  # YAML 1.1 reads 1e+20 as a string
    return text


def _escaped(character: str) -> str:
    # A character that YAML cannot contain, or reads as a line break. JSON's own escapes are already in the text.
    return f"\\U{ord(character):08x}"
