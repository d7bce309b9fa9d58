"""Console output in records: plain text, only the end of it, limited in size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api.console import tail


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (b"one\ntwo\n", "one\ntwo\n"),
        (b"Windows\r\nlines\r\n", "Windows\nlines\n"),
        (b" 10%\r 50%\r100%\ndone\n", "100%\ndone\n"),
        (b"\x1b[31mred\x1b[0m \x1b[1;2Kgone\x1b7", "red gone"),
        (b"a\x00b\x07c\td\x9b", "abc\td\ufffd"),
        ("Grüße 😀".encode(), "Grüße 😀"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_printed_bytes_become_the_text_that_a_terminal_shows(printed: bytes, text: str) -> None:
    assert tail(printed) == {"text": text}


def test_no_output_is_empty_text() -> None:
    assert tail(b"") is None


def test_the_last_whole_lines_are_kept_and_the_dropped_bytes_counted() -> None:
    assert tail(b"first line\nsecond\nthird\n", limit=15) == {"text": "second\nthird\n", "droppedBytes": 11}
    assert tail(b"third\n", dropped=7, limit=15) == {"text": "third\n", "droppedBytes": 7}


def test_the_start_of_a_line_that_is_too_long_is_cut() -> None:
    assert tail(b"x" * 20, limit=8) == {"text": "x" * 8, "droppedBytes": 12}


@given(st.binary(max_size=300), st.integers(0, 10), st.integers(1, 64))
def test_any_output_fits_and_can_be_stored(printed: bytes, dropped: int, limit: int) -> None:
    kept = tail(printed, dropped, limit)

    assert (kept is None) == (not printed)
    if kept is not None:
        assert len(kept["text"].encode()) <= limit
        assert all(
            character in "\n\t" or character.isprintable() or ord(character) > 0x9F for character in kept["text"]
        )
        assert kept.get("droppedBytes", 0) >= dropped
