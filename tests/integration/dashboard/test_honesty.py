"""What the page says is true: without a connection, with a token that has expired, with hostile content."""

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS
from tests.integration.dashboard.conftest import Open
from tests.support.shop import Shop
from tests.support.signinproxy import SignInProxy
from tests.support.tunnel import Tunnel

pytestmark = pytest.mark.integration

BIDI = "\u202e"
SCRIPT = "<script>globalThis.hacked = true</script><img src=x onerror='globalThis.hacked = true'>"


def test_13_without_a_network_a_banner_says_so_and_the_list_is_right_again_afterwards(
    shop: Shop, open_page: Open
) -> None:
    view = open_page("runs")
    view.row("feed-search").wait_for()
    view.page.context.set_offline(True)
    view.says("The connection is interrupted")
    expect(view.row("feed-search")).to_be_visible()  # what is known stays
    shop.run("meanwhile", "publish-feed", {"channel": "search"})
    shop.relay.finished("meanwhile")
    expect(view.row("meanwhile")).to_have_count(0)
    view.page.context.set_offline(False)
    expect(view.row("meanwhile")).to_contain_text("Succeeded")
    expect(view.page.get_by_text("The connection is interrupted")).to_have_count(0)


@pytest.mark.parametrize("way", ["restarted", "frozen"])
def test_13_a_gateway_that_goes_away_and_comes_back(
    admin: Kubectl, shop: Shop, open_page: Open, tmp_path: Path, way: str
) -> None:
    flags = ("--auth=none", "--dashboard")
    with GatewayProcess(admin.kubeconfig, tmp_path / "first", flags) as first:
        address = first.address
        view = open_page("runs/later", address=address)
        view.says("Waiting for its start time")
        if way == "frozen":
            first.process.send_signal(signal.SIGSTOP)  # no answer, and no end of the connection
        else:
            first.__exit__()
        view.says(re.compile("What you see is as of"))
        suspended = shop.kubectl.patch(TASK_RUNS, "later", {"spec": {"suspend": True}})
        assert suspended, str(suspended)
        if way == "frozen":
            first.process.send_signal(signal.SIGCONT)
            expect(view.button("Resume")).to_be_visible(timeout=30_000)
        else:
            second = GatewayProcess(admin.kubeconfig, tmp_path / "second", (*flags, f"--listen={address}"))
            with second:
                expect(view.button("Resume")).to_be_visible(timeout=30_000)
        shop.kubectl.patch(TASK_RUNS, "later", {"spec": {"suspend": False}})


def test_13_a_token_that_expires(shop: Shop, asking: GatewayProcess, open_page: Open) -> None:
    token = shop.add_user("short", "podrelay-viewer")
    view = open_page("runs", address=asking.address)
    view.sign_in(token)
    view.row("feed-search").wait_for()
    shop.kubectl.do("delete", "serviceaccount", "short")  # its tokens are no longer valid

    view.dialog.get_by_label("Token").wait_for()
    view.page.keyboard.press("Escape")
    view.says("Your token is no longer accepted")
    expect(view.row("feed-search")).to_be_visible()  # what was shown stays
    shop.run("expired", "publish-feed", {"channel": "search"})

    view.button("Sign in again").click()
    view.dialog.get_by_label("Token").fill(shop.add_user("longer", "podrelay-viewer"))
    view.dialog.get_by_role("button", name="Sign in", exact=True).click()
    expect(view.row("expired")).to_be_visible()
    expect(view.page.get_by_text("no longer accepted")).to_have_count(0)


