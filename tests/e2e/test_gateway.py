"""The gateway as the chart deploys it: two replicas behind TLS, users of the cluster, tasks in real pods."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.harness.chart import RELEASE_NAMESPACE, helm
from dev.harness.gateway import GraphQL
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_RUNS, task_run
from dev.harness.waiting import eventually
from dev.images.build import EXAMPLES
from tests.support.deployedgateway import HOST, DeployedGateway, deployed_gateway
from tests.support.realpods import RealRelay

pytestmark = pytest.mark.e2e

CALLER = Path(__file__).parents[1] / "support" / "gateway_caller.py"
GOING_AWAY = 1001
NOT_AUTHORIZED = "BackgroundTasks/NotAuthorized"
TRIGGER = 'mutation { backgroundTasks { triggerTask(definition: "talk") { data { id } error { code } } } }'
UPDATES = 'subscription { taskUpdated(where: {definitionId: "talk"}) { type id task { taskStatus } } }'
LINES = "subscription Lines($id: ID!) { taskLogs(id: $id, podOutput: true) { source message podName } }"


@pytest.fixture(scope="module")
def gateway(admin: Kubectl) -> Iterator[DeployedGateway]:
    with deployed_gateway(admin) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def replicas(gateway: DeployedGateway) -> Iterator[dict[str, str]]:
    """The address of each of the two pods, by the pod's name."""
    first, second = (pod["metadata"]["name"] for pod in gateway.pods())
    with gateway.reached(f"pod/{first}", 8090) as here, gateway.reached(f"pod/{second}", 8090) as there:
        yield {first: here, second: there}


@dataclass(frozen=True)
class People:
    """Users of the namespace in which tasks run.

    Attributes:
        namespace: its name.
        editor: the token of a user with the ClusterRole `edit` of Kubernetes there.
        outsider: the token of a user without a role.
    """

    namespace: str
    editor: str
    outsider: str


@pytest.fixture(scope="module")
def people(relay: RealRelay) -> People:
    relay.define("Talk", podCleanup="Never")
    for name in ("editor", "outsider"):
        relay.kubectl.do("create", "serviceaccount", name)
    editor = f"--serviceaccount={relay.kubectl.namespace}:editor"
    relay.kubectl.do("create", "rolebinding", "editor", "--clusterrole=edit", editor)
    tokens = (relay.kubectl.do("create", "token", name).strip() for name in ("editor", "outsider"))
    return People(relay.kubectl.namespace, *tokens)


@pytest.fixture(scope="module")
def editors(gateway: DeployedGateway, replicas: dict[str, str], people: People) -> list[GraphQL]:
    """A client of the editor for each of the replicas."""
    return [gateway.client(address, people.editor, people.namespace) for address in replicas.values()]


async def test_a_user_triggers_a_task_follows_it_and_reads_what_its_pods_print(editors: list[GraphQL]) -> None:
    here, there = editors
    async with here.subscribe(UPDATES) as updates:
        run = there.ask(TRIGGER).data["triggerTask"]["data"]["id"]
        await updates.until("the run is seen", lambda event: event["id"] == run)
        async with here.subscribe(LINES, id=run) as lines:
            last = await updates.until("it succeeds", lambda event: event["task"]["taskStatus"] == "success", 60)
            while (await lines.receive())["type"] != "complete":
                pass

    received = {
        (line["source"], line["podName"], line["message"])
        for message in lines.received
        if message["type"] == "next"
        for line in [message["payload"]["data"]["taskLogs"]]
    }
    output = there.inside(f'podLogs(id: "{run}") {{ data podName error {{ code }} }}')["podLogs"]
    assert last["id"] == run
    assert received >= {
        (source, f"{run}-i{number}", f"{word} in iteration {number}")
        for number in (1, 2)
        for source, word in (("POD", "printed"), ("LOG", "logged"))
    }
    assert (output["podName"], output["error"]) == (f"{run}-i2", None)
    assert "printed in iteration 2" in output["data"]


