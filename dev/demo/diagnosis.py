"""Information about a failed demo: objects, pods, and the ends of the logs of operator and gateway."""

from dev.cluster import ClusterError
from dev.demo.programs import NAMESPACE, RECORDS, RUNS, SYSTEM, Programs

COMMANDS = (
    ("get", RUNS, "--output=yaml"),
    ("get", RECORDS),
    ("get", "pods", "--output=wide"),
    ("describe", "pods"),
    ("get", "events", "--sort-by=.lastTimestamp"),
    (f"--namespace={SYSTEM}", "get", "pods"),
    (f"--namespace={SYSTEM}", "describe", "pods"),
    (f"--namespace={SYSTEM}", "logs", "deployment/podrelay-operator", "--tail=40"),
    (f"--namespace={SYSTEM}", "logs", "deployment/podrelay-gateway", "--tail=40"),
)
LINES = 150
"""The number of last lines to show of each command."""


def diagnosis(programs: Programs) -> str:
    """Return the output of several kubectl commands; a command that fails is shown with its error."""
    return "\n".join(_section(programs, command) for command in COMMANDS)


def _section(programs: Programs, command: tuple[str, ...]) -> str:
    title = (
        f"\n$ kubectl {'' if command[0].startswith('--namespace') else f'--namespace={NAMESPACE} '}{' '.join(command)}"
    )
    try:
        said = programs.kubectl(*command)
    except ClusterError as error:
        said = error.message
    return f"{title}\n{last_lines(said)}"


def last_lines(text: str, number: int = LINES) -> str:
    """Return the last lines of a text, after a line with the number of omitted lines."""
    lines = text.rstrip().splitlines()
    left_out = [f"... {len(lines) - number} lines before"] if len(lines) > number else []
    return "\n".join(left_out + lines[-number:])
