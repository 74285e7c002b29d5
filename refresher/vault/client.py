"""One cluster, whole: its login and its key-value secrets."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from hvac.api.system_backend.health import Health as HealthApi

from refresher.core.errors import StoreUnavailableError, TransportError
from refresher.core.model import Absent, Found, Location, Written
from refresher.core.perishable import Perishable
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Clock, Http, Sink
from refresher.vault.adapter import Adapter
from refresher.vault.answers import classify, lost
from refresher.vault.auth import Login
from refresher.vault.credential import LocalReader
from refresher.vault.kv import KeyValue
from refresher.vault.leaving import Leaving
from refresher.vault.mounts import Mounts
from refresher.vault.perishable import Perishables
from refresher.vault.session import Session
from refresher.vault.wrapped import Keeper, Nowhere

Health: TypeAlias = Literal["active", "standby", "sealed", "uninitialised"]
_HEALTH: Final[Mapping[int, Health]] = {
    200: "active",
    429: "standby",
    472: "standby",
    473: "standby",
    501: "uninitialised",
    503: "sealed",
}


def connect(  # noqa: PLR0913, PLR0917  # the ports that a login needs
    cluster: Cluster,
    http: Http,
    clock: Clock,
    local: LocalReader,
    keeper: Keeper = Nowhere(),  # noqa: B008  # it has no state
    sink: Sink | None = None,
) -> "Vault":
    """Make the client of `cluster`; nothing is sent until it is used.

    `local` reads what the login needs, `keeper` keeps what it yields once, `sink` is told when a stranger has it.
    """
    http = Leaving(http)
    login = Login(http=http, cluster=cluster, clock=clock, local=local, keeper=keeper, sink=sink)
    session = Session(http=http, cluster=cluster, login=login, clock=clock)
    mounts = Mounts(session, cluster.name)
    kv = KeyValue(session=session, mounts=mounts, clock=clock)
    perishables = Perishables(session=session, cluster=cluster, login=login)
    return Vault(cluster=cluster, http=http, login=login, mounts=mounts, kv=kv, perishables=perishables)


class Vault:
    """The SecretStore of one cluster, with the login behind it. Make it with `connect`."""

    def __init__(  # noqa: PLR0913  # its parts
        self,
        *,
        cluster: Cluster,
        http: Http,
        login: Login,
        mounts: Mounts,
        kv: KeyValue,
        perishables: Perishables,
    ) -> None:
        self.cluster = cluster
        self._http = http
        self._login = login
        self._mounts = mounts
        self._kv = kv
        self._perishables = perishables

    async def login(self) -> None:
        """Log in now, or do nothing while the token lives."""
        await self._login.token()

    async def keep(self) -> None:
        """Keep the token alive, for ever: run it in a task group."""
        await self._login.keep()

    async def perishable(self) -> Perishable | None:
        """Tell when what we log in with runs out, None where nobody knows. Raises StoreError."""
        return await self._perishables.find()

    @property
    def life_left(self) -> timedelta | None:
        """How long our own token lives; None: for ever, or there is none."""
        return self._login.life_left

    async def health(self) -> Health:
        """Tell the node's state; raise StoreUnavailableError when it says none."""
        what = f"ask the health of {self.cluster.address}"
        try:
            reply = await HealthApi(Adapter(self._http, self.cluster)).read_health_status(method="GET")
        except TransportError as error:
            raise lost(error, what, write=False) from None
        if reply.body is None or "initialized" not in reply.body or reply.status not in _HEALTH:
            told = classify(reply, what, write=False)
            raise StoreUnavailableError(told.code, str(told), status=told.status, retry_after=told.retry_after)
        return _HEALTH[reply.status]

    async def mount_version(self, mount: str) -> int:
        """Tell whether `mount` is KV v1 or v2 (irreplaceable jobs need v2)."""
        return await self._mounts.version(mount)

    async def locate(self, target: str) -> Location:
        """Split `mount/path` where the mount ends."""
        return await self._mounts.locate(target)

    async def read(self, place: Location) -> Found | Absent:
        """Read the current version of a secret."""
        return await self._kv.read(place)

    async def write(self, place: Location, data: Mapping[str, Secret], *, cas: int | None) -> Written:
        """Write a secret by check-and-set."""
        return await self._kv.write(place, data, cas=cas)

    async def prove(self, place: Location) -> None:
        """Show that a secret can be written."""
        await self._kv.prove(place)

    async def aclose(self) -> None:
        """Revoke what we logged in for. The wire is its maker's to close."""
        await self._login.revoke()
