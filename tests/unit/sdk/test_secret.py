"""controller.secret: read from files on access, and never printed."""

from pathlib import Path

import pytest

from podrelay.sdk.secret import Secret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a kubelet writes it: keys are links into the current version."""
    state = tmp_path / "..2026_03_01"
    state.mkdir()
    (tmp_path / "..data").symlink_to(state.name)
    for key, value in {"password": b"s3cret\r\n", "ca.crt": b"\xc3\xa4", "binary": b"\xff"}.items():
        (state / key).write_bytes(value)
        (tmp_path / key).symlink_to(f"..data/{key}")
    return tmp_path


def test_keys_are_files_and_values_are_their_contents(folder: Path) -> None:
    secret = Secret(str(folder))

    assert list(secret) == ["binary", "ca.crt", "password"]
    assert (secret["password"], secret["ca.crt"], len(secret)) == ("s3cret\r\n", "ä", 3)
    assert secret.get("user") is None


def test_a_value_is_read_again_from_its_file(folder: Path) -> None:
    secret = Secret(str(folder))
    (folder / "..2026_03_01" / "password").write_text("other")

    assert secret["password"] == "other"


@pytest.mark.parametrize("key", ["user", "..data", "../secret", "", "..data/password", "/etc/passwd"])
def test_an_unknown_key_is_an_error_that_lists_the_keys(folder: Path, key: str) -> None:
    with pytest.raises(KeyError, match=r"binary, ca\.crt, password"):
        Secret(str(folder))[key]


def test_a_value_that_is_not_text_is_an_error(folder: Path) -> None:
    with pytest.raises(UnicodeDecodeError):
        Secret(str(folder))["binary"]


def test_a_run_without_a_secret_gets_a_clear_error() -> None:
    with pytest.raises(KeyError, match=r"names no Secret in spec\.secret"):
        Secret("")["password"]
    assert dict(Secret("")) == {}


def test_values_are_not_printed(folder: Path) -> None:
    secret = Secret(str(folder))

    assert "s3cret" not in f"{secret} {secret!r}"
    assert "password" in repr(secret)
