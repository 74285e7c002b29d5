"""How the two sockets are put together, and kept up."""

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from refresher.charge import Identity
from refresher.control.desk import Desk
from refresher.control.names import MODES, Which, socket_of
from refresher.control.view import Hands
from refresher.core.events import Event
from refresher.core.perishable import Perishable
from refresher.core.settings import Settings
from refresher.handback import Handback
from refresher.host import paths, sockets
from refresher.ports import Clock, SecretStore, Sink
from refresher.roster import Roster
from refresher.scheduler.cron import CronCalendar
from refresher.steady import Round

if TYPE_CHECKING:
    from refresher.control.server import Server

AGAIN: Final = timedelta(seconds=30)  # between two tries at a place that is taken


class House(Protocol):
    """What of the daemon's parts the sockets need."""

    settings: Settings
    identity: Identity

    @property
    def clock(self) -> Clock:
        """The one reader of time."""

    @property
    def sink(self) -> Sink:
        """Where it is told who asked."""

    @property
    def stores(self) -> Mapping[str, SecretStore]:
        """The clusters, by name."""


def rounds(house: House, roster: Roster, logins: Mapping[str, Perishable], hands: Hands | None) -> tuple[Round, ...]:
    """Return the rounds that serve the two sockets.

    `logins`: what we log in to Vault with. `hands`: the way to the other nodes, where there are any.
    """
    from refresher.control.server import Server  # noqa: PLC0415  # for a daemon alone

    settings, clock, sink = house.settings, house.clock, house.sink
    directory = paths.runtime_dir(paths.state_dir(settings.state_dir))
    handback = Handback(stores=house.stores, clock=clock, identity=house.identity)
    desk = Desk(
        roster,
        handback=handback,
        clock=clock,
        sink=sink,
        holder=house.identity.seed,
        calendar=CronCalendar(),
        logins=logins,
        hands=hands,
    )
    server = Server(desk, roster, config=Path(os.path.abspath(settings.file)), clock=clock, sink=sink)  # noqa: PTH100  # links stay: what they lead to may change
    return tuple(
        partial(_serve, server, socket_of(directory, which, settings.instance), which, clock, sink) for which in MODES
    )


async def _serve(server: "Server", path: Path, which: Which, clock: Clock, sink: Sink) -> None:
    """Serve until cancelled; a place that is taken is told of once, and waited for."""
    told = False
    while True:
        try:
            with sockets.listening(path, MODES[which]) as listener:
                await server.serve(listener, which)
        except OSError as error:
            if not told:
                why = f"{path}: {error.strerror}: until it is free, other verbs do not find this daemon"
                sink.tell(Event(name="started", level="warning", fields={"warning": why}))
            told = True
            await clock.sleep(AGAIN)
