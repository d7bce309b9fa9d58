"""The pages of schedules: what they show of the real operator's work, and what can be done on them."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS
from dev.harness.waiting import eventually
from tests.integration.dashboard.conftest import Open
from tests.support.namespaces import temporary_namespace
from tests.support.quick import DRY_RUN
from tests.support.schedules import TASK_SCHEDULES
from tests.support.shop import Shop

pytestmark = pytest.mark.integration

FEED = {"input": {"channel": "search"}}
SLOW = {"input": {"seconds": 600}}


@pytest.fixture
def seldom(shop: Shop) -> Iterator[str]:
    """A schedule whose time comes once in a leap year."""
    shop.schedule("seldom", "publish-feed", run=FEED)
    shop.schedule_is_ready("seldom")
    yield "seldom"
    shop.kubectl.do("delete", TASK_SCHEDULES, "seldom", "--ignore-not-found")
    shop.kubectl.do("delete", TASK_RUNS, "--selector=podrelay.dev/schedule=seldom")


def test_21_a_schedule_is_followed_from_its_creation_to_its_runs(shop: Shop, open_page: Open) -> None:
    view = open_page("schedules")
    view.page.get_by_role("heading", name="Schedules").wait_for()
    shop.schedule("often", "publish-feed", schedules=[{"every": "10s"}], overlap="Allow", run=FEED)
    row = view.row("often")
    expect(row).to_contain_text("every 10s")
    expect(row).to_contain_text("Scheduling")
    cells = row.get_by_role("cell")
    expect(cells.nth(2)).to_have_text(re.compile(r"in \d+ s|just now"))  # next
    expect(cells.nth(3).get_by_role("link")).to_be_visible()  # last

    row.get_by_role("link", name="often").click()
    view.has_address(r"/schedules/[^/]+/often$")
    expect(view.panel("Next times").get_by_role("listitem")).to_have_count(5)
    runs = view.panel("Last runs").get_by_role("listitem")
    expect(runs.filter(has_text="Succeeded").first).to_be_visible()
    before = runs.count()
    expect(runs.nth(before)).to_be_visible()  # the next one appears without a reload
    expect(view.page.get_by_label("Counters")).to_contain_text("Started")

    runs.filter(has_text="Succeeded").first.get_by_role("link").click()
    view.has_address(r"/runs/[^/]+/often-\d{8}t\d{6}z")
    expect(view.page.locator(".facts")).to_contain_text(re.compile(r"Schedule\s*often\s*for"))
    view.link("often").click()

    view.link("All its runs").click()
    view.has_address("schedule=often")
    expect(view.page.locator(".table-body .row").first).to_contain_text("often-")
    view.page.get_by_label("Remove the filter Schedule").click()
    expect(view.page).not_to_have_url(re.compile("schedule="))

    view.go("definitions/publishFeed")
    view.panel("Schedules").get_by_role("link", name="often").click()
    view.has_address("/often$")
    expect(view.panel("Next times").get_by_role("listitem")).to_have_count(5)
    shop.kubectl.do("delete", TASK_SCHEDULES, "often")
    view.says("This schedule was deleted")
    expect(view.button("Suspend")).to_have_attribute("title", "This schedule was deleted.")
    view.go("schedules/often")
    view.says("There is no such schedule")


def test_21_a_schedule_is_suspended_with_a_note_and_resumed_by_keyboard(
    shop: Shop, seldom: str, open_page: Open
) -> None:
    view = open_page(f"schedules/{seldom}")
    expect(view.panel("Next times").get_by_role("listitem").first).to_contain_text(re.compile(r"\d{4}-02-29 03:00 UTC"))
    view.button("Suspend").focus()
    view.page.keyboard.press("Enter")
    expect(view.dialog).to_contain_text("the times that pass are skipped")
    view.dialog.get_by_label("Note").focus()
    view.page.keyboard.type("the supplier <b>moves</b>")
    view.page.keyboard.press("Enter")
    view.says("the supplier <b>moves</b>")
    expect(view.page.locator(".run-title .tag")).to_have_text("Suspended")
    spec = shop.kubectl.get(TASK_SCHEDULES, seldom)["spec"]
    assert (spec["suspend"], spec["suspendNote"]) == (True, "the supplier <b>moves</b>")
    expect(view.page.locator(".notice")).to_contain_text(spec["suspendedBy"])
    view.says("None while it is suspended")

    view.button("Resume").focus()
    view.page.keyboard.press("Enter")
    view.dialog.get_by_role("button", name="Resume the schedule").focus()
    view.page.keyboard.press("Enter")
    expect(view.page.locator(".run-title .tag")).to_have_text("Scheduling")
    expect(view.panel("Conditions")).to_contain_text("Ready")
    assert not shop.kubectl.get(TASK_SCHEDULES, seldom)["spec"]["suspend"]
    expect(view.page.locator(".yaml")).to_contain_text("kind: TaskSchedule")


def test_21_a_run_now_and_a_backfill_of_a_range(shop: Shop, seldom: str, open_page: Open) -> None:
    view = open_page(f"schedules/{seldom}")
    view.button("Run now").click()
    expect(view.dialog).to_contain_text("the input of the schedule")
    view.dialog.get_by_role("button", name="Start the run").click()
    view.says("Started")
    runs = view.panel("Last runs").get_by_role("listitem")
    expect(runs).to_have_count(1)

    view.button("Backfill").click()
    view.dialog.get_by_label("From").fill("2016-01-01T00:00")
    view.dialog.get_by_label("Until before").fill("2015-01-01T00:00")
    expect(view.dialog.get_by_role("status")).to_contain_text("later than the begin")
    view.dialog.get_by_role("button", name="Start the backfill").click()
    expect(view.dialog.get_by_role("alert")).to_contain_text("until must be later than from")  # the gateway's words
    view.dialog.get_by_label("Until before").fill("2025-01-01T00:00")
    expect(view.dialog.get_by_role("status")).to_contain_text(
        re.compile(r"3 runs, from Mon 2016-02-29 .* to Thu 2024-02-29")
    )
    view.dialog.get_by_label("Overlap").select_option("ALLOW")
    view.dialog.get_by_label("At most a minute").fill("600")
    view.dialog.get_by_role("button", name="Start the backfill").click()
    backfill = view.panel("Backfills").get_by_role("listitem")
    expect(backfill).to_contain_text("3 started, not waiting for each other, at most 600 a minute, finished")
    expect(runs).to_have_count(4)

    runs.filter(has_text="20200229t030000z").get_by_role("link").click()
    expect(view.page.locator(".facts")).to_contain_text("backfill 20160101t")
    view.page.go_back()
    runs.filter(has_not_text="t030000z").get_by_role("link").click()
    expect(view.page.locator(".facts")).to_contain_text("started by hand")


def test_21_a_backfill_is_stopped(shop: Shop, seldom: str, open_page: Open) -> None:
    view = open_page(f"schedules/{seldom}")
    view.button("Backfill").click()
    view.dialog.get_by_label("From").fill("1990-01-01T00:00")
    view.dialog.get_by_label("Until before").fill("2025-01-01T00:00")
    view.dialog.get_by_label("At most a minute").fill("1")
    expect(view.dialog.get_by_role("status")).to_contain_text("9 runs")
    view.dialog.get_by_role("button", name="Start the backfill").click()
    backfill = view.panel("Backfills")
    expect(backfill).to_contain_text("1 started, one by one")
    backfill.get_by_role("button", name="Stop").click()
    expect(view.dialog).to_contain_text("Runs that it has started continue")
    view.dialog.get_by_role("button", name="Stop the backfill").click()
    expect(backfill).to_contain_text("None.")
    assert not shop.kubectl.get(TASK_SCHEDULES, seldom)["spec"]["backfills"]


def test_21_what_is_unfinished_what_waits_and_why_times_were_skipped(shop: Shop, open_page: Open) -> None:
    shop.free_slots()
    shop.schedule("busy", "resize-images", schedules=[{"every": "10s"}], overlap="BufferOne", run=SLOW)
    view = open_page("schedules/busy")
    unfinished = view.panel("Unfinished")
    expect(unfinished.get_by_role("link", name=re.compile("busy-"))).to_have_count(1)
    expect(unfinished).to_contain_text("Waiting for them")
    expect(view.page.get_by_label("Counters")).to_contain_text(re.compile(r"Skipped\s*\d+\s*\d+ too many waited"))
    expect(view.panel("Options")).to_contain_text("one run waits for the unfinished one")
    view.go("schedules")
    expect(view.row("busy")).to_contain_text("1, 1 waiting")
    shop.kubectl.do("delete", TASK_SCHEDULES, "busy")
    shop.free_slots()


def test_21_a_schedule_that_cannot_start_runs_says_why(shop: Shop, open_page: Open) -> None:
    shop.schedule("never", "publish-feed", schedules=[{"cron": "0 0 31 2 *"}])
    view = open_page("schedules")
    expect(view.row("never")).to_contain_text("Invalid schedule")
    view.row("never").get_by_role("link", name="never").click()
    view.says("No runs start: invalid schedule")
    words = eventually("the operator has refused it", lambda: _ready(shop, "never"))
    view.says(words)
    shop.kubectl.do("delete", TASK_SCHEDULES, "never")


def _ready(shop: Shop, name: str) -> str:
    conditions = shop.kubectl.get(TASK_SCHEDULES, name).get("status", {}).get("conditions") or ()
    return next((str(one["message"]) for one in conditions if one["type"] == "Ready"), "")


def test_21_without_schedules_the_page_says_how_to_create_one(admin: Kubectl, shop: Shop, open_page: Open) -> None:
    with temporary_namespace(admin) as empty:
        view = open_page()
        view.page.goto(f"{view.base}/schedules?namespace={empty.namespace}")
        view.says("No schedules")
        view.says("kubectl apply -f schedule.yaml")
        manifest = view.page.locator(".example-manifest pre").inner_text()
        applied = empty.do("apply", "--filename=-", DRY_RUN, stdin=manifest)  # it is what the API server accepts
        assert "taskschedule.podrelay.dev/nightly created" in applied


def test_21_rights_decide_what_can_be_seen_and_done(
    shop: Shop, seldom: str, asking: GatewayProcess, open_page: Open
) -> None:
    view = open_page(f"schedules/{seldom}", address=asking.address)
    view.sign_in(shop.add_user("planner", "podrelay-viewer"))
    expect(view.panel("Next times").get_by_role("listitem").first).to_be_visible()
    expect(view.button("Run now")).to_have_attribute("title", re.compile("needs the right to create taskruns"))
    expect(view.button("Suspend")).to_have_attribute("title", re.compile("needs the right to patch taskschedules"))
    expect(view.button("Delete")).to_have_attribute("title", re.compile("needs the right to delete taskschedules"))
    view.button("Backfill").click(force=True)
    expect(view.dialog).to_have_count(0)
    view.page.goto(f"{view.base}/schedules?namespace=default")
    view.says("You may not see the schedules")
    view.page.goto(f"{view.base}/definitions?namespace=default")
    view.says("You may not see the definitions")
