"""Errors of ours are logged under an id, and only the id is told."""

from typing import Final

from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from podrelay.gateway.errors import GatewayError
from podrelay.gateway.schema.envelope import masked

_FOR_THE_CALLER: Final = (
    GatewayError,
    GraphQLError,
    CannotGetOperationTypeError,
    InvalidOperationTypeError,
    MissingQueryError,
)


class Masked(MaskErrors):
    """Leaves alone what is meant for the caller: refusals, and mistakes in documents and variables."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=is_ours)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return what is told instead."""
        told = masked(error.original_error or error)
        return GraphQLError(told.message, nodes=error.nodes, path=error.path, extensions=told.extensions)


def is_ours(error: GraphQLError) -> bool:
    """Tell whether an error is a bug, which is for our log."""
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    return original is not None and not isinstance(original, _FOR_THE_CALLER)
