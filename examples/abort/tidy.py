"""Processes many items, and removes all of its files when it is aborted half-way."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from podrelay import Answer, Controller, TaskDefinition


class Tidy(TaskDefinition):
    """Writes a file for each item, and removes all of them when the run is aborted."""

    id = "tidy"
    title = "Clean up on abort"
    iteration_timeout_seconds = 600
    abort_grace_period_seconds = 20  # from the abort to the end of the pod: time to clean up
    template = {  # noqa: RUF012 - a class variable that is never changed
        "spec": {
            "containers": [{"name": "task", "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]}],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        }
    }

    def run(self, input: dict[str, Any], controller: Controller) -> Answer:
        """Work until all items are done, or until the run is aborted."""
        items = input.get("items", 200)
        folder = Path(tempfile.mkdtemp(prefix="items-"))
        for item in range(1, items + 1):
            if controller.runtime.is_aborted():
                return controller.response.aborted(self.clean_up(folder, controller))
            (folder / f"{item}.txt").write_text("some work\n", encoding="utf-8")
            controller.progress(item, items, "items")
            time.sleep(input.get("seconds_per_item", 0.1))
        return controller.response.done(f"{items} items done", {"items": items})

    def clean_up(self, folder: Path, controller: Controller) -> str:
        """Remove the files written so far, and return a message that says so."""
        files = len(list(folder.iterdir()))
        shutil.rmtree(folder)
        reason = controller.runtime.abort_message or "no reason given"
        controller.logger.info(f"aborted ({reason}): removed {files} files, nothing is left behind")
        return f"removed {files} files"
