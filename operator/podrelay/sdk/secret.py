"""What must not stand in the input: the keys of the Secret that spec.secret names, read when they are asked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path


class Secret(Mapping[str, str]):
    """The keys of the run's Secret: `controller.secret["password"]`. Empty where the run names none.

    A value is read from its file each time, so it is as new as the kubelet has it (a minute after a change), and is
    printed, logged and stored by nobody but the task itself.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    def __getitem__(self, key: str) -> str:
        """Return a value.

        Raises:
            KeyError: there is no such key.
            UnicodeDecodeError: it is no text; read its file in $PODRELAY_SECRET_PATH.
        """
        if key not in self._keys():
            raise KeyError(f"{key}: {self._told()}")
        assert self._folder is not None  # noqa: S101 - it has keys
        with (self._folder / key).open(encoding="utf-8", newline="") as file:
            return file.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __repr__(self) -> str:
        """Return the keys; values have no place in a log."""
        return f"<Secret: {self._told()}>"

    def _keys(self) -> list[str]:
        # Names that begin with two dots are the kubelet's own: ..data leads to the present state of the Secret.
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(file.name for file in self._folder.iterdir() if not file.name.startswith(".."))

    def _told(self) -> str:
        if self._folder is None:
            return "this run names no Secret in spec.secret"
        return f"the Secret of this run has {', '.join(self._keys()) or 'no keys'}"
