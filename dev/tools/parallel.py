"""Runs two commands in parallel: the output of the first is shown live, that of the second when both have ended.

python -m dev.tools.parallel make unit integration -- make e2e
"""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Sequence

END_SECONDS = 60
"""The time that a command has to clean up after Ctrl-C."""


def main(arguments: Sequence[str]) -> int:
    """Run both commands; return 0 if both succeed, otherwise 1, or 130 after Ctrl-C."""
    shown = [*itertools.takewhile(lambda word: word != "--", arguments)]
    hidden = [*arguments[len(shown) + 1 :]]
    if not shown or not hidden:
        print("usage: python -m dev.tools.parallel COMMAND -- COMMAND", file=sys.stderr)
        return 2
    with tempfile.TemporaryFile("w+") as output:
        print(f"in parallel: {' '.join(hidden)}; its output is shown at the end", flush=True)
        with (
            subprocess.Popen(hidden, stdout=output, stderr=subprocess.STDOUT) as background,
            subprocess.Popen(shown) as foreground,
        ):
            try:
                codes = [foreground.wait(), background.wait()]
            except KeyboardInterrupt:
                # The terminal has sent the signal to all of them, and they clean up.
                for process in (foreground, background):
                    process.wait(END_SECONDS)
                return 130
        output.seek(0)
        print(f"\n{' '.join(hidden)}:")
        sys.stdout.writelines(output)
    for command, code in zip((shown, hidden), codes, strict=True):
        if code != 0:
            print(f"failed: {' '.join(command)} (exit code {code})", file=sys.stderr)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
