"""WCAG 2.2 AA: axe on every page in both themes, and everything by keyboard."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dev.pages import build
from tests.integration.dashboard.conftest import Open
from tests.support.dashboard import View
from tests.support.schedules import TASK_SCHEDULES
from tests.support.shop import Shop

pytestmark = pytest.mark.integration

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = {
    "overview": ("", "How long they took"),
    "runs": ("runs?search=publishFeed", "feed-search"),
    "no runs": ("runs?search=nothing-has-this-name", "No run matches the filters"),
    "failed run": ("runs/feed-news", "newsletter.example refused the connection"),
    "waiting run": ("runs/no-such-definition", "What to do"),
    "timeline": ("runs/totals-tuesday?attempt=totals-tuesday-i2", "Iteration 2, attempt 1"),
    "table of attempts": ("runs/totals-tuesday?as=table", "totals-tuesday-i1"),
    "logs": ("runs/spring-catalogue?tab=logs", "End of the logs"),
    "data": ("runs/spring-catalogue?tab=data", "Compare with another run"),
    "children": ("runs/totals-tuesday?tab=children", "Totals of linz"),
    "events": ("runs/totals-tuesday?tab=events", "podrelay-operator"),
    "manifest": ("runs/spring-catalogue?tab=yaml", "In a terminal"),
    "definitions": ("definitions", "Import products"),
    "definition": ("definitions/importProducts", "Time of an iteration"),
    "form": ("trigger/importProducts", "How many rows the file has."),
    "JSON form": ("trigger/importProducts?as=json", "Start the run"),
    "inbox": ("inbox", "prices-december"),
    "all that wait": ("inbox?show=all", "winter-sale"),
    "empty inbox": ("inbox?namespace=default", "Nothing waits for you"),
    "run that waits for a decision": ("runs/prices-december", "0 of 2 approvals"),
    "run that waits for a signal": ("runs/order-4711", "Sent when money has arrived."),
    "definition with signals": ("definitions/releasePrices", "approval of 2 users"),
    "queue": ("queue?definition=resizeImages", "They wait, in this order"),
    "schedules": ("schedules", "yearly"),
    "schedule": ("schedules/yearly", "the till is being counted"),
    "no schedules": ("schedules?namespace=default", "kubectl apply -f schedule.yaml"),
    "missing schedule": ("schedules/there-is-no-such-schedule", "There is no such schedule"),
    "settings": ("settings", "Finished runs are kept"),
    "missing run": ("runs/there-is-no-such-run", "There is no such run"),
}


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    modules = build.packages(build.DASHBOARD, with_tools=True)
    return (modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(autouse=True, scope="module")
def _schedules(shop: Shop) -> Iterator[None]:
    """A schedule with all that its page can show; its backfill would start runs during other tests, too."""
    past = {"name": "old-times", "from": "2000-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z", "startsPerMinute": 1}
    feed = {"input": {"channel": "search"}}
    shop.schedule(
        "yearly", "publish-feed", suspend=True, suspendNote="the till is being counted", run=feed, backfills=[past]
    )
    shop.schedule_is_ready("yearly")
    yield
    shop.kubectl.do("delete", TASK_SCHEDULES, "yearly")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
@pytest.mark.timeout(600)
def test_12_axe_finds_nothing_on_any_page(open_page: Open, axe: str, theme: str, width: int) -> None:
    view = open_page("settings", color_scheme=theme, viewport={"width": width, "height": 900})
    found: dict[str, list[str]] = {}
    for name, (path, shown) in PAGES.items():
        view.go(path)
        view.page.get_by_text(shown).or_(view.page.locator(f'[href$="/{shown}"]')).first.wait_for(state="attached")
        found |= {f"{name}: {rule}": nodes for rule, nodes in violations(view, axe).items()}
        overflow = view.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            found[f"{name}: wider than the window"] = [str(overflow)]
    assert not found, json.dumps(found, indent=1)


def test_12_axe_finds_nothing_in_dialogs(open_page: Open, axe: str) -> None:
    view = open_page("runs/spring-catalogue")
    for name in ("Rerun", "Delete"):
        view.button(name).click()
        expect(view.dialog).to_be_visible()
        assert not violations(view, axe)
        view.page.keyboard.press("Escape")
        expect(view.dialog).to_have_count(0)
        expect(view.button(name)).to_be_focused()  # the focus returns
    view.go("schedules/yearly")
    for name in ("Run now", "Backfill", "Resume", "Delete"):
        view.button(name).click()
        expect(view.dialog).to_be_visible()
        assert not violations(view, axe)
        view.page.keyboard.press("Escape")
        expect(view.button(name)).to_be_focused()
    view.go("inbox")
    for name in ("Approve release of Prices of December", "Reject release of Prices of December"):
        view.button(name).click()
        view.dialog.get_by_label("Comment").wait_for()
        assert not violations(view, axe)
        view.page.keyboard.press("Escape")
        expect(view.button(name)).to_be_focused()
    view.button("Send payment to Order 4711").click()
    view.dialog.get_by_role("button", name="Send the signal").click()
    expect(view.dialog).to_contain_text("Field required")
    assert not violations(view, axe)
    view.page.keyboard.press("Escape")
    view.page.keyboard.press("?")
    assert not violations(view, axe)


def test_12_everything_is_reached_by_keyboard(open_page: Open) -> None:
    view = open_page("runs")
    view.row("feed-search").wait_for()
    view.page.keyboard.press("Tab")
    expect(view.page.get_by_text("Skip to the content")).to_be_focused()
    view.page.keyboard.press("Enter")
    reached = set()
    for _ in range(80):
        view.page.keyboard.press("Tab")
        reached.add(view.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''").strip())
    assert {"Columns", "Start a run", "Failed"} <= reached
    assert any(text.startswith("Publish the feed") for text in reached)


def violations(view: View, axe: str) -> dict[str, list[str]]:
    """Return what axe finds: for each rule the elements."""
    view.evaluate(f"{axe}; undefined")
    # Without what has passed, which takes most of the time to describe.
    result = view.evaluate("tags => axe.run({runOnly: tags, resultTypes: ['violations']})", TAGS)
    return {
        f"{one['id']}: {one['help']}": [
            node["html"][:200] + " | " + node["failureSummary"][:300] for node in one["nodes"]
        ]
        for one in result["violations"]
    }
