"""One mutant: a small change that breaks a promise, which a test must detect."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A change of one file."""

    name: str
    file: str
    """Path below operator/podrelay."""
    old: str
    new: str
