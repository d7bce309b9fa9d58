"""What the demo says before and after."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cluster.steps import duration
from demo.programs import NAMESPACE, SYSTEM, USER, Object

_PLAN = (
    ("1  a Kubernetes cluster, with kind", "minutes the first time, later half a minute"),
    ("2  images, built and loaded into it", "the operator, and two tasks"),
    ("3  the operator, installed with helm", "it makes a pod for each iteration of a run; a gateway beside it"),
    ("4  the run [bold]wordcount[/]", "each pod counts for a while, then hands over"),
    ("5  the run [bold]tidy[/]", "aborted half-way, with time to clean up"),
    ("6  two runs more", "started by GraphQL, and by the command line"),
)
_BAR = 30
BEFORE_THE_RUNS = f"\nIn the namespace {NAMESPACE}, under restricted Pod Security:\n"


def plan() -> RenderableType:
    """What is about to happen, and what is to be seen of it."""
    steps = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    for what, why in _PLAN:
        steps.add_row(what, f"[dim]{why}[/]")
    title = "\n[bold]Podrelay runs long work on Kubernetes as a relay of pods.[/]\n"
    return Group(Text.from_markup(title), steps, "")


def command(text: str) -> str:
    """Return a command that is being run, as the reader could run it, in rich's markup."""
    return f"[bold]$ {escape(text)}[/]"


def results(runs: dict[str, Object], relay: str, last_words: str) -> RenderableType:
    """What came of the two runs."""
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
            "Its pod and its last words are still there:\n\n"
            f"{command(f'kubectl logs {pod}')}\n{escape(last_words)}"
        ),
    )


def by_graphql(url: str, document: str, input_: Mapping[str, Any]) -> str:
    """How a run is started by GraphQL, in rich's markup."""
    body = json.dumps({"query": document, "variables": {"input": input_}})
    request = (
        f"curl {url} -H 'Content-Type: application/json' \\\n"
        f'    -H "Authorization: Bearer $(kubectl create token {USER})" \\\n'
        f"    -d '{body}'"
    )
    return (
        f"\n[bold]By GraphQL[/], as the service account {USER}, which may start runs here and nothing else:\n\n"
        f"{command(f'kubectl -n {SYSTEM} port-forward service/podrelay-gateway :80 &')}\n{command(request)}"
    )


def updates(ident: str) -> str:
    """What follows the run."""
    return f'\nIts updates come over a WebSocket, by subscription {{ taskUpdated(id: "{ident}") {{ ... }} }}:\n'


def counted(task: Mapping[str, Any]) -> str:
    """What came of the run."""
    return (
        f"\n[bold green]{task['id']}[/] found {task['output']['words']} words, "
        f"in {task['iterations']} pods; made by {escape(task['createdBy']['id'])}"
    )


def by_command_line(text: str) -> str:
    """How a run is started from a terminal, in rich's markup."""
    return f"\n[bold]From the command line[/]:\n\n{command(text)}"


def top(counts: list[tuple[str, int]]) -> Table:
    """The most frequent words, each with a bar."""
    result = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    result.add_column(justify="left")
    result.add_column(justify="right")
    for word, number in counts:
        result.add_row(escape(word), str(number), f"[green]{'#' * round(_BAR * number / counts[0][1])}[/]")
    return result


def how_to_go_on(seconds: float) -> str:
    """Commands for the reader, in rich's markup."""
    return f"""
[bold]All went as told, in {duration(seconds)}.[/] The cluster is left running. Go on by hand:

  eval "$(python3 -m cluster env kind)"   [dim]# export KUBECONFIG; kubectl, helm in PATH[/]
  kubectl config set-context --current --namespace={NAMESPACE}
  kubectl get trun -o wide                [dim]# the runs[/]
  kubectl get titer,pods                  [dim]# the records of their iterations, their pods[/]
  kubectl describe trun wordcount         [dim]# ends with its Events[/]
  .venv/bin/podrelay logs wordcount       [dim]# what a run has logged and printed, its pods gone or not[/]
  .venv/bin/podrelay doctor               [dim]# what keeps runs from running, if anything does[/]
  kubectl -n {SYSTEM} port-forward deploy/podrelay-operator 8080 &
  curl -s localhost:8080/metrics | grep ^podrelay_   [dim]# docs/monitoring.md has alerts[/]
  kubectl explain trun.spec.abort         [dim]# every field is explained[/]
  kubectl delete trun wordcount           [dim]# takes its pods and records along[/]
  kubectl apply -k examples/wordcount && kubectl get trun -w
  .venv/bin/podrelay top                  [dim]# all runs, live; `podrelay --help` for more[/]
  make down                               [dim]# ends the cluster; nothing of it stays[/]
"""
