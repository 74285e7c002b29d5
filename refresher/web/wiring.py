"""How the page is put together, and kept up: only this module is imported where there is none."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from refresher.calls import Calls
from refresher.charge import Identity
from refresher.core.events import Event
from refresher.core.perishable import Perishable
from refresher.core.settings import Settings
from refresher.heartbeat import Heartbeat
from refresher.host import paths
from refresher.ports import Clock, Sink
from refresher.roster import Roster
from refresher.sinks import Fanout
from refresher.state.tables import path_of
from refresher.steady import Failures, Round
from refresher.timed import Timing
from refresher.watch import Watch
from refresher.web.address import listening

if TYPE_CHECKING:
    from refresher.web.front import Front
    from refresher.web.sources import Fleet

AGAIN: Final = timedelta(seconds=30)  # between two tries at an address that is taken


class Store(Protocol):
    @property
    def life_left(self) -> timedelta | None:
        """How long our own token lives."""


class Book(Protocol):
    @property
    def dropped(self) -> int:
        """How many attempts are not in the ledger that should be."""


class House(Protocol):
    """What of the daemon's parts the page looks at."""

    settings: Settings
    identity: Identity
    sink: Fanout
    timing: Timing
    calls: Calls

    @property
    def clock(self) -> Clock:
        """The one reader of time."""

    @property
    def ledger(self) -> Book:
        """The ledger."""

    @property
    def stores(self) -> Mapping[str, Store]:
        """The clusters, by name."""


def meters(settings: Settings) -> tuple[Sink, ...]:
    """Return the sink that counts and times for /metrics; none where there is no page."""
    if not settings.web_listen:
        return ()
    from refresher.sinks.metrics import Metrics  # noqa: PLC0415  # only where it is wanted

    return (Metrics(),)


def rounds(  # noqa: PLR0913  # what there is to look at
    house: House,
    roster: Roster,
    watch: Watch,
    heart: Heartbeat,
    logins: Mapping[str, Perishable],
    *,
    fleet: "Fleet | None" = None,
) -> tuple[Round, ...]:
    """Return the round that serves the page; none where there is none. `logins`: what we log in to Vault with.

    `fleet`: what all nodes did, where there are several.
    """
    if not house.settings.web_listen:
        return ()
    from refresher.sinks.metrics import Metrics  # noqa: PLC0415  # only where it is wanted
    from refresher.web.front import Front  # noqa: PLC0415  # as above
    from refresher.web.overview import Overview  # noqa: PLC0415  # as above
    from refresher.web.sources import Sources  # noqa: PLC0415  # as above

    timer = house.timing.timer
    metrics = timer if isinstance(timer, Metrics) else Metrics()
    directory = paths.state_dir(house.settings.state_dir)
    file = path_of(directory, house.settings.instance)
    sources = Sources(
        directory=directory,
        file=file,
        instance=house.settings.instance,
        clusters=lambda: house.settings.clusters,
        lives=lambda: {name: house.stores[name].life_left for name in house.settings.clusters},
        dropped=lambda: {"attempts": house.ledger.dropped, "events": house.sink.dropped, **house.calls.dropped},
        logins=logins,
        fleet=fleet,
    )
    overview = Overview(roster=roster, heart=heart, clock=house.clock, holder=house.identity.seed, file=file)
    front = Front(overview=overview, watch=watch, metrics=metrics, sources=sources, clock=house.clock)
    house.sink.add(front)
    return (partial(_serve, front, house.settings.web_listen, house.clock, house.sink),)


async def _serve(front: "Front", listen: str, clock: Clock, sink: Sink) -> None:
    """Serve until cancelled; an address that is taken is told of once, and waited for."""
    from refresher.web.server import Server  # noqa: PLC0415  # as above

    told, failures = False, Failures(clock=clock, sink=sink)
    while True:
        with ExitStack() as stack:
            try:
                listener, hosts = stack.enter_context(listening(listen))
            except OSError as error:
                if not told:
                    why = f"[web] listen: {listen}: {error.strerror}: there is no status page until it is free"
                    sink.tell(Event(name="started", level="warning", fields={"warning": why}))
                told = True
                await clock.sleep(AGAIN)
                continue
            await Server(front, hosts, failures).serve(listener)
