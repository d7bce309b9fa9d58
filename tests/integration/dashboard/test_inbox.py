"""The inbox: what waits for a signal or a decision, answered by real users, with a real operator and pods."""

import json
import re
from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Locator, expect

from dev.harness.gateway import GatewayProcess
from dev.harness.manifests import TASK_RUNS
from tests.integration.dashboard.conftest import Open
from tests.support.dashboard import View
from tests.support.shop import Shop
from tests.support.signals import task_signal

pytestmark = pytest.mark.integration

NUMBERS = count(1)


class Waits:
    """Runs that wait, which are deleted at the end."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.names: list[str] = []

    def start(self, definition: str, input: dict[str, object] | None = None) -> str:
        """Start a run, and return its name once it waits."""
        name = f"waits-{next(NUMBERS)}"
        self.names.append(name)
        self._shop.run(name, definition, input or {})
        self._shop.relay.until(name, "it waits", reason="WaitingForSignal")
        return name

    def output(self, name: str) -> object:
        """Return the output of a run when it has finished."""
        return self._shop.relay.finished(name).get("output")


@pytest.fixture
def waits(shop: Shop) -> Iterator[Waits]:
    """Starts runs that wait."""
    started = Waits(shop)
    yield started
    for name in started.names:
        shop.kubectl.do("delete", TASK_RUNS, name, "--ignore-not-found")


@pytest.fixture(scope="module")
def anna(shop: Shop) -> str:
    """The token of a user who may decide."""
    return shop.add_user("anna", "podrelay-approver")


@pytest.fixture(scope="module")
def ben(shop: Shop) -> str:
    """The token of another one."""
    return shop.add_user("ben", "podrelay-approver")


def wait(view: View, name: str) -> Locator:
    """Return what the inbox shows of a run."""
    return view.page.locator(".wait").filter(has=view.page.locator(f'a[href$="/{name}"]'))


def inbox_link(view: View) -> Locator:
    """Return the link with the number of runs that wait for the user."""
    return view.page.get_by_role("navigation", name="Views").get_by_role("link", name=re.compile("^Inbox"))


def number_in(view: View) -> int:
    """Return the number next to the link."""
    badge = inbox_link(view).locator(".badge")
    badge.wait_for()
    return int(re.findall(r"\d+", badge.inner_text())[0])


def test_22_two_users_approve_with_comments_and_see_each_other(
    shop: Shop, waits: Waits, asking: GatewayProcess, open_page: Open, anna: str, ben: str
) -> None:
    first, second = (open_page("inbox", address=asking.address) for _ in range(2))
    first.sign_in(anna)
    second.sign_in(ben)
    expect(wait(second, "prices-december")).to_be_visible()
    before = number_in(second)
    name = waits.start("release-prices")

    expect(wait(first, name)).to_contain_text("0 of 2 approvals")  # it came without a reload
    expect(wait(first, name)).to_contain_text("Whether the new prices may go into the shop.")
    expect(wait(first, name)).to_contain_text(re.compile(r"waits since (just now|\d+ s ago)\s*until in [12] d"))
    expect(inbox_link(second)).to_contain_text(f"{before + 1} wait for you")
    wait(first, name).get_by_role("button", name="Approve").click()
    expect(first.dialog).to_contain_text("when 2 users have approved")
    first.dialog.get_by_label("Comment").fill("checked <b>all</b> of them")
    first.dialog.get_by_role("button", name="Approve", exact=True).click()
    first.says("You have approved")

    expect(wait(second, name)).to_contain_text("1 of 2 approvals")
    expect(wait(second, name).get_by_label("Decisions")).to_contain_text(f"Approved{shop.namespace}:anna")
    wait(second, name).get_by_role("button", name="Approve").focus()
    second.page.keyboard.press("Enter")
    expect(second.dialog.get_by_label("Sent so far")).to_contain_text("checked <b>all</b> of them")
    second.dialog.get_by_label("Comment").focus()
    second.page.keyboard.type("so did I")
    second.page.keyboard.press("Tab")  # Cancel
    second.page.keyboard.press("Tab")
    second.page.keyboard.press("Enter")
    second.says("You have approved")
    waits.output(name)
    expect(inbox_link(second)).to_contain_text(f"{before} wait for you")
    expect(wait(second, name)).to_contain_text("No longer waits for you")  # under the focus, nothing moves
    inbox_link(second).focus()
    expect(wait(second, name)).to_have_count(0)

    first.go(f"runs/{name}")
    first.says("the new prices are in the shop")
    decisions = first.panel("Decisions").get_by_role("listitem")
    expect(decisions).to_have_count(2)
    # Both may have been sent in the same second.
    expect(decisions.filter(has_text="anna")).to_contain_text("checked <b>all</b> of them")
    expect(decisions.filter(has_text="ben")).to_contain_text(re.compile("Approved.*so did I"))


def test_22_one_rejection_with_its_reason_ends_the_wait_on_the_page_of_the_run(
    shop: Shop, waits: Waits, asking: GatewayProcess, open_page: Open, anna: str, ben: str
) -> None:
    name = waits.start("release-prices")
    approving, rejecting = (open_page(f"runs/{name}", address=asking.address) for _ in range(2))
    approving.sign_in(anna)
    approving.says("Waiting for a decision")
    approving.says(re.compile(r"the wait ends in 2 d 23 h"))
    answer = approving.page.get_by_label("Answer")
    answer.get_by_role("button", name="Approve").click()
    approving.dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(answer).to_contain_text("1 of 2 approvals")
    expect(answer).to_contain_text("You have decided already.")
    expect(answer.get_by_role("button", name="Reject")).to_have_attribute("aria-disabled", "true")

    rejecting.sign_in(ben)
    rejecting.page.get_by_label("Answer").get_by_role("button", name="Reject").click()
    expect(rejecting.dialog).to_contain_text("One rejection ends the wait at once")
    rejecting.dialog.get_by_label("Comment").fill("wrong currency")
    rejecting.dialog.get_by_role("button", name="Reject", exact=True).click()
    expect(rejecting.page.locator(".run-title .tag")).to_have_text("Aborted")
    rejecting.says("rejected: wrong currency")
    expect(approving.page.locator(".run-title .tag")).to_have_text("Aborted")  # without a reload
    expect(approving.panel("Decisions")).to_contain_text(re.compile("Rejected.*ben.*wrong currency"))


def test_22_the_form_of_a_signal_comes_from_its_schema_and_refuses_what_the_schema_refuses(
    shop: Shop, waits: Waits, open_page: Open
) -> None:
    name = waits.start("ship-order", {"total": 40})
    view = open_page("inbox")
    expect(wait(view, name)).to_contain_text("Sent when money has arrived.")
    wait(view, name).get_by_role("button", name="Send payment").click()
    expect(view.dialog).to_contain_text("The run continues as soon as it has come.")
    send = view.dialog.get_by_role("button", name="Send the signal")
    send.click()
    expect(view.dialog).to_contain_text("Field required")  # the words of the gateway
    view.dialog.get_by_label("Amount").fill("-3")
    expect(view.dialog.get_by_text("Field required")).to_have_count(0)
    send.click()
    expect(view.dialog).to_contain_text(re.compile("greater than|minimum"))
    assert not sent(shop, name)
    view.dialog.get_by_label("Amount").fill("15")
    view.dialog.get_by_label("Method").select_option("transfer")
    view.dialog.get_by_label("Reference").fill("2026-15")
    view.dialog.get_by_role("button", name="JSON").click()
    expect(view.dialog.locator(".cm-content")).to_contain_text('"reference": "2026-15"')
    send.click()
    view.says("Sent the signal")
    (payment,) = sent(shop, name)
    assert payment["payload"] == {"amount": 15, "method": "transfer", "reference": "2026-15"}

    shop.relay.until(name, "it waits for the rest", reason="WaitingForSignal", iterations=2)
    view.go(f"runs/{name}")
    view.says("Waiting for a signal")
    view.page.get_by_label("Answer").get_by_role("button", name="Send payment").click()
    expect(view.dialog.get_by_label("Sent so far")).to_have_count(0)  # the first payment is consumed
    view.dialog.get_by_label("Amount").fill("25")
    view.dialog.get_by_role("button", name="Send the signal").click()
    expect(view.page.locator(".run-title .tag")).to_have_text("Succeeded")
    assert waits.output(name) == {"shipped": True, "paid": 40}


def sent(shop: Shop, run: str) -> list[dict[str, object]]:
    """Return the specs of the signals that were sent to a run."""
    found = shop.kubectl.do("get", "tasksignals", f"--field-selector=spec.taskRun={run}", "--output=json")
    return [item["spec"] for item in json.loads(found)["items"]]


def test_22_who_may_not_answer_sees_why(
    shop: Shop, waits: Waits, asking: GatewayProcess, open_page: Open, anna: str
) -> None:
    order, freeze = waits.start("ship-order"), waits.start("release-prices", {"question": "freeze"})
    view = open_page("inbox", address=asking.address)
    view.sign_in(shop.add_user("watcher", "podrelay-viewer"))
    view.says("Nothing waits for you")
    expect(inbox_link(view)).to_have_text("Inbox")
    view.button("All").click()
    view.has_address("show=all")
    button = wait(view, order).get_by_role("button", name="Send payment")
    words = "You may not send signals here: it needs the right to create tasksignals.podrelay.dev."
    expect(wait(view, order)).to_contain_text(words)
    expect(button).to_have_attribute("title", words)
    button.focus()
    view.page.keyboard.press("Enter")
    button.click(force=True)
    expect(view.dialog).to_have_count(0)

    other = open_page("inbox?show=all", address=asking.address)
    other.sign_in(anna)
    expect(wait(other, order).get_by_role("button", name="Send payment")).not_to_have_attribute("aria-disabled", "true")
    expect(wait(other, freeze)).to_contain_text("Only members of ops may decide.")
    expect(wait(other, freeze).get_by_role("button", name="Approve")).to_have_attribute("aria-disabled", "true")
    other.button("For me").click()
    expect(wait(other, order)).to_be_visible()
    expect(wait(other, freeze)).to_have_count(0)

    other.page.goto(f"{other.base}/inbox?namespace=default")
    other.says("You may not see the runs that wait")


def test_22_a_form_whose_wait_is_over_says_so_and_sends_nothing(shop: Shop, waits: Waits, open_page: Open) -> None:
    view = open_page("inbox")
    name = waits.start("ship-order", {"seconds": 15})
    wait(view, name).get_by_role("button", name="Send payment").click()
    view.dialog.get_by_label("Amount").fill("40")
    view.says("The time of this wait is over: an answer comes too late.")
    send = view.dialog.get_by_role("button", name="Send the signal")
    expect(send).to_have_attribute("aria-disabled", "true")
    view.dialog.get_by_label("Amount").press("Enter")
    assert waits.output(name) == {"shipped": False}
    assert not sent(shop, name)
    expect(view.dialog.get_by_label("Amount")).to_have_value("40")  # what was typed stays
    view.page.keyboard.press("Escape")
    expect(view.dialog).to_have_count(0)


def test_22_a_form_that_is_answered_elsewhere_says_so(shop: Shop, waits: Waits, open_page: Open) -> None:
    name = waits.start("release-prices")
    view = open_page(f"runs/{name}")
    view.page.get_by_label("Answer").get_by_role("button", name="Approve").click()
    view.dialog.get_by_label("Comment").fill("half a thought")
    me = shop.kubectl.do("auth", "whoami", "--output=jsonpath={.status.userInfo.username}").strip()
    signal = task_signal("by-kubectl", name, "release", sender=me, decision="Reject")
    created = shop.kubectl.create(signal)
    assert created, str(created)
    expect(view.dialog).to_contain_text("The run no longer waits for this")
    expect(view.dialog.get_by_role("button", name="Approve", exact=True)).to_have_attribute("aria-disabled", "true")
    view.page.keyboard.press("Escape")
    expect(view.page.locator(".run-title .tag")).to_have_text("Aborted")


def test_22_in_a_list_that_is_in_use_nothing_moves(shop: Shop, waits: Waits, open_page: Open) -> None:
    first = waits.start("ship-order")
    view = open_page("inbox")
    wait(view, first).hover()
    second = waits.start("ship-order")
    view.button("1 new").wait_for()
    expect(wait(view, second)).to_have_count(0)
    shop.relay.abort(first)
    expect(wait(view, first)).to_contain_text("No longer waits for you")
    view.page.mouse.move(0, 0)
    expect(wait(view, second)).to_be_visible()
    expect(wait(view, first)).to_have_count(0)
