"""Where strawberry would parse and validate a document on the event loop, the reader does it."""

from collections.abc import AsyncIterator, Iterator

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
from podrelay.gateway.errors import GatewayError
from podrelay.gateway.reading import InvalidError, Reader


class Reading(SchemaExtension):
    """Gives strawberry documents that are valid already, or their mistakes.

    Args:
        reader: reads the documents of all requests.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._errors: list[GraphQLError] = []

    async def on_parse(self) -> AsyncIterator[None]:
        """Read the document; whatever is wrong with it is told in place of its validation."""
        context = self.execution_context
        if context.query:
            call: Call = context.context
            try:
                who = await call.services.access.user(call.caller)
                context.graphql_document = await self._reader.read(context.query, call.services.offloop, who)
            except InvalidError as invalid:
                self._errors = invalid.errors
            except GatewayError as error:
                self._errors = [GraphQLError(error.message, original_error=error)]
            if self._errors:
                context.graphql_document = _nothing(context.operation_name)
        yield

    def on_validate(self) -> Iterator[None]:
        """Tell what is wrong; strawberry validates where nobody has."""
        self.execution_context.pre_execution_errors = self._errors
        yield


def _nothing(name: str | None) -> DocumentNode:
    """Return a document in place of one that cannot be read: strawberry looks for its operation first."""
    nothing = SelectionSetNode(selections=(FieldNode(name=NameNode(value="__typename")),))
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY, name=NameNode(value=name) if name is not None else None, selection_set=nothing
    )
    return DocumentNode(definitions=(operation,))
