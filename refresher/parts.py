"""What a daemon, or one pass, is made of: every concrete part, built and wired."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from refresher.calls import Calls
from refresher.channels import USUAL, Channels
from refresher.charge import Identity
from refresher.core import errors
from refresher.core.model import Channel
from refresher.core.perishable import Perishable
from refresher.core.settings import Cluster, Settings
from refresher.discovery import Discovery
from refresher.endpoint import Endpoint
from refresher.expiries import Expiries, login_of, perishables_of
from refresher.host import paths, process
from refresher.host.clock import SystemClock
from refresher.host.credentials import LocalReferences
from refresher.host.kept import Kept
from refresher.host.program import Programs
from refresher.passes import Pass
from refresher.ports import Http, Scheduler, Sink
from refresher.roster import Roster
from refresher.rotation import Rotation
from refresher.scheduler.cron import CronCalendar
from refresher.sinks import Fanout
from refresher.sinks.log import LogSink
from refresher.skew import Skew
from refresher.state import journal, ledger
from refresher.state.shared import SharedLedger
from refresher.timed import Timing
from refresher.vault import ReferenceReader, Vault, connect
from refresher.verify import Verifier

VAULT_DEADLINE: Final = timedelta(seconds=5)  # of one request; a whole write ends within 15 s
VAULT_KEEPALIVE: Final = timedelta(seconds=300)
PROVIDER_KEEPALIVE: Final = timedelta()  # a token request must not meet a connection that died; but see channels.py
HOOK_DEADLINE: Final = timedelta(seconds=10)  # of one call of a webhook


class Parts:
    """What a daemon, or one pass, is made of. Make it with `build`."""

    def __init__(
        self, settings: Settings, sinks: tuple[Sink, ...], stack: AsyncExitStack, *, looks: bool, key: bytes = b""
    ) -> None:
        self._directory = directory = paths.state_dir(settings.state_dir)
        known, self.clock = paths.identity(directory, settings.instance), SystemClock()
        self.ledger: ledger.Ledger | ledger.Reader | SharedLedger
        self.ledger = (ledger.Reader if looks else ledger.Ledger)(directory, settings.instance)
        stack.callback(self.ledger.close)
        if key and settings.postgres is not None:
            self.ledger = SharedLedger(self.ledger, settings.postgres.schema, known.holder, self.clock)
        self.settings, fleet = settings, "" if settings.postgres is None else settings.postgres.schema
        warnings = (known.warning, self.ledger.warning, process.files_short(settings.limits.total))
        self.warnings = tuple(filter(None, (*settings.warnings, *warnings)))
        self.identity = Identity(instance=settings.instance, holder=known.holder, key=key or known.key, fleet=fleet)
        self.sink = Fanout(*sinks)
        self.timing = Timing(sinks, self.clock)
        self.stores: dict[str, Vault] = {}
        self._stack = stack
        self.local, self._keeper = LocalReferences(), Kept(directory, settings.instance)
        self.http = self._wire(settings.request_deadline, PROVIDER_KEEPALIVE)
        self.references = ReferenceReader(self.local, self.stores)
        self.discovery = Discovery(http=self.http, clock=self.clock)
        self.programs = Programs(self.sink)
        wire = Channels(deadline=HOOK_DEADLINE, keepalive=PROVIDER_KEEPALIVE, clock=self.clock)
        stack.push_async_callback(wire.aclose)
        self.calls = Calls(self, http=wire, local=self.local, directory=directory)
        self.endpoint = Endpoint(http=self.http, programs=self.programs, discovery=self.discovery, clock=self.clock)
        verifier = Verifier(http=self.http, discovery=self.discovery, references=self.references, clock=self.clock)
        self.rotation = Rotation(
            endpoint=self.endpoint,
            verifier=verifier,
            stores=self.stores,
            references=self.references,
            clock=self.clock,
            sink=self.sink,
            identity=self.identity,
            calendar=CronCalendar(),
            journal=None if looks else journal.Journal(directory, settings.instance),
            gate=None if looks else self.calls.gate,
        )
        self.connect(settings.clusters)

    def connect(self, clusters: Mapping[str, Cluster]) -> tuple[str, ...]:
        """Connect the clusters of the settings; return those that got a new connection: new ones, or changed tables.

        Raises ConfigError, and then all are as they were.
        """
        connected: dict[str, Vault] = {}
        for name, cluster in clusters.items():
            if name not in self.stores or self.stores[name].cluster != cluster:
                try:
                    wire = self._wire(VAULT_DEADLINE, VAULT_KEEPALIVE, cluster.channel, vault=True)
                except errors.UnreadableReferenceError as error:
                    table = f"clusters.{name}" if name else "vault"
                    raise errors.ConfigError(
                        (errors.Mistake(str(self.settings.file), table, "", str(error)),)
                    ) from None
                connected[name] = connect(cluster, wire, self.clock, self.local, self._keeper, self.sink)
                self._stack.push_async_callback(connected[name].aclose)
        self.stores |= connected
        return tuple(connected)

    @property
    def clusters(self) -> Mapping[str, Vault]:
        """The stores of the settings; `stores` has those, too, that a job may still be leaving."""
        return {name: self.stores[name] for name in self.settings.clusters}

    def _wire(self, deadline: timedelta, keepalive: timedelta, usual: Channel = USUAL, *, vault: bool = False) -> Http:
        wire = Channels(deadline=deadline, keepalive=keepalive, clock=self.clock, usual=usual)
        self._stack.push_async_callback(wire.aclose)
        return Skew(self.timing.wire(wire, vault=vault), clock=self.clock, sink=self.sink)

    def roster(self, scheduler: Scheduler | None = None) -> Pass:
        """Return a roster of the jobs of the settings; without a scheduler it is good for one pass."""
        return Pass(
            self.settings.jobs,
            rotation=self.rotation,
            stores=self.stores,
            scheduler=scheduler,
            clock=self.clock,
            sink=self.sink,
            identity=self.identity,
            limits=self.settings.limits,
            ledger=self.ledger,
        )

    def expiries(self, roster: Roster) -> Expiries:
        """Return what looks after all that comes to an end behind the jobs of `roster`."""
        shelf = Kept(self._directory, self.settings.instance, prefix="told")
        return Expiries(
            roster, lambda: self.clusters, references=self.references, shelf=shelf, clock=self.clock, sink=self.sink
        )

    async def look_behind(self, roster: Roster) -> dict[str, Perishable]:
        """Look once at what stands behind the jobs, and tell of nothing; return the logins to Vault, by cluster."""
        for charge in roster.charges.values():
            charge.perishables = tuple(await perishables_of(charge, self.references))
        logins = {name: await login_of(self.stores[name]) for name in self.settings.written_clusters}
        return {name: one for name, one in logins.items() if one is not None}

    async def login(self) -> None:
        """Log in to each cluster that a job uses. Raises StoreError: what the first of them answered."""
        for name in self.settings.written_clusters:
            await self.stores[name].login()


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    sinks: tuple[Sink, ...] = (),
    looks: bool = False,
    patience: timedelta = HOOK_DEADLINE,
    key: bytes = b"",
) -> AsyncIterator[Parts]:
    """Build and wire the parts; on the way out close connections and revoke the Vault tokens that we logged in for.

    `looks`: for a verb that only looks, and keeps nothing in the ledger. `patience`: for hooks, at the end.
    `key`: of a fleet's fingerprints, for a node of one.
    """
    async with AsyncExitStack() as stack:
        parts = Parts(settings, sinks or (LogSink(),), stack, looks=looks, key=key)
        if not looks:
            await stack.enter_async_context(parts.calls.serving(patience))
        yield parts
