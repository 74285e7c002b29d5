"""The two ways to ask a person: by a code that is typed in elsewhere, and by a browser that comes back here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_bytes, token_hex
from typing import Final, TypeAlias, assert_never

from refresher.consent.interruption import Interruption
from refresher.consent.loopback import HOST, listening
from refresher.core.errors import TransportError
from refresher.core.job import Consent, Job
from refresher.core.model import HttpRequest, HttpResponse, Rejected, Verdict
from refresher.core.secret import Secret
from refresher.discovery import Discovery
from refresher.ports import Clock, Http
from refresher.providers import consent as words
from refresher.providers import device, interpret, unanswered

PATIENCE: Final = timedelta(minutes=5)  # with a browser


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePrompt:
    """Open `uri` anywhere and type `code`, or open `complete`, before `until`."""

    uri: str
    code: str
    complete: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserPrompt:
    """Open `url` in a browser that reaches `port` of this machine's 127.0.0.1, before `until`."""

    url: str
    port: int
    until: datetime


Prompt: TypeAlias = DevicePrompt | BrowserPrompt


class Ask:
    """Asks a person for consent. `show` puts a prompt before them."""

    def __init__(
        self,
        *,
        http: Http,
        discovery: Discovery,
        clock: Clock,
        interruption: Interruption,
        show: Callable[[Prompt], None],
    ) -> None:
        self._http = http
        self._discovery = discovery
        self._clock = clock
        self._interruption = interruption
        self._show = show

    async def consent(self, job: Job, consent: Consent, secrets: Mapping[str, Secret]) -> Verdict:
        """Return what came of asking: the first token of `job`, or why there is none.

        Raises InterruptedWaitError, PortTakenError, UnreadableReferenceError.
        """
        try:
            job, consent = await self._endpoints(job, consent)
        except TransportError as error:
            return unanswered(error)
        if not consent.url:
            return Rejected(kind="permanent", error="no_endpoint")
        match consent.flow:
            case "device_code":
                return await self._by_device(job, consent, secrets)
            case "authorization_code":
                return await self._by_browser(job, consent, secrets)
            case _:
                assert_never(consent.flow)

    async def _endpoints(self, job: Job, consent: Consent) -> tuple[Job, Consent]:
        """Return both with their endpoints, those of the issuer where one leads to them. Raises TransportError."""
        if not job.shape.issuer:
            return job, consent
        known = await self._discovery.metadata(job)
        by_device = consent.flow == "device_code"
        url = known.device_authorization_endpoint if by_device else known.authorization_endpoint
        return replace(job, token_url=known.token_endpoint), replace(consent, url=consent.url or url)

    async def _by_device(self, job: Job, consent: Consent, secrets: Mapping[str, Secret]) -> Verdict:
        """RFC 8628."""
        sent_at, began = self._clock.now(), self._clock.monotonic()
        request = device.request(job, consent, secrets, now=sent_at, nonce=token_hex())
        answer = await self._send(request)
        if isinstance(answer, Rejected):
            return answer
        offered = device.answer(answer, sent_at=sent_at, secrets=tuple(secrets.values()))
        if isinstance(offered, Rejected):
            return offered
        until = sent_at + offered.lifetime
        self._show(
            DevicePrompt(uri=offered.verification_uri, code=offered.user_code, complete=offered.complete, until=until)
        )
        ends, interval = began + offered.lifetime.total_seconds(), offered.interval
        while self._clock.monotonic() + interval.total_seconds() < ends:
            await self._interruption.pause(interval)
            verdict = await self._redeem(job, device.grant(offered), secrets)
            wait = device.next_interval(interval, verdict) if isinstance(verdict, Rejected) else None
            if wait is None:
                return verdict
            interval = wait
        return Rejected(kind="permanent", error="expired_token")

    async def _by_browser(self, job: Job, consent: Consent, secrets: Mapping[str, Secret]) -> Verdict:
        """RFC 6749 section 4.1 with RFC 7636, the redirect of RFC 8252 section 7.3."""
        state, verifier = (words.random_text(token_bytes(words.ENTROPY)) for _ in range(2))
        issuer = job.shape.issuer

        def judge(target: str) -> Secret | Rejected | None:
            return words.callback(target, state=state, issuer=issuer)

        async with listening(consent.redirect_port, judge) as loopback:
            address = f"http://{HOST}:{loopback.port}{words.CALLBACK}"
            question = words.Question(redirect_uri=address, state=state, verifier=Secret(verifier))
            url = words.authorization_url(job, consent, question)
            self._show(BrowserPrompt(url=url, port=loopback.port, until=self._clock.now() + PATIENCE))
            came = await self._interruption.answer(loopback.answer, within=PATIENCE)
        match came:
            case None:
                return Rejected(kind="permanent", error="timeout")
            case Rejected():
                return came
            case _:
                return await self._redeem(job, words.code_grant(came, question), secrets)

    async def _redeem(self, job: Job, grant: words.Grant, secrets: Mapping[str, Secret]) -> Verdict:
        sent_at = self._clock.now()
        answer = await self._send(words.token_request(job, grant, secrets, now=sent_at, nonce=token_hex()))
        if isinstance(answer, Rejected):
            return answer
        return interpret(answer, job, sent_at=sent_at, secrets=[*secrets.values(), *grant.secret.values()])

    async def _send(self, request: HttpRequest) -> HttpResponse | Rejected:
        try:
            return await self._http.send(request)
        except TransportError as error:
            return unanswered(error)
