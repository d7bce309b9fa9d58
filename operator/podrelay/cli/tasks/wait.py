"""`podrelay wait`: waits for the end of runs that are there already, and tells scripts how they ended."""

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
    output: Output = printing.Format.TABLE,
) -> int:
    """Wait until runs have ended. The exit code is 0 if all Succeeded, 1 if one Failed, 3 if one was Aborted.

    124 if the time was over; the runs go on. With one ID its output goes to stdout, all else to stderr; with several
    there is a line for each, in the order of their ends.
    """
    if len(run_ids) == 1:
        ended = following.follow(service, run_ids[0], timeout, is_shown=watch)
        return following.conclude(ended, output, is_shown=watch)
    ends = following.follow_all(
        service, list(dict.fromkeys(run_ids)), timeout, is_shown=watch, is_told=output is printing.Format.TABLE
    )
    if output is not printing.Format.TABLE and ends.code != exit_codes.INTERRUPTED:
        printing.print_many(ends.runs, printing.RUN_COLUMNS, output)
    return ends.code
