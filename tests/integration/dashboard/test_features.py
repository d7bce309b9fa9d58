"""What the dashboard can do, in the order in which it matters (docs/dashboard.md), each with a real operator."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dev.harness.gateway import GatewayProcess
from dev.harness.manifests import TASK_RUNS
from tests.integration.dashboard.conftest import Open
from tests.support.shop import Shop

pytestmark = pytest.mark.integration

SLEEPY = {"seconds": 120}


@pytest.fixture
def resizing(shop: Shop) -> Iterator[str]:
    """A run that runs until it is aborted, in a namespace where all slots of its definition are free."""
    shop.free_slots()
    name = f"resizing-{time.monotonic_ns()}"
    shop.run(name, "resize-images", SLEEPY)
    shop.relay.until(name, "it runs", phase="Running")
    yield name
    shop.free_slots()


def test_01_live_list_changes_in_place_and_new_runs_wait_while_it_is_scrolled(shop: Shop, open_page: Open) -> None:
    view = open_page("runs", viewport={"width": 1440, "height": 420})

    shop.run("live-1", "publish-feed", {"channel": "search"})
    expect(view.row("live-1")).to_contain_text("Succeeded")  # it came to the top, and changed in place

    view.page.locator(".table-scroll").evaluate("list => list.scrollTo(0, 120)")
    before = view.page.locator(".table-body .row").first.inner_text()
    shop.run("live-2", "publish-feed", {"channel": "search"})
    view.button("1 new").wait_for()
    assert view.page.locator(".table-body .row").first.inner_text().split()[:2] == before.split()[:2]
    view.button("1 new").click()
    expect(view.row("live-2")).to_be_visible()

    view.row("live-2").hover()
    shop.run("live-3", "publish-feed", {"channel": "search"})
    view.button("1 new").wait_for()  # nothing moves under the pointer
    shop.kubectl.do("delete", TASK_RUNS, "live-1")
    expect(view.row("live-1")).to_contain_text("Deleted")


def test_01_a_filtered_list_takes_runs_that_begin_to_match(shop: Shop, open_page: Open) -> None:
    view = open_page("runs?status=Failed")
    view.row("feed-news").wait_for()
    shop.run("fails-later", "publish-feed", {"channel": "search", "fail": "exit"})
    expect(view.row("fails-later")).to_contain_text("Failed")  # it was there before, but not among these


def test_02_everything_is_in_the_address(open_page: Open) -> None:
    view = open_page("runs")
    view.button("Failed").click()
    view.has_address("status=Failed")
    expect(view.row("feed-search")).to_have_count(0)
    expect(view.row("feed-news")).to_be_visible()

    view.page.get_by_role("search").get_by_label("Definition").select_option("publishFeed")
    view.page.get_by_role("searchbox").fill("Publish")
    view.has_address(r"status=Failed.*definition=publishFeed.*search=Publish")
    view.button("Duration").or_(view.button("Created")).first.click()
    view.has_address("sort=createdOn_ASC")
    view.button("Columns").click()
    view.page.get_by_label("Iterations").check()
    view.has_address("columns=")
    view.page.keyboard.press("Escape")

    other = open_page()
    other.page.goto(view.page.url)  # a link shows the same view
    expect(other.row("feed-news")).to_be_visible()
    expect(other.page.get_by_role("columnheader", name="Iterations")).to_be_visible()
    expect(other.page.get_by_role("searchbox")).to_have_value("Publish")

    other.row("feed-news").get_by_role("link").click()
    other.says("newsletter.example refused the connection")
    other.page.go_back()
    expect(other.row("feed-news")).to_be_visible()
    other.button("Clear filters").click()
    expect(other.row("feed-search")).to_be_visible()


def test_03_what_is_happening_and_why(shop: Shop, open_page: Open) -> None:
    view = open_page("runs/no-such-definition")
    view.says("Definition not found")
    view.says("What to do")

    view.go("runs/later")
    view.says("Waiting for its start time")
    view.says(re.compile("next pod in 1 h"))

    shop.run("no-image", "no-image", {})
    shop.relay.define_script("no-image", "true", suspend=True)
    view.go("runs/no-image")
    view.says(re.compile("[Ss]uspended"))


def test_04_timeline_of_attempts_waits_and_children(open_page: Open) -> None:
    view = open_page("runs/totals-tuesday")
    chart = view.page.get_by_label("Timeline", exact=True)
    expect(chart.get_by_role("button", name=re.compile("Iteration 1: Continue"))).to_be_visible()
    expect(chart.get_by_role("button", name=re.compile("Iteration 2: Error.*Waiting for children"))).to_be_visible()
    expect(chart.get_by_role("link", name=re.compile("Child Totals of linz"))).to_be_visible()

    chart.get_by_role("button", name=re.compile("Iteration 1")).focus()
    view.page.keyboard.press("ArrowDown")
    view.page.keyboard.press("Enter")
    view.has_address("attempt=totals-tuesday-i2")
    expect(view.page.get_by_label("Selected attempt")).to_contain_text("Iteration 2, attempt 1")
    assert chart.locator(".segment").evaluate_all("all => Math.min(...all.map(one => one.offsetWidth))") >= 4
    colours = "all => [...new Set(all.map(one => getComputedStyle(one).backgroundColor))].sort()"
    shown = chart.locator(".segment-work").evaluate_all(colours)
    assert len(shown) > 1
    assert view.page.locator(".legend .segment-work").evaluate_all(colours) == shown

    view.button("Table").click()
    expect(view.page.get_by_role("cell", name="totals-tuesday-i2")).to_be_visible()


def test_05_logs_of_all_pods_are_one_stream(shop: Shop, open_page: Open) -> None:
    view = open_page("runs/spring-catalogue?tab=logs")
    lines = view.page.get_by_label("Lines", exact=True).and_(view.page.get_by_role("log"))
    for iteration in range(4):
        expect(lines).to_contain_text(f"importing rows {300 * iteration + 1} to {300 * iteration + 300}")
    expect(lines).to_contain_text("GET https://example.org/spring.csv 200")  # printed, and its colour is not text
    view.says("End of the logs")
    assert "spring-catalogue-i1" not in shop.relay.pods("spring-catalogue")

    view.page.locator(".logs select").first.select_option("error")
    expect(lines.locator(".log-row")).to_have_count(1)
    view.has_address("level=error")
    view.go("runs/spring-catalogue?tab=logs&iteration=2")
    expect(lines).to_contain_text("importing rows 301 to 600")
    expect(lines).not_to_contain_text("importing rows 1 to 300")
    view.says("End of the logs")  # a file has what was read until then
    with view.page.expect_download() as download:
        view.button("Download").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "importing rows 1 to 300" in text
    assert "spring-catalogue-i4" in text

    shop.run("chatty", "import-products", {"url": "https://example.org/live.csv", "rows": 900, "seconds_per_batch": 2})
    view.go("runs/chatty?tab=logs")
    expect(lines).to_contain_text("importing rows 601 to 900")  # followed while it runs


def test_06_abort_rerun_suspend_resume_and_delete_say_what_follows(shop: Shop, resizing: str, open_page: Open) -> None:
    view = open_page(f"runs/{resizing}")
    expect(view.button("Delete")).to_have_attribute("title", "It has not finished: abort it first.")
    view.button("Suspend").click()
    expect(view.dialog).to_contain_text("No further pod is created")
    view.dialog.get_by_role("button", name="Suspend the run").click()
    view.button("Resume").click()
    view.dialog.get_by_role("button", name="Resume the run").click()
    view.button("Suspend").wait_for()

    view.button("Abort").click()
    expect(view.dialog).to_contain_text(re.compile(r"SIGTERM and \d+ s to clean up"))
    view.dialog.get_by_label("Message").fill("wrong pictures")
    view.dialog.get_by_role("button", name="Abort the run").click()
    expect(view.page.locator(".run-title .tag")).to_have_text("Aborted")
    view.says("wrong pictures")
    expect(view.button("Abort")).to_have_attribute("title", "This run has finished.")

    view.button("Rerun").click()
    view.dialog.get_by_role("button", name="Rerun with the same input").click()
    view.has_address(r"/runs/[^/]+/(?!" + resizing + "$)")
    again = view.page.url.rpartition("/")[2]
    assert shop.kubectl.get(TASK_RUNS, again)["spec"]["input"] == SLEEPY
    shop.relay.abort(again)

    view.go(f"runs/{resizing}")
    view.button("Delete").click()
    expect(view.dialog).to_contain_text("cannot be undone")
    view.dialog.get_by_role("button", name="Delete the run").click()
    view.says("This run was deleted")


def test_07_a_failed_run_opens_on_its_failure(open_page: Open) -> None:
    view = open_page("runs/feed-broken")
    failure = view.page.get_by_label("Why it failed")
    expect(failure).to_contain_text("exit code 3")
    expect(failure).to_contain_text("Iteration 1, attempt 1")
    expect(failure).to_contain_text("fatal: the feed has no products")
    failure.get_by_role("link", name="Its logs").click()
    view.has_address("tab=logs&iteration=1")


def test_08_json_is_folded_copied_and_downloaded(shop: Shop, open_page: Open) -> None:
    large = {"text": "x" * 20_000, "many": {f"key-{number}": number for number in range(1000)}, "deep": [[[1]]]}
    shop.run("large-input", "send-reminders", {"count": 1, **large})
    view = open_page("runs/large-input?tab=data")
    tree = view.page.locator(".json-tree").first
    expect(tree).to_contain_text("1000 keys")
    expect(tree).to_contain_text("… all 20000 characters")
    tree.get_by_role("button", name=re.compile("many")).click()
    expect(tree).to_contain_text("… 900 more")
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.page.get_by_role("button", name=re.compile("^Copy large-input-input")).click()
    view.says("Copied")
    assert json.loads(view.evaluate("navigator.clipboard.readText()"))["text"] == large["text"]
    with view.page.expect_download() as download:
        view.button("Download").first.click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["many"]["key-999"] == 999


def test_09_rights_decide_what_can_be_seen_and_done(shop: Shop, asking: GatewayProcess, open_page: Open) -> None:
    token = shop.add_user("looker", "podrelay-viewer")
    view = open_page("runs", address=asking.address)
    view.sign_in("nonsense")
    view.says("The cluster does not accept this token")
    view.sign_in(f" {token}\n")
    expect(view.row("feed-search")).to_be_visible()
    view.says("You may look, but not change anything in this namespace")

    view.page.reload()  # the tab remembers the token
    view.row("feed-search").get_by_role("link").click()
    expect(view.button("Rerun")).to_have_attribute("aria-disabled", "true")
    expect(view.button("Delete")).to_have_attribute("title", re.compile("needs the right to delete taskruns"))

    view.page.goto(f"{view.base}/runs?namespace=default")
    view.says("You may not see the list of runs")
    expect(view.page.get_by_role("navigation", name="Views")).to_be_visible()  # not a page that says 403
    view.button("Sign out").click()
    view.page.get_by_label("Token").wait_for()
    assert token not in view.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")


def test_10_the_form_that_starts_a_run_comes_from_the_input_schema(shop: Shop, open_page: Open) -> None:
    view = open_page("trigger/importProducts")
    expect(view.page.get_by_label("Mode")).to_contain_text("replace")
    expect(view.page.get_by_label("Note")).to_have_js_property("tagName", "TEXTAREA")
    view.says("How many rows the file has.")
    view.page.get_by_label("Rows", exact=True).fill("0")
    view.says(re.compile("less than the minimum|greater than or equal"))
    view.says("Field required")
    view.page.get_by_label("Url").fill("https://example.org/form.csv")
    view.page.get_by_label("Rows", exact=True).fill("10")
    view.page.get_by_label("Mode").select_option("replace")
    view.page.get_by_label("Tags").fill("spring\nsale")
    view.says("The input is valid.")
    view.button("JSON").click()
    expect(view.page.locator(".cm-content")).to_contain_text("https://example.org/form.csv")
    view.button("Form").click()
    view.page.get_by_label("Name", exact=True).fill("From the form")
    view.button("Start the run").click()
    view.has_address(r"/runs/")
    name = view.page.url.rpartition("/")[2]
    expected = {"url": "https://example.org/form.csv", "rows": 10, "mode": "replace", "tags": ["spring", "sale"]}
    assert shop.kubectl.get(TASK_RUNS, name)["spec"]["input"] == expected

    view.go(f"trigger/importProducts?from={name}")  # filled from that run
    expect(view.page.get_by_label("Url")).to_have_value("https://example.org/form.csv")
    expect(view.page.get_by_label("Rows", exact=True)).to_have_value("10")


def test_11_the_first_load_of_the_list_is_small(open_page: Open) -> None:
    view = open_page("runs")
    view.row("feed-search").wait_for()
    entries = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    sizes = view.evaluate(f"{entries}.map(one => [new URL(one.name).pathname, one.transferSize])")
    files = {path: size for path, size in sizes if path != "/graphql"}
    assert any(path.endswith("/main.js") for path in files)
    assert 50_000 < sum(files.values()) <= 200_000  # compressed, with headers


def test_14_differences_between_iterations_and_between_runs(shop: Shop, open_page: Open) -> None:
    view = open_page("runs/spring-catalogue?attempt=spring-catalogue-i3")
    panel = view.page.get_by_label("Selected attempt")
    expect(panel.locator(".diff-removed")).to_contain_text('"row": 300')
    expect(panel.locator(".diff-added")).to_contain_text('"row": 600')

    view.go("runs/feed-news?tab=data")
    view.page.get_by_label("Name of the other run").fill("feed-search")
    view.button("Compare").click()
    view.has_address("with=feed-search")
    expect(view.page.locator(".diff-added").first).to_contain_text("newsletter")


def test_15_bulk_actions_with_an_outcome_for_each(shop: Shop, open_page: Open) -> None:
    for number in range(3):
        shop.run(f"bulk-{number}", "publish-feed", {"channel": "search"}, delaySeconds=3600)
    view = open_page("runs?status=Pending&definition=publishFeed")
    for number in range(3):
        view.page.get_by_label(f"Select bulk-{number}").check()
    bar = view.page.get_by_role("toolbar", name="Selected runs")
    expect(bar).to_contain_text("3 selected")
    bar.get_by_role("button", name="Abort").click()
    expect(view.dialog).to_contain_text("SIGTERM")
    view.dialog.get_by_role("button", name="Abort 3 runs").click()
    expect(view.dialog.get_by_role("status")).to_contain_text("3 aborted")
    view.dialog.get_by_role("button", name="Close", exact=True).last.click()

    # The pointer stays where it was, and rows that change while it is over a list would wait for a click.
    view.page.mouse.move(0, 0)
    view.go("runs?status=Aborted&definition=publishFeed")
    view.page.get_by_label("Select bulk-0").check()
    bar.get_by_role("button", name=re.compile("Select all")).click()
    bar.get_by_role("button", name="Abort").click()
    view.dialog.get_by_role("button", name=re.compile("Abort .* runs")).click()
    expect(view.dialog.get_by_role("status")).to_contain_text("3 aborted")  # aborting them again is not an error

    view.go("runs?status=Succeeded&definition=publishFeed")
    view.page.get_by_label("Select feed-search").check()
    bar.get_by_role("button", name="Abort").click()
    view.dialog.get_by_role("button", name="Abort 1 run").click()
    expect(view.dialog.get_by_label("Refused")).to_contain_text("feed-search")  # it has finished


def test_16_tree_of_parents_and_children(open_page: Open) -> None:
    view = open_page("runs/totals-tuesday?tab=children")
    tree = view.page.get_by_label("Children", exact=True)
    expect(tree.get_by_role("listitem")).to_have_count(3)
    view.says("the database of linz does not answer")
    view.link("Go to where the failure began").click()
    expect(view.page.get_by_role("heading", level=1)).to_have_text("Totals of linz")
    view.page.get_by_label("Where this is").get_by_role("link", name=re.compile("Nightly totals")).click()
    view.has_address("/totals-tuesday")


def test_17_definitions_with_limits_statistics_and_last_runs(open_page: Open) -> None:
    view = open_page("definitions")
    view.link("Nightly totals").click()
    tiles = view.page.get_by_label("Statistics")
    expect(tiles).to_contain_text("Success")
    expect(tiles).to_contain_text("p95")
    view.says("Time of an iteration")
    expect(view.link("totals-monday")).to_be_visible()
    expect(view.page.locator(".yaml")).to_contain_text("kind: TaskDefinition")
    view.button("Its runs").click()
    view.has_address("/runs.*definition=nightlyTotals")


def test_18_queue_shows_who_has_the_slots_and_who_waits(shop: Shop, resizing: str, open_page: Open) -> None:
    for number in (1, 2, 3):
        shop.run(f"{resizing}-{number}", "resize-images", SLEEPY)
    view = open_page("queue?definition=resizeImages")
    expect(view.page.get_by_text("of 2")).to_be_visible()
    waiting = view.page.locator(".panel").filter(has_text="They wait, in this order").get_by_role("listitem")
    expect(waiting.filter(has_text=f"{resizing}-2")).to_have_count(1)
    expect(waiting.filter(has_text=f"{resizing}-3")).to_contain_text("2")
    waiting.filter(has_text=f"{resizing}-3").get_by_role("link").click()
    view.says(re.compile(r"Place\s+2"))
    shop.free_slots()


def test_19_overview_leads_to_the_runs_behind_each_number(open_page: Open) -> None:
    view = open_page("")
    failed = view.page.get_by_label("All runs, by status").get_by_role("listitem").filter(has_text="Failed")
    number = int(failed.get_by_role("link").inner_text())
    assert number >= 4
    failed.get_by_role("link").click()
    view.has_address("status=Failed")
    expect(view.page.locator(".table-body .row")).to_have_count(number)
    view.page.go_back()
    view.link("Exit code 3").click()
    view.has_address("reason=ExitCode3")
    expect(view.row("feed-broken")).to_be_visible()


def test_20_dark_mode_search_and_keys(open_page: Open) -> None:
    view = open_page("runs", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = view.evaluate(background)
    view.page.get_by_label("Theme").select_option("light")
    light = view.evaluate(background)
    assert dark != light
    view.page.reload()
    assert view.evaluate(background) == light
    view.page.get_by_label("Theme").select_option("system")
    assert view.evaluate(background) == dark

    view.page.locator(".table-body .row").first.wait_for()
    view.page.keyboard.press("/")
    expect(view.page.get_by_role("searchbox")).to_be_focused()
    view.page.keyboard.type("jx?")  # while a field has the focus, keys are text
    expect(view.page.get_by_role("searchbox")).to_have_value("jx?")
    view.page.get_by_role("searchbox").fill("")
    view.page.keyboard.press("Escape")
    view.page.locator(".table-body .row").first.wait_for()
    view.page.keyboard.press("j")
    view.page.keyboard.press("j")
    expect(view.page.locator(".table-body .row").nth(1)).to_have_class(re.compile("row-active"))
    view.page.keyboard.press("x")
    expect(view.page.get_by_role("toolbar")).to_contain_text("1 selected")
    view.page.keyboard.press("k")
    view.page.keyboard.press("Enter")
    view.has_address("/runs/.+/.+")
    view.page.keyboard.press("?")
    expect(view.dialog).to_contain_text("Next row")
