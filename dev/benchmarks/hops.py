"""The task of the benchmark `handover`: hands over to the next pod as often as its input says."""

import time
from typing import Any

from podrelay import Controller, TaskDefinition


class Hops(TaskDefinition):
    """Works for some seconds, then continues, until it has been called `length` times."""

    id = "hops"
    title = "Hops"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        """Answer continue, or done at the end."""
        time.sleep(input["works"])
        done = input.get("done", 0) + 1
        return controller.response.continue_({"done": done}) if done < input["length"] else {"done": done}
