"""Prove, exchange, judge: the part of the walk that speaks with the provider."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from refresher import tls
from refresher.behind import attempt, worst
from refresher.charge import Charge, Identity
from refresher.core import backoff
from refresher.core.errors import AwaitedSecretError, StoreRefusedError, TransportError, UnreadableReferenceError
from refresher.core.fingerprint import fingerprint
from refresher.core.job import GrantName, Job, asked_for
from refresher.core.model import Granted, Reference, Rejected
from refresher.core.perishable import refresh_token_life
from refresher.core.published import unstamp
from refresher.core.secret import Secret
from refresher.endpoint import Endpoint
from refresher.keeping import Keeping
from refresher.ports import Clock, References, SecretStore
from refresher.providers import explain, has_special_characters, interpret, refuses_client, unanswered

ClientSecret: TypeAlias = Literal["", "next"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of asking: the grant that was used last, the verdict, and of a refusal which credential it was about.

    `client_secret`: `next` where the first was refused and the job's next one was not.
    """

    grant: GrantName
    verdict: Granted | Rejected
    credential: str = ""
    why: str = ""  # what a refusal means at this provider, for a person
    client_secret: ClientSecret = ""
    unknown: bool = False  # no answer came, and what was sent may be spent


class Exchange:
    """Asks a provider for a token."""

    def __init__(  # noqa: PLR0913  # what an exchange needs
        self,
        *,
        endpoint: Endpoint,
        keeping: Keeping,
        stores: Mapping[str, SecretStore],
        references: References,
        clock: Clock,
        identity: Identity,
    ) -> None:
        self._endpoint = endpoint
        self._keeping = keeping
        self._stores = stores
        self._references = references
        self._clock = clock
        self._key = identity.key

    async def open_latch(self, charge: Charge) -> None:
        """Open the latch when the credential, or what is asked for, is another than the one that was refused.

        A refused refresh token is sent again then, unless somebody gave the job another one.
        """
        latch = charge.latch
        if latch is None:
            return
        credential, refused = self._credential(charge, await self._secrets(charge.job)), charge.refused
        if latch.credential != credential:
            charge.open_latch()
            if _given(latch.credential) not in ("", _given(credential)):
                charge.refused = refused

    async def prove(self, charge: Charge) -> None:
        """Show that the state record and a destination take a write, before anything is spent. Raises StoreError.

        A destination that takes none holds up no other: it gets the token when it is mended.
        """
        job = charge.job
        known = dict(zip(job.destinations, charge.versions, strict=True))
        goals = [place for place in job.destinations if place not in charge.behind] or job.destinations
        known = {place: known[place] for place in goals}
        if charge.record is not None:
            known[job.state] = charge.record.version
        if None in known.values():
            place = next(place for place, version in known.items() if version is None)
            why = f"{place}: a KV v1 mount has no check-and-set; this job's token needs KV v2"
            raise StoreRefusedError("kv_v1", why)
        await self._stores[job.states.cluster].prove(job.state)
        proved, failed = await attempt(charge, goals, lambda place: self._stores[place.cluster].prove(place))
        if failed and not proved:
            raise worst(failed)

    async def ask(self, charge: Charge) -> Asked:
        """Ask by a refresh token that was not refused, where there is one, then once by the full grant.

        A refresh token that an answer brings is in `charge.unkept` at the end.
        Raises StoreError or UnreadableReferenceError before anything is spent.
        """
        job = charge.job
        secrets = await self._secrets(job)
        if job.irreplaceable:
            await self.prove(charge)
            await self._keeping.intend(charge)
        grant: GrantName = job.grant
        verdict: Granted | Rejected = Rejected(kind="permanent", error="no_refresh_token")
        which: ClientSecret = ""
        for number, (grant, refresh_token) in enumerate(self._grants(charge, secrets)):
            if number and job.irreplaceable:  # a lease is for one request
                await self._keeping.intend(charge)
            verdict, which = await self._try(job, grant, secrets, refresh_token)
            issued = verdict.token if isinstance(verdict, Granted) else verdict
            charge.unkept = issued.refresh_token or charge.unkept
            if isinstance(verdict, Granted) or verdict.kind != "permanent":
                break
            if refresh_token is not None and backoff.spends_itself(grant, verdict):
                charge.refused = " ".join((*charge.refused.split()[-7:], fingerprint(self._key, refresh_token)))
        if isinstance(verdict, Granted):
            charge.refresh_life = refresh_token_life(verdict.token, charge.refresh_life)
            return Asked(grant=grant, verdict=verdict, client_secret=which)
        why = _why(job, grant, verdict, secrets.get("client_secret"))
        credential = self._credential(charge, secrets)
        lost = verdict.lost and (grant == "refresh_token" or job.revokes_previous)
        return Asked(grant=grant, verdict=verdict, credential=credential, why=why, client_secret=which, unknown=lost)

    async def _try(
        self, job: Job, grant: GrantName, secrets: Mapping[str, Secret], refresh_token: Secret | None
    ) -> tuple[Granted | Rejected, ClientSecret]:
        """Ask once; and once more with the next client secret where the first is refused, and nothing is spent."""
        verdict = await self._send(job, grant, secrets, refresh_token)
        if "next_client_secret" not in secrets or isinstance(verdict, Granted) or not refuses_client(verdict):
            return verdict, ""
        if refresh_token is not None and backoff.spends_itself(grant, verdict):
            return verdict, ""
        job = replace(job, client_secret=job.shape.next_client_secret)
        verdict = await self._send(
            job, grant, {**secrets, "client_secret": secrets["next_client_secret"]}, refresh_token
        )
        taken = isinstance(verdict, Granted) or (verdict.kind == "permanent" and not refuses_client(verdict))
        return verdict, "next" if taken else ""

    async def _send(
        self, job: Job, grant: GrantName, secrets: Mapping[str, Secret], refresh_token: Secret | None
    ) -> Granted | Rejected:
        carried = {**secrets, **({} if refresh_token is None else {"refresh_token": refresh_token})}
        try:
            response, sent_at = await self._endpoint.ask(job, grant, carried)
        except TransportError as error:
            return unanswered(error)
        return interpret(response, job, sent_at=sent_at, sent_refresh_token=refresh_token, secrets=carried.values())

    def _grants(self, charge: Charge, secrets: Mapping[str, Secret]) -> Iterator[tuple[GrantName, Secret | None]]:
        """A refresh grants what was granted before: where something else is asked for, the full grant alone will do."""
        job, held = charge.job, charge.record.refresh_token if charge.record is not None else None
        refreshes = job.grant == "refresh_token" or (job.refreshes and not charge.changed and not charge.unknown)
        refreshes = refreshes and not charge.went_back
        for one in (held, secrets.get("refresh_token")) if refreshes else ():
            if one is not None and fingerprint(self._key, one) not in charge.refused.split():
                yield "refresh_token", one
                break
        if job.grant != "refresh_token":
            yield job.grant, None

    async def _secrets(self, job: Job) -> Mapping[str, Secret]:
        """Read the job's secrets; a token to exchange that another job has yet to write, or to renew, is awaited."""
        subject = job.shape.subject_token
        awaits = subject is not None and subject.kind == "vault"
        try:
            secrets = await self._references.resolve(job.references())
        except UnreadableReferenceError as error:
            if awaits and error.reference == str(subject):
                raise AwaitedSecretError(error.reference, error.why) from None
            raise
        if subject is not None and awaits and await self._is_dead(subject):
            raise AwaitedSecretError(str(subject), "the token that stands there has expired")
        return secrets

    async def _is_dead(self, token: Reference) -> bool:
        """Whether a token in Vault is past the end that stands beside it."""
        try:
            beside = await self._references.resolve({"expires_at": replace(token, field="expires_at")})
        except UnreadableReferenceError:
            return False  # not of our making: nobody states its end
        ends = unstamp(beside["expires_at"].reveal())
        return ends is not None and ends <= self._clock.now()

    def _credential(self, charge: Charge, secrets: Mapping[str, Secret]) -> str:
        """Hash the newest refresh token too: a person's consent puts another one into the state record.

        And when the certificate's files were changed: they are the credential of a client that is known by them.
        A refresh token that jobs.toml refers to is hashed by itself, after a point.
        """
        texts = [f"{name}={secrets[name].reveal()}" for name in sorted(secrets) if name != "refresh_token"]
        newest = charge.unkept or (charge.record.refresh_token if charge.record is not None else None)
        texts += [] if newest is None else [f"kept={newest.reveal()}"]
        channel = charge.job.shape.channel
        texts += [] if channel is None else [f"files={tls.stamp(channel)}"]
        whole = fingerprint(self._key, repr(asked_for(charge.job)), *map(Secret, texts))
        given = secrets.get("refresh_token")
        return whole if given is None else f"{whole}.{fingerprint(self._key, given)}"


def _given(credential: str) -> str:
    """Return the part of a credential's hash that is about the refresh token that jobs.toml refers to."""
    return credential.partition(".")[2]


def _why(job: Job, grant: GrantName, rejected: Rejected, client_secret: Secret | None) -> str:
    if rejected.why:
        return f"{rejected.error}: {rejected.why}"
    special = client_secret is not None and has_special_characters(job.client_id, client_secret)
    return explain(job.provider, rejected, grant=grant, client_auth=job.client_auth, special=special)
