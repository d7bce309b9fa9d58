"""A network namespace for the private Docker daemon, connected to the host by a pair of virtual interfaces (veth).

Everything that Docker and the nodes add to the network (bridges, addresses, packet filter rules) is inside the
namespace and disappears with it. The host reaches the nodes' published ports at the namespace's end of the pair, and
pods reach the host at the other end.
"""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from dev.cluster.errors import ClusterError
from dev.cluster.paths import Checkout, which
from dev.cluster.steps import ask, run, say

# Divided into /30 subnets, one for each checkout. Does not overlap with the networks of Docker (172.16/12), pods
# (10.244/16) and services (10.96/16).
POOL = IPv4Network("10.212.0.0/14")

NAMESPACES = Path("/run/netns")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Exists if this package enabled forwarding. All checkouts share it, and the last one to be removed disables forwarding.
FORWARDING_SET = Path("/run/podrelay-ip-forward")


@dataclass(frozen=True, slots=True)
class Network:
    """The namespace and the two ends of the veth pair."""

    namespace: str
    link: str
    table: str
    subnet: IPv4Network

    @property
    def host_address(self) -> IPv4Address:
        """The address of the host's end."""
        return self.subnet[1]

    @property
    def node_address(self) -> IPv4Address:
        """The address of the namespace's end."""
        return self.subnet[2]


def choose_subnet(ident: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the checkout's /30 of the pool, or the next one that does not overlap with any route of the host."""
    busy = list(taken)
    count = 2 ** (30 - POOL.prefixlen)
    first = int(ident, 16) % count
    for offset in range(count):
        subnet = IPv4Network((int(POOL[0]) + (first + offset) % count * 4, 30))
        if not any(subnet.overlaps(other) for other in busy):
            return subnet
    raise ClusterError(f"The host has routes to all of {POOL}.", "A network namespace needs a /30 of it.")


def routes() -> list[IPv4Network]:
    """Return the networks that the host has routes to, without the default route."""
    listed = ask([_ip(), "-json", "-4", "route", "show", "table", "all"]) or "[]"
    found = []
    for route in json.loads(listed):
        destination = str(route.get("dst", "default"))
        if destination != "default":
            found.append(IPv4Network(destination, strict=False))
    return [network for network in found if network.prefixlen > 0]


def plan(checkout: Checkout, subnet: IPv4Network) -> Network:
    """Return a checkout's network and its names. The name of a link has at most 15 characters."""
    return Network(checkout.name, f"pr{checkout.ident}", f"podrelay_{checkout.ident}", subnet)


def up(checkout: Checkout, log: Path) -> Network:
    """Create the namespace and connect it to the host."""
    network = plan(checkout, choose_subnet(checkout.ident, routes()))
    ip, name, link = _ip(), network.namespace, network.link
    run([ip, "netns", "add", name], log)
    run([ip, "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", name], log)
    run([ip, "address", "add", f"{network.host_address}/30", "dev", link], log)
    run([ip, "link", "set", link, "up"], log)
    run([ip, "-n", name, "address", "add", f"{network.node_address}/30", "dev", "uplink"], log)
    run([ip, "-n", name, "link", "set", "uplink", "up"], log)
    run([ip, "-n", name, "link", "set", "lo", "up"], log)
    run([ip, "-n", name, "route", "add", "default", "via", str(network.host_address)], log)
    if (ask([ip, "-4", "route", "show", "default"]) or "").strip():
        _let_out(network)
    return network


def _let_out(network: Network) -> None:
    """Let the namespace reach the same networks as the host, under the host's address, so that images can be pulled."""
    nft = which("nft")
    postrouting = "{ type nat hook postrouting priority 100 ; }"
    masquerade = f"ip saddr {network.subnet} oifname != {network.link} masquerade"
    commands = (
        f"add table ip {network.table}",
        f"add chain ip {network.table} postrouting {postrouting}",
        f"add rule ip {network.table} postrouting {masquerade}",
    )
    if nft is None or ask([nft, "; ".join(commands)]) is None:
        say("note: nft cannot translate addresses here, so nodes reach this host but nothing beyond it")
        return
    if FORWARDING.read_text().strip() == "0":
        FORWARDING_SET.touch()
        FORWARDING.write_text("1")


def down(checkout: Checkout) -> None:
    """Remove the namespace and everything that was added to the host for it, even if only parts of it exist."""
    network = plan(checkout, POOL)
    ip = which("ip")
    if ip is None:
        return
    if ask([ip, "link", "show", network.link]) is not None:
        ask([ip, "link", "delete", network.link])
    place = NAMESPACES / network.namespace
    if place.exists() and ask([ip, "netns", "delete", network.namespace]) is None:
        place.unlink(missing_ok=True)  # after a reboot the file exists without a namespace
    nft = which("nft")
    if nft and network.table in (ask([nft, "list", "tables", "ip"]) or ""):
        ask([nft, "delete", "table", "ip", network.table])
    if FORWARDING_SET.exists() and not _others():
        FORWARDING.write_text("0")
        FORWARDING_SET.unlink(missing_ok=True)


def processes(checkout: Checkout) -> list[int]:
    """Return the ids of the processes in the checkout's network namespace."""
    listed = ask([_ip(), "netns", "pids", checkout.name]) if (NAMESPACES / checkout.name).exists() else None
    return [int(word) for word in (listed or "").split()]


def wait_until_gone(checkout: Checkout, seconds: float = 5) -> None:
    """Wait until the veth pair is gone: the kernel removes it some time after the last process of the namespace."""
    deadline = time.monotonic() + seconds
    link = Path("/sys/class/net") / plan(checkout, POOL).link
    while link.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _others() -> bool:
    """Return whether other checkouts still need forwarding."""
    nft = which("nft")
    return bool(nft and re.search(r"\bpodrelay_[0-9a-f]{8}\b", ask([nft, "list", "tables", "ip"]) or ""))


def _ip() -> str:
    return which("ip") or "ip"
