"""The time that a pod's process needs until it could call run(), without the network: the fastest of 20 new processes.

.venv/bin/python dev/benchmarks/runner_startup.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 20
TASK = """
from podrelay import TaskDefinition

class Nothing(TaskDefinition):
    id = "nothing"
    title = "Nothing"

    def run(self, input, controller):
        return None
"""
MODEL_TASK = TASK.replace("\n\nclass", "\nfrom pydantic import BaseModel\n\nclass", 1)
LOAD = "import podrelay.runner.main; from podrelay.sdk.loading import load_definition; load_definition({task!r})"


def fastest(code: str, **environment: str) -> float:
    """Return the duration of the fastest process, in ms."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | environment)
        times.append(time.perf_counter() - started)
    return min(times) * 1000


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        plain, model = Path(folder, "plain.py"), Path(folder, "model.py")
        plain.write_text(TASK, encoding="utf-8")
        model.write_text(MODEL_TASK, encoding="utf-8")
        load = LOAD.format(task=str(plain))
        uncompiled = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": folder}
        print(f"python alone                          {fastest('pass'):5.0f} ms")
        print(f"runner and a task that takes a dict   {fastest(load):5.0f} ms")
        print(f"  if no module is compiled            {fastest(load, **uncompiled):5.0f} ms")
        print(f"runner and a task that uses pydantic  {fastest(LOAD.format(task=str(model))):5.0f} ms")


if __name__ == "__main__":
    main()
