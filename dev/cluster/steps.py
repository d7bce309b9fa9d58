"""Report progress to the user: what is being done, and how long it took.

Each finished step is one line. A long step also reports its progress: on a terminal by rewriting its line every second,
in a log by a line every fifteen seconds. All of it goes to standard error, because standard output is for results.
"""

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.cluster.errors import ClusterError

LOG_SECONDS = 15.0
TERMINAL_SECONDS = 1.0
WIDTH = 58


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a human-readable duration: 0.4 s, 12 s, 5 min 03 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


@contextmanager
def step(title: str, expected: float = 0) -> Iterator[None]:
    """Print the title of the block and its duration; `expected` is the usual duration of a long step, in seconds."""
    started = time.monotonic()
    over = threading.Event()
    terminal = sys.stderr.isatty()
    usual = f" of about {duration(expected)}" if expected else ""

    def report() -> None:
        pause = TERMINAL_SECONDS if terminal else LOG_SECONDS
        if expected > LOG_SECONDS and not terminal:
            say(f"{title} ... takes about {duration(expected)}")
        while not over.wait(pause):
            elapsed = f"{title} ... {duration(time.monotonic() - started)}{usual}"
            if terminal:
                print(f"\r\x1b[2K  {elapsed}", end="", file=sys.stderr, flush=True)
            else:
                say(elapsed)

    def close(mark: str) -> None:
        over.set()
        reporter.join()
        if terminal:
            print("\r\x1b[2K", end="", file=sys.stderr)
        say(f"{title:{WIDTH}} {mark}{duration(time.monotonic() - started):>12}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    except BaseException:
        close("failed after ")
        raise
    close("")


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, indented, to be shown below an error."""
    try:
        with log.open(errors="replace") as text:
            last = deque(text, maxlen=lines)
    except OSError:
        return ""
    return "\n".join(f"    {line.rstrip()[:300]}" for line in last)


def run(
    command: Sequence[str | Path],
    log: Path,
    *,
    hint: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> None:
    """Run a program whose output matters only if it fails; the output is appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with log.open("a") as output:
        print("$", *words, file=output, flush=True)
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env=env,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{words[0]} took more than {timeout:.0f} s.\n{tail(log)}", hint) from None
        except OSError as error:
            raise ClusterError(f"{words[0]} could not be started: {error}", hint) from None
    if done.returncode != 0:
        message = f"{Path(words[0]).name} {' '.join(words[1:3])} failed (exit {done.returncode}). The end of its log:"
        raise ClusterError(f"{message}\n{tail(log)}", hint or f"The whole log is {log}")


def ask(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> str | None:
    """Return the output of a program, or None if it fails, is missing or takes too long."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
