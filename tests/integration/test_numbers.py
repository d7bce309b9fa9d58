"""Numbers as a real API server stores them, and answers that are sent to it again."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Manifest
from dev.harness.manifests import TASK_ITERATIONS, TASK_RUNS, task_run
from dev.harness.manifests import record as manifest_of_record
from podrelay.api import numbers
from podrelay.local import schema
from podrelay.runner import environment
from podrelay.runner.api_client import ApiClient
from podrelay.runner.record import Record, ResponseLostError
from tests.support import gated_tasks
from tests.support.faultproxy import FaultProxy
from tests.support.numbers import KEPT
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay
from tests.unit.runner.runner_fakes import variables

pytestmark = pytest.mark.integration

FLOATS = [case for case in KEPT if type(case[0]) is float]
ANSWER = {"status": "done", "output": {"x": [sent for sent, _ in FLOATS]}, "waitSeconds": 5.0}


@pytest.fixture
def api(shared: QuickKubectl) -> QuickKubectl:
    return QuickKubectl.instead_of(shared)


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[FaultProxy]:
    with FaultProxy(cluster.kubeconfig, seed=0, rate=0).serving() as serving:
        yield serving


def test_the_table_matches_the_api_server(api: QuickKubectl) -> None:
    sent, kept = zip(*KEPT, strict=True)

    created = api.create(task_run("table", input={"x": sent}, suspend=True))

    assert created, str(created)
    text = api.ask("GET", f"{api._path(TASK_RUNS)}/table").stdout
    assert repr(numbers.loads(text)["spec"]["input"]["x"]) == repr(list(kept))


def test_a_response_with_another_type_of_number_is_a_different_response(api: QuickKubectl) -> None:
    """The API server in memory has the same rule, for each float separately."""
    response = {"status": "done", "output": {"x": [sent for sent, _ in FLOATS]}}
    assert api.create(manifest_of_record("kinds-i1", response=response))
    stored = api.get(TASK_ITERATIONS, "kinds-i1")
    kept = numbers.as_stored(response)

    for index, (sent, _) in enumerate(FLOATS):
        again = [*kept["output"]["x"]]
        again[index] = sent
        changed: Manifest = {**kept, "output": {"x": again}}
        answer = api.replace({**stored, "response": changed}, flags=("--dry-run=server",))
        assert bool(answer) == schema.is_same(changed, kept), f"{sent}: {answer}"
        assert answer or "the first stored response wins" in answer.stderr


def record_behind(proxy: FaultProxy, api: QuickKubectl, tmp_path: Path, run: str) -> Record:
    """Return the runner's record, with a connection that can lose answers."""
    (tmp_path / "token").write_text("none is needed: the proxy is the administrator")
    address = urlsplit(proxy.address).netloc
    client = ApiClient("unused", 0, tmp_path, connect=lambda: http.client.HTTPConnection(address))
    assert api.create(task_run(run, suspend=True))
    owner = api.get(TASK_RUNS, run)["metadata"]["uid"]  # garbage collection deletes a record of a missing run
    about = {"PODRELAY_NAMESPACE": api.namespace, "PODRELAY_RUN": run, "PODRELAY_RUN_UID": owner}
    me = environment.read(variables(PODRELAY_POD_NAME=f"{run}-i2", **about))
    return Record(client, me)


def deadline() -> float:
    return float("inf")


def test_an_answer_that_is_sent_again_after_a_lost_reply_is_accepted(
    proxy: FaultProxy, api: QuickKubectl, tmp_path: Path
) -> None:
    record = record_behind(proxy, api, tmp_path, "again")
    record.claim(deadline)

    proxy.loses = "PUT"
    record.answer(ANSWER, deadline)
    assert proxy.loses == "", "an answer was lost"
    record.add_hook({"name": "onDone", "outcome": "Succeeded"}, deadline)

    stored = api.get(TASK_ITERATIONS, "again-i2")
    assert [hook["name"] for hook in stored["hooks"]] == ["onDone"]
    assert numbers.as_stored(stored["response"]) == numbers.as_stored(ANSWER)


def test_a_hook_whose_reply_is_lost_is_stored_once(proxy: FaultProxy, api: QuickKubectl, tmp_path: Path) -> None:
    record = record_behind(proxy, api, tmp_path, "hook")
    record.claim(deadline)
    record.answer({"status": "error", "error": {"message": "no", "data": {"x": 1.0}}}, deadline)

    proxy.loses = "PUT"
    record.add_hook({"name": "onError", "outcome": "Succeeded"}, deadline)

    assert proxy.loses == ""
    assert [hook["name"] for hook in api.get(TASK_ITERATIONS, "hook-i2")["hooks"]] == ["onError"]


def test_a_different_answer_is_still_rejected(proxy: FaultProxy, api: QuickKubectl, tmp_path: Path) -> None:
    record = record_behind(proxy, api, tmp_path, "other")
    record.claim(deadline)
    stored = api.get(TASK_ITERATIONS, "other-i2")
    assert api.replace({**stored, "response": {"status": "done", "output": {"x": 1.5}}})

    with pytest.raises(ResponseLostError):
        record.answer({"status": "done", "output": {"x": 1.0}}, deadline)


# --- with pods --------------------------------------------------------------------------------------------------------


def test_a_hook_after_a_whole_number_is_called_once(relay: Relay) -> None:
    relay.define("Gated", module=Path(gated_tasks.__file__), hooks=["onDone"], podCleanup="Never")
    relay.run("whole", "gated")

    relay.until("whole", "its hook was called", hooks=[{"name": "onDone", "outcome": "Succeeded"}])

    assert relay.trace("whole").read_text().splitlines() == ["1 1", "onDone {'x': 1, 'saved': {'saved': 1}}"]
    assert relay.pods("whole") == ["whole-i1"]
    assert [hook["name"] for hook in relay.record("whole-i1")["hooks"]] == ["onDone"]
