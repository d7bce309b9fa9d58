"""A shop whose tasks run for real, with operator, nodes and gateway as processes, for the tests of the dashboard.

`python -m tests.support.shop` keeps one running for work on the dashboard: it prints the address of a gateway that
needs no token, and builds the page again when its sources change.
"""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from dev.cluster import up
from dev.harness import chart
from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_RUNS, task_run
from dev.harness.operator import PODRELAY, OperatorProcess
from dev.harness.waiting import eventually
from dev.pages import build
from podrelay.schedules.timetable import in_text
from tests.support import shop_tasks
from tests.support.kubeletprocess import kubelet
from tests.support.namespaces import temporary_namespace
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import FINISHED, Relay
from tests.support.schedules import TASK_SCHEDULES, task_schedule

MODULE = Path(shop_tasks.__file__)


@dataclass(frozen=True)
class Shop:
    """A namespace with the definitions of the shop, in which runs run.

    Attributes:
        relay: the namespace with its operator.
    """

    relay: Relay

    @property
    def kubectl(self) -> Kubectl:
        return self.relay.kubectl

    @property
    def namespace(self) -> str:
        return self.relay.kubectl.namespace

    def run(self, name: str, definition: str, input: dict[str, Any] | None = None, **spec: Any) -> None:
        """Create a run."""
        created = self.kubectl.create(task_run(name, definition, input=input or {}, **spec))
        assert created, str(created)

    def schedule(self, name: str, definition: str, **spec: Any) -> None:
        """Create a schedule; without `schedules` in the spec, its time comes once in a leap year."""
        spec.setdefault("schedules", [{"cron": "0 3 29 2 *"}])
        created = self.kubectl.create(task_schedule(name, definition, **spec))
        assert created, str(created)

    def schedule_is_ready(self, name: str) -> None:
        """Wait until the operator has seen a schedule."""

        def conditions() -> object:
            return self.kubectl.get(TASK_SCHEDULES, name).get("status", {}).get("conditions")

        eventually(f"the operator has seen {name}", conditions)

    def open(self) -> None:
        """Apply all definitions."""
        for manifest in definitions():
            applied = self.kubectl.apply(manifest)
            assert applied, str(applied)

    def add_user(self, name: str, role: str) -> str:
        """Create a service account with a role in this namespace; return its token."""
        self.kubectl.do("create", "serviceaccount", name)
        account = f"--serviceaccount={self.namespace}:{name}"
        self.kubectl.do("create", "rolebinding", name, f"--clusterrole={role}", account)
        return self.kubectl.do("create", "token", name).strip()

    def free_slots(self) -> None:
        """Abort all runs that resize images, and wait for their ends: only two of them may have a pod."""
        runs = json.loads(self.kubectl.do("get", TASK_RUNS, "--output=json"))["items"]
        for run in runs:
            if run["spec"]["definition"] == "resize-images" and run.get("status", {}).get("phase") not in FINISHED:
                # Refused if it has finished in the meantime.
                self.kubectl.patch(TASK_RUNS, run["metadata"]["name"], {"spec": {"abort": {"message": "make room"}}})
        for run in runs:
            if run["spec"]["definition"] == "resize-images":
                self.relay.finished(run["metadata"]["name"])

    def a_day(self) -> None:
        """Create a run of each kind that the dashboard can show."""
        self.run("spring-catalogue", "import-products", {"url": "https://example.org/spring.csv"}, displayName="Spring")
        self.run("feed-search", "publish-feed", {"channel": "search"})
        self.run("feed-market", "publish-feed", {"channel": "marketplace", "fail": "once"})
        self.run("feed-news", "publish-feed", {"channel": "newsletter", "fail": "always"})
        self.run("feed-broken", "publish-feed", {"channel": "search", "fail": "exit"})
        self.run("totals-monday", "nightly-totals", {})
        self.run("totals-tuesday", "nightly-totals", {"failing": "linz"})
        self.run("reminders", "send-reminders", {"count": 3})
        for number in range(1, 6):
            self.run(f"resize-{number}", "resize-images", {"seconds": 20 * number})
        self.run("no-such-definition", "resize-pictures", {})
        self.run("later", "publish-feed", {"channel": "search"}, delaySeconds=7200)
        self.run("prices-december", "release-prices", {}, displayName="Prices of December")
        self.run("winter-sale", "release-prices", {"question": "freeze"}, displayName="Winter sale")
        self.run("order-4711", "ship-order", {"total": 40}, displayName="Order 4711")

    def timetable(self) -> None:
        """Create schedules as a shop has them, with runs of the last nights."""
        night = [{"cron": "30 2 * * *"}]
        self.schedule("nightly-totals", "nightly-totals", schedules=night, timeZone="Europe/Vienna", run={"input": {}})
        feed = {"input": {"channel": "search"}}
        self.schedule("feed-search", "publish-feed", schedules=[{"every": "15m"}], overlap="BufferOne", run=feed)
        mail = {"input": {"channel": "newsletter", "fail": "always"}}
        friday = [{"cron": "0 9 * * FRI"}]
        self.schedule(
            "newsletter",
            "publish-feed",
            schedules=friday,
            timeZone="Europe/Vienna",
            suspend=True,
            suspendNote="the mail server moves",
            run=mail,
        )
        until = datetime.now(UTC).replace(microsecond=0)
        backfill = {"name": "last-days", "from": in_text(until - timedelta(days=3)), "until": in_text(until)}
        patched = self.kubectl.patch(
            TASK_SCHEDULES, "nightly-totals", {"spec": {"backfills": [backfill | {"overlap": "Allow"}]}}
        )
        assert patched, str(patched)

    def timetable_is_filled(self) -> None:
        """Wait until the runs of the last nights have finished."""

        def counts() -> bool:
            status = self.kubectl.get(TASK_SCHEDULES, "nightly-totals").get("status", {})
            return bool(status.get("succeeded", 0) >= 3 and not status.get("activeRuns"))

        eventually("the runs of the last nights have finished", counts, 120)


