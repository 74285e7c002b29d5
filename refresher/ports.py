"""What the walk needs of the world, as Protocols.

Each has one real implementation and one fake in tests/fakes; one contract suite runs on both.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from refresher.core.events import Event
from refresher.core.job import Job, Program
from refresher.core.model import Absent, Found, HttpRequest, HttpResponse, Location, Reference, Written
from refresher.core.outcome import Outcome
from refresher.core.remembered import Remembered
from refresher.core.secret import Secret


class Clock(Protocol):
    """The one reader of time."""

    def now(self) -> datetime:
        """Return the wall clock's time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""

    async def sleep(self, span: timedelta) -> None:
        """Wait for `span` on the monotonic clock."""


class Http(Protocol):
    """The wire: one request, one total deadline, one size limit, no redirect, no proxy from the environment."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and return the reply whatever its status; raise TransportError when there is none.

        Raises UnreadableReferenceError, and sends nothing, when a file of the request's channel can't be used.
        """


class Programs(Protocol):
    """Runs the programs that jobs of provider `exec` have, and those of hooks."""

    async def run(self, job: Job, secrets: Mapping[str, Secret]) -> HttpResponse:
        """Run the program of `job` and return what it printed as a reply of status 200.

        `secrets` are those of `job.references()`. Raises TransportError when it printed nothing that counts.
        """

    async def call(self, program: Program, told: Mapping[str, object], given: Mapping[str, Secret], **of: str) -> None:
        """Run a hook's program, with `told` and `given` on its standard input. Raises TransportError."""


class LocalSecrets(Protocol):
    """The secrets of this machine: files, systemd's credentials, environment variables."""

    def read(self, reference: Reference) -> Secret:
        """Return what stands there now; it reads the disk. Raises UnreadableReferenceError."""


class SecretStore(Protocol):
    """One cluster's key-value secrets, v1 or v2. Every method raises a StoreError subclass and nothing else."""

    async def read(self, place: Location) -> Found | Absent:
        """Read the current version."""

    async def write(self, place: Location, data: Mapping[str, Secret], *, cas: int | None) -> Written:
        """Write by check-and-set: `cas` is the version that must be current (0: none), `None` on KV v1 only.

        An ambiguous end repeats the identical write; a mismatch whose content is ours counts as done.
        """

    async def prove(self, place: Location) -> None:
        """Show that `place` takes writes, by a write with an impossible `cas`: no version is burned."""


class References(Protocol):
    """Reads what secret references stand for."""

    async def resolve(self, wanted: Mapping[str, Reference]) -> Mapping[str, Secret]:
        """Read each reference afresh, one read per path; raise UnreadableReferenceError or StoreError."""


class Scheduler(Protocol):
    """The bell: says which jobs are due. Only relative delays cross this port; a wake-up is a hint.

    `shared`: other machines have the same jobs, and whoever is called may not have been the last to walk one.
    """

    shared: bool

    def ours(self, name: str, *, urgent: bool = False) -> bool:
        """Whether a walk of `name` is ours to begin now; else it is called where it belongs, at once if `urgent`."""

    def schedule(self, name: str, delay: timedelta) -> None:
        """Ring for `name` after `delay`; a later call replaces an earlier one."""

    def cancel(self, name: str) -> None:
        """Forget `name`."""

    async def due(self) -> tuple[str, ...]:
        """Wait until something is due and return its names, each once, at most 100 at a time."""


class Calendar(Protocol):
    """Knows when a cron expression comes round."""

    def after(self, schedule: str, timezone: str, moment: datetime) -> datetime | None:
        """Return the first time after `moment`, in UTC; None when it never comes round."""


class Ledger(Protocol):
    """Keeps what a restart must not forget, and the history. It is never in the way: nothing of it raises or waits."""

    def recall(self, job: str) -> Remembered | None:
        """Return what an earlier process kept of `job`."""

    def fetched(self, job: str) -> Remembered | None:
        """Return what the fleet keeps of `job`, where it was just asked; else what was heard since is newer."""

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep what a walk came to."""

    def keep(self, job: str, kept: Remembered) -> None:
        """Keep what is known of `job`, without an attempt."""

    def rename(self, before: str, job: str) -> None:
        """Have `job` go on with what was kept of it under the name `before`."""


class Journal(Protocol):
    """Keeps an answer from its arrival until Vault has it, encrypted. One walk at a time for each job."""

    async def reserve(self, job: str) -> None:
        """Set a slot apart, before anything is spent.

        Raises StoreConflictError `busy` (another process has it) or StoreRefusedError `journal` (no room).
        """

    async def enter(self, job: str, text: Secret, key: bytes) -> bool:
        """Write an entry into the slot that was set apart; return whether it is there."""

    async def keep(self, job: str) -> None:
        """Vault took the entry: it is the last pair now, and takes the place of the one before."""

    async def release(self, job: str) -> None:
        """Give the slot up: what is in it is of no use."""

    def has(self, job: str, *, last: bool = False) -> bool:
        """Whether there is something to read."""

    def busy(self, job: str) -> bool:
        """Whether another process has the slot of `job`."""

    async def read(self, job: str, key: bytes, *, last: bool = False) -> Secret | None:
        """Return the entry that is not in Vault yet, or the last pair; None when there is none that can be read."""


class Sink(Protocol):
    """Is told of what happened. It never steers: an exception from it is dropped."""

    def tell(self, event: Event) -> None:
        """Take note of `event` without blocking."""
