"""Three real OpenBao servers that are one raft cluster on loopback, for tests to kill, freeze, seal and fill up.

A node is what the tests have as a server elsewhere, but for its config and for what counts as up: a standby is.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from refresher.core.secret import Secret
from refresher.demo.openbao import OpenBao, OpenBaoError

ACTIVE, STANDBY, SEALED = 200, 429, 503
PROBE_S, PATIENT_S = 1.0, 30.0
CHANGE_S = 90.0
POLL_S = 0.05


class Node(OpenBao):
    """One of three. `multiplier`: how slow raft is to miss its leader; 1 is the quickest, 5 as it is delivered."""

    def __init__(self, folder: Path, *, multiplier: int = 5) -> None:
        folder.mkdir()
        super().__init__(folder, "raft")
        self.name = folder.name
        self.audit_log = folder / "audit.log"
        self._multiplier = multiplier

    def join(self, leader: "Node") -> None:
        """Start for the first time, as a standby of `leader`."""
        self._unseal_key, self.root_token = leader._unseal_key, leader.root_token
        self._spawn()
        self._await(lambda: self.health() in {501, SEALED})
        self.api("PUT", "sys/storage/raft/join", {"leader_api_addr": leader.address}, token=Secret(""))
        self.unseal()

    def health(self, within: float = PROBE_S) -> int:
        """Return what it answers when it is asked for its health, 0 for nothing within so many seconds."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=within)
        try:
            connection.request("GET", "/v1/sys/health")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def crash(self) -> None:
        """Have it killed, and started by a supervisor that has no key: it is sealed."""
        self.kill()
        self._spawn()
        self._await(lambda: self.health() == SEALED)

    def step_down(self) -> None:
        """Have it give up the lead; it may be given it again."""
        self.api("PUT", "sys/step-down")

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @property
    def port(self) -> int:
        return self._port

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def _health(self) -> int:
        state = self.health()
        return ACTIVE if state == STANDBY else state

    def _config(self) -> dict[str, Any]:
        config = super()._config()
        raft = config["storage"]["raft"]
        raft |= {"node_id": self.name, "performance_multiplier": str(self._multiplier)}
        raft |= {"autopilot_reconcile_interval": "1s", "autopilot_update_interval": "1s"}  # a vote for who joins
        return config


class Cluster:
    """Three nodes, and who of them is active."""

    def __init__(self, folder: Path, *, multiplier: int, kind: type[Node] = Node) -> None:
        self.nodes = [kind(folder / f"node-{number}", multiplier=multiplier) for number in (1, 2, 3)]

    def start(self) -> None:
        first, *others = self.nodes
        first.start()
        await_that(lambda: self._hastens(first), "the first node takes no setting")
        for node in others:
            node.join(first)
        self.await_whole()
        await_that(lambda: self._voters() == len(self.nodes), "a node has no vote")

    @staticmethod
    def _hastens(first: Node) -> bool:
        """Have a node that joins be given its vote after a second; at first the leader sends everybody to itself."""
        try:
            first.api("POST", "sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "1s"})
        except OpenBaoError:
            return False
        return True

    def _voters(self) -> int:
        known = self.nodes[0].api("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
        return sum(one["voter"] for one in known)

    @property
    def active(self) -> Node:
        """Return the node that is active; raises OpenBaoError while none is."""
        for node in self.nodes:
            if node.is_running and node.health() == ACTIVE:
                return node
        raise OpenBaoError("no node is active")

    @property
    def standbys(self) -> list[Node]:
        return [node for node in self.nodes if node.is_running and node.health() == STANDBY]

    def await_active(self, *, but: Node | None = None) -> Node:
        """Return the node that is active, once one is, other than `but`."""

        def found() -> Node | None:
            return next((node for node in self.nodes if node is not but and node.health() == ACTIVE), None)

        await_that(found, "no node becomes active")
        node = found()
        return node if node is not None else self.await_active(but=but)

    def await_whole(self) -> None:
        """Return once one node is active and all others are its standbys, which know all that it knows."""
        await_that(lambda: sorted(node.health() for node in self.nodes) == [ACTIVE, STANDBY, STANDBY], "not whole")

    def mend(self) -> None:
        """Have all nodes up, whatever became of them."""
        for node in self.nodes:
            if not node.is_running:
                node.start()
            else:
                node.thaw()
                if node.health(PATIENT_S) == SEALED:
                    node.unseal()
        self.await_whole()

    def close(self) -> None:
        for node in self.nodes:
            node.close()


def await_that(holds: Callable[[], object], why_not: str, within: float = CHANGE_S) -> None:
    """Return once it holds."""
    ends = time.monotonic() + within
    while not holds():
        if time.monotonic() > ends:
            raise OpenBaoError(f"{why_not} within {within:g} s")
        time.sleep(POLL_S)


@contextmanager
def cluster(folder: Path, *, multiplier: int = 5, kind: type[Node] = Node) -> Iterator[Cluster]:
    """Run three nodes in `folder` while the context lasts."""
    three = Cluster(folder, multiplier=multiplier, kind=kind)
    try:
        three.start()
        yield three
    finally:
        three.close()
