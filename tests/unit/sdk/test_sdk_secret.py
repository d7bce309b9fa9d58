"""controller.secret: read from files when asked for, and never printed."""

from pathlib import Path

import pytest

from podrelay.sdk.secret import Secret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a kubelet fills it: keys are links into the present state."""
    state = tmp_path / "..2026_03_01"
    state.mkdir()
    (tmp_path / "..data").symlink_to(state.name)
    for key, value in {"password": b"s3cret\r\n", "ca.crt": b"\xc3\xa4", "binary": b"\xff"}.items():
        (state / key).write_bytes(value)
        (tmp_path / key).symlink_to(f"..data/{key}")
    return tmp_path


def test_keys_are_files_and_values_what_is_in_them(folder: Path) -> None:
    secret = Secret(str(folder))

    assert list(secret) == ["binary", "ca.crt", "password"]
    assert (secret["password"], secret["ca.crt"], len(secret)) == ("s3cret\r\n", "ä", 3)
    assert secret.get("user") is None


def test_a_value_is_as_new_as_its_file(folder: Path) -> None:
    secret = Secret(str(folder))
    (folder / "..2026_03_01" / "password").write_text("other")

    assert secret["password"] == "other"


@pytest.mark.parametrize("key", ["user", "..data", "../secret", "", "..data/password", "/etc/passwd"])
def test_what_is_no_key_is_told_with_those_that_are(folder: Path, key: str) -> None:
    with pytest.raises(KeyError, match=r"binary, ca\.crt, password"):
        Secret(str(folder))[key]


def test_what_is_no_text_is_an_error(folder: Path) -> None:
    with pytest.raises(UnicodeDecodeError):
        Secret(str(folder))["binary"]


def test_a_run_without_one_says_so() -> None:
    with pytest.raises(KeyError, match=r"names no Secret in spec\.secret"):
        Secret("")["password"]
    assert dict(Secret("")) == {}


def test_values_are_not_printed(folder: Path) -> None:
    secret = Secret(str(folder))

    assert "s3cret" not in f"{secret} {secret!r}"
    assert "password" in repr(secret)