def test_13_a_right_that_is_taken_away_and_given_back(shop: Shop, asking: GatewayProcess, open_page: Open) -> None:
    token = shop.add_user("guest", "podrelay-viewer")
    view = open_page("runs", address=asking.address)
    view.sign_in(token)
    view.row("feed-search").wait_for()
    other = view.page.context.new_page()
    session = view.evaluate("sessionStorage.getItem('podrelay.token')")
    other.add_init_script(f"sessionStorage.setItem('podrelay.token', {session!r})")
    other.goto(f"{view.base}/runs/{shop.namespace}/later")
    expect(other.get_by_text("Waiting for its start time").first).to_be_visible()

    shop.kubectl.do("delete", "rolebinding", "guest")
    view.says("You may not see the list of runs")
    expect(view.row("feed-search")).to_be_visible()  # what was shown stays
    expect(other.get_by_text("You may not see this run any longer")).to_be_visible()
    shop.run("unseen", "publish-feed", {"channel": "search"})
    expect(view.row("unseen")).to_have_count(0)

    account = f"--serviceaccount={shop.namespace}:guest"
    shop.kubectl.do("create", "rolebinding", "guest", "--clusterrole=podrelay-viewer", account)
    expect(view.row("unseen")).to_be_visible()
    expect(view.page.get_by_text("You may not see the list of runs")).to_have_count(0)
    expect(other.get_by_text("You may not see this run any longer")).to_have_count(0)
    other.close()


def test_13_an_api_server_that_does_not_answer(admin: Kubectl, shop: Shop, open_page: Open, tmp_path: Path) -> None:
    paths = ("runs/later", "runs", "inbox", "schedules", "definitions/publishFeed")
    with (
        Tunnel(admin.kubeconfig).open() as tunnel,
        GatewayProcess(tunnel.kubeconfig(tmp_path), tmp_path / "gateway", ("--auth=none", "--dashboard")) as gateway,
    ):
        views = {path: open_page(path, address=gateway.address) for path in paths}
        for view in views.values():
            view.page.get_by_role("heading", level=1).wait_for()
        with tunnel.outage():
            for view in views.values():
                view.says("The API server does not answer the gateway")
            shop.run("outage", "publish-feed", {"channel": "search"}, delaySeconds=7200)
            assert shop.kubectl.patch(TASK_RUNS, "later", {"spec": {"suspend": True}})
        for view in views.values():
            expect(view.page.get_by_text("The API server does not answer the gateway")).to_have_count(0)
        expect(views["runs/later"].button("Resume")).to_be_visible()
        expect(views["runs"].row("outage")).to_be_visible()
        assert shop.kubectl.patch(TASK_RUNS, "later", {"spec": {"suspend": False}})


def test_13_another_replica_takes_over_and_connections_are_cut_by_a_proxy(
    admin: Kubectl, shop: Shop, open_page: Open, tmp_path: Path
) -> None:
    flags = ("--auth=none", "--dashboard")
    shop.run("moving", "publish-feed", {"channel": "search"}, delaySeconds=7200)
    with (
        GatewayProcess(admin.kubeconfig, tmp_path / "second", flags) as second,
        GatewayProcess(admin.kubeconfig, tmp_path / "first", flags) as first,
        SignInProxy(first.address).serving() as proxy,
    ):
        view = open_page("runs/moving", address=proxy.address)
        view.says("Waiting for its start time")
        proxy.cut()
        assert shop.kubectl.patch(TASK_RUNS, "moving", {"spec": {"suspend": True}})
        expect(view.button("Resume")).to_be_visible()

        first.__exit__()
        view.says("The connection is interrupted")
        assert shop.kubectl.patch(TASK_RUNS, "moving", {"spec": {"suspend": False}})
        proxy.target = second.address
        expect(view.button("Suspend")).to_be_visible()
        expect(view.page.get_by_text("The connection is interrupted")).to_have_count(0)


def test_13_behind_a_proxy_that_signs_users_in(shop: Shop, asking: GatewayProcess, open_page: Open) -> None:
    token = shop.add_user("early", "podrelay-user")
    with SignInProxy(asking.address, token).serving() as proxy:
        view = open_page("runs", address=proxy.address)
        view.link("Sign in").click()
        view.go("runs")
        expect(view.row("feed-search")).to_be_visible()  # no token was asked for
        expect(view.page.locator(".side-user")).to_contain_text("early")
        assert view.evaluate("sessionStorage.length") == 0

        # The provider renews the token, and the old one ends: the user has to do nothing.
        proxy.token = shop.add_user("renewed", "podrelay-user")
        shop.kubectl.do("delete", "serviceaccount", "early")
        expect(view.page.locator(".side-user")).to_contain_text("renewed")
        shop.run("renewed", "publish-feed", {"channel": "search"})
        expect(view.row("renewed")).to_be_visible()
        expect(view.dialog).to_have_count(0)

        proxy.end_sessions()
        expect(view.dialog).to_contain_text("Your session has ended")
        view.page.keyboard.press("Escape")
        view.says(re.compile("Your session has ended. What you see is as of"))
        expect(view.row("feed-search")).to_be_visible()
        shop.run("elsewhere", "publish-feed", {"channel": "search"})
        view.button("Sign in again").click()
        with view.page.context.expect_page() as opened:
            view.link("Sign in in another tab").click()
        opened.value.get_by_role("link", name="Sign in").click()
        expect(view.row("elsewhere")).to_be_visible()  # it continues where it is
        expect(view.page.get_by_text("Your session has ended")).to_have_count(0)
        expect(view.dialog).to_have_count(0)
        opened.value.close()


