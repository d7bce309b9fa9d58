"""PyYAML reads back unchanged what podrelay.cli.yaml writes."""

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podrelay.cli import yaml

TRICKY = [
    "yes",
    "No",
    "on",
    "y",
    "null",
    "~",
    "1",
    "1.5",
    "1e3",
    "0x1f",
    "012",
    "1:30",
    "2026-01-02",
    ".inf",
    "nan",
    "a: b",
    "a:b",
    "a:",
    "#x",
    "a #x",
    "- a",
    "-",
    "",
    " ",
    " a ",
    "a\nb\n",
    "a\r\nb",
    "\t",
    "%a",
    "@a",
    "`a",
    "!a",
    "&a",
    "*a",
    "?",
    "{a}",
    "[a]",
    "'a'",
    '"a"',
    "a\\b",
    "=",
    "<<",
    "---",
    "...",
    "ü",
    "漢字",
    "😀",
    "\x00",
    "\x7f",
    "\x85",
    "\xa0",
    "\u2028",
    "\ufeff",
    "\uffff",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(TRICKY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(TRICKY), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text() | st.sampled_from(TRICKY), VALUES, max_size=4))
@example({"a": [[[]], [{}], [[1, [2]]], {"b": [{"c": {}}]}]})
@example({"a": 1e20})
@example({"a": 1.5e-7})
@settings(max_examples=150, deadline=None)
def test_every_json_object_is_read_back(value: dict[str, Any]) -> None:
    assert pyyaml.safe_load(yaml.dump(value)) == value


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_strings_are_read_back_as_key_value_and_item(text: str) -> None:
    value = {text: text, "list": [text, {text: [text]}]}

    assert pyyaml.safe_load(yaml.dump(value)) == value


def test_a_manifest_looks_as_a_person_would_write_it() -> None:
    value = {
        "kind": "List",
        "items": [{"name": "a-1", "args": ["x:y", "two words"], "empty": {}, "yes": True}],
        "count": 5,
    }

    assert yaml.dump(value) == (
        'kind: List\nitems:\n  - name: a-1\n    args:\n      - x:y\n      - "two words"\n'
        '    empty: {}\n    "yes": true\ncount: 5\n'
    )


def test_a_tuple_is_a_list() -> None:
    assert pyyaml.safe_load(yaml.dump({"a": ("b", "c")})) == {"a": ["b", "c"]}
