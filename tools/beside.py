"""Runs two commands beside each other: one to be seen, the other one's output comes when both have ended.

python -m tools.beside make unit integration -- make e2e
"""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Sequence

END_SECONDS = 60
"""So long a command has to end after Ctrl-C: what it has started has to be put away."""


def main(arguments: Sequence[str]) -> int:
    """Run both; return 0 if both succeed, else 1, or 130 after Ctrl-C."""
    seen = [*itertools.takewhile(lambda word: word != "--", arguments)]
    unseen = [*arguments[len(seen) + 1 :]]
    if not seen or not unseen:
        print("usage: python -m tools.beside COMMAND -- COMMAND", file=sys.stderr)
        return 2
    with tempfile.TemporaryFile("w+") as output:
        print(f"beside it: {' '.join(unseen)}; what that says comes at the end", flush=True)
        with (
            subprocess.Popen(unseen, stdout=output, stderr=subprocess.STDOUT) as beside,
            subprocess.Popen(seen) as here,
        ):
            try:
                codes = [here.wait(), beside.wait()]
            except KeyboardInterrupt:
                # The terminal has told all of them; they put away what they have started.
                for process in (here, beside):
                    process.wait(END_SECONDS)
                return 130
        output.seek(0)
        print(f"\n{' '.join(unseen)}:")
        sys.stdout.writelines(output)
    for command, code in zip((seen, unseen), codes, strict=True):
        if code != 0:
            print(f"failed: {' '.join(command)} (exit code {code})", file=sys.stderr)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