def test_a_user_without_rights_or_a_token_is_refused(
    gateway: DeployedGateway, replicas: dict[str, str], people: People
) -> None:
    address = next(iter(replicas.values()))
    outsider = gateway.client(address, people.outsider, people.namespace)
    elsewhere = gateway.client(address, people.editor, RELEASE_NAMESPACE)

    assert outsider.ask(TRIGGER).refusals == [NOT_AUTHORIZED]
    for user in (outsider, elsewhere):
        assert user.inside("listTasks { error { code } }")["listTasks"]["error"]["code"] == NOT_AUTHORIZED
    assert gateway.client(address, None, people.namespace).ask("{ __typename }").status == 401


async def test_a_replica_that_ends_does_not_affect_the_other_one(
    gateway: DeployedGateway,
    replicas: dict[str, str],
    people: People,
    editors: list[GraphQL],
    relay: RealRelay,
    callers_log: Callable[[], list[str]],
) -> None:
    doomed = next(iter(replicas))
    async with editors[0].subscribe(UPDATES) as lost, editors[1].subscribe(UPDATES) as kept:
        gateway.system.do("delete", "pod", doomed, "--wait=false")
        assert await lost.receive(60) == {"type": "closed", "code": GOING_AWAY}

        assert relay.kubectl.create(task_run("afterwards", "talk", delaySeconds=3600))
        await kept.until("the change comes", lambda event: event["id"] == "afterwards")
        with gateway.reached("service/podrelay-gateway", 443) as address:
            again = gateway.client(address, people.editor, people.namespace)
            async with again.subscribe('subscription { taskUpdated(id: "afterwards") { id } }') as found:
                assert await found.next() == {"id": "afterwards"}

    gateway.system.do("rollout", "status", "deployment/podrelay-gateway", "--timeout=60s")
    so_far = len(callers_log())
    answers = eventually("the caller continues", lambda: (lines := callers_log())[so_far + 3 :] and lines, 20) or []
    assert set(answers) == {"answer [{'id': 'talk'}] None"}
    relay.kubectl.do("delete", TASK_RUNS, "afterwards")


@pytest.fixture
def callers_log(relay: RealRelay, gateway: DeployedGateway, people: People) -> Iterator[Callable[[], list[str]]]:
    """A pod that continuously calls the Service by its name; yields a function that returns its output in lines."""
    assert people  # the pod uses the account of one of them
    authority = gateway.authority.cert_pem.bytes().decode()
    relay.kubectl.do("create", "configmap", "caller", f"--from-file={CALLER}", f"--from-literal=ca.crt={authority}")
    created = relay.kubectl.create(caller_pod(f"https://{HOST}/graphql"))
    assert created, str(created)

    def lines() -> list[str]:
        return relay.kubectl("logs", "caller").stdout.splitlines()

    eventually("the caller has an answer", lines, 60)
    yield lines
    # It has no controller, so it must not remain on a node that a later test drains.
    relay.kubectl.do("delete", "pod", "caller")


def caller_pod(url: str) -> Manifest:
    container = {
        "name": "caller",
        "image": EXAMPLES,
        "command": ["python3", "/config/gateway_caller.py", url],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    spec = {
        "serviceAccountName": "editor",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "caller"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "caller"}, "spec": spec}


def test_it_runs_without_privileges_within_its_requests_and_logs_no_errors(gateway: DeployedGateway) -> None:
    pods = gateway.pods()

    assert len(pods) == 2
    for pod in pods:
        (container,), name = pod["spec"]["containers"], pod["metadata"]["name"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {container[probe]["httpGet"]["scheme"] for probe in ("livenessProbe", "readinessProbe")} == {"HTTPS"}
        process = dict(
            line.split(":", 1) for line in gateway.system.do("exec", name, "--", "cat", "/proc/1/status").splitlines()
        )
        assert process["Uid"].split()[0] == "65532"
        assert int(process["VmRSS"].split()[0]) / 1024 < 128, "MiB that values.yaml requests"
        log = gateway.system.do("logs", name)
        assert "caches filled" in log
        assert "Traceback" not in log


@pytest.mark.usefixtures("gateway")
def test_the_notes_say_how_to_reach_it(admin: Kubectl) -> None:
    shown = helm("get", "notes", "podrelay", f"--kubeconfig={admin.kubeconfig}", f"--namespace={RELEASE_NAMESPACE}")

    assert shown.returncode == 0, shown.stderr
    assert "port-forward service/podrelay-gateway 8443:443" in shown.stdout
    assert f"https://{HOST}/graphql" in shown.stdout
