"""Reporting by termination message: tasks in any language, without a token and without an SDK."""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from dev.cluster import Cluster
from dev.harness.manifests import TASK_RUNS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api.variables import Variable
from tests.support.audit import writes_of_the_operator
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

TRACE = 'echo "$PODRELAY_ITERATION $PODRELAY_TRY" >> "$TRACE"\n'
COUNT = (
    TRACE
    + """
if [ "$PODRELAY_ITERATION" -lt 3 ]
then echo '{"status":"continue","input":{"row":'$PODRELAY_ITERATION'},"output":{"rows":'$PODRELAY_ITERATION'}}'
else echo '{"status":"done","message":"counted"}'
fi > /dev/termination-log
"""
)


def define(relay: Relay, name: str, script: str, **spec: Any) -> None:
    relay.define_script(name, f"TRACE={relay.folder}/$PODRELAY_RUN.trace\n{script}", **spec)


def error_of(relay: Relay, name: str, script: str, **spec: Any) -> dict[str, Any]:
    """Run a script of one iteration that fails; return the error in the status."""
    define(relay, name, script, **spec)
    relay.run(name, name)
    status = relay.finished(name)
    assert status["phase"] == "Failed", status
    error: dict[str, Any] = status["error"]
    return error


def test_a_script_goes_through_its_iterations(relay: Relay) -> None:
    define(relay, "count", COUNT, podCleanup="Never")
    relay.run("count", "count", input={"url": "a", "row": 0})

    status = relay.finished("count")

    assert (status["phase"], status["message"], status["iterations"]) == ("Succeeded", "counted", 3)
    assert status["output"] == {"rows": 2}
    assert relay.calls("count") == [(1, 1), (2, 1), (3, 1)]
    inputs = [record["response"].get("input") for record in relay.records("count")]
    assert [value and (value["url"], value["row"]) for value in inputs] == [("a", 1), ("a", 2), None]
    record = relay.record("count-i1")
    assert record["podUID"] == relay.kubectl.get("pods", "count-i1")["metadata"]["uid"]
    assert record["image"] == "local"
    assert record["startedAt"] <= record["finishedAt"]


def test_the_example_of_the_documentation(relay: Relay) -> None:
    page = (Path(__file__).parents[2] / "docs" / "any-language.md").read_text(encoding="utf-8")
    definition = page.partition("```yaml\n")[2].partition("```")[0]
    relay.kubectl.do("apply", "--filename=-", stdin=definition)
    relay.run("import", "import-rows")

    status = relay.finished("import")

    assert (status["phase"], status["iterations"], status["output"]) == ("Succeeded", 3, {"rows": 20})


def test_the_input_is_passed_unchanged(relay: Relay) -> None:
    define(relay, "echo", """printf '{"status":"done","output":{"got":%s}}' "$PODRELAY_INPUT" > /dev/termination-log""")
    value = {"text": '"quoted" $(HOME) $$ ä\n', "number": 1e-7, "none": None}
    relay.run("echo", "echo", input=value)

    got = relay.finished("echo")["output"]["got"]

    assert {key: got[key] for key in value} == value


def test_a_program_gets_only_the_variables_that_are_listed(relay: Relay) -> None:
    report = (
        """printf '{"status":"done","output":{"names":"%s"}}' "$(env | grep -o '^PODRELAY_[A-Z_]*' | sort | xargs)" """
    )
    listed = ["PODRELAY_INPUT", "PODRELAY_RUN", "PODRELAY_SCHEDULE"]
    define(relay, "lean", f"{report} > /dev/termination-log", variables=listed)
    relay.run("lean", "lean", input={"row": 1})

    given = set(relay.finished("lean")["output"]["names"].split())
    assert given & set(get_args(Variable)) == {"PODRELAY_INPUT", "PODRELAY_RUN"}


