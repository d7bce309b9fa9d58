"""Makes the pictures of docs/dashboard.md from real runs: `python -m tests.support.screenshots`."""

import contextlib
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from dev.cluster import up
from dev.harness import chart
from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.pages import browser, build
from tests.support.dashboard import View
from tests.support.kubeletprocess import kubelet
from tests.support.shop import Shop, opened
from tests.support.signals import task_signal

IMAGES = build.ROOT / "docs" / "images"
PICTURES = {
    "overview": ("", "How long they took"),
    "runs": ("runs", "spring-catalogue"),
    "run": ("runs/totals-tuesday?attempt=totals-tuesday-i2", "Iteration 2, attempt 1"),
    "failed": ("runs/feed-news", "newsletter.example refused the connection"),
    "logs": ("runs/spring-catalogue?tab=logs", "End of the logs"),
    "inbox": ("inbox", "prices-december"),
    "waiting": ("runs/prices-december", "1 of 2 approvals"),
    "schedule": ("schedules/nightly-totals", "last-days"),
    "form": ("trigger/importProducts", "How many rows the file has."),
}


def main() -> None:
    """Run a day of the shop, and picture each view in both themes."""
    build.ensure(build.DASHBOARD)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        admin = Kubectl.of(up("control-plane"), folder)
        chart.install(admin)
        stack.enter_context(kubelet(admin, folder))
        shop = stack.enter_context(opened(admin, folder, "shop"))
        shop.timetable()
        shop.timetable_is_filled()  # then the list begins with the runs of the day
        shop.a_day()
        for run in ("spring-catalogue", "totals-tuesday", "feed-news", "feed-market"):
            shop.relay.finished(run)
        shop.relay.until("prices-december", "it waits", reason="WaitingForSignal")
        approve(shop, "prices-december", "checked all prices")
        flags = ("--auth=none", "--dashboard", f"--default-namespace={shop.namespace}")
        gateway = stack.enter_context(GatewayProcess(admin.kubeconfig, folder / "gateway", flags))
        playwright = stack.enter_context(sync_playwright())
        launched = playwright.chromium.launch(executable_path=browser.chromium(), args=[*browser.ARGUMENTS])
        for theme in ("light", "dark"):
            picture(launched, f"http://{gateway.address}", shop, theme)
        launched.close()
        shop.free_slots()


def approve(shop: Shop, run: str, comment: str) -> None:
    """Let a user approve a release of prices."""
    token = shop.add_user("anna", "podrelay-approver")
    sender = f"system:serviceaccount:{shop.namespace}:anna"
    decision = task_signal("by-anna", run, "release", sender=sender, payload={"comment": comment}, decision="Approve")
    sent = shop.kubectl.as_token(token).create(decision)
    assert sent, str(sent)


def picture(launched: Browser, base: str, shop: Shop, theme: str) -> None:
    """Picture each view in one theme."""
    context = launched.new_context(viewport={"width": 1440, "height": 800}, color_scheme=theme)  # type: ignore[arg-type]
    view = View(context.new_page(), base, shop.namespace)
    for name, (path, shown) in PICTURES.items():
        view.go(path)
        view.page.get_by_text(shown).first.wait_for(state="attached")
        view.page.wait_for_timeout(600)
        view.page.screenshot(path=IMAGES / f"{name}-{theme}.png")
    context.close()


if __name__ == "__main__":
    main()
