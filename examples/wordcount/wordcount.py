"""Counts the words of all source files of Python's standard library, a time slice in each pod.

Each iteration works for `slice_seconds`, or on `slice_files` files, then hands its cursor and the counts so far to the
next pod. The state must stay small (256 KiB, better below 10), and a language has many words: so only the `keep` most
frequent counts are carried on. That makes rare words inexact, as in every sketch, and leaves the top ten exact as long
as they stay among the kept ones.
"""

import re
import sysconfig
import time
from collections import Counter
from pathlib import Path
from typing import Any

from podrelay import Controller, TaskDefinition

WORD = re.compile(r"[A-Za-z]{3,}")


class WordCount(TaskDefinition):
    """How often does the standard library say what?"""

    id = "wordCount"
    title = "Count the words of the standard library"
    max_iterations = 50
    iteration_timeout_seconds = 120
    abort_grace_period_seconds = 10
    pod_cleanup = "Never"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        """Count until the slice is over; input holds cursor, words and counts of the slices before."""
        files = source_files()
        counts, words, cursor = Counter(input.get("counts", {})), input.get("words", 0), input.get("cursor", 0)
        ends_at = time.monotonic() + input.get("slice_seconds", 2)
        last = min(len(files), cursor + input.get("slice_files", 1000))
        while cursor < last:
            found = count(files[cursor].read_text(encoding="utf-8", errors="replace"))
            counts.update(found)
            words += found.total()
            cursor += 1
            controller.progress(cursor, len(files), "files")
            if controller.runtime.is_aborted():
                return controller.response.aborted(f"stopped after {cursor} files")
            if time.monotonic() >= ends_at or controller.runtime.is_close_to_timeout():
                break
        if cursor < len(files):
            state = {"cursor": cursor, "words": words, "counts": kept(counts, input.get("keep", 1000))}
            return controller.response.continue_(state)
        output = {"files": len(files), "words": words, "top": counts.most_common(10)}
        return controller.response.done(f"{words} words in {len(files)} files", output)


def source_files() -> list[Path]:
    """Return all source files of the standard library, always in the same order."""
    return sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))


def count(text: str) -> Counter[str]:
    """Return how often each word of at least three letters is in `text`, in lower case."""
    return Counter(word.lower() for word in WORD.findall(text))


def kept(counts: Counter[str], most: int) -> dict[str, int]:
    """Return the `most` frequent counts."""
    return dict(counts.most_common(most))
