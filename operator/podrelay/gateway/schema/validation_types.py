"""The types of the check of an input, for a form that shows its mistakes while it is filled in."""

import strawberry

from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.scalars import Json


@strawberry.type(name="WebinyBackgroundTaskInputCheck", description="The result of the check of an input.")
class InputCheck:
    """Whether an input fits the schema of a definition."""

    is_valid: bool = strawberry.field(description="False if there are invalid fields.")
    invalid_fields: Json = strawberry.field(
        description='By path, as in the error of `triggerTask`: {"rows.1": {"code", "message", "data"}}.'
    )
    problem: str | None = strawberry.field(description="Why the input could not be checked; null if it was.")


@strawberry.type(name="WebinyBackgroundTaskInputCheckResponse")
class InputCheckResponse:
    """The result."""

    data: InputCheck | None = None
    error: Error | None = None
