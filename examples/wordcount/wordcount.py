"""Counts the words of all source files of Python's standard library, one time slice per pod.

Each pod works for `slice_seconds`, then passes its position and the counts so far to the next one. This state must stay
small (256 KiB at most, better below 10), and there are many different words, so only the counts of the KEPT most
frequent words are passed on. Counts of words that are not always among these are therefore inexact.
"""

import re
import sysconfig
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, Field

from podrelay import Answer, Controller, TaskDefinition

WORD = re.compile(r"[a-z]{3,}")
KEPT = 500


class WordCountInput(BaseModel):
    """The user's input, then the state that each pod passes to the next one."""

    slice_seconds: float = Field(default=3, gt=0, description="How long each pod works.")
    pause_seconds: float = Field(
        default=0, ge=0, description="Pause after each file, so that there is something to watch."
    )
    cursor: int = Field(default=0, ge=0, description="How many files have been counted.")
    words: int = Field(default=0, ge=0, description="How many words they contain.")
    counts: dict[str, int] = Field(default={}, description="Counts of the most frequent words.")


class WordCount(TaskDefinition):
    """Counts how often each word occurs in the standard library."""

    id = "wordCount"
    title = "Count the words of the standard library"
    max_iterations = 50
    iteration_timeout_seconds = 120
    abort_grace_period_seconds = 10
    pod_cleanup = "Never"  # so that every pod of the relay can be inspected

    def run(self, input: WordCountInput, controller: Controller) -> Answer:
        """Count until the time slice is over, or until all files have been counted."""
        files = source_files()
        counts = Counter(input.counts)
        ends_at = time.monotonic() + input.slice_seconds
        while input.cursor < len(files):
            found = words_of(files[input.cursor].read_text(encoding="utf-8", errors="replace"))
            counts.update(found)
            input.words += found.total()
            input.cursor += 1
            controller.progress(input.cursor, len(files), "files")
            time.sleep(input.pause_seconds)
            if controller.runtime.is_aborted():
                return controller.response.aborted(f"stopped after {input.cursor} of {len(files)} files")
            if time.monotonic() >= ends_at or controller.runtime.is_close_to_timeout():
                break
        if input.cursor < len(files):
            input.counts = most_frequent(counts, KEPT)
            controller.logger.info(f"handing over after {input.cursor} of {len(files)} files")
            return controller.response.continue_(input)
        output = {"files": len(files), "words": input.words, "top": counts.most_common(10)}
        return controller.response.done(f"{input.words} words in {len(files)} files", output)


def source_files() -> list[Path]:
    """Return the source files of the standard library, always in the same order."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts)


def words_of(text: str) -> Counter[str]:
    """Return how often each word of at least three letters, in lower case, occurs in `text`."""
    return Counter(WORD.findall(text.lower()))


def most_frequent(counts: Mapping[str, int], number: int) -> dict[str, int]:
    """Return the `number` largest counts, the largest first."""
    return dict(Counter(counts).most_common(number))
