"""Objects at the limits of a CRD's schema, drawn by hypothesis from the schema, so that new fields are included."""

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

_PAYLOADS: tuple[dict[str, Any], ...] = (
    {},
    {"": ""},
    {"text": "\u0000\u001f\u2028\ufeff🙂"},
    {"number": -(2**63), "large": 2**63 - 1, "float": 1.0, "tiny": 5e-324, "huge": 1.7976931348623157e308},
    {"null": None, "nested": {"null": None, "empty": [], "list": [None, [], {}]}},
    {"$ref": "#/definitions/x", "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}},
    {"k" * 1000: "v" * 10_000},
)
_TEXTS = ("a", "-", "0", " ", "%s", '"', "\\", "ä", "🙂", "\u0000", "\u2028", "$(NAME)", "{{x}}")
_TIMES = (
    "1000-01-01T00:00:00+23:59",
    "1000-01-01T00:00:00Z",
    "2999-12-31T23:59:59.999999999-23:59",
    "2999-12-31T23:59:59.999999999Z",
    "2024-02-29T23:59:59.5+00:00",
    "2026-01-01T00:00:00.000000001-00:00",
    "1969-12-31T23:59:59Z",
)
_LOOSE_TIMES = ("2026-01-01t00:00:00z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z")


def of_schema(schema: Schema) -> st.SearchStrategy[Any]:
    """Draw values at the limits of a structural schema: shortest, longest, smallest, largest, optional fields."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema["type"]
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.sampled_from(_PAYLOADS)
    if kind == "object":
        return _objects(schema)
    if kind == "array":
        return _arrays(schema)
    if kind == "boolean":
        return st.booleans()
    if kind in {"integer", "number"}:
        return _numbers(schema)
    return _texts(schema)


def without(schema: Schema, *fields: str) -> Schema:
    """Return the schema of an object without some of its fields."""
    kept = {name: value for name, value in schema["properties"].items() if name not in fields}
    required = [name for name in schema.get("required", ()) if name not in fields]
    return schema | {"properties": kept, "required": required}


def _objects(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    required = set(schema.get("required", ()))
    fields = {name: of_schema(child) for name, child in schema.get("properties", {}).items()}
    always = {name: strategy for name, strategy in fields.items() if name in required}
    # One or two fields at a time: with many, one rejected value would hide the others.
    optional = sorted(fields.keys() - required)
    if not optional:
        return st.fixed_dictionaries(always)
    some = st.lists(st.sampled_from(optional), max_size=2, unique=True)
    return some.flatmap(lambda names: st.fixed_dictionaries(always | {name: fields[name] for name in names}))


def _arrays(schema: Schema) -> st.SearchStrategy[list[Any]]:
    most = min(schema.get("maxItems", 3), 20)
    items = of_schema(schema["items"])
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set":
        return st.lists(items, max_size=most, unique_by=repr)
    if kind == "map":
        keys = schema["x-kubernetes-list-map-keys"]
        return st.lists(items, max_size=most, unique_by=lambda item: tuple(item[key] for key in keys))
    return st.lists(items, max_size=most)


def _numbers(schema: Schema) -> st.SearchStrategy[Any]:
    least, most = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
    values: list[Any] = [least, most, min(most, least + 1), max(least, most - 1)]
    if schema["type"] == "number":
        values += [(least + most) / 3, float(least)]
    return st.sampled_from(values)


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    most, pattern = schema.get("maxLength", 100), schema.get("pattern")
    if pattern is None:
        return st.sampled_from(["", *_TEXTS]).flatmap(lambda text: st.sampled_from([text, (text * most)[:most]]))
    if ":[0-5]" in pattern:
        return st.sampled_from([*_TIMES, *_LOOSE_TIMES])
    return st.from_regex(pattern.removesuffix("$") + r"\Z", fullmatch=False).filter(lambda text: len(text) <= most)
