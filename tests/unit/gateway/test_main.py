"""Flags by which tokens could be intercepted, or other machines could use the gateway's credentials, are refused."""

import argparse

import pytest

from podrelay.gateway import options
from podrelay.gateway.main import OptionsError, check


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    return parser.parse_args(flags)


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--auth=none"],
        ["--auth=none", "--listen=[::1]:8090"],
        ["--listen=localhost:0"],
        ["--listen=:8090", "--behind-tls-proxy"],
        ["--listen=0.0.0.0:8090", "--tls-cert=crt", "--tls-key=key"],
    ],
)
def test_safe_flags_are_accepted(flags: list[str]) -> None:
    check(parse(*flags))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--auth=none", "--listen=:8090", "--behind-tls-proxy"], "requires a loopback address"),
        (["--auth=none", "--listen=0.0.0.0:8090"], "requires a loopback address"),
        (["--auth=none", "--listen=127.0.0.1.example:8090"], "requires a loopback address"),
        (["--auth=none", "--metrics-listen=:8091"], "requires a loopback address"),
        (["--listen=:8090"], "plain text"),
        (["--listen=192.168.0.1:8090"], "--behind-tls-proxy"),
        (["--tls-cert=crt"], "must be set together"),
        (["--tls-key=key"], "must be set together"),
        (["--allow-origin=*"], "set it for each origin"),
    ],
)
def test_unsafe_flags_are_refused_with_what_to_do(flags: list[str], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        check(parse(*flags))
