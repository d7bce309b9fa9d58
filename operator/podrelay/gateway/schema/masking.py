"""Log bugs under an id, and show callers only that id."""

from typing import Final

from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from podrelay.gateway.errors import GatewayError, masked

_FOR_THE_CALLER: Final = (
    GatewayError,
    GraphQLError,
    CannotGetOperationTypeError,
    InvalidOperationTypeError,
    MissingQueryError,
)


class Masked(MaskErrors):
    """Masks bugs, and leaves errors that the caller may see: refusals, and mistakes in documents and variables."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=is_bug)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return the error that the caller sees instead."""
        internal = masked(error.original_error or error)
        return GraphQLError(internal.message, nodes=error.nodes, path=error.path, extensions=internal.extensions)


def is_bug(error: Exception) -> bool:
    """Return whether an error, or the one that a GraphQLError reports, is a bug, which must be logged and not shown."""
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return not isinstance(error, _FOR_THE_CALLER)
