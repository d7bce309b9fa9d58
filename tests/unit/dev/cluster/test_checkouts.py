"""Two checkouts on one machine do not collide: names, subnets, ports."""

import socket
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dev.cluster import controlplane
from dev.cluster.docker import network, private
from dev.cluster.errors import ClusterError
from dev.cluster.paths import Checkout


def test_a_checkout_has_a_stable_and_unique_short_name() -> None:
    here, there = Checkout(Path("/src/podrelay")), Checkout(Path("/src/podrelay2"))

    assert here.ident == Checkout(Path("/src/podrelay")).ident
    assert here.ident != there.ident
    assert len(here.ident) == 8


def test_names_fit_the_kernels_limits_for_deep_checkouts() -> None:
    deep = Checkout(Path("/" + "a" * 200))
    link = network.plan(deep, network.POOL).link

    assert len(link) <= 15
    assert (
        len(private.host(deep).removeprefix("unix://")) < 80
    )  # of 107, because paths of dockerd's own sockets are longer


def test_a_subnet_is_a_stable_slash_30_of_the_pool() -> None:
    subnet = network.choose_subnet("0000002a", [])

    assert subnet == network.choose_subnet("0000002a", [])
    assert subnet.prefixlen == 30
    assert subnet.subnet_of(network.POOL)


def test_a_subnet_that_the_host_uses_is_skipped() -> None:
    wanted = network.choose_subnet("0000002a", [])
    wider = wanted.supernet(new_prefix=28)

    chosen = network.choose_subnet("0000002a", [wider, IPv4Network("192.168.0.0/16")])

    assert not chosen.overlaps(wider)


def test_the_last_subnet_of_the_pool_is_followed_by_the_first() -> None:
    last = list(network.POOL.subnets(new_prefix=30))[-1]
    ident = f"{2**16 - 1:08x}"

    assert network.choose_subnet(ident, []) == last
    assert network.choose_subnet(ident, [last]) == IPv4Network((int(network.POOL[0]), 30))


def test_a_host_that_routes_the_whole_pool_gets_a_clear_error() -> None:
    with pytest.raises(ClusterError, match=r"10\.212\.0\.0/14"):
        network.choose_subnet("0000002a", [IPv4Network("10.0.0.0/8")])


def test_the_host_and_the_nodes_have_the_two_addresses_of_the_subnet() -> None:
    joined = network.plan(Checkout(Path("/src")), IPv4Network("10.212.0.4/30"))

    assert (str(joined.host_address), str(joined.node_address)) == ("10.212.0.5", "10.212.0.6")


def test_ports_are_distinct_and_busy_ones_are_skipped() -> None:
    checkout = Checkout(Path("/src/podrelay"))
    wanted = controlplane.choose_ports(checkout)
    with socket.create_server(("127.0.0.1", wanted.apiserver)):
        chosen = controlplane.choose_ports(checkout)

    numbers = {chosen.apiserver, chosen.etcd, chosen.etcd_peer, chosen.controller_manager, chosen.scheduler}
    assert len(numbers) == 5
    assert wanted.apiserver not in numbers
