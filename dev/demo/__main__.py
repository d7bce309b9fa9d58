"""`make demo`: shows the steps, runs them, and exits with 0 only if all of them succeeded."""

import sys
import time

from rich.console import Console

from dev.cluster import ClusterError, load, up
from dev.cluster.steps import step
from dev.demo import doors, story, words
from dev.demo.board import Board
from dev.demo.diagnosis import diagnosis
from dev.demo.install import install
from dev.demo.programs import USER, Programs
from dev.images.build import EXAMPLES, OPERATOR, build


def main() -> int:
    """Run the demo; return its exit code."""
    started = time.monotonic()
    # Lines may be long if the output is not a terminal, for example in a log.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(words.plan())
    programs: Programs | None = None
    try:
        cluster = up("kind")
        programs = Programs(cluster)
        build(("operator", "examples"))
        load([OPERATOR, EXAMPLES])
        install(programs)
        with step("remove the runs of an earlier demo"):
            story.forget_former_runs(programs)
        console.print(words.BEFORE_THE_RUNS)
        for command in story.apply(programs):
            console.print(words.command(command))
        console.print()
        with Board(console) as board:
            runs = story.follow(programs, board)
        last_line = story.check(programs, runs)
        console.print(words.results(runs, story.relay(programs), last_line), soft_wrap=True)
        task = doors.by_graphql(programs, console)
        console.print(words.counted(task), soft_wrap=True)
        doors.by_command_line(programs, console)
        token = programs.kubectl("create", "token", USER, "--duration=8h").strip()
    except ClusterError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        if programs is not None:
            print(diagnosis(programs), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The cluster is left running; `make down` removes it.", file=sys.stderr)
        return 130
    console.print(words.next_steps(time.monotonic() - started, token), soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
