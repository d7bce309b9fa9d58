"""The relay with real pods: images, kubelets, logs, the operator as the chart deploys it."""

import re
from pathlib import Path
from typing import Any

import pytest

from dev.harness.chart import RELEASE_NAMESPACE
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS
from dev.harness.waiting import eventually
from tests.support.nodes import Nodes
from tests.support.realpods import RealRelay

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def examples(relay: RealRelay) -> None:
    """Start the runs of examples/, which take long, so that they run during the first tests."""
    for example in ("wordcount", "shell", "go"):
        relay.kubectl.do("apply", "--kustomize", str(EXAMPLES / example))


def test_a_run_goes_through_its_pods(relay: RealRelay, nodes: Nodes) -> None:
    relay.define("Chain", podCleanup="Never")
    relay.run("chain", "chain", input={"length": 4, "kept": [1]})

    status = relay.finished("chain", 90)

    assert (status["phase"], status["iterations"], status["output"]["done"]) == ("Succeeded", 4, 4)
    assert status["output"]["input"]["kept"] == [1]
    assert relay.pods("chain") == ["chain-i1", "chain-i2", "chain-i3", "chain-i4"]
    records = relay.records("chain")
    assert {record["nodeName"] for record in records} <= set(nodes.workers())
    assert all(record["image"] == "podrelay-examples:dev" for record in records)


def test_the_kubelet_passes_on_the_input_and_the_termination_message(relay: RealRelay) -> None:
    echo = """printf '{"status":"done","output":{"got":%s}}' "$PODRELAY_INPUT" > /dev/termination-log"""
    relay.define_script("echo", echo)
    value = {"text": '"quoted" $(HOME) $$ ä\n', "number": 1e-7, "none": None}
    relay.run("echo", "echo", input=value)
    relay.define_script("cut", "head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log")
    relay.run("cut", "cut")

    assert relay.finished("echo", 60)["output"] == {"got": value}
    assert relay.finished("cut", 60)["error"]["code"] == "AnswerCut"


def test_an_aborted_task_cleans_up_and_its_logs_survive(relay: RealRelay) -> None:
    relay.define("Sleep")
    relay.run("stop", "sleep")
    eventually("it works", lambda: "sleeping" in relay.kubectl("logs", "stop-i1").stdout, 60)

    relay.abort("stop", "wrong file")
    status = relay.finished("stop", 60)

    assert (status["phase"], status["message"]) == ("Aborted", "wrong file")
    assert status["output"] == {"cleaned": True}
    assert "cleaned up" in relay.logs("stop-i1")


def test_a_task_that_ignores_sigterm_is_killed_and_its_logs_survive(relay: RealRelay) -> None:
    relay.define("Stubborn", iterationTimeoutSeconds=4, abortGracePeriodSeconds=1)
    relay.run("slow", "stubborn")

    status = relay.finished("slow", 60)

    assert (status["phase"], status["reason"]) == ("Failed", "IterationTimeout")
    assert "deaf" in relay.logs("slow-i1")


def test_a_task_that_is_out_of_memory_says_so(relay: RealRelay) -> None:
    relay.define("Hungry", resources={"limits": {"memory": "64Mi"}})
    relay.run("hungry", "hungry")

    status = relay.finished("hungry", 60)

    # The words are the same whether or not the runtime notices the lack of memory in time.
    assert (status["phase"], status["reason"]) == ("Failed", "OOMKilled")
    assert "was killed by SIGKILL (exit code 137), most likely out of memory; limit 64Mi" in status["message"]


def test_an_image_that_does_not_exist_is_shown_and_fails_in_the_end(relay: RealRelay) -> None:
    relay.define("Answer", image="podrelay-test.invalid/nothing:1", pendingTimeoutSeconds=20)
    relay.run("lost", "answer", input={"how": "done"})

    stalled: Any = eventually(
        "the reason is shown",
        lambda: (s := relay.status("lost")).get("reason") in {"ErrImagePull", "ImagePullBackOff"} and s,
        60,
    )
    ended = relay.finished("lost", 60)

    assert "podrelay-test.invalid/nothing:1" in stalled["message"]
    assert ended["phase"] == "Failed"
    assert re.search("did not start within 20 s", ended["message"])
    assert ended["iterations"] == 0