def definitions() -> list[Manifest]:
    """Return the definitions of the shop, as `podrelay manifests` prints them; pods of tests have no image."""
    command = [str(PODRELAY), "manifests", str(MODULE), "--image=local", f"--module-in-image={MODULE}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [manifest for manifest in yaml.safe_load_all(printed) if manifest]


@contextlib.contextmanager
def opened(admin: Kubectl, folder: Path, name: str | None = None) -> Iterator[Shop]:
    """Yield a shop with an operator, in a namespace of its own, by default with a new name; nodes must exist."""
    with temporary_namespace(admin, name) as inside:
        add_runner(inside)
        with OperatorProcess(inside, folder / "operator") as operator:
            shop = Shop(Relay(QuickKubectl.instead_of(inside), folder))
            shop.open()
            yield shop
            assert not operator.has_ended, operator.text
            assert "Traceback" not in operator.text, operator.text


def main() -> None:
    """Keep a shop open until Ctrl-C."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        admin = Kubectl.of(up("control-plane"), folder)
        chart.install(admin)
        stack.enter_context(kubelet(admin, folder))
        shop = stack.enter_context(opened(admin, folder))
        shop.a_day()
        shop.timetable()
        build.ensure(build.DASHBOARD)
        flags = ("--auth=none", "--dashboard", "--listen=127.0.0.1:8099", f"--default-namespace={shop.namespace}")
        while True:
            with GatewayProcess(admin.kubeconfig, folder / "gateway", flags) as gateway:
                print(f"http://{gateway.address}/?namespace={shop.namespace}", flush=True)
                built = build.stamp(build.DASHBOARD)
                while build.stamp(build.DASHBOARD) == built:
                    time.sleep(1)
            with contextlib.suppress(Exception):
                build.ensure(build.DASHBOARD)


if __name__ == "__main__":
    main()
