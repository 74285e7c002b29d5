"""Trying a new token before it replaces the one that readers have.

Rules of this module:
- A token is withheld only for an explicit refusal (401 or 403 of an API, `active: false` of RFC 7662), repeated until
  it has had the time to become known everywhere.
- A verifier that is down, redirects or makes no sense withholds nothing: the token is published, and the log says that
  nobody tried it.
- The token goes to the one address that the configuration, or the issuer's metadata, names.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from secrets import token_urlsafe
from typing import Final

from refresher.charge import Charge, Tried
from refresher.core.errors import RefresherError
from refresher.core.job import Job, Verify
from refresher.core.model import Rejected
from refresher.core.secret import Secret
from refresher.discovery import Discovery
from refresher.ports import Clock, Http, References
from refresher.providers import introspection

PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2))  # between the tries of a refused token


class Verifier:
    """Tries tokens at their providers."""

    def __init__(self, *, http: Http, discovery: Discovery, references: References, clock: Clock) -> None:
        self._http = http
        self._discovery = discovery
        self._references = references
        self._clock = clock

    async def refusal(self, charge: Charge, token: Secret) -> Rejected | None:
        """Try `token`, where the job says so and it was not tried yet; return why it must not be published, or None.

        What came of it stands in `charge.tried`.
        """
        verify = charge.job.shape.verify
        if verify is None:
            return None
        if not charge.tried:
            charge.tried = await self._tried(charge.job, verify, token)
        if charge.tried != "refused":
            return None
        where = "by introspection" if verify.introspect else f"at {verify.url}"
        why = f"the new token is refused {where}; it is not published, and another one is asked for"
        return Rejected(kind="transient", error="verify_refused", why=why)

    async def _tried(self, job: Job, verify: Verify, token: Secret) -> Tried:
        for pause in (*PAUSES, None):
            try:
                taken = await (self._introspected if verify.introspect else self._called)(job, verify, token)
            except RefresherError:  # the wire, a secret of the client, Vault: nobody can say
                return "unknown"
            if taken is None:
                return "unknown"
            if taken:
                return "taken"
            if pause is not None:
                await self._clock.sleep(pause)
        return "refused"

    async def _called(self, job: Job, verify: Verify, token: Secret) -> bool | None:
        return introspection.is_taken(await self._http.send(introspection.call(job, verify, token)), verify)

    async def _introspected(self, job: Job, verify: Verify, token: Secret) -> bool | None:
        url = verify.url
        if job.shape.issuer:
            metadata = await self._discovery.metadata(job)
            job, url = replace(job, token_url=metadata.token_endpoint), url or metadata.introspection_endpoint
        if not url:
            return None
        secrets: Mapping[str, Secret] = await self._references.resolve(job.references())
        now, nonce = self._clock.now(), token_urlsafe()
        request = introspection.introspection(job, url, token, secrets, now=now, nonce=nonce)
        return introspection.is_active(await self._http.send(request))
