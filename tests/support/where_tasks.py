"""A task that returns the package that runs it, and the protocol version of its operator."""

import os
from typing import Any

import podrelay
from podrelay import Answer, Controller, TaskDefinition


class Where(TaskDefinition):
    """Returns the path of its package."""

    id = "where"
    title = "Where"

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        found = {"package": podrelay.__file__, "protocol": os.environ.get("PODRELAY_PROTOCOL")}
        return controller.response.done(found)
