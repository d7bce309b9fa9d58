"""The state on disk: what was stored is there after the process has ended in any way."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from podrelay.devserver.state import State, StateError
from podrelay.local.memory_api import MemoryApi


def opened(folder: Path) -> tuple[State, MemoryApi]:
    state = State(folder)
    api = MemoryApi(lambda: datetime.now(UTC), state.store, stored=state.load(), version=state.version)
    return state, api


def test_objects_versions_and_deletions_are_kept(tmp_path: Path) -> None:
    state, api = opened(tmp_path / "deep" / "state")
    for name in ("kept", "deleted"):
        api.create("taskruns", "default", {"metadata": {"name": name}, "spec": {"definition": "import"}})
    kept = api.patch("taskruns", "default", "kept", {"status": {"phase": "Running"}}, subresource="status")
    api.delete("taskruns", "default", "deleted")
    version = api.version
    state.close()

    _, api = opened(tmp_path / "deep" / "state")

    assert api.find("taskruns").items == [kept]
    assert api.version == version


def test_versions_never_go_back_because_of_objects_that_are_not_kept(tmp_path: Path) -> None:
    state, api = opened(tmp_path)
    api.create("events", "default", {"metadata": {"name": "one"}})
    version = api.version
    state.close()

    _, api = opened(tmp_path)

    assert api.find("events").items == []
    assert api.version == version


def test_a_change_is_stored_before_the_request_is_answered(tmp_path: Path) -> None:
    _, api = opened(tmp_path)
    created = api.create("configmaps", "default", {"metadata": {"name": "one"}, "data": {"a": "b"}})

    copied = tmp_path / "copy"  # as after a kill: the file is never closed
    copied.mkdir()
    for file in tmp_path.glob("state.db*"):
        (copied / file.name).write_bytes(file.read_bytes())

    assert opened(copied)[1].find("configmaps").items == [created]


def test_a_folder_in_use_and_a_foreign_file_are_reported(tmp_path: Path) -> None:
    first = State(tmp_path / "used")
    with pytest.raises(StateError, match=r"in use by the process \d+"):
        State(tmp_path / "used")
    first.close()
    State(tmp_path / "used").close()

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "state.db").write_text("no database" * 100)
    with pytest.raises(StateError, match="cannot be used for the state"):
        State(tmp_path / "other")
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be used for the state"):
        State(tmp_path / "file")


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.set("format", "99")
    state.close()

    with pytest.raises(StateError, match="of another version of podrelay"):
        State(tmp_path)