def test_a_run_continues_when_the_operator_is_replaced(relay: RealRelay, admin: Kubectl) -> None:
    relay.define("Chain")
    relay.run("survivor", "chain", input={"length": 3, "seconds": 2})
    relay.until("survivor", "it is running", phase="Running")

    system = admin.in_namespace(RELEASE_NAMESPACE)
    system.do("rollout", "restart", "deployment/podrelay-operator")
    status = relay.finished("survivor", 120)

    assert (status["phase"], status["iterations"]) == ("Succeeded", 3)
    assert len(relay.records("survivor")) == 3


def test_the_operator_runs_without_privileges(admin: Kubectl) -> None:
    system = admin.in_namespace(RELEASE_NAMESPACE)
    deployment = system.get("deployment", "podrelay-operator")["spec"]["template"]["spec"]

    container = deployment["containers"][0]["securityContext"]
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert deployment["securityContext"]["runAsNonRoot"] is True
    log = system.do("logs", "deployment/podrelay-operator")
    assert "Traceback" not in log
    assert "kopf ended" not in log


def test_kubectl_wait_and_columns(relay: RealRelay) -> None:
    relay.define("Chain")
    relay.run("columns", "chain")
    relay.kubectl.do("wait", "--for=condition=Succeeded", f"{TASK_RUNS}/columns", "--timeout=60s")

    shown = relay.kubectl.do("get", "trun", "columns")

    assert re.search(r"columns +chain +Succeeded +Done +2 ", shown), shown


# --- the examples, which have been running since the beginning --------------------------------------------------------


def test_the_word_count_example(relay: RealRelay) -> None:
    status = relay.finished("wordcount", 120)

    assert status["phase"] == "Succeeded"
    assert status["iterations"] >= 4
    assert status["output"]["files"] > 300
    assert status["output"]["words"] > 100_000
    assert status["output"]["top"][0][0] == "self"


def test_the_example_in_shell(relay: RealRelay) -> None:
    status = relay.finished("checksum", 120)

    assert status["phase"] == "Succeeded"
    assert status["iterations"] >= 3
    assert status["output"]["files"] > 200
    assert re.fullmatch("[0-9a-f]{64}", status["output"]["digest"])
    assert "200 files so far" in relay.logs("checksum-i2"), "as examples/README.md shows"


def test_the_example_in_go(relay: RealRelay) -> None:
    status = relay.finished("primes", 120)

    assert status["phase"] == "Succeeded"
    assert status["iterations"] >= 3
    assert status["output"] == {"primes": 78_498, "below": 1_000_000}


def test_the_output_of_pods_outlives_them(relay: RealRelay) -> None:
    relay.define("Prints", podCleanup="Always")
    relay.define_script("shell-prints", "echo shell works; echo and warns >&2", podCleanup="Always")
    relay.define_script("shell-fails", "echo shell fails; exit 3", podCleanup="Always")
    for name in ("prints", "shell-prints", "shell-fails"):
        relay.run(name, name)

    for name in ("prints", "shell-prints", "shell-fails"):
        relay.finished(name, 90)

    eventually("the pods are gone", lambda: not any(map(relay.pods, ("prints", "shell-prints", "shell-fails"))), 60)
    (printed,) = relay.records("prints")
    assert printed["console"]["text"].splitlines() == ["printed", "to stderr"]
    (shell,) = relay.records("shell-prints")
    assert sorted(shell["console"]["text"].splitlines()) == ["and warns", "shell works"]  # two streams
    (failed,) = relay.records("shell-fails")
    assert failed["console"]["text"] == "shell fails\n"
