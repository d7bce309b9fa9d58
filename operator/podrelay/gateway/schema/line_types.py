"""The types of what a task has logged, and of what its pod has printed."""

import strawberry

from podrelay.gateway.payloads import Object
from podrelay.gateway.query import listing
from podrelay.gateway.schema.scalars import DateTime, Json, Number, json_or_null


@strawberry.type(name="WebinyBackgroundTaskLogItem", description="One line of a log.")
class LogItem:
    """A line as the task has logged it."""

    ident: strawberry.ID = strawberry.field(name="_id", description="Id of the log and number of the line, from 1.")
    message: str
    created_on: DateTime
    type: str
    data: Json | None
    error: Json | None

    @classmethod
    def of(cls, item: Object, ident: str = "") -> "LogItem":
        """Return a line of a record."""
        return cls(
            ident=strawberry.ID(ident),
            message=item["message"],
            created_on=DateTime(listing.ITEM_FIELDS["createdOn"].read(item)),
            type=item["type"],
            data=json_or_null(item.get("data")),
            error=json_or_null(item.get("error")),
        )


@strawberry.type(name="WebinyBackgroundTaskConsole", description="The end of the output of a pod.")
class Console:
    """The console output in a record."""

    text: str = strawberry.field(description="The last 16 KiB of stdout and stderr, as plain text.")
    dropped_bytes: Number = strawberry.field(description="How many bytes were printed before.")
    problem: str | None = strawberry.field(description="Why there is no text, if it could not be read.")

    @classmethod
    def of(cls, stored: Object) -> "Console":
        """Return the console output of a record."""
        dropped = Number(stored.get("droppedBytes") or 0)
        return cls(text=stored.get("text") or "", dropped_bytes=dropped, problem=stored.get("problem"))
