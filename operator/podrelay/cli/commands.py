"""The table of all commands: their help and their modules. Nothing is imported before a command is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

COMPLETE_VARIABLE: Final = "_PODRELAY_COMPLETE"
"""An environment variable that the shell sets when it asks for completions."""
CLUSTER_EXTRA: Final = "cli"
"""The extra that the commands that talk to a cluster need."""


@dataclass(frozen=True)
class LocalCommand:
    """A command that argparse parses.

    Attributes:
        help: one line.
        arguments: module with add_arguments(parser).
        action: module with run(arguments) -> exit code.
        extra: the extra of podrelay that it needs, if any.
    """

    help: str
    arguments: str
    action: str
    extra: str = ""


@dataclass(frozen=True)
class ClusterCommand:
    """A command that typer parses and that talks to a cluster.

    Attributes:
        help: one line.
        function: `module:function`, in podrelay.cli.tasks.
        example: an example, which is shown below its help.
    """

    help: str
    function: str
    example: str


LOCAL: Final[Mapping[str, LocalCommand]] = {
    "gateway": LocalCommand("run the GraphQL gateway", "podrelay.gateway.options", "podrelay.gateway.main", "gateway"),
    "manifests": LocalCommand(
        "print the TaskDefinitions of a module", "podrelay.cli.manifests", "podrelay.cli.manifests"
    ),
    "dev": LocalCommand(
        "run the whole relay on this computer, without a cluster",
        "podrelay.devserver.options",
        "podrelay.devserver.main",
        "dev-server",
    ),
    "run": LocalCommand("run a task without a cluster", "podrelay.cli.run", "podrelay.cli.run"),
    "operator": LocalCommand("run the operator", "podrelay.operator.options", "podrelay.operator.main", "operator"),
    "cleanup": LocalCommand(
        "release pods after the operator was removed", "podrelay.cli.cleanup", "podrelay.cli.cleanup", "operator"
    ),
}

_RUN: Final = "import-products-4mpkouuin4fr"

CLUSTER: Final[Mapping[str, ClusterCommand]] = {
    "trigger": ClusterCommand(
        "start a run",
        "trigger:trigger",
        """podrelay trigger importProducts --input '{"url": "https://example.org/products"}' --watch""",
    ),
    "list": ClusterCommand(
        "list runs", "show:list_runs", "podrelay list --definition importProducts --status failed --after 1d"
    ),
    "get": ClusterCommand("show one run", "show:get", f"podrelay get {_RUN}"),
    "wait": ClusterCommand("wait until runs have finished", "wait:wait", f"podrelay wait {_RUN} --timeout 10m"),
    "logs": ClusterCommand("print the log lines of a run", "logs:logs", f"podrelay logs {_RUN} --follow"),
    "abort": ClusterCommand("abort runs", "control:abort", f"podrelay abort {_RUN} --cascade -m 'wrong file'"),
    "signal": ClusterCommand(
        "send a signal to a run, or approve it",
        "signals:signal",
        f"""podrelay signal {_RUN} payment --payload '{{"amount": 40}}'""",
    ),
    "rerun": ClusterCommand("start a run again", "trigger:rerun", f"podrelay rerun {_RUN} --watch"),
    "suspend": ClusterCommand("suspend runs", "control:suspend", f"podrelay suspend {_RUN}"),
    "resume": ClusterCommand("continue suspended runs", "control:resume", f"podrelay resume {_RUN}"),
    "reschedule": ClusterCommand(
        "change when runs start", "control:reschedule", f"podrelay reschedule {_RUN} --delay 2h"
    ),
    "delete": ClusterCommand("delete runs", "control:delete", f"podrelay delete {_RUN}"),
    "children": ClusterCommand("show a run with its descendants", "show:children", f"podrelay children {_RUN}"),
    "definitions": ClusterCommand(
        "list the definitions that can be run", "show:definitions", "podrelay definitions -o wide"
    ),
    "schedule": ClusterCommand(
        "create, show, preview and control schedules",
        "schedules:application",
        'podrelay schedule preview --cron "30 2 * * *" --time-zone Europe/Vienna',
    ),
    "doctor": ClusterCommand("find out why runs do not start", "doctor:doctor", "podrelay doctor -n shop"),
    "export": ClusterCommand(
        "write a namespace to a file", "backup:export", "podrelay export -n shop --file shop.jsonl"
    ),
    "import": ClusterCommand("restore an export", "backup:restore", "podrelay import -n shop shop.jsonl"),
    "top": ClusterCommand("show unfinished runs, live", "top:top", "podrelay top --all-namespaces"),
    "namespace": ClusterCommand(
        "prepare a namespace for tasks", "namespace:namespace", "podrelay namespace prepare shop"
    ),
}
