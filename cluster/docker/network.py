"""A network namespace for the private Docker daemon, joined to the host by one pair of virtual cables (veth).

Whatever Docker and the nodes add to the network (bridges, addresses, packet filter rules) is added inside and vanishes
with the namespace. The host reaches the nodes' published ports at the namespace's end of the cable, and pods reach the
host at the other end.
"""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from cluster.errors import ClusterError
from cluster.paths import Checkout, which
from cluster.steps import ask, run, say

# Cut into /30s, one for each checkout. Far from the networks of Docker (172.16/12), of pods (10.244/16) and of services
# (10.96/16).
POOL = IPv4Network("10.212.0.0/14")

NAMESPACES = Path("/run/netns")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Says that we switched forwarding on; all checkouts share it, and the last one that goes switches it off again.
FORWARDING_SET = Path("/run/podrelay-ip-forward")


@dataclass(frozen=True, slots=True)
class Network:
    """The namespace and the two ends of the cable."""

    namespace: str
    link: str
    table: str
    subnet: IPv4Network

    @property
    def host_address(self) -> IPv4Address:
        """The host's end."""
        return self.subnet[1]

    @property
    def node_address(self) -> IPv4Address:
        """The namespace's end."""
        return self.subnet[2]


def choose_subnet(ident: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """The checkout's own /30 of the pool, or the next one that overlaps with nothing that the host has a route to."""
    busy = list(taken)
    count = 2 ** (30 - POOL.prefixlen)
    first = int(ident, 16) % count
    for offset in range(count):
        subnet = IPv4Network((int(POOL[0]) + (first + offset) % count * 4, 30))
        if not any(subnet.overlaps(other) for other in busy):
            return subnet
    raise ClusterError(f"The host has routes to all of {POOL}.", "A network namespace needs a /30 of it.")


def routes() -> list[IPv4Network]:
    """What the host has routes to, other than everything."""
    listed = ask([_ip(), "-json", "-4", "route", "show", "table", "all"]) or "[]"
    found = []
    for route in json.loads(listed):
        destination = str(route.get("dst", "default"))
        if destination != "default":
            found.append(IPv4Network(destination, strict=False))
    return [network for network in found if network.prefixlen > 0]


def plan(checkout: Checkout, subnet: IPv4Network) -> Network:
    """The names of a checkout's network. A link's name has 15 characters at most."""
    return Network(checkout.name, f"pr{checkout.ident}", f"podrelay_{checkout.ident}", subnet)


def up(checkout: Checkout, log: Path) -> Network:
    """Make the namespace and join it to the host."""
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
    """Let the namespace reach what the host reaches, under the host's address, so that images can be pulled."""
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
    """Remove the namespace and all that was added to the host for it, however much of it there is."""
    network = plan(checkout, POOL)
    ip = which("ip")
    if ip is None:
        return
    if ask([ip, "link", "show", network.link]) is not None:
        ask([ip, "link", "delete", network.link])
    place = NAMESPACES / network.namespace
    if place.exists() and ask([ip, "netns", "delete", network.namespace]) is None:
        place.unlink(missing_ok=True)  # a file without a namespace, as a reboot leaves it
    nft = which("nft")
    if nft and network.table in (ask([nft, "list", "tables", "ip"]) or ""):
        ask([nft, "delete", "table", "ip", network.table])
    if FORWARDING_SET.exists() and not _others():
        FORWARDING.write_text("0")
        FORWARDING_SET.unlink(missing_ok=True)


def processes(checkout: Checkout) -> list[int]:
    """The ids of the processes whose network is the checkout's namespace."""
    listed = ask([_ip(), "netns", "pids", checkout.name]) if (NAMESPACES / checkout.name).exists() else None
    return [int(word) for word in (listed or "").split()]


def wait_until_gone(checkout: Checkout, seconds: float = 5) -> None:
    """Wait for the cable to be gone: the kernel removes it some time after the namespace's last process."""
    deadline = time.monotonic() + seconds
    link = Path("/sys/class/net") / plan(checkout, POOL).link
    while link.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _others() -> bool:
    """Whether other checkouts still need forwarding."""
    nft = which("nft")
    return bool(nft and re.search(r"\bpodrelay_[0-9a-f]{8}\b", ask([nft, "list", "tables", "ip"]) or ""))


def _ip() -> str:
    return which("ip") or "ip"
