"""Execute operations as graphql-core does, but field by field, and with little left for the garbage collector.

graphql-core starts all asynchronous fields of all objects of a list at once: 30 fields of each of 100 tasks block the
event loop for 80 ms. Its executor refers to itself, so it and all errors are freed only by a full garbage collection.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn

import orjson
from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path, gather_with_cancel
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from podrelay.gateway.call import MAX_ANSWER_BYTES, Call
from podrelay.gateway.encoding import encode_value
from podrelay.gateway.errors import LimitError
from podrelay.gateway.schema.masking import is_bug

_SUGGESTIONS: Final = 2
"""Up to this many mistakes in variables get suggestions: one takes up to half a millisecond."""
MAX_FAILED_FIELDS: Final = 1000
"""Failed fields of an operation. Encoding the errors of 2,500 takes 25 ms."""
_FIELDS_AT_ONCE: Final = 64
"""No further object of a list is begun while so many asynchronous fields are being resolved, but one of each list.

If the operation runs out of time, each of these fields leaves 70 objects for the garbage collector.
"""


_FIELD_BYTES: Final = 8
"""Of a field in an answer, in addition to its name and its text: quotes, colon, comma, a number or null."""
_SHORT: Final = 32
"""Characters of a text whose encoded size is not worth being determined: at most six times as much."""


class _Attribute(NamedTuple):
    """A field that is an attribute of its object, with a scalar or an enum as its value."""

    name: str
    type: GraphQLOutputType
    leaf: GraphQLLeafType
    is_nullable: bool


@lru_cache(maxsize=4096)
def _attribute(schema: GraphQLSchema, parent_type: GraphQLObjectType, field_name: str) -> _Attribute | None:
    """Return what a field is, if it has neither arguments nor a resolver."""
    field = schema.get_field(parent_type, field_name)
    if field is None or field.args:
        return None
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    leaf = get_nullable_type(field.type)
    if not isinstance(definition, StrawberryField) or not definition.is_basic_field or not is_leaf_type(leaf):
        return None
    return _Attribute(definition.python_name, field.type, leaf, not is_non_null_type(field.type))


def clear_tracebacks(error: BaseException | None) -> None:
    """Remove the tracebacks of an error, which refer to the frames that it passed through.

    The frames refer to everything that an operation has created, and to the errors: reference cycles that only the
    garbage collector frees. For a thousand refused fields that would block the event loop for a third of a second.
    """
    while error is not None:
        error.__traceback__ = error.__context__ = error.__cause__ = None
        error = error.original_error if isinstance(error, GraphQLError) else None


def _is_never_used(*_: Any) -> NoReturn:
    raise NotImplementedError("no field of the schema has an abstract type")


_NO_HELPERS: Final = GraphQLResolveInfoHelpers(gather=_is_never_used, track=_is_never_used)


async def _settle(items: list[Any], waiting: list[int]) -> None:
    """Replace these items by their results, and forget which they were."""
    indexes, waiting[:] = [*waiting], []
    for index, result in zip(indexes, await gather_with_cancel(*(items[index] for index in indexes)), strict=True):
        items[index] = result


class Execution(StrawberryGraphQLCoreExecutionContext):
    """The execution of one operation; its context is the Call."""

    context_value: Call

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Those of graphql-core are methods of this object, which would be a cycle; no field of this schema uses them.
        self.async_helpers = _NO_HELPERS
        self._has_middleware = self.middleware_manager is not None and bool(self.middleware_manager.middlewares)
        self._fields = 0
        batch = self.context_value.batch
        self._bytes_left = MAX_ANSWER_BYTES if batch is None else batch.answer_bytes
        self._refusal: GraphQLError | None = None

    @classmethod
    def build(cls, *args: Any, **kwargs: Any) -> list[GraphQLError] | Executor[Any]:
        """Return an executor, or the mistakes in the variables."""
        built = super().build(*args, **kwargs | {"hide_suggestions": True})
        if isinstance(built, list) and len(built) <= _SUGGESTIONS:
            return super().build(*args, **kwargs)
        return built

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """Execute the fields of an object, and account for their names, which the query can choose."""
        # What is short is refused later than the rest: without the ids, there would be no list at all.
        size = sum(map(len, grouped_field_set)) + _FIELD_BYTES * len(grouped_field_set)
        self._take_bytes(size, down_to=-MAX_ANSWER_BYTES // 16)
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Execute a field; most are attributes, which need nothing of what a resolver is called with."""
        attribute = _attribute(self.schema, parent_type, field_details_list[0].node.name.value)
        if attribute is None or self._has_middleware:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        try:
            value = getattr(source, attribute.name)
            if value is not None:
                return self.complete_leaf_value(attribute.leaf, value)
        except Exception as error:  # noqa: BLE001 - it is returned to the client, or logged, like that of a resolver
            self.handle_field_error(error, attribute.type, field_details_list, path)
            return None
        if attribute.is_nullable:
            return None
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def complete_leaf_value(self, return_type: GraphQLLeafType, result: Any) -> Any:  # type: ignore[override]
        """Complete a scalar, and account for its size: a field can be queried many times under different names."""
        completed = Executor.complete_leaf_value(return_type, result)
        kind = type(completed)
        if kind is str and len(completed) < _SHORT:
            self._bytes_left -= len(completed)  # checked with the next object: this is called for each scalar
        elif kind is str or kind is dict or kind is list:
            # Encoded once: it is counted, and copied into the answer.
            encoded = encode_value(completed)
            self._take_bytes(len(encoded), down_to=0)
            return orjson.Fragment(encoded)
        return completed

    def _take_bytes(self, size: int, *, down_to: int) -> None:
        """Account for bytes of this answer, or of this event of a subscription.

        Raises:
            LimitError: fewer than `down_to` would be left.
        """
        left = self._bytes_left - size
        if left < down_to:
            raise LimitError(
                f"The answer would have more than {MAX_ANSWER_BYTES // 2**20} MiB; ask for fewer tasks at once, for "
                "each of their fields once, and for less in one batch."
            )
        self._bytes_left = left

    async def complete_async_iterator_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        async_iterator: AsyncIterator[Any],
        position_context: Any,
    ) -> list[Any]:
        """Complete the items of a list, some at a time."""
        items: list[Any] = []
        waiting: list[int] = []
        try:
            async for item in async_iterator:
                place = path.add_key(len(items), None)
                if self.complete_list_item_value(
                    item, items, item_type, field_details_list, info, place, position_context
                ):
                    waiting.append(len(items) - 1)
                if waiting and self._fields >= _FIELDS_AT_ONCE:
                    await _settle(items, waiting)
            await _settle(items, waiting)
        except Exception:
            self.settle_in_background([items[index] for index in waiting])
            raise
        return items

    def complete_awaitable_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Resolve an asynchronous field when it is its turn."""
        self._fields += 1  # from now on, although it only runs when it is awaited
        following = super().complete_awaitable_value
        return self._in_turn(
            result, lambda resolved: following(return_type, field_details_list, info, path, resolved, position_context)
        )

    async def _in_turn(
        self, result: Any, following: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]
    ) -> Any:
        try:
            try:
                await self.context_value.services.turns.give()
            except BaseException:
                if inspect.iscoroutine(result):
                    result.close()
                raise
            return await following(self._resolved_in_turn(result))
        finally:
            self._fields -= 1

    async def _resolved_in_turn(self, result: Any) -> Any:
        """Return the value of a field when it is its turn: many fields may have waited for one response."""
        value = await result
        await self.context_value.services.turns.give()
        return value

    def handle_field_error(
        self, raw_error: Exception, return_type: GraphQLOutputType, field_details_list: FieldDetailsList, path: Path
    ) -> None:
        """Handle the error of a field, and free what it refers to, unless it is a bug, which will be logged."""
        try:
            super().handle_field_error(raw_error, return_type, field_details_list, path)
        finally:
            if not is_bug(raw_error):
                clear_tracebacks(raw_error)
        if self._refusal is None and len(self.collected_errors.errors) > MAX_FAILED_FIELDS:
            first = self.collected_errors.errors[0].message
            refused = LimitError(f"More than {MAX_FAILED_FIELDS} fields have failed; ask for less at once. {first}")
            self._refusal = GraphQLError(refused.message, original_error=refused)
            self.collected_errors.add(self._refusal, None)  # graphql-core drops all errors after that

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """Return the result; without data if too many fields have failed."""
        if self._refusal is None:
            return super().build_response(data)
        self.collected_errors.errors[:] = [self._refusal]
        return super().build_response(None)
