"""Parse and validate documents by the reader, where strawberry would do it on the event loop."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)
from strawberry.extensions import SchemaExtension

from podrelay.gateway.call import Call
from podrelay.gateway.documents import introspection, variables
from podrelay.gateway.documents.reader import InvalidError, Reader
from podrelay.gateway.errors import GatewayError, ValidationError

_SHOWN: Final = 60


class Reading(SchemaExtension):
    """Gives strawberry validated operations, or their errors.

    Args:
        reader: parses and validates the documents of all requests.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._errors: list[GraphQLError] = []
        self._asks_for_the_schema = False

    async def on_parse(self) -> AsyncIterator[None]:
        """Read the document; its errors are reported by on_validate."""
        context = self.execution_context
        if context.query:
            try:
                context.graphql_document = await self._read(context.context, context.query)
            except InvalidError as invalid:
                self._errors = invalid.errors
            except GatewayError as error:
                self._errors = [GraphQLError(error.message, original_error=error)]
            if self._errors:
                context.graphql_document = _nothing(context.operation_name)
        yield

    async def _read(self, call: Call, text: str) -> DocumentNode:
        context, offloop = self.execution_context, call.services.offloop
        document = await self._reader.read(text, offloop, await call.services.access.user(call.caller))
        operation = _operation(document, context._provided_operation_name)
        variables.check(self._reader.schema, operation, context.variables)
        self._asks_for_the_schema = introspection.is_wanted(document, operation)
        return document

    def on_validate(self) -> Iterator[None]:
        """Report the errors; strawberry then does not validate the document itself."""
        self.execution_context.pre_execution_errors = self._errors
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Execute queries of the schema itself in place of strawberry."""
        context = self.execution_context
        document = context.graphql_document
        if self._asks_for_the_schema and document is not None:
            call: Call = context.context
            context.result = await call.services.offloop.run(
                await call.services.access.user(call.caller),
                lambda: introspection.answer(self._reader.schema, document, context.operation_name, context.variables),
            )
        yield


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Return the operation to execute; strawberry would use the first of several.

    Raises:
        ValidationError: it is ambiguous which one, or the document has no operation of this name.
    """
    known = [definition for definition in document.definitions if isinstance(definition, OperationDefinitionNode)]
    found = [one for one in known if name is None or (one.name is not None and one.name.value == name)]
    if len(found) == 1:
        return found[0]
    choices = ", ".join(one.name.value for one in known if one.name is not None) or "one without a name"
    wrong = "several operations" if name is None else f"no operation {name[:_SHOWN]!r}"
    raise ValidationError(
        f"The document has {wrong}: set operationName to the one to execute ({choices}).", "operationName"
    )


def _nothing(name: str | None) -> DocumentNode:
    """Return a placeholder for an invalid document, because strawberry looks for its operation first."""
    nothing = SelectionSetNode(selections=(FieldNode(name=NameNode(value="__typename")),))
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY, name=NameNode(value=name) if name is not None else None, selection_set=nothing
    )
    return DocumentNode(definitions=(operation,))
