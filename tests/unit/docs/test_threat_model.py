"""docs/threat-model.md names only tests that exist, a test for every attack, and all policies."""

import re
from pathlib import Path

import pytest

from podrelay.operator.policy_check import NAMES
from tests.support.docpages import DOCS

TESTS = Path(__file__).parents[2]
PAGE = (DOCS / "threat-model.md").read_text(encoding="utf-8")
ATTACKS = [
    line
    for line in PAGE.partition("## Attacks")[2].partition("## Your part")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| attack")
]
NAMED = sorted({name for row in ATTACKS for name in re.findall(r"`([^`]+\.py[^`]*)`", row)})


def test_every_attack_has_a_test() -> None:
    assert [row for row in ATTACKS if ".py" not in row.rsplit(" | ", 1)[1]] == []
    assert len(ATTACKS) > 25


@pytest.mark.parametrize("name", NAMED)
def test_the_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    text = (TESTS / path).read_text(encoding="utf-8")
    assert not function or re.search(rf"^(async )?def {function}\(", text, re.MULTILINE), name


def test_all_policies_are_named() -> None:
    payloads = {name for name in NAMES if name.startswith("podrelay-payloads-")}

    assert {name for name in NAMES if name not in payloads and f"`{name}`" not in PAGE} == set()
    assert "`podrelay-payloads-*`" in PAGE
