"""The texts that the demo prints."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dev.cluster.steps import duration
from dev.demo.programs import NAMESPACE, SYSTEM, USER, Object

_PLAN = (
    ("1  a Kubernetes cluster, with kind", "minutes the first time, later half a minute"),
    ("2  images, built and loaded into it", "the operator, and two tasks"),
    ("3  the operator, installed with helm", "it creates a pod for each iteration of a run; with the GraphQL gateway"),
    ("4  the run [bold]wordcount[/]", "each pod counts for a while, then the next one continues"),
    ("5  the run [bold]tidy[/]", "aborted half-way, with time to clean up"),
    ("6  two more runs", "one started through GraphQL, one from the command line"),
)
_BAR = 30
BEFORE_THE_RUNS = f"\nIn the namespace {NAMESPACE}, under restricted Pod Security:\n"


def plan() -> RenderableType:
    """Return the list of the demo's steps."""
    steps = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    for what, why in _PLAN:
        steps.add_row(what, f"[dim]{why}[/]")
    title = "\n[bold]Podrelay runs long work on Kubernetes as a relay of pods.[/]\n"
    return Group(Text.from_markup(title), steps, "")


def command(text: str) -> str:
    """Return a command that is being run, in rich's markup."""
    return f"[bold]$ {escape(text)}[/]"


def results(runs: dict[str, Object], relay: str, last_line: str) -> RenderableType:
    """Return the results of the two runs."""
    count, tidy = runs["wordcount"]["status"], runs["tidy"]["status"]
    pod = tidy["current"]["podName"]
    return Group(
        Text.from_markup(
            f"\n[bold green]wordcount[/] found {count['output']['words']} words in {count['output']['files']} files, "
            f"in {count['iterations']} pods, one after the other:\n\n"
            f"{command('kubectl get titer -l podrelay.dev/run=wordcount --sort-by=.startedAt')}\n{escape(relay)}\n"
            "The ten most frequent words:\n"
        ),
        top(count["output"]["top"]),
        Text.from_markup(
            f"\n[bold yellow]tidy[/] was aborted: {escape(tidy['message'])}. "
            "Its pod and its logs are kept:\n\n"
            f"{command(f'kubectl logs {pod}')}\n{escape(last_line)}"
        ),
    )


def by_graphql(url: str, document: str, input_: Mapping[str, Any]) -> str:
    """Return the request that starts a run through GraphQL, in rich's markup."""
    body = json.dumps({"query": document, "variables": {"input": input_}})
    request = (
        f"curl {url} -H 'Content-Type: application/json' \\\n"
        f'    -H "Authorization: Bearer $(kubectl create token {USER})" \\\n'
        f"    -d '{body}'"
    )
    return (
        f"\n[bold]Through GraphQL[/], as the service account {USER}, "
        "which may only start, follow and abort runs in this namespace:\n\n"
        f"{command(f'kubectl -n {SYSTEM} port-forward service/podrelay-gateway :80 &')}\n{command(request)}"
    )


def updates(ident: str) -> str:
    """Return the introduction to the updates of a run."""
    return f'\nIts updates arrive over a WebSocket, with the subscription {{ taskUpdated(id: "{ident}") {{ ... }} }}:\n'


def counted(task: Mapping[str, Any]) -> str:
    """Return the result of the run, in rich's markup."""
    return (
        f"\n[bold green]{task['id']}[/] found {task['output']['words']} words, "
        f"in {task['iterations']} pods; created by {escape(task['createdBy']['id'])}"
    )


def by_command_line(text: str) -> str:
    """Return the command that starts a run, in rich's markup."""
    return f"\n[bold]From the command line[/]:\n\n{command(text)}"


def top(counts: list[tuple[str, int]]) -> Table:
    """Return a table of the most frequent words, each with a bar."""
    result = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    result.add_column(justify="left")
    result.add_column(justify="right")
    for word, number in counts:
        result.add_row(escape(word), str(number), f"[green]{'#' * round(_BAR * number / counts[0][1])}[/]")
    return result


def next_steps(seconds: float, token: str) -> str:
    """Return commands for the user to try next, in rich's markup; `token` is for the dashboard."""
    return f"""
[bold]The demo succeeded, in {duration(seconds)}.[/] The cluster is left running.

[bold]The dashboard[/] shows its runs in a browser:

  kubectl -n {SYSTEM} port-forward service/podrelay-gateway 8090:80 &
  [bold]http://127.0.0.1:8090/runs?namespace={NAMESPACE}[/]
  sign in with this token, which is valid for some hours:

{escape(token)}

  Open wordcount: its timeline has a bar for each pod, and "Logs" shows all of them as one stream. Open tidy: why it
  was aborted, and what it has cleaned up. Then press Rerun, and watch the list. [dim]docs/dashboard.md[/]

To continue by hand:

  eval "$(python3 -m dev.cluster env kind)"   [dim]# export KUBECONFIG; kubectl, helm in PATH[/]
  kubectl config set-context --current --namespace={NAMESPACE}
  kubectl get trun -o wide                [dim]# the runs[/]
  kubectl get titer,pods                  [dim]# the records of their iterations, their pods[/]
  kubectl describe trun wordcount         [dim]# ends with its Events[/]
  .venv/bin/podrelay logs wordcount       [dim]# what a run has logged and printed, even if its pods are deleted[/]
  .venv/bin/podrelay doctor               [dim]# reports problems that keep runs from running[/]
  kubectl -n {SYSTEM} port-forward deploy/podrelay-operator 8080 &
  curl -s localhost:8080/metrics | grep ^podrelay_   [dim]# docs/monitoring.md has alerts[/]
  kubectl explain trun.spec.abort         [dim]# every field is explained[/]
  kubectl delete trun wordcount           [dim]# also deletes its pods and records[/]
  kubectl apply -k examples/wordcount && kubectl get trun -w
  .venv/bin/podrelay top                  [dim]# all runs, live; `podrelay --help` for more[/]
  make down                               [dim]# removes the cluster completely[/]
"""
