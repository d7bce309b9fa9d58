"""`python -m dev.tools.mutants`: tests all mutants, and shows which tests have detected them."""

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from dev.tools.mutants.list import CORE, OTHERS
from dev.tools.mutants.mutant import Mutant
from dev.tools.mutants.play import Outcome, play

SHARE: Final = 0.8
"""The share of the mutants of the relay's core that the property tests alone must detect."""


def main() -> int:
    """Test all mutants; return 1 if a mutant survives, or too many survive the property tests."""
    parser = argparse.ArgumentParser(description="Change the relay, and check that the tests fail.")
    parser.add_argument(
        "--histories", type=int, default=3000, help="random histories for each mutant; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--properties-only", action="store_true", help="run no other tests")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()

    def one(mutant: Mutant) -> Outcome:
        histories = arguments.histories if mutant in CORE else 0
        outcome = play(mutant, histories=histories, seed=arguments.seed, with_examples=not arguments.properties_only)
        print(f"{mutant.name:32} {outcome.by or 'SURVIVES':12} {outcome.words[:140]}", flush=True)
        return outcome

    mutants = [mutant for mutant in (*CORE, *OTHERS) if not arguments.only or mutant.name in arguments.only]
    if arguments.properties_only:
        mutants = [mutant for mutant in mutants if mutant in CORE]
    with ThreadPoolExecutor(arguments.processes) as pool:
        outcomes = list(pool.map(one, mutants))
    return _conclude(outcomes, is_whole=not arguments.only, properties_only=arguments.properties_only)


def _conclude(outcomes: Iterable[Outcome], *, is_whole: bool, properties_only: bool) -> int:
    outcomes = list(outcomes)
    core = [outcome for outcome in outcomes if outcome.mutant in CORE]
    by_properties = sum(outcome.by == "properties" for outcome in core)
    survivors = [outcome.mutant.name for outcome in outcomes if outcome.by is None]
    print(f"{len(outcomes)} mutants; the property tests detected {by_properties} of {len(core)} in the core")
    if survivors and not properties_only:
        print(f"survivors: {', '.join(survivors)}")
    too_few = is_whole and by_properties < SHARE * len(core)
    return int(too_few or (bool(survivors) and not properties_only))


if __name__ == "__main__":
    sys.exit(main())
