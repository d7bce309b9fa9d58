"""Values that must not be in the input: the keys of the Secret that spec.secret names, read on access."""

from collections.abc import Iterator, Mapping
from pathlib import Path


class Secret(Mapping[str, str]):
    """The keys of the run's Secret: `controller.secret["password"]`. Empty if the run names no Secret.

    A value is read from its file on each access, so it is as current as the kubelet keeps it (about a minute after a
    change). Podrelay never prints, logs or stores values.

    Args:
        folder: directory with a file for each key; empty if the run names no Secret.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    def __getitem__(self, key: str) -> str:
        """Return the value of a key.

        Raises:
            KeyError: there is no such key.
            UnicodeDecodeError: the value is not text; read its file in $PODRELAY_SECRET_PATH.
        """
        if key not in self._keys():
            raise KeyError(f"{key}: {self._summary()}")
        assert self._folder is not None  # noqa: S101 - it has keys
        with (self._folder / key).open(encoding="utf-8", newline="") as file:
            return file.read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __repr__(self) -> str:
        """Return a text with the keys, but without the values, so that it can be logged."""
        return f"<Secret: {self._summary()}>"

    def _keys(self) -> list[str]:
        # Names that begin with two dots belong to the kubelet: ..data links to the current version of the Secret.
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(file.name for file in self._folder.iterdir() if not file.name.startswith(".."))

    def _summary(self) -> str:
        if self._folder is None:
            return "this run names no Secret in spec.secret"
        return f"the Secret of this run has {', '.join(self._keys()) or 'no keys'}"
