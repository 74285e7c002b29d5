"""Whose turn it is: on one machine a bell of its own, on several the queue that they share."""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from refresher.charge import Identity
from refresher.config.request_keys import EXEC
from refresher.core import errors
from refresher.core.events import Event
from refresher.core.job import Job
from refresher.core.model import Location, Reference
from refresher.core.outcome import tell_broken
from refresher.core.remembered import News
from refresher.core.secret import Secret
from refresher.core.settings import Postgres, Settings
from refresher.endpoint import Endpoint
from refresher.journal_key import Keys
from refresher.ports import Clock, SecretStore, Sink
from refresher.providers import catalogue
from refresher.roster import Roster
from refresher.steady import Round
from refresher.timed import Bell, Timing

if TYPE_CHECKING:
    from refresher.scheduler.hands import Hands

AGAIN: Final = timedelta(seconds=2)
PURPOSE: Final = b"fingerprints of the fleet"


class House(Protocol):
    """What is needed of the daemon's parts."""

    settings: Settings
    identity: Identity
    endpoint: Endpoint
    timing: Timing

    @property
    def clock(self) -> Clock: ...
    @property
    def sink(self) -> Sink: ...
    @property
    def stores(self) -> Mapping[str, SecretStore]: ...
    @property
    def ledger(self) -> object: ...
    async def login(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """One machine: nothing runs beside the bell."""

    bell: Bell
    rounds: tuple[Round, ...] = ()
    hands: None = None

    def begin(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Nothing is to be begun."""

    async def stop(self) -> None:
        """Stop the bell."""
        self.bell.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One node of a fleet."""

    bell: Bell
    run: Round
    stopping: Callable[[], None]
    end: Round
    rounds: tuple[Round, ...]
    hands: "Hands"
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Be a node in `group`; from `stop` on take no more."""

        async def leaving() -> None:
            await stop.wait()
            self.stopping()

        self.tasks[:] = [group.create_task(_wait(one)) for one in (self.run, leaving)]

    async def stop(self) -> None:
        """Give everything back, and leave."""
        await self.end()
        for task in self.tasks:
            task.cancel()
        self.bell.close()


async def _wait(one: Round) -> None:
    await one()


async def key(house: House, read: Callable[[Reference], Secret]) -> bytes:
    """Return the key of the fleet's fingerprints, by which one node knows what another has seen.

    It is derived from a journal's key, which stands in Vault: of the place that the first node chose. It waits for a
    Vault that is away, and says so; where Vault refuses, it says so and returns nothing.
    """
    own = min(job.states for job in house.settings.jobs.values())
    states = await _agreed(house, read, own)
    told = False
    while True:
        try:
            await house.login()
            return hmac.digest(await Keys(house.stores, house.identity).of(states), PURPOSE, "sha256")
        except errors.StoreRefusedError as error:
            if states != own:  # no job's records stand there any more, and the policy no longer names it
                states = own
                continue
            fields = {"error": error.code, "why": str(error)}
            house.sink.tell(Event(name="stopped", level="error", fields=fields))
            return b""
        except errors.StoreUnavailableError as error:
            if not told:
                house.sink.tell(Event(name="store_failed", level="warning", fields={"error": error.code}))
            told = True
        await house.clock.sleep(AGAIN)


async def _agreed(house: House, read: Callable[[Reference], Secret], own: Location) -> Location:
    """Return where the fleet's key is; `own` where PostgreSQL does not say, or names a cluster that is not ours."""
    from refresher.scheduler import administration, schema  # noqa: PLC0415  # the extra, where it is asked for
    from refresher.scheduler.database import Database, FleetError  # noqa: PLC0415  # as above

    if (settings := house.settings.postgres) is None:
        return own
    try:
        found = await administration.answered(
            Database(settings, holder="start", read=read), lambda one: schema.agreed(one, settings.schema, own)
        )
    except FleetError:  # it is away, or its schema is of an older release
        return own
    return found if found.cluster in house.stores else own


async def unfit(settings: Postgres, read: Callable[[Reference], Secret]) -> str:
    """Return why this release can't use the fleet's tables, and what to do; `""`: it can, or PostgreSQL is away."""
    from refresher.scheduler import administration, schema  # noqa: PLC0415  # the extra, where it is asked for
    from refresher.scheduler.database import Database, FleetError  # noqa: PLC0415  # as above

    try:
        found = await administration.answered(
            Database(settings, holder="start", read=read), lambda one: schema.version_of(one, settings.schema)
        )
    except FleetError:
        return ""  # it is met again, and told of, and waited for
    return schema.unfit(found, settings.schema)


class _Providers:
    """The configured jobs, name to provider: the same mapping while they are the same jobs."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._of: Mapping[str, Job] | None = None
        self._known: Mapping[str, str] = {}

    def __call__(self) -> Mapping[str, str]:
        jobs = self._house.settings.jobs
        if self._of is not jobs:
            self._of, self._known = jobs, {name: job.provider for name, job in jobs.items()}
        return self._known


def of(house: House, read: Callable[[Reference], Secret], roster: Callable[[], Roster]) -> Alone | Shared:
    """Return what says whose turn it is; `roster` is asked once it runs."""
    settings = house.settings.postgres
    if settings is None:
        from refresher.scheduler.apscheduler import Bell as Single  # noqa: PLC0415  # a single pass needs no bell

        return Alone(bell=house.timing.bell(Single(house.clock)))
    from refresher.scheduler.claims import Claims, Questions  # noqa: PLC0415  # the extra, where it is asked for
    from refresher.scheduler.database import Database  # noqa: PLC0415  # as above
    from refresher.scheduler.engine import Engine  # noqa: PLC0415  # as above
    from refresher.scheduler.news import Tidings  # noqa: PLC0415  # as above

    def harmless(name: str) -> bool:
        charge = roster().charges.get(name)
        return charge is not None and not charge.job.irreplaceable and charge.job.grant == "client_credentials"

    questions = Questions(
        knows=lambda name: (charge := roster().charges.get(name)) is not None and not charge.leaving,
        busy=lambda name: roster().is_busy(name),
        walks=lambda name: roster().is_walked(name),
        harmless=harmless,
    )
    claims = Claims(house.clock, questions)
    house.endpoint.gate = claims.may_ask
    database, holder = Database(settings, holder=house.identity.holder, read=read), house.identity.holder

    def hear(news: News, node: str) -> bool:
        try:
            return roster().hear(news.job, news.kept, node, own=news.holder == holder)
        except Exception as error:  # noqa: BLE001  # a bug, met by one job alone: the others are heard of all the same
            house.sink.tell(tell_broken(error, 1))
            return True

    def mark(name: str, node: str) -> None:
        if (charge := roster().charges.get(name)) is not None:
            charge.node = node

    tidings = Tidings(database, told=house.ledger, clock=house.clock, hear=hear, mark=mark)  # type: ignore[arg-type]  # a shared one where the settings are
    engine = Engine(
        claims,
        database,
        clock=house.clock,
        sink=house.sink,
        holder=holder,
        jobs=_Providers(house),
        providers=(*catalogue(), EXEC),
        notes=house.ledger,  # type: ignore[arg-type]  # as above
        tidings=tidings,
    )
    return Shared(
        bell=claims,
        run=engine.run,
        stopping=engine.stopping,
        end=engine.stop,
        rounds=(engine.watch, claims.listen_alone),
        hands=engine.hands,
    )