def test_13_a_run_that_is_deleted_and_created_again_while_it_is_shown(shop: Shop, open_page: Open) -> None:
    shop.run("again", "publish-feed", {"channel": "search"}, delaySeconds=3600)
    view = open_page("runs/again")
    view.says("Waiting for its start time")
    shop.kubectl.do("delete", TASK_RUNS, "again")
    view.says("This run was deleted")
    expect(view.button("Abort")).to_have_attribute("title", "This run was deleted.")


def test_hostile_content_is_shown_as_text_and_freezes_nothing(shop: Shop, open_page: Open) -> None:
    huge = {"text": "y" * (200 * 1024)}
    keys = {f"{number:05}": number for number in range(10_000)}
    shop.run("hostile", "send-reminders", {"count": 1}, displayName=f"{SCRIPT}{BIDI}gnp.exe")
    shop.run("many-keys", "send-reminders", {"count": 1, "keys": keys})
    shop.run("huge-text", "send-reminders", {"count": 1, **huge})
    shop.run("prints-1", "import-products", {"url": f"{SCRIPT}{BIDI}over {'z' * 60_000}", "rows": 10})
    for name in ("hostile", "many-keys", "huge-text", "prints-1"):
        shop.relay.finished(name)

    view = open_page("runs?search=script")
    expect(view.row("hostile")).to_contain_text("<script>globalThis.hacked = true</script>")
    expect(view.row("hostile")).to_contain_text("\\u202egnp.exe")  # the mark is shown, and turns nothing
    for path in ("runs/hostile", "runs/hostile?tab=yaml", "runs/many-keys?tab=data", "runs/huge-text?tab=data"):
        view.go(path)
        view.page.get_by_role("heading", level=1).wait_for()
        # The event loop of the page answers, although the content is large.
        assert view.evaluate("new Promise(done => setTimeout(() => done(1), 0))") == 1
    view.go("runs/many-keys?tab=data")
    view.page.get_by_role("button", name=re.compile("keys")).first.wait_for()
    assert view.page.locator(".json-line").count() < 500
    view.go("runs/huge-text?tab=data")
    view.says(re.compile("all 204800 characters"))
    assert len(view.page.locator(".json-tree").first.inner_text()) < 5_000

    view.go("runs/prints-1?tab=logs")
    expect(view.page.get_by_role("log")).to_contain_text("<script>globalThis.hacked")
    expect(view.page.get_by_role("log")).to_contain_text("\\u202eover")
    assert view.evaluate("globalThis.hacked") is None


def test_the_policy_allows_no_inline_script_style_or_eval(browser: Browser, gateway: GatewayProcess) -> None:
    page = browser.new_page()
    page.goto(f"http://{gateway.address}/runs")
    page.get_by_role("heading", level=1).wait_for()
    seen = page.evaluate(
        """() => new Promise(done => {
            const seen = [];
            addEventListener('securitypolicyviolation', event => seen.push(event.effectiveDirective));
            const style = document.createElement('style');
            style.textContent = 'body { display: none }';
            document.head.append(style);
            fetch('https://example.org/').catch(() => undefined);
            try { document.body.innerHTML = 'x'; } catch (error) { seen.push(error.name); }
            setTimeout(() => done(seen), 300);
        })"""
    )
    assert "style-src-elem" in seen
    assert "connect-src" in seen
    assert "TypeError" in seen  # Trusted Types
    loaded = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    assert all(name.startswith((f"http://{gateway.address}/", "data:", "https://example.org")) for name in loaded)
    page.close()
