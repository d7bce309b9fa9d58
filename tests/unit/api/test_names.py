"""Names that several programs use: each can be parsed again, and none collide."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api import names

runs = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?", fullmatch=True)
tries = st.tuples(runs, st.integers(1, 10_000), st.integers(1, 201))


@given(tries)
def test_run_and_iteration_are_parsed_from_the_name_of_a_pod(attempt: tuple[str, int, int]) -> None:
    name = names.pod_name(*attempt)

    assert names.run_of(name) == attempt[0]
    assert names.iteration_of(name) == attempt[1]


@given(tries, tries)
def test_no_two_names_collide(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    assert (names.pod_name(*one) == names.pod_name(*other)) == (one == other)


@given(tries)
def test_every_name_is_a_dns_label_and_a_value_of_a_label(attempt: tuple[str, int, int]) -> None:
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", names.pod_name(*attempt))
    assert len(names.pod_name(*attempt)) <= 63


@pytest.mark.parametrize(
    ("name", "iteration"),
    [
        ("shop-i1", 1),
        ("shop-i12t3", 12),
        ("shop-i7-i2", 2),
        ("shop-i7-hdone", 0),
        ("shop-hdonet2", 0),
        ("", 0),
        ("i1", 0),
    ],
)
def test_the_iteration_of_a_record_is_in_its_name(name: str, iteration: int) -> None:
    assert names.iteration_of(name) == iteration


@pytest.mark.parametrize(
    ("definition_id", "name"),
    [
        ("importProducts", "import-products"),
        ("import", "import"),
        ("importA", "import-a"),
        ("step2", "step-2"),
        ("step2Import", "step-2-import"),
        ("import-products", "import-products"),
    ],
)
def test_the_name_of_a_definition_is_its_id_in_kebab_case(definition_id: str, name: str) -> None:
    assert names.definition_name(definition_id) == name


@pytest.mark.parametrize("definition_id", ["import", "importProducts", "step2", "step2Import", "importA", "a", "aB2"])
def test_ids_in_camel_case_are_accepted(definition_id: str) -> None:
    assert names.is_camel_case(definition_id)


@pytest.mark.parametrize(
    "definition_id",
    [
        "",
        "Import",  # lodash.camelCase: import
        "importHTTP",  # importHttp
        "import_products",  # importProducts
        "import-products",  # importProducts
        "importProducts ",  # importProducts
        "importProducts\n",
        "2import",  # 2Import
        "step2import",  # step2Import
        "aBC",  # aBc
        "größe",  # grosse
    ],
)
def test_ids_that_camel_case_would_change_are_rejected(definition_id: str) -> None:
    assert not names.is_camel_case(definition_id)


@given(st.from_regex(names.CAMEL_CASE_ID, fullmatch=True).filter(lambda text: text.isascii() and len(text) <= 50))
def test_no_two_ids_share_a_name_and_a_name_is_its_own_name(definition_id: str) -> None:
    name = names.definition_name(definition_id)

    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert name.replace("-", "") == definition_id.lower()
    assert names.definition_name(name) == name
    assert names.definition_id(name) == names.definition_id(definition_id) == definition_id
