"""A host in a network of its own, from which one cable leads to this machine's servers; it is pulled, and put back.

Its 127.0.0.1 is this machine's, by way of the cable: so the same jobs.toml serves, and every connection from there is
one from end to end, which a pulled cable leaves as it is: nothing is refused, nothing is closed, nothing arrives.
It needs root.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid

NETWORK, HERE, THERE = "10.213.7.0/30", "10.213.7.1", "10.213.7.2"


class Apart:
    """`program` begins a command there."""

    def __init__(self, name: str, cable: str) -> None:
        self.name, self.cable = name, cable
        self.program = ("ip", "netns", "exec", name)

    def pull(self) -> None:
        """Let nothing pass any more; nobody there or here sees why."""
        ip("link", "set", self.cable, "down")

    def put_back(self) -> None:
        ip("link", "set", self.cable, "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


@contextmanager
def apart() -> Iterator[Apart]:
    """Make the network while the context lasts."""
    host = Apart(f"refresher-{getpid()}", f"rf{getpid()}")
    try:
        ip("netns", "add", host.name)
        ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        ip("address", "add", f"{HERE}/30", "dev", host.cable)
        ip("route", "add", "blackhole", NETWORK, "metric", "4000")  # what is for there goes nowhere else meanwhile
        subprocess.run(["sysctl", "-qw", f"net.ipv4.conf.{host.cable}.route_localnet=1"], check=True, timeout=10)
        subprocess.run([*host.program, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"], check=True, timeout=10)
        host.put_back()
        inside = ("-n", host.name)
        ip(*inside, "address", "add", f"{THERE}/30", "dev", "eth0")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "route", "add", "table", "local", "127.0.0.1/32", "via", HERE, "dev", "eth0", "src", THERE)
        yield host
    finally:
        for words in (("link", "del", host.cable), ("netns", "del", host.name), ("route", "del", "blackhole", NETWORK)):
            subprocess.run(["ip", *words], check=False, timeout=10, stderr=subprocess.DEVNULL)
