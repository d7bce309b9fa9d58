"""What docs/troubleshooting.md says about a reason: what it means, and what to do. Pure."""

from importlib.resources import files
from typing import Final

import msgspec

PAGE: Final = "docs/troubleshooting.md"
_NOTHING: Final = "nothing"


class Advice(msgspec.Struct, frozen=True):
    """The row of one reason.

    Attributes:
        meaning: what the reason means.
        advice: what to do; begins with "nothing" if there is nothing to do.
        section: the anchor of its section on the page.
    """

    meaning: str
    advice: str
    section: str

    @property
    def needs_action(self) -> bool:
        """Whether a user has to do something."""
        return not self.advice.startswith(_NOTHING)

    @property
    def link(self) -> str:
        """The section of the page, relative to the repository."""
        return f"{PAGE}#{self.section}"


_ADVICE: Final = msgspec.json.decode(files(__package__).joinpath("advice.json").read_bytes(), type=dict[str, Advice])


def advice_for(reason: str | None) -> Advice | None:
    """Return the row of a reason of a run; None if the page does not explain it.

    >>> advice_for("ExitCode137").needs_action
    True
    """
    return None if reason is None else _ADVICE.get(reason.rstrip("0123456789"))
