"""`podrelay wait`: waits until existing runs have finished; the exit code shows scripts how they ended."""

from podrelay.cli import exit_codes
from podrelay.cli.tasks import following, printing
from podrelay.cli.tasks.connecting import RunIds
from podrelay.cli.tasks.trigger import Output, Timeout, Watch
from podrelay.client.service import TaskService


def wait(
    service: TaskService,
    run_ids: RunIds,
    watch: Watch = False,
    timeout: Timeout = None,
    output: Output = "table",
) -> int:
    """Wait until runs have finished. The exit code is 0 if all Succeeded, 1 if one Failed, 3 if one was Aborted.

    It is 124 if the timeout expired; the runs continue. With one ID, the task's output goes to stdout, everything else
    to stderr. With several, one line is printed for each, in the order in which they finish.
    """
    if len(run_ids) == 1:
        ended = following.follow(service, run_ids[0], timeout, is_shown=watch)
        return following.conclude(ended, output, is_shown=watch)
    ends = following.follow_all(
        service, list(dict.fromkeys(run_ids)), timeout, is_shown=watch, prints_ends=output == "table"
    )
    if output != "table" and ends.code != exit_codes.INTERRUPTED:
        printing.print_many(ends.runs, printing.RUN_COLUMNS, output)
    return ends.code
