"""An image is built again exactly when something in it has changed."""

from pathlib import Path

from dev.images import fingerprint


def a_folder(root: Path, **files: str) -> Path:
    root.mkdir(parents=True)
    for name, text in files.items():
        (root / f"{name}.py").write_text(text, encoding="utf-8")
    return root


def test_the_same_files_in_another_checkout_have_the_same_hash(tmp_path: Path) -> None:
    here, there = a_folder(tmp_path / "a", one="1", two="2"), a_folder(tmp_path / "b" / "c", one="1", two="2")

    assert fingerprint.of_files(here, here.iterdir()) == fingerprint.of_files(there, there.iterdir())


def test_a_changed_a_renamed_and_a_new_file_change_the_hash(tmp_path: Path) -> None:
    folders = [
        a_folder(tmp_path / "before", one="1"),
        a_folder(tmp_path / "changed", one="2"),
        a_folder(tmp_path / "renamed", two="1"),
        a_folder(tmp_path / "more", one="1", two=""),
    ]

    assert len({fingerprint.of_files(folder, folder.iterdir()) for folder in folders}) == len(folders)


def test_texts_are_not_concatenated() -> None:
    assert fingerprint.of("ab", "c") != fingerprint.of("a", "bc")
    assert fingerprint.of("a", "b") != fingerprint.of("b", "a")


def test_compiled_python_files_are_ignored(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "a", one="1")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "one.pyc").touch()

    assert fingerprint.files_below(folder) == [folder / "one.py"]
