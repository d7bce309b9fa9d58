"""TaskService and AsyncTaskService against the real API server, with the real operator and runner."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_definition
from dev.harness.waiting import eventually
from podrelay import AsyncTaskService, TaskDefinition, TaskService
from podrelay.client import (
    ApiUnavailableError,
    ConfigurationError,
    DefinitionNotFoundError,
    ForbiddenError,
    InvalidInputError,
    LogLine,
    Run,
    TaskFinishedError,
    TaskNotFoundError,
    TriggerConflictError,
    WaitTimeoutError,
)
from tests.support import author_tasks
from tests.support.faultproxy import FaultProxy
from tests.support.relay import Relay

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]

AUTHOR_TASKS = Path(author_tasks.__file__)


@pytest.fixture(scope="module")
def tasks(relay: Relay) -> Iterator[TaskService]:
    """The service in a namespace where tasks run."""
    for task in ("Answer", "Chain", "Sleep", "Progress"):
        relay.define(task, triggers=["*"])
    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        yield service


@pytest.fixture
def quiet(kubectl: Kubectl) -> Iterator[TaskService]:
    """The service in a namespace without an operator: nothing happens to runs."""
    assert kubectl.apply(task_definition("count-words"))
    with TaskService(kubectl.namespace, kubeconfig=kubectl.kubeconfig) as service:
        yield service


def test_a_task_is_triggered_and_waited_for(tasks: TaskService, user: str) -> None:
    triggered = tasks.trigger("answer", {"how": "done", "output": {"rows": 3}}, name="Three rows")
    ended = tasks.wait(triggered.id, timeout=30)

    assert (triggered.status, triggered.phase, triggered.iterations) == ("pending", "Pending", 0)
    assert (ended.id, ended.uid, ended.name, ended.definition) == (triggered.id, triggered.uid, "Three rows", "answer")
    assert (ended.status, ended.phase, ended.reason, ended.iterations) == ("success", "Succeeded", "Done", 1)
    assert (ended.input, ended.output, ended.error) == ({"how": "done", "output": {"rows": 3}}, {"rows": 3}, None)
    assert ended.created_by == user
    assert ended.finished_on is not None
    assert ended.started_on is not None
    assert ended.created_on <= ended.started_on <= ended.finished_on
    assert tasks.get(ended.id) == ended


def test_watch_shows_each_state_until_the_end(tasks: TaskService) -> None:
    run = tasks.trigger("chain", {"length": 3})
    states = list(tasks.watch(run.id, timeout=30))

    assert states[-1].status == "success"
    assert {state.status for state in states} >= {"running", "success"}
    assert [state.iterations for state in states] == sorted(state.iterations for state in states)
    assert all(one != other for one, other in itertools.pairwise(states))


def test_a_failed_run_has_its_error(tasks: TaskService) -> None:
    ended = tasks.wait(tasks.trigger("answer", {"how": "error"}).id, timeout=30)

    assert (ended.status, ended.phase, ended.reason) == ("failed", "Failed", "TaskFailed")
    assert ended.error == {"message": "no such file", "code": "NoFile", "data": {"path": "/x"}}


def test_a_large_output_is_complete(tasks: TaskService) -> None:
    ended = tasks.wait(tasks.trigger("answer", {"how": "large"}).id, timeout=30)
    listed = next(run for run in tasks.list() if run.id == ended.id)

    assert ended.output == {"text": "x" * 65536} == tasks.get(ended.id).output
    assert (listed.output, listed.output_from) == (None, f"{ended.id}-i1")


def test_log_lines_are_followed_across_iterations_until_the_end(relay: Relay, tasks: TaskService) -> None:
    relay.define("Talker", module=AUTHOR_TASKS)
    run = tasks.trigger("talker", {"length": 3, "lines": 2})

    with tasks.logs(run.id, follow=True) as lines:
        followed = [(line.iteration, line.attempt, line.type, line.message, line.data) for line in lines]

    assert followed == [
        (iteration, 1, "info", f"line {number}", {"n": number}) for iteration in (1, 2, 3) for number in (1, 2)
    ]
    assert tasks.get(run.id).is_finished
    stored = list(tasks.logs(run.id))
    assert [(line.iteration, line.attempt, line.type, line.message, line.data) for line in stored] == followed
    assert [line.message for line in tasks.logs(run.id, iteration=2)] == ["line 1", "line 2"]
    assert stored == sorted(stored, key=lambda line: line.time)


def test_log_lines_arrive_while_the_task_works(relay: Relay, tasks: TaskService) -> None:
    relay.define("Talker", module=AUTHOR_TASKS)
    run = tasks.trigger("talker", {"lines": 1, "stays": True})

    with tasks.logs(run.id, follow=True) as lines:
        assert next(lines).message == "line 1"
        assert tasks.get(run.id).status == "running"
        tasks.abort(run.id)
        assert list(lines) == []
    assert tasks.wait(run.id, timeout=10).status == "aborted"


def test_abort_ends_a_run_with_its_message(relay: Relay, tasks: TaskService) -> None:
    run = tasks.trigger("sleep", {"trace": str(relay.trace("abort"))})
    eventually("it works", lambda: relay.calls("abort"))

    aborting = tasks.abort(run.id, "wrong file")
    again = tasks.abort(run.id, "another reason")
    ended = tasks.wait(run.id, timeout=30)

    assert (aborting.is_aborting, again.is_aborting) == (True, True)
    assert (ended.status, ended.message, ended.is_aborting) == ("aborted", "wrong file", False)
    assert aborting.aborted_by == ended.aborted_by == aborting.created_by
    assert tasks.abort(run.id).status == "aborted", "aborting it again is not an error"
    done = tasks.trigger("answer", {"how": "done"})
    tasks.wait(done.id, timeout=60)
    with pytest.raises(TaskFinishedError, match="Cannot abort a task that is not pending or running!") as caught:
        tasks.abort(done.id)
    assert caught.value.code == "BackgroundTasks/Task/Abort"
    assert caught.value.data == {"id": done.id, "status": "success"}


def test_abort_with_cascade_ends_the_children_too(relay: Relay, tasks: TaskService) -> None:
    parent = tasks.trigger("sleep", {"trace": str(relay.trace("family"))})
    children = [tasks.trigger("sleep", {}, parent=parent.id, name=name) for name in ("older", "younger")]
    eventually("it works", lambda: relay.calls("family"))

    assert {child.id for child in tasks.children(parent.id)} == {child.id for child in children}
    assert tasks.children(parent.id, "answer") == []
    tasks.abort(parent.id, "all of it", cascade=True)

    assert [tasks.wait(run.id, timeout=60).status for run in (*children, parent)] == ["aborted"] * 3


def test_suspend_and_resume(tasks: TaskService) -> None:
    run = tasks.trigger("answer", {"how": "done"}, delay=3600)
    assert tasks.suspend(run.id).is_suspended
    assert not tasks.resume(run.id).is_suspended
    tasks.abort(run.id)
    tasks.wait(run.id, timeout=20)

    with pytest.raises(TaskFinishedError, match="Cannot suspend a task"):
        tasks.suspend(run.id)


class Strict(TaskDefinition):
    """The definition as a program may know it: without the rules of the one in the cluster."""

    id = "strict"
    title = "Strict"


@pytest.mark.parametrize("definition", ["strict", Strict], ids=["name", "class"])
def test_an_input_that_violates_the_schema_of_the_definition_creates_nothing(
    relay: Relay, tasks: TaskService, definition: Any
) -> None:
    relay.define("Answer", "strict", inputSchema={"type": "object", "required": ["url"]})

    with pytest.raises(InvalidInputError, match=r"Validation failed\. url: Field required") as caught:
        tasks.trigger(definition, {"how": "done"})

    assert caught.value.data["invalidFields"]["url"]["data"] == {"path": ["url"]}
    before = {run.id for run in tasks.list(definition="strict")}
    fine = tasks.trigger(definition, {"how": "done", "url": "x"})
    with pytest.raises(InvalidInputError, match="url"):
        tasks.rerun(fine.id, input={"how": "done"})
    assert {run.id for run in tasks.list(definition="strict")} == before | {fine.id}


def test_rerun_repeats_input_and_definition(tasks: TaskService) -> None:
    first = tasks.trigger("answer", {"how": "done", "output": {"n": 1}}, name="Again")
    second = tasks.rerun(first.id)

    assert second.id != first.id
    assert (second.definition, second.input, second.name) == (first.definition, first.input, first.name)
    assert second.resource["metadata"]["annotations"]["podrelay.dev/rerun-of"] == first.id
    assert tasks.wait(second.id, timeout=30).output == {"n": 1}
    other = tasks.rerun(first.id, input={"how": "done", "output": {"n": 2}})
    assert tasks.wait(other.id, timeout=30).output == {"n": 2}


def test_progress_is_shown(tasks: TaskService) -> None:
    run = tasks.trigger("progress")
    with tasks.watch(run.id, timeout=60) as states:
        shown = next(state.progress for state in states if state.progress is not None)
    tasks.abort(run.id)

    assert (shown.percent, shown.message) == (75, "3/4 rows")


def test_the_same_key_gives_the_same_run(quiet: TaskService) -> None:
    first = quiet.trigger("countWords", {"book": 1}, idempotency_key="order-1")

    assert quiet.trigger("count-words", {"book": 1}, idempotency_key="order-1").uid == first.uid
    assert quiet.trigger("countWords", {"book": 1}, idempotency_key="order-2").uid != first.uid
    with pytest.raises(TriggerConflictError, match="with a different input"):
        quiet.trigger("countWords", {"book": 2}, idempotency_key="order-1")


def test_a_chosen_name_also_serves_as_a_key(quiet: TaskService) -> None:
    first = quiet.trigger("countWords", resource_name="my-run")

    assert first.id == "my-run"
    assert quiet.trigger("countWords", resource_name="my-run").uid == first.uid
    with pytest.raises(TriggerConflictError):
        quiet.trigger("countWords", {"a": 1}, resource_name="my-run")
    with pytest.raises(InvalidInputError, match="cannot be combined with resource_name"):
        quiet.trigger("countWords", resource_name="my-run", idempotency_key="x")


def test_delay_and_start_are_stored(quiet: TaskService) -> None:
    start = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

    delayed = quiet.trigger("countWords", delay=timedelta(minutes=10)).resource
    later = quiet.trigger("countWords", start_at=start).resource

    assert delayed["spec"]["delaySeconds"] == 600
    assert datetime.fromisoformat(later["spec"]["startAt"]) == start


def test_missing_runs_and_definitions(quiet: TaskService) -> None:
    with pytest.raises(DefinitionNotFoundError, match="Task definition was not found!") as caught:
        quiet.trigger("noSuchTask")
    assert (caught.value.code, caught.value.data) == ("TASK_DEFINITION_ERROR", {"id": "noSuchTask"})
    with pytest.raises(TaskNotFoundError):
        quiet.trigger("countWords", parent="missing")

    def read_logs(run: str) -> LogLine:
        return next(quiet.logs(run))

    for act in (
        quiet.get,
        quiet.wait,
        quiet.abort,
        quiet.delete,
        quiet.rerun,
        quiet.suspend,
        read_logs,
        quiet.children,
    ):
        for missing in ("unknown", "no,such=Name"):
            with pytest.raises(TaskNotFoundError) as unknown:
                act(missing)
            assert unknown.value.data == {"id": missing}


def test_violated_rules_of_the_api_server_are_invalid_fields(quiet: TaskService) -> None:
    with pytest.raises(InvalidInputError) as caught:
        quiet.trigger("countWords", secret="Not a name")

    field = caught.value.data["invalidFields"]["secret"]
    assert field["data"]["path"] == ["secret"]
    assert "should match" in field["message"]


def test_a_deleted_run_is_gone_and_its_watchers_are_notified(quiet: TaskService) -> None:
    run = quiet.trigger("countWords")
    with quiet.watch(run.id, timeout=20) as states:
        assert next(states).id == run.id
        quiet.delete(run.id)
        with pytest.raises(TaskNotFoundError, match="was deleted"):
            list(states)
    with pytest.raises(TaskNotFoundError):
        quiet.delete(run.id)


def test_a_wait_ends_in_time_and_the_run_continues(quiet: TaskService) -> None:
    run = quiet.trigger("countWords")
    began = time.monotonic()

    with pytest.raises(WaitTimeoutError, match="is pending; the timeout has expired") as caught:
        quiet.wait(run.id, timeout=1)

    assert isinstance(caught.value, TimeoutError)
    assert 1 <= time.monotonic() - began < 5
    assert quiet.get(run.id).status == "pending"


def test_closing_a_watch_ends_a_thread_that_waits_in_it(quiet: TaskService) -> None:
    run = quiet.trigger("countWords")
    states = quiet.watch(run.id)
    next(states)
    seen: list[Run] = []
    reader = threading.Thread(target=lambda: seen.extend(states))
    reader.start()
    reader.join(0.5)  # by then it waits for an event; if it does not, it must end as well
    assert reader.is_alive()

    states.close()
    reader.join(10)

    assert not reader.is_alive()
    assert seen == []


def test_events_show_what_happens_to_runs_of_a_definition(relay: Relay, tasks: TaskService) -> None:
    relay.define("Answer", "observed")
    before = tasks.wait(tasks.trigger("observed", {"how": "done"}).id, timeout=30)
    with tasks.events(definition="observed", existing=True, timeout=60) as events:
        first = next(events)
        run = tasks.trigger("observed", before.input)
        received = []
        for event in events:
            received.append((event.type, event.run.uid))
            if event.type == "finished":
                tasks.delete(run.id)
            if event.type == "deleted":
                break

    assert (first.type, first.run.uid) == ("existing", before.uid)
    assert {uid for _, uid in received} == {run.uid}
    kinds = [kind for kind, _ in received]
    assert (kinds[0], kinds[-2:]) == ("created", ["finished", "deleted"])
    assert set(kinds[1:-2]) <= {"changed"}


def test_definitions_are_listed(tasks: TaskService) -> None:
    found = {definition.name: definition for definition in tasks.definitions()}

    assert {"answer", "chain", "sleep"} <= set(found)
    assert (found["chain"].id, found["chain"].max_iterations, found["chain"].private) == ("chain", 50, False)
    eventually(
        "the operator has checked it", lambda: {item.name: item for item in tasks.definitions()}["chain"].is_ready
    )


@pytest.fixture(scope="module")
def population(quiet_admin: Kubectl, installed: None) -> Iterator[TaskService]:
    """Runs in all phases, in a namespace without an operator."""
    from tests.support.namespaces import temporary_namespace

    with temporary_namespace(quiet_admin) as inside:
        for definition in ("count-words", "count-lines"):
            assert inside.apply(task_definition(definition))
        with TaskService(inside.namespace, kubeconfig=inside.kubeconfig) as service:
            parents = [service.trigger("countWords", resource_name=f"parent-{n}").id for n in range(2)]
            phases = ["", "Pending", "Running", "Succeeded", "Failed", "Aborted"]
            for number in range(18):
                run = service.trigger(
                    ("countWords", "countLines")[number % 2],
                    name=f"Book {number}" if number % 3 else None,
                    parent=parents[number % 4] if number % 4 < 2 else None,
                )
                if phase := phases[number % 6]:
                    inside.do(
                        "patch",
                        "taskruns.podrelay.dev",
                        run.id,
                        "--subresource=status",
                        "--type=merge",
                        f'--patch={{"status":{{"phase":"{phase}"}}}}',
                    )
            yield service


STATUSES = ["pending", "running", "success", "failed", "aborted"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_list_filters_as_a_plain_model_does(population: TaskService, data: Any) -> None:
    everything = population.list(limit=None, order="oldest")
    assert len(everything) == 20
    moments = st.sampled_from([None, *sorted({run.created_on for run in everything})])
    filters: dict[str, Any] = {
        "definition": data.draw(st.sampled_from([None, "countWords", "count-lines", "unknown"])),
        "status": data.draw(st.none() | st.sampled_from(STATUSES) | st.sets(st.sampled_from(STATUSES))),
        "parent": data.draw(st.sampled_from([None, "parent-0", "parent-1", "unknown"])),
        "created_after": data.draw(moments),
        "created_before": data.draw(moments),
        "search": data.draw(st.sampled_from([None, "book 1", "COUNT", "zzz", ""])),
        "limit": data.draw(st.none() | st.integers(0, 25)),
        "order": data.draw(st.sampled_from(["newest", "oldest"])),
    }

    assert population.list(**filters) == _expected(everything, **filters)


def _expected(
    everything: list[Run],
    definition: str | None,
    status: str | set[str] | None,
    parent: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
    search: str | None,
    limit: int | None,
    order: str,
) -> list[Run]:
    names = {None: None, "countWords": "count-words"}
    statuses = {status} if isinstance(status, str) else status
    found = [
        run
        for run in everything
        if definition is None or run.definition_name == names.get(definition, definition)
        if statuses is None or run.status in statuses
        if parent is None or run.parent == parent
        if created_after is None or run.created_on >= created_after
        if created_before is None or run.created_on < created_before
        if search is None or search.lower() in run.id or search.lower() in run.name.lower()
    ]
    return (found if order == "oldest" else found[::-1])[:limit]


def test_invalid_filters_are_refused(population: TaskService) -> None:
    for wrong in (
        {"status": "done"},
        {"order": "random"},
        {"limit": -1},
        {"parent": "a,b"},
        {"definition": "a-b,c"},
        {"created_after": datetime(2026, 1, 1)},
    ):
        with pytest.raises(InvalidInputError) as caught:
            population.list(**wrong)
        assert list(caught.value.data["invalidFields"]) == list(wrong)


def test_all_namespaces(population: TaskService, quiet: TaskService) -> None:
    run = quiet.trigger("countWords")

    everywhere = {(found.namespace, found.id) for found in population.list(all_namespaces=True, limit=None)}

    assert {(quiet.namespace, run.id), (population.namespace, "parent-0")} <= everywhere


@pytest.mark.only_in_cluster("RBAC")
def test_a_viewer_can_read_and_is_refused_to_write(kubectl: Kubectl, quiet: TaskService, tmp_path: Path) -> None:
    kubectl.do("create", "serviceaccount", "reader")
    kubectl.do(
        "create",
        "rolebinding",
        "reader",
        "--clusterrole=podrelay-viewer",
        f"--serviceaccount={kubectl.namespace}:reader",
    )
    run = quiet.trigger("countWords")
    kubeconfig = kubeconfig_of(kubectl, "reader", tmp_path)

    with TaskService(kubectl.namespace, kubeconfig=kubeconfig) as reader:
        eventually("the role is in force", lambda: _may_read(reader, run.id))
        with pytest.raises(ForbiddenError, match="cannot create") as caught:
            reader.trigger("countWords")
        assert (caught.value.status, caught.value.code) == (403, "BackgroundTasks/NotAuthorized")
        with pytest.raises(ForbiddenError, match="cannot patch"):
            reader.abort(run.id)


def _may_read(reader: TaskService, run: str) -> bool:
    with suppress(ForbiddenError):
        return reader.get(run).id == run
    return False


@pytest.mark.only_in_cluster("RBAC")
def test_created_by_is_the_user(kubectl: Kubectl, quiet: TaskService, tmp_path: Path) -> None:
    account = f"{kubectl.namespace}:worker"
    kubectl.do("create", "serviceaccount", "worker")
    kubectl.do("create", "rolebinding", "worker", "--clusterrole=podrelay-user", f"--serviceaccount={account}")
    kubeconfig = kubeconfig_of(kubectl, "worker", tmp_path)

    with TaskService(kubectl.namespace, kubeconfig=kubeconfig) as worker:
        eventually("the role is in force", lambda: _may_list(worker))
        assert worker.trigger("countWords").created_by == f"system:serviceaccount:{account}"


def _may_list(service: TaskService) -> bool:
    with suppress(ForbiddenError):
        service.definitions()
        return True
    return False


@pytest.mark.only_in_cluster("RBAC")
def test_wrong_credentials_are_reported(kubectl: Kubectl, quiet: TaskService, tmp_path: Path) -> None:
    kubectl.do("create", "serviceaccount", "visitor")
    kubeconfig = kubeconfig_of(kubectl, "visitor", tmp_path)
    kubeconfig.write_text(kubeconfig.read_text().replace("token: e", "token: f"))

    with (
        TaskService(kubectl.namespace, kubeconfig=kubeconfig) as visitor,
        pytest.raises(ForbiddenError, match="does not accept these credentials"),
    ):
        visitor.list()


def kubeconfig_of(kubectl: Kubectl, account: str, folder: Path) -> Path:
    """Return a kubeconfig with the token of a service account."""
    import yaml

    settings = yaml.safe_load(kubectl.kubeconfig.read_text())
    settings["users"] = [{"name": account, "user": {"token": kubectl.do("create", "token", account).strip()}}]
    settings["contexts"][0]["context"] |= {"user": account, "namespace": kubectl.namespace}
    path = folder / f"{account}.kubeconfig"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_no_configuration(tmp_path: Path, cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match="set a kubeconfig"):
        TaskService(kubeconfig=tmp_path / "none")
    with pytest.raises(ConfigurationError, match="nowhere"):
        TaskService(kubeconfig=cluster.kubeconfig, context="nowhere")


def test_an_unavailable_api_server_is_a_retryable_error(kubectl: Kubectl, quiet: TaskService, tmp_path: Path) -> None:
    with FaultProxy(kubectl.kubeconfig, seed=0, rate=0).serving() as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path)
        with TaskService(kubectl.namespace, kubeconfig=kubeconfig, retry_seconds=0.5) as service:
            run = service.trigger("countWords")
            with proxy.outage(silent=False):
                for act in (lambda: service.get(run.id), service.list, lambda: service.trigger("countWords")):
                    with pytest.raises(ApiUnavailableError) as caught:
                        act()
                    assert caught.value.retryable
                with pytest.raises(WaitTimeoutError, match="could not be read before the timeout expired"):
                    service.wait(run.id, timeout=1)
            assert service.get(run.id).uid == run.uid
    with (
        TaskService(kubectl.namespace, kubeconfig=kubeconfig, retry_seconds=0.5) as service,
        pytest.raises(ApiUnavailableError, match="cannot be reached"),
    ):
        service.list()


def test_a_watch_survives_an_outage(tasks: TaskService, relay: Relay, tmp_path: Path) -> None:
    with (
        FaultProxy(relay.kubectl.kubeconfig, seed=0, rate=0).serving() as proxy,
        TaskService(tasks.namespace, kubeconfig=proxy.kubeconfig(tmp_path)) as service,
    ):
        run = service.trigger("sleep", {"trace": str(relay.trace("outlives"))})
        with service.watch(run.id, timeout=60) as states:
            next(states)
            with proxy.outage(silent=False):
                tasks.abort(run.id)
                tasks.wait(run.id, timeout=30)
            assert list(states)[-1].status == "aborted"


def test_a_task_is_triggered_once_even_if_requests_fail(kubectl: Kubectl, quiet: TaskService, tmp_path: Path) -> None:
    def trigger_and_delete(seed: int) -> list[Run]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        with (
            FaultProxy(kubectl.kubeconfig, seed=seed, rate=0.5).serving() as proxy,
            TaskService(kubectl.namespace, kubeconfig=proxy.kubeconfig(folder), retry_seconds=120) as service,
        ):
            triggered = [service.trigger("countWords", {"seed": seed, "n": number}) for number in range(4)]
            for run in triggered[:2]:
                service.delete(run.id)
            return triggered[2:]

    with ThreadPoolExecutor(4) as pool:
        kept = [run for runs in pool.map(trigger_and_delete, range(4)) for run in runs]

    assert sorted(run.uid for run in quiet.list()) == sorted(run.uid for run in kept)


async def test_the_asynchronous_service_does_the_same(tasks: TaskService, relay: Relay) -> None:
    async with AsyncTaskService(tasks.namespace, kubeconfig=relay.kubectl.kubeconfig, max_calls=2) as service:
        runs = await asyncio.gather(*(service.trigger("chain", {"length": 2}) for _ in range(4)))
        ended = await asyncio.gather(*(service.wait(run.id, timeout=60) for run in runs))
        assert {run.status for run in ended} == {"success"}
        assert [state.id async for state in service.watch(runs[0].id)] == [runs[0].id]
        assert [line async for line in service.logs(runs[0].id)] == []
        with pytest.raises(TaskFinishedError):
            await service.abort(runs[0].id)
        with pytest.raises(TaskNotFoundError):
            await service.wait("missing")
        assert {run.id for run in await service.list(definition="chain")} >= {run.id for run in runs}


async def test_a_cancelled_wait_ends_at_once(quiet: TaskService, kubectl: Kubectl) -> None:
    async with AsyncTaskService(kubectl.namespace, kubeconfig=kubectl.kubeconfig) as service:
        run = await service.trigger("countWords")
        threads = {thread.name for thread in threading.enumerate()}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.wait(run.id), 1)
    await asyncio.to_thread(
        eventually,
        "its thread has ended",
        lambda: (
            not [t for t in threading.enumerate() if t.name.startswith("podrelay-stream") and t.name not in threads]
        ),
    )
