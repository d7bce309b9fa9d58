"""Tests one mutant: copies the package, changes the copy, and runs the tests on it."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.tools.mutants.mutant import Mutant

ROOT: Final = Path(__file__).parents[3]
PACKAGE: Final = ROOT / "operator" / "podrelay"
PROPERTIES: Final = {
    "operator/cache/collection.py": "tests/unit/operator/cache/test_collection_properties.py",
    "operator/cache/slots.py": "tests/unit/operator/cache/test_slots_properties.py",
}
"""Property tests of single files; a failure of another file's test would prove nothing about a mutant."""
_HISTORIES_OF_CHILDREN: Final = "tests/unit/operator/cache/test_children_properties.py"
_EXAMPLES: Final = {
    "operator": ("tests/unit/operator",),
    "runner": ("tests/unit/runner",),
    "kube": ("tests/unit/kube",),
    "gateway": ("tests/unit/gateway",),
}
_ON_A_CLUSTER: Final = {
    "gateway": ("tests/integration/test_gateway_access.py", "tests/integration/test_gateway_connections.py"),
}
_THE_CLUSTER: Final = threading.Lock()
"""Two test sessions on one cluster would disturb each other, and such failures would prove nothing."""


@dataclass(frozen=True)
class Outcome:
    """The result of a mutant.

    Attributes:
        mutant: the mutant.
        by: the tests that have detected it: "properties", "examples", or None.
        words: the first broken promise, or the failed test.
    """

    mutant: Mutant
    by: str | None
    words: str = ""


def play(mutant: Mutant, *, histories: int, seed: int, with_examples: bool = True) -> Outcome:
    """Run the tests on a mutant until one detects it.

    Args:
        mutant: the mutant.
        histories: the number of random histories; may be 0.
        seed: the seed of the histories.
        with_examples: continue with all other tests of its part if the property tests have not detected it.
    """
    with tempfile.TemporaryDirectory(prefix="podrelay-mutant-") as folder:
        _change(Path(folder), mutant)
        detected = _check_properties(Path(folder), mutant, histories, seed) if histories else None
        if detected is not None:
            return Outcome(mutant, "properties", detected)
        part = mutant.file.partition("/")[0]
        if with_examples and (detected := _test(Path(folder), _EXAMPLES[part])) is not None:
            return Outcome(mutant, "examples", detected)
        if with_examples and part in _ON_A_CLUSTER:
            with _THE_CLUSTER:
                detected = _test(Path(folder), _ON_A_CLUSTER[part])
            if detected is not None:
                return Outcome(mutant, "examples", detected)
    return Outcome(mutant, None)


def _change(folder: Path, mutant: Mutant) -> None:
    shutil.copytree(PACKAGE, folder / "podrelay", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "podrelay" / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text occurs {text.count(mutant.old)} times in {mutant.file}")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def _check_properties(folder: Path, mutant: Mutant, histories: int, seed: int) -> str | None:
    own = PROPERTIES.get(mutant.file)
    detected = _test(folder, (own,)) if own is not None else None
    return detected or _search(folder, histories, seed) or _test(folder, (_HISTORIES_OF_CHILDREN,))


def _search(folder: Path, histories: int, seed: int) -> str | None:
    command = ["-m", "tests.support.relaymodel.search", "--processes=1", "--first"]
    done = _run(folder, [*command, f"--histories={histories}", f"--seed={seed}"])
    return done.stdout.splitlines()[0] if done.returncode else None


def _test(folder: Path, tests: tuple[str, ...]) -> str | None:
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=1", "--tb=no"]
    options += ["--deselect=tests/unit/operator/test_relay_properties.py"]
    done = _run(folder, ["-m", "pytest", *options, *tests])
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (failed or done.stdout.splitlines()[-1:] or ["no output"])[0]


def _run(folder: Path, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    # The package of the checkout is installed; PYTHONPATH takes precedence over it.
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
