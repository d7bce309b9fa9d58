"""The search for words that docs/writing.md replaces."""

import pytest

from dev.tools import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It goes\non.\n", ["1: goes on"]),
        ("# It goes\n# on.\n", ["1: goes # on"]),
        ("one\nNobody asked", ["2: Nobody"]),
        ("def _tell_places(brood): ...", ["1: tell", "1: brood"]),
        ("class _BroodOf: ...", ["1: Brood"]),
        ("'90x' is no duration", ["1: is no"]),
        ("there is no duration, it is no longer there, no more than two; Storyteller, telling", []),
        ("spec.try is 2; `t2`", []),
        ("if key is None: ...  # is none", ["1: is none"]),
    ],
)
def test_it_finds_words_in_prose_and_in_names(text: str, found: list[str]) -> None:
    assert list(words.search(text)) == found


def test_a_file_with_such_a_word_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(words, "word_list", lambda: ["Docker daemon"])

    assert words.main(["docs/README.md", words.LIST]) == 0
    assert words.main(["dev/cluster/docker/private.py"]) == 1

    printed = capsys.readouterr()
    assert printed.out.startswith("dev/cluster/docker/private.py:1: Docker daemon\n")
    assert "docs/writing.md says what to write instead" in printed.err


def test_the_list_is_read_from_the_page() -> None:
    assert {"whoever", "looks at", "next try"} <= set(words.word_list())
