"""`make demo`: prints what it is about to do, does it, and ends with 0 only if all went as told."""

import json
import os
import sys
import time

from rich.console import Console

from cluster import Cluster, ClusterError, load, up
from cluster.steps import duration, step
from cluster.tools import tool
from demo import story
from demo.tools import NAMESPACE, SYSTEM, Programs
from images.build import EXAMPLES, OPERATOR, build

PLAN = """
[bold]Podrelay runs long work as a relay of pods.[/bold] This demo, on a real Kubernetes cluster of its own:

  1. starts a kind cluster and builds the images      (some minutes the first time, seconds later)
  2. installs the operator with helm
  3. applies two TaskRuns with kubectl and follows them
       [bold]wordcount[/bold]  counts words in time slices; each slice is a pod that hands its state to the next
       [bold]tidy[/bold]       is aborted half-way, and cleans up before it goes
"""


def main() -> int:
    """Run the demo; return its exit code."""
    started = time.monotonic()
    console = Console(highlight=False)
    console.print(PLAN, soft_wrap=True)
    programs: Programs | None = None
    try:
        cluster = up("kind")
        programs = Programs(cluster)
        build()
        load([OPERATOR, EXAMPLES])
        _install(programs)
        with step("remove the runs of an earlier demo"):
            story.forget_former_runs(programs)
        story.apply(programs)
        console.print("\n[bold]kubectl apply -k examples/wordcount; kubectl apply -k examples/abort[/bold], and now:\n")
        runs = story.follow(programs, console)
        words = story.check(programs, runs)
    except ClusterError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        if programs is not None:
            print(f"\n{story.diagnosis(programs)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the cluster is left running, `make down` ends it", file=sys.stderr)
        return 130
    _tell_results(console, runs, words)
    _tell_how_to_go_on(console, cluster, time.monotonic() - started)
    return 0


def _install(programs: Programs) -> None:
    tool("helm")
    # Tasks run under the strictest of Kubernetes' Pod Security Standards here.
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    programs.kubectl("apply", "--filename=-", stdin=json.dumps(namespace))
    with step("helm install podrelay charts/podrelay", 10):
        programs.call(
            "helm",
            "upgrade",
            "--install",
            "podrelay",
            "charts/podrelay",
            f"--namespace={SYSTEM}",
            "--create-namespace",
            "--set=image.tag=dev",
            f"--set=taskNamespaces={{{NAMESPACE}}}",
            # A new image under the same tag takes a new pod.
            f"--set-string=operator.podAnnotations.image={_image_id(programs)}",
            "--wait",
            "--timeout=120s",
        )


def _image_id(programs: Programs) -> str:
    return programs.call("docker", "image", "inspect", "--format={{.Id}}", OPERATOR).strip().removeprefix("sha256:")


def _tell_results(console: Console, runs: dict[str, dict[str, object]], words: str) -> None:
    status: dict[str, dict[str, object]] = runs["wordcount"]["status"]  # type: ignore[assignment]
    output: dict[str, object] = status["output"]
    top: list[tuple[str, int]] = output["top"]  # type: ignore[assignment]
    console.print(f"\n[bold green]wordcount[/] {status['message']}, in {status['iterations']} pods. The top ten:")
    console.print("  " + ", ".join(f"{word} {count}" for word, count in top))
    said = json.loads(words)
    console.print(f"\n[bold yellow]tidy[/] was aborted; the last words in its pod's log:\n  {said['message']}")


def _tell_how_to_go_on(console: Console, cluster: Cluster, seconds: float) -> None:
    kubeconfig = os.path.relpath(cluster.kubeconfig)
    console.print(
        f"\nAll went as told, in {duration(seconds)}. Go on by hand:\n\n"
        f'  eval "$(python3 -m cluster env kind)"          # kubectl, helm and {kubeconfig}\n'
        f"  kubectl config set-context --current --namespace={NAMESPACE}\n"
        "  kubectl get trun -o wide\n"
        "  kubectl get titer,pods\n"
        "  kubectl describe trun wordcount\n"
        "  kubectl explain trun.spec.abort\n"
        "  kubectl delete trun wordcount && kubectl apply -k examples/wordcount && kubectl get trun -w\n"
        "  make down                                      # ends the cluster, nothing of it stays",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
