"""A task that tells which package runs it, and which version of the protocol its operator speaks."""

import os
from typing import Any

import podrelay
from podrelay import Answer, Controller, TaskDefinition


class Where(TaskDefinition):
    """Answers where its package is."""

    id = "where"
    title = "Where"

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        found = {"package": podrelay.__file__, "protocol": os.environ.get("PODRELAY_PROTOCOL")}
        return controller.response.done(found)
