"""docs/parity.md names only tests that exist, and every row names one."""

import re
from pathlib import Path

import pytest

from tests.support.docpages import DOCS
from tests.support.scenarios import SCENARIOS

TESTS = Path(__file__).parents[2]
ROWS = [
    line
    for line in (DOCS / "parity.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| Webiny", "| #"))
]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row.rsplit(" | ", 1)[1])})
WEAKNESSES = set(range(1, 21))


def test_every_row_names_a_test() -> None:
    assert [row for row in ROWS if not re.search(r"`.*`", row.rsplit(" | ", 1)[1])] == []
    assert len(ROWS) > 60


@pytest.mark.parametrize("name", NAMED)
def test_the_test_exists(name: str) -> None:
    scenario = re.fullmatch(r"scenarios\[(.+)\]", name)
    if scenario is not None:
        assert scenario[1] in {item.name for item in SCENARIOS}
        return
    path, _, function = name.partition("::")
    text = (TESTS / path).read_text(encoding="utf-8")
    assert not function or re.search(rf"^(async )?def {function}\(", text, re.MULTILINE), name


def test_all_weaknesses_are_listed() -> None:
    numbers = {int(number) for row in ROWS for number in re.findall(r"^\| (\d+) \|", row)}

    assert numbers == WEAKNESSES
