"""An administrator's part, in one go: mounts, policies, the AppRole, metadata, and the one credential to install.

Rules of this module:
- Again is harmless: what is as it should be stays, and no second credential is made unless that is asked for.
- What others set is kept: members of custom metadata, settings of the role, a mount's own configuration.
- A path that holds what refresher did not write is not marked as its own.
- Nothing that could delete a state record is set, and what would is told.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from refresher.channels import Channels
from refresher.core import published, rights
from refresher.core.errors import RefresherError, StoreUnavailableError
from refresher.core.job import Job
from refresher.core.model import Absent, Channel, Found, Location
from refresher.core.rights import Mounts, Policy
from refresher.core.secret import Secret
from refresher.core.settings import Cluster, Settings
from refresher.host.clock import SystemClock
from refresher.vault.admin import Admin

DEADLINE: Final = timedelta(seconds=10)  # of one request
MAX_VERSIONS: Final = 3
TOKEN_TTL: Final = 1200  # seconds; renewed at two thirds
UPGRADE_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0)  # while a fresh mount prepares itself


class BootstrapError(RefresherError):
    """Something that a person has to decide; nothing after it was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for besides the usual. `delete_after`: how long Vault keeps a version of a token."""

    cluster: str = ""
    make_mounts: bool = False
    owner: str = ""
    delete_after: timedelta | None = None
    new_secret_id: bool = False
    wrap: timedelta = timedelta(hours=1)


@dataclass(slots=True)
class Ended:
    """What was done, a line each; what deserves a look; the credential to install, None where one is in use."""

    steps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    credential: Secret | None = None
    kind: Literal["secret_id", "wrapping token", ""] = ""

    def note(self, what: str, *, made: bool) -> None:
        self.steps.append(f"{what}: {'written' if made else 'as it should be'}")


@asynccontextmanager
async def administrator(cluster: Cluster, token: Secret) -> AsyncIterator[Admin]:
    """Connect to `cluster` with a token that is used for as long as the context lasts."""
    channel = Channel(ca_file=cluster.ca_file)
    wire = Channels(deadline=DEADLINE, keepalive=timedelta(seconds=60), clock=SystemClock(), usual=channel)
    try:
        yield Admin(wire, cluster, token)
    finally:
        await wire.aclose()


async def policies(settings: Settings, cluster: str, token: Secret, *, apply: bool) -> tuple[tuple[Policy, bool], ...]:
    """Return the policies of one cluster as its mounts are, and whether each was written. Raises StoreError."""
    async with administrator(settings.clusters[cluster], token) as admin:
        mounts = await admin.mounts()
        found = [one for one in rights.policies(settings, {cluster: mounts}) if one.cluster == cluster]
        return tuple([(one, apply and await _put(admin, one)) for one in found])


async def bootstrap(settings: Settings, token: Secret, wish: Wish) -> Ended:
    """Set up one cluster. Raises StoreError and BootstrapError."""
    async with administrator(settings.clusters[wish.cluster], token) as admin:
        work = Bootstrap(settings, admin, wish)
        await work.mounts()
        await work.policies()
        await work.metadata()
        await work.role()
        return work.ended


class Bootstrap:
    """One run over one cluster."""

    def __init__(self, settings: Settings, admin: Admin, wish: Wish) -> None:
        self._settings = settings
        self._cluster = settings.clusters[wish.cluster]
        self._admin = admin
        self._wish = wish
        self._mounts = Mounts()
        self.ended = Ended()

    async def mounts(self) -> None:
        """Make the mounts that are missing, where that is asked for."""
        known, auth = await self._admin.mounts(), self._cluster.auth
        missing = [one for one in rights.used_mounts(self._settings, self._wish.cluster) if one not in known.versions]
        lacks_auth = auth.method == "approle" and not await self._admin.has_auth(auth.mount)
        if (missing or lacks_auth) and not self._wish.make_mounts:
            names = [*missing, *([f"auth/{auth.mount}"] if lacks_auth else [])]
            raise BootstrapError(
                f"not there: {', '.join(names)}; --make-mounts makes them, or name others in jobs.toml"
            )
        for mount in missing:
            await self._admin.make_mount(mount)
            self.ended.note(f"mount {mount}", made=True)
        if lacks_auth:
            await self._admin.make_auth(auth.mount)
            self.ended.note(f"auth method {auth.mount}", made=True)
        self._mounts = await self._admin.mounts() if missing else known

    async def policies(self) -> None:
        """Write the policies."""
        for one in rights.policies(self._settings, {self._wish.cluster: self._mounts}):
            if one.cluster == self._wish.cluster:
                self.ended.note(f"policy {one.name}", made=await _put(self._admin, one))

    async def metadata(self) -> None:
        """Set what a path keeps, and say whose it is."""
        for job in self._settings.jobs.values():
            for place in job.destinations:
                await self._mark(job, place, is_state=False)
            if job.irreplaceable:
                await self._mark(job, job.state, is_state=True)

    async def _mark(self, job: Job, place: Location, *, is_state: bool) -> None:
        if place.cluster != self._wish.cluster or self._mounts.versions.get(place.mount) == 1:
            return
        config = await self._patiently(f"{place.mount}/config")
        known = await self._admin.read(f"{place.mount}/metadata/{place.path}") or {}
        found = await self._admin.secret(place)
        if not is_state and not self._may_mark(job, found):
            self.ended.warnings.append(
                f"{place}: holds what refresher did not write: not marked; adopt = true takes it over"
            )
            return
        marks = {"job": job.name, "managed_by": published.mark(self._settings.instance), "provider": job.provider}
        custom = (
            (known.get("custom_metadata") or {}) | marks | ({"owner": self._wish.owner} if self._wish.owner else {})
        )
        wanted: dict[str, Any] = {"max_versions": MAX_VERSIONS, "custom_metadata": custom}
        if is_state:
            self._refuse_deletion(place, config)
            wanted["delete_version_after"] = "0s"
        elif self._wish.delete_after is not None and self._outlives(job, place, found, self._wish.delete_after):
            wanted["delete_version_after"] = f"{int(self._wish.delete_after.total_seconds())}s"
        made = any(_plain(known.get(name)) != _plain(value) for name, value in wanted.items())
        if made:
            await self._admin.write(f"{place.mount}/metadata/{place.path}", wanted)
        self.ended.note(f"metadata of {place}", made=made)

    def _may_mark(self, job: Job, found: Found | Absent) -> bool:
        return isinstance(found, Absent) or job.adopt or published.owned(found, job, self._settings.instance)

    def _refuse_deletion(self, place: Location, config: dict[str, Any]) -> None:
        """Tell where a mount deletes the versions of every secret: a path can't be exempted from that."""
        after = _span(config.get("delete_version_after"))
        if after:
            raise BootstrapError(
                f"{place.mount}: deletes every version after {int(after)} s (its delete_version_after), refresh tokens "
                "too; give state records a mount without it (state_mount)"
            )

    def _outlives(self, job: Job, place: Location, found: Found | Absent, after: timedelta) -> bool:
        """Whether a version is kept longer than its token lives, as far as that is known."""
        held = published.held_in(found, job, self._settings.instance, job.fields_at(place))
        life = job.lifetime
        if held is not None and held.expires_at is not None and held.issued_at is not None:
            life = max(held.expires_at - held.issued_at, life or timedelta())
        if life is None:
            self.ended.warnings.append(f"{place}: how long its tokens live is not known yet: nothing is deleted there")
        elif life >= after:
            self.ended.warnings.append(
                f"{place}: its tokens live {int(life.total_seconds())} s: nothing is deleted there"
            )
        return life is not None and life < after

    async def role(self) -> None:
        """Make the AppRole, and a secret ID for it where there is none."""
        auth, name = self._cluster.auth, rights.name_of(self._settings)
        if auth.method != "approle":
            self.ended.warnings.append(
                f"method {auth.method}: give its role the policy {name}, without the default one"
            )
            return
        path = f"auth/{auth.mount}/role/{name}"
        known = await self._admin.read(path)
        wanted = {"token_policies": [name], "token_no_default_policy": True, "token_ttl": TOKEN_TTL}
        if known is None:
            wanted |= {"token_type": "service", "secret_id_num_uses": 0}
        made = known is None or any(known.get(key) != value for key, value in wanted.items())
        if made:
            await self._admin.write(path, wanted)
        self.ended.note(f"role {name}", made=made)
        role_id = (await self._admin.read(f"{path}/role-id") or {}).get("role_id")
        if known is None:
            await self._admin.write(f"{path}/role-id", {"role_id": auth.role_id})
        elif role_id != auth.role_id:
            raise BootstrapError(f'the role {name} has another role ID than jobs.toml: write role_id = "{role_id}"')
        if known is None or self._wish.new_secret_id or not await self._admin.keys(f"{path}/secret-id"):
            wrap = f"{int(self._wish.wrap.total_seconds())}s" if auth.wrapped else ""
            self.ended.credential = await self._admin.secret_id(f"{path}/secret-id", wrap=wrap)
            self.ended.kind = "wrapping token" if auth.wrapped else "secret_id"

    async def _patiently(self, path: str) -> dict[str, Any]:
        """Read the configuration of a mount, which a fresh one has after a moment."""
        for pause in UPGRADE_S:
            try:
                return dict(await self._admin.read(path) or {})
            except StoreUnavailableError as error:
                if error.code != "upgrading":
                    raise
            await asyncio.sleep(pause)
        return dict(await self._admin.read(path) or {})


async def _put(admin: Admin, policy: Policy) -> bool:
    """Write a policy that is another than it should be; return whether it was."""
    if await admin.policy(policy.name) == policy.hcl():
        return False
    await admin.put_policy(policy.name, policy.hcl())
    return True


def _plain(value: object) -> object:
    """Return spans as seconds: Vault writes `1m0s` for what came as `60s`."""
    return _span(value) if isinstance(value, str) else value


def _span(text: object) -> float:
    """Read a duration as Go writes it (`1h2m3s`), in seconds; 0 for none."""
    total, number = 0.0, ""
    for letter in text if isinstance(text, str) else "":
        if letter in "hms":
            total, number = total + float(number or 0) * {"h": 3600, "m": 60, "s": 1}[letter], ""
        else:
            number += letter
    return total
