"""A page of the dashboard in a browser, as its users see it."""

import re
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, expect


@dataclass(frozen=True)
class View:
    """A tab.

    Attributes:
        page: the tab.
        base: address of the gateway.
        namespace: the namespace that it shows unless an address names another one.
    """

    page: Page
    base: str
    namespace: str

    def go(self, path: str) -> None:
        """Open an address: `runs?status=Failed`, or `runs/NAME` of this namespace."""
        first, _, rest = path.partition("/")
        if rest and first in {"runs", "definitions", "schedules", "trigger"}:
            path = f"{first}/{self.namespace}/{rest}"
        else:
            path += f"{'&' if '?' in path else '?'}namespace={self.namespace}"
        self.page.goto(f"{self.base}/{path}")

    def row(self, name: str) -> Locator:
        """Return the row of a run in the list."""
        return self.page.get_by_role("row").filter(has=self.page.locator(f'a[href$="/{name}"]'))

    def panel(self, title: str) -> Locator:
        """Return the part of a page with this title."""
        heading = self.page.get_by_role("heading", name=title, exact=True)
        return self.page.locator("section.panel").filter(has=heading)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def sign_in(self, token: str) -> None:
        """Give the page a token."""
        self.page.get_by_label("Token").fill(token)
        self.button("Sign in").click()

    def tab(self, name: str) -> None:
        """Show a part of the page of a run."""
        self.page.get_by_label("Parts of this page").get_by_role("link", name=re.compile(f"^{name}")).click()

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def says(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page shows a text."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    def has_address(self, pattern: str) -> None:
        """Wait until the address contains a text."""
        expect(self.page).to_have_url(re.compile(pattern))

    def evaluate(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)
