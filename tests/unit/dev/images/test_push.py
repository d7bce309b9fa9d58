"""Addresses of registries and tags: which are valid, and the messages about others."""

import pytest

from dev.images import push


@pytest.mark.parametrize(
    "place",
    [
        "registry.example",
        "registry.example/team/tasks",
        "registry.example:5000/team",
        "localhost/team",
        "localhost:5000",
        "127.0.0.1:5000",
        "[::1]:5000/team",
        "docker.io/some_team",
    ],
)
def test_a_valid_registry_address(place: str) -> None:
    assert push.checked_registry(place) == place
    assert push.checked_registry(f"{place}/") == place


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("https://registry.example/team", "must not start with https://"),
        ("team", "to do that, use docker.io/team"),
        ("registry.example/Team", "in lower case"),
        ("registry.example/team:1", "is not HOST"),
        ("registry.example:port", "is not HOST"),
        ("registry.example//team", "is not HOST"),
        ("", "is not HOST"),
        ("registry.example/team --all", "is not HOST"),
    ],
)
def test_an_invalid_registry_address(place: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        push.checked_registry(place)


def test_tags() -> None:
    assert push.checked_tag("1.0-rc_2") == "1.0-rc_2"
    for text in ("", "-1", ".1", "a/b", "a:b", "x" * 129, "ö"):
        with pytest.raises(ValueError, match="is not a tag"):
            push.checked_tag(text)
