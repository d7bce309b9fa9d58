"""Plays histories: one by its bytes, as the property tests do, or any number of random ones.

    python -m tests.support.relaymodel.search --histories 60000

A random history is identified by seed and number, so it can be played again: `--seed 1 --only 4711`.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.support.relaymodel import moves

SHORTEST: Final = 60
LONGEST: Final = 260
"""Bytes of a history; a move takes three of them, the choice of a world up to 24."""
LIMITED_RUNS: Final = 4
_BATCH: Final = 50


@dataclass(frozen=True)
class Played:
    """The result of a history.

    Attributes:
        moves: the moves that were played.
        violations: the broken promises.
        ends: phase and reason of each run at the end.
    """

    moves: list[str]
    violations: list[str]
    ends: list[str]


def play(data: bytes, *, is_limited: bool = False) -> Played:
    """Play one history to its end, or until a promise is broken; with `is_limited`, it has more runs, and a limit."""
    choices = moves.Bytes(data)
    runs = LIMITED_RUNS if is_limited else 2
    history = moves.begin(choices, runs=runs, always_limited=is_limited)
    while choices and not history.world.violations:
        history.play(choices)
    if not history.world.violations:
        history.world.settle({"status": "done"})
    statuses = [run.get("status", {}) for run in history.world.runs()]
    ends = [f"{status.get('phase')} {status.get('reason')}" for status in statuses]
    return Played(history.log, history.world.violations, ends)


def random_history(seed: int, number: int) -> tuple[bytes, bool]:
    """Return the bytes of a random history, and whether it is limited, as every fourth is."""
    source = random.Random(seed * 1_000_003 + number)
    return source.randbytes(source.randint(SHORTEST, LONGEST)), number % 4 == 3


def _play_batch(batch: tuple[int, int, int]) -> tuple[int, Counter[str], list[tuple[int, list[str], list[str]]]]:
    seed, first, end = batch
    ends: Counter[str] = Counter()
    broken = []
    for number in range(first, end):
        data, is_limited = random_history(seed, number)
        try:
            played = play(data, is_limited=is_limited)
        except Exception as error:  # noqa: BLE001 - any error of the operator is a finding
            played = Played([], [f"{type(error).__name__}: {error}"], [])
        ends.update(played.ends)
        if played.violations:
            broken.append((number, played.violations, played.moves))
    return end - first, ends, broken


def _batches(seed: int, histories: int) -> Iterator[tuple[int, int, int]]:
    for first in range(0, histories, _BATCH):
        yield seed, first, min(first + _BATCH, histories)


def main() -> int:
    """Search; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Play random histories of the relay's model.")
    parser.add_argument("--histories", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="play only this one, and print its moves")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--first", action="store_true", help="stop after the first broken promise")
    arguments = parser.parse_args()
    if arguments.only is not None:
        data, is_limited = random_history(arguments.seed, arguments.only)
        played = play(data, is_limited=is_limited)
        print("\n".join([*played.moves, *played.ends, *played.violations]))
        return bool(played.violations)
    began, done, ends, failures = time.monotonic(), 0, Counter[str](), 0
    with multiprocessing.Pool(arguments.processes) as pool:
        for count, ended, broken in pool.imap_unordered(_play_batch, _batches(arguments.seed, arguments.histories)):
            done += count
            ends += ended
            for number, violations, _ in broken:
                failures += 1
                print(f"--seed {arguments.seed} --only {number}: {violations[0]}", flush=True)
            if broken and arguments.first:
                return 1
    print(f"{done} histories, {failures} with a broken promise, {time.monotonic() - began:.0f} s")
    print(", ".join(f"{end} {count}" for end, count in ends.most_common()))
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
