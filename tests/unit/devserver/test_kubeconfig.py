"""The kubeconfig of `podrelay dev` belongs to one process, and never replaces that of something else."""

import json
from pathlib import Path

import pytest

from podrelay.devserver.kubeconfig import KubeconfigError, written


def test_it_exists_until_the_end_for_this_user_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "kubeconfig"

    with written(file, "http://127.0.0.1:1/secret", "default"):
        document = json.loads(file.read_text())
        assert document["clusters"][0]["cluster"]["server"] == "http://127.0.0.1:1/secret"
        assert file.stat().st_mode & 0o777 == 0o600
        assert (file.parent / ".gitignore").read_text() == "*\n"

    assert not file.exists()


def test_two_processes_do_not_share_one(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    with written(file, "http://one", "default"):
        with (
            pytest.raises(KubeconfigError, match="in use by another `podrelay dev`: end it, or choose another file"),
            written(file, "http://two", "default"),
        ):
            pass
        assert "http://one" in file.read_text()

    with written(file, "http://two", "default"):
        assert "http://two" in file.read_text()


def test_what_a_killed_process_has_left_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    with written(file, "http://one", "default"):
        left = file.read_text()
    file.write_text(left + " " * 5000)
    file.chmod(0o644)

    with written(file, "http://two", "default"):
        assert json.loads(file.read_text())["clusters"][0]["cluster"]["server"] == "http://two"
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["current-context: production\n", '{"current-context": "production"}', "[]", "\n"])
def test_the_kubeconfig_of_a_cluster_is_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)

    with (
        pytest.raises(KubeconfigError, match="is not from `podrelay dev`, so it is kept; choose another file"),
        written(file, "http://one", "default"),
    ):
        pass

    assert file.read_text() == text


def test_a_path_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(KubeconfigError, match=r"cannot be written \(Is a directory\); choose another file"),
        written(tmp_path, "http://one", "default"),
    ):
        pass
