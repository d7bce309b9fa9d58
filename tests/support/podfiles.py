"""The files of pods that are processes of this host: their logs and tokens."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest


@dataclass(frozen=True)
class PodFiles:
    """Finds the files of pods on the nodes of all test processes: the scheduler assigns a pod to any of them.

    Attributes:
        sessions: the folder with the temporary folders of all test sessions of this user. Those that run at the same
            time share the control plane.
    """

    sessions: Path

    @classmethod
    def of_all_sessions(cls, tmp_path_factory: pytest.TempPathFactory) -> Self:
        """Return an instance for all sessions; each has a folder, with one for each of its processes if it has many."""
        own = tmp_path_factory.getbasetemp()
        return cls(own.parents[1] if "PYTEST_XDIST_WORKER" in os.environ else own.parent)

    def of(self, namespace: str, pod: str, file: str) -> list[Path]:
        """Return the files of this name of all pods of this name that have existed in a namespace."""
        pattern = f"kubelet*/{namespace}_{pod}_*/{file}"
        places = (f"*/{pattern}", f"*/popen-gw*/{pattern}")
        # pytest also makes links to the newest folders.
        return sorted({found.resolve() for place in places for found in self.sessions.glob(place)})