def test_a_pod_has_no_token(relay: Relay) -> None:
    define(relay, "tokenless", "exit 0", podCleanup="Never")
    relay.run("tokenless", "tokenless")

    assert relay.finished("tokenless")["phase"] == "Succeeded"
    spec = relay.kubectl.get("pods", "tokenless-i1")["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "volumes" not in spec
    assert spec["serviceAccountName"] == "default"


def test_exit_code_0_without_a_message_is_done(relay: Relay) -> None:
    define(relay, "quiet", TRACE)
    relay.run("quiet", "quiet")

    status = relay.finished("quiet")

    assert (status["phase"], status["reason"], status["iterations"]) == ("Succeeded", "Done", 1)


@pytest.mark.parametrize(
    ("name", "script", "code", "words"),
    [
        ("rubbish", "echo 5 rows imported > /dev/termination-log", "InvalidAnswer", "5 rows imported"),
        ("cut", "head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log", "AnswerCut", "4096 bytes"),
        ("nan", """echo '{"status":"done","output":{"x":NaN}}' > /dev/termination-log""", "InvalidAnswer", "NaN"),
        (
            "big",
            """echo '{"status":"done","output":{"x":1180591620717411303424}}' > /dev/termination-log""",
            "PayloadRefused",
            "output.x",
        ),
        ("exit", "echo no such file > /dev/termination-log; exit 3", "ExitCode3", "exit code 3: no such file"),
        ("silent", "exit 3", "ExitCode3", "see kubectl logs silent-i1"),
        ("liar", """echo '{"status":"done"}' > /dev/termination-log; exit 3""", "ExitCode3", "exit code 3"),
        ("killed", "kill -9 $$", "OOMKilled", "killed by SIGKILL (exit code 137), most likely out of memory"),
        ("terminated", "kill -15 $$", "Killed", "killed by SIGTERM"),
        (
            "described",
            """echo '{"status":"error","error":{"message":"odd","code":"Odd"}}' > /dev/termination-log; exit 1""",
            "Odd",
            "odd",
        ),
        ("missing", "exec /no/such/program", "ExitCode127", "exit code 127"),
    ],
)
def test_every_failure_is_an_error_in_plain_text(relay: Relay, name: str, script: str, code: str, words: str) -> None:
    error = error_of(relay, name, script)

    assert error["code"] == code
    assert words in error["message"]


def test_a_failed_attempt_is_retried_and_the_last_one_knows_it(relay: Relay) -> None:
    define(
        relay,
        "again",
        TRACE + '[ "$PODRELAY_FINAL_ATTEMPT" = true ] || exit 1',
        retry={"limit": 2, "initialSeconds": 0},
    )
    relay.run("again", "again")

    status = relay.finished("again")

    assert (status["phase"], status["attempts"]) == ("Succeeded", 2)
    assert relay.calls("again") == [(1, 1), (1, 2), (1, 3)]


def test_a_script_that_handles_an_abort_cleans_up(relay: Relay) -> None:
    define(
        relay,
        "tidy",
        TRACE
        + """
stop() { echo '{"status":"aborted","output":{"cleaned":true}}' > /dev/termination-log; exit 0; }
trap stop TERM
while :; do sleep 0.05; done
""",
    )
    relay.run("tidy", "tidy")
    eventually("it works", lambda: relay.calls("tidy"))

    relay.abort("tidy", "wrong file")
    status = relay.finished("tidy")

    assert (status["phase"], status["message"]) == ("Aborted", "wrong file")
    assert status["output"] == {"cleaned": True}


def test_a_script_that_handles_the_deletion_of_its_pod_continues_in_the_next_pod(relay: Relay) -> None:
    define(
        relay,
        "heard",
        TRACE
        + """
stop() { echo '{"status":"continue","input":{"row":7}}' > /dev/termination-log; exit 0; }
trap stop TERM
[ "$PODRELAY_ITERATION" = 1 ] || exit 0
while :; do sleep 0.05; done
""",
    )
    relay.run("heard", "heard")
    eventually("it works", lambda: relay.calls("heard"))

    relay.kubectl.do("delete", "pod", "heard-i1", "--wait=false")
    status = relay.finished("heard")

    assert (status["phase"], status["iterations"], status.get("disruptions", 0)) == ("Succeeded", 2, 0)
    assert relay.record("heard-i1")["response"]["input"]["row"] == 7


def test_a_script_that_takes_too_long_times_out(relay: Relay) -> None:
    error = error_of(relay, "slow", "trap 'exit 0' TERM; while :; do sleep 0.05; done", iterationTimeoutSeconds=1)

    assert error["code"] == "IterationTimeout"


def test_an_input_that_is_too_large_for_a_variable_is_reported(relay: Relay) -> None:
    define(relay, "large", "exit 0", pendingTimeoutSeconds=3)
    relay.run("large", "large", input={"text": "x" * 102_400})

    shown = relay.until("large", "the reason is shown", reason="InputTooLarge")
    ended = relay.finished("large")

    assert "the limit is 102400" in shown["message"]
    assert (ended["phase"], ended["reason"]) == ("Failed", "InputTooLarge")


@pytest.fixture
def counted(idle_relay: Relay, cluster: Cluster) -> Callable[..., Counter[str]]:
    """A function that plays a run, by default of three iterations, and returns the operator's writes for it."""
    define(idle_relay, "count", COUNT, podCleanup="Never")

    def writes_of(run: str, definition: str = "count") -> Counter[str]:
        assert cluster.audit_log is not None
        if run not in idle_relay.kubectl.names(TASK_RUNS):
            idle_relay.run(run, definition)
        assert idle_relay.finished(run)["phase"] == "Succeeded"
        writes = [write.split() for write in writes_of_the_operator(cluster.audit_log, idle_relay.kubectl.namespace)]
        return Counter(" ".join(write[:2]) for write in writes if write[2].partition("-")[0] == run)

    return writes_of


def test_write_budget(idle_relay: Relay, counted: Callable[..., Counter[str]], tmp_path: Path) -> None:
    """Pod and record of each iteration, and the status, if the run is younger than the operator's term.

    Without its log, and with a single answer, a run needs no record.
    """
    answer = """echo '{"status":"done","output":{"rows":3}}' > /dev/termination-log"""
    define(idle_relay, "short", answer, podCleanup="Never", recordLogs=False)
    with OperatorProcess(idle_relay.kubectl, tmp_path / "operator"):

        def needs_no_claim() -> str:
            run = f"count{next(_numbers)}"
            return run if "patch pods" not in counted(run) else ""

        eventually("a run is younger than the term", needs_no_claim)
        run = f"count{next(_numbers)}"
        writes = counted(run)
        short = counted("short", "short")

    # A status is left out for three seconds at most, and the machine may be slow.
    statuses = writes.pop("update taskruns/status")
    assert 1 <= statuses <= 1 + _seconds_of(idle_relay.status(run)) / 3
    assert writes == {"create pods": 3, "create taskiterations": 3}
    assert 1 <= short.pop("update taskruns/status") <= 1 + _seconds_of(idle_relay.status("short")) / 3
    assert short == {"create pods": 1}
    assert idle_relay.status("short")["output"] == {"rows": 3}


def test_write_budget_of_a_run_of_another_leader(
    idle_relay: Relay, counted: Callable[..., Counter[str]], tmp_path: Path
) -> None:
    """Two more for each iteration: the pod is claimed in the status, and then its gate is opened."""
    relay = idle_relay
    relay.run("count", "count")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        assert relay.finished("count")["phase"] == "Succeeded"
        writes = counted("count")

    iteration = ["create pods", "update taskruns/status", "patch pods", "create taskiterations"]
    assert writes == Counter(iteration * 3 + ["update taskruns/status"])


_numbers: Final = itertools.count()


def _seconds_of(status: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(status[field]) for field in ("startedAt", "finishedAt"))
    return (ended - began).total_seconds() + 1  # both are cut to whole seconds
