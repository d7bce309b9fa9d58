"""Fails if a text uses a word of the list in docs/writing.md: `python -m dev.tools.words [PATH ...]`.

It searches prose and names: a word is also found as a part of a name in snake_case or CamelCase. A phrase may continue
on the next line.
"""

import argparse
import functools
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LIST: Final = "docs/writing.md"
_SUFFIXES: Final = frozenset({".md", ".py", ".yaml", ".tpl", ".txt", ".json", ".toml", ".sh", ".tsx", ".ts"})
_EXCLUDED: Final = ("static/", "package-lock.json", "dev/images/locks/", LIST, "tests/unit/dev/tools/test_words.py")
_FINE: Final = re.compile(
    r"\b((?i:there\s+(is|are)\s+(no|none)|(is|are)\s+no\s+longer|no\s+more\s+than|stand[s]\s+for)"
    r"|None|this\s+is\s+no\s+pod\s+of\s+a\s+TaskRun)\b"
)
"""Plain English that contains such a word, Python's None, and what the first runners printed."""


def main(arguments: list[str] | None = None) -> int:
    """Print each occurrence; return 1 if there is one."""
    parser = argparse.ArgumentParser(description="Look for words that docs/writing.md replaces.")
    parser.add_argument("paths", nargs="*", default=["."], metavar="PATH")
    paths = _files(parser.parse_args(arguments).paths)
    found = [f"{path}:{hit}" for path in paths for hit in search((ROOT / path).read_text(encoding="utf-8"))]
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        print(f"{len(found)} place(s); {LIST} says what to write instead", file=sys.stderr)
    return int(bool(found))


def search(text: str, words: Iterable[str] | None = None) -> Iterator[str]:
    """Yield each use of a word of the list in a text, as `line: word`."""
    lowered = text.lower()
    found = [word for word in words or word_list() if word.partition(" ")[0].lower() in lowered]
    if not found:
        return
    text = _FINE.sub(lambda match: re.sub(r"\S", " ", match[0]), text)
    matches = (match for word in found for match in _pattern(word).finditer(text))
    for match in sorted(matches, key=lambda match: match.start()):
        yield f"{text.count(chr(10), 0, match.start()) + 1}: {' '.join(match[0].split())}"


@functools.cache
def word_list() -> list[str]:
    """Return the words to avoid: the texts in backquotes in the first column of the page's table."""
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / LIST).read_text(encoding="utf-8"), re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


@functools.cache
def _pattern(word: str) -> re.Pattern[str]:
    phrase = r"\s+(?:[#*>]\s*)?".join(map(re.escape, word.split()))
    # In snake_case no letter is next to a word of a name, in CamelCase no lower-case letter follows it.
    in_name = rf"|(?<![A-Z]){re.escape(word.capitalize())}(?![a-z])" if " " not in word else ""
    return re.compile(rf"(?<![A-Za-z])(?i:{phrase})(?![A-Za-z]){in_name}")


def _files(paths: Iterable[str]) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if Path(name).suffix in _SUFFIXES and not any(part in name for part in _EXCLUDED) and (ROOT / name).is_file()
    ]


if __name__ == "__main__":
    sys.exit(main())
