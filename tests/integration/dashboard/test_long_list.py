"""A list of more runs than are read at once."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Request, Response, Route, expect

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_run
from dev.harness.waiting import eventually
from tests.integration.dashboard.conftest import Open
from tests.support.dashboard import View
from tests.support.namespaces import temporary_namespace
from tests.support.quick import QuickKubectl

pytestmark = pytest.mark.integration

MANY = int(os.environ.get("PODRELAY_TEST_RUNS", "700"))
"""Creating one takes 10 ms of the API server, so a search for limits uses more."""
ROW_PX = 36


@pytest.fixture(scope="module")
def many(admin: Kubectl) -> Iterator[QuickKubectl]:
    """A namespace with many runs, and without their definition."""
    with temporary_namespace(admin) as there:
        api = QuickKubectl.instead_of(there)

        def create(number: int) -> None:
            assert api.create(task_run(f"many-{number:05}", "some-definition"))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(create, range(MANY)))
        yield api


def test_11_many_runs_are_read_page_by_page_and_only_visible_rows_are_in_the_document(
    many: QuickKubectl, open_page: Open
) -> None:
    view = open_page("settings")
    requests: list[str] = []
    view.page.on("request", lambda request: requests.append(body_of(request)))
    show(view, many.namespace)
    assert view.page.locator(".table-body .row").count() < 80

    eventually("600 rows have been read", lambda: rows_at_the_end(view) >= 600)
    assert view.page.locator(".table-body .row").count() < 80  # however many were read
    limits = [json.loads(body)["variables"].get("limit") for body in requests if "ListRuns" in body]
    assert limits
    assert max(limits) <= 100  # no query lists all


def test_11_a_page_that_is_read_while_the_list_is_read_again_is_not_the_last_one(
    many: QuickKubectl, open_page: Open
) -> None:
    view = open_page("settings", viewport={"width": 1440, "height": 600})
    held: list[Route] = []
    again: list[Response] = []
    holds = True

    def hold(route: Route) -> None:
        if holds and is_further_page(route.request):
            held.append(route)
        else:
            route.continue_()

    view.page.route("**/graphql", hold)
    show(view, many.namespace)
    eventually("a second page is asked for", lambda: rows_at_the_end(view) and held)
    view.page.on("response", lambda answer: again.append(answer) if "ListRuns" in body_of(answer.request) else None)
    # The pages end elsewhere after this, so the page that is held does not continue the list.
    assert many.create(task_run(f"newest-{time.monotonic_ns()}", "some-definition"))
    again.clear()
    view.page.evaluate("dispatchEvent(new Event('offline'))")
    eventually("the list was read again", lambda: rows_at_the_end(view) and len(again) >= 2)
    view.page.locator(".table-scroll").evaluate("list => list.scrollTo(0, 0)")
    rows_at_the_end(view)

    holds = False
    held.pop(0).continue_()
    eventually("three pages have been read", lambda: rows_at_the_end(view) >= 250)
    for late in held:
        late.continue_()
    eventually("600 rows have been read", lambda: rows_at_the_end(view) >= 600)


def test_11_a_page_that_cannot_be_read_is_read_later(many: QuickKubectl, open_page: Open) -> None:
    view = open_page("settings")
    refused: list[Route] = []

    def refuse(route: Route) -> None:
        if is_further_page(route.request) and not refused:
            refused.append(route)
            route.abort()
        else:
            route.continue_()

    view.page.route("**/graphql", refuse)
    show(view, many.namespace)
    eventually("a page was refused", lambda: rows_at_the_end(view) and refused)
    eventually("600 rows have been read", lambda: rows_at_the_end(view) >= 600)
    expect(view.page.get_by_role("alert")).to_have_count(0)  # the connection
    expect(view.page.get_by_text("cannot be read at the moment")).to_have_count(0)


def show(view: View, namespace: str) -> None:
    """Open the list of a namespace, and wait for its first row."""
    view.page.goto(f"{view.base}/runs?namespace={namespace}")
    view.page.locator(".table-body .row").first.wait_for()


def rows_at_the_end(view: View) -> float:
    """Scroll to the end of what was read, and return how many rows that is."""
    view.page.locator(".table-scroll").evaluate("list => list.scrollTo(0, list.scrollHeight)")
    return float(view.page.locator(".table-body").evaluate("list => list.offsetHeight")) / ROW_PX


def body_of(request: Request) -> str:
    """Return the text of a request; a preflight has none."""
    return request.post_data or ""


def is_further_page(request: Request) -> bool:
    """Return whether a request asks for rows after those that were read."""
    return "ListRuns" in body_of(request) and bool(json.loads(body_of(request))["variables"]["after"])
