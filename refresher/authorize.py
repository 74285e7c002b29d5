"""`authorize`: a refresh token from a person's consent, or from elsewhere, taken into a job's care and proven at once.

Rules of this module:
- Nothing is asked of a person before it is known that Vault takes what will come of it.
- What an answer brought is in the state record before anything else happens to it; until then this does not end.
- Only the refresh token is on trial: the job's other grants are left out of every walk here.
- A refresh token that works is not replaced unless that is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from refresher import daemon
from refresher.charge import Charge
from refresher.consent import Ask, InterruptedWaitError, Interruption, Prompt
from refresher.core.events import Event
from refresher.core.fingerprint import fingerprint
from refresher.core.job import Consent, Job
from refresher.core.model import Reference, Rejected
from refresher.core.outcome import Outcome
from refresher.core.remembered import Attempted
from refresher.core.secret import Secret
from refresher.core.settings import Settings
from refresher.memory import to_keep
from refresher.ports import Sink
from refresher.providers.consent import explain_consent
from refresher.sinks.log import LogSink

TRIES: Final = 3  # of the first refresh: a server may fail within the second of issue
LONGEST_WAIT: Final = timedelta(seconds=10)  # for the next of them
TOLD_HERE: Final = frozenset({"failing", "latched", "recovered", "rotation_rejected"})
RETRY: Final = timedelta(seconds=2)  # of a write that holds the only copy

Verdict: TypeAlias = Literal[
    "proven",  # stored, and a token stands at the job's paths
    "unproven",  # stored, but the refresh that would show that it works failed
    "refused",  # the provider does not take it
    "working",  # the one that is held works, and stays
    "unchecked",  # whether the held one works can't be said now
    "blocked",  # the job can't be walked: its path is a stranger's, or Vault fails
    "not_given",  # nobody consented, or the provider refused to ask
    "no_refresh_token",  # consent brought an access token alone
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of it. `outcome` is that of the last walk, `why` tells a person what failed and what to do."""

    verdict: Verdict
    outcome: Outcome | None = None
    why: str = ""


class Reasons:
    """ports.Sink: keeps why a walk failed, for the verb to tell; to a log it would read as the job's own trouble."""

    def __init__(self, beyond: Sink) -> None:
        self.why = ""
        self._beyond = beyond

    def tell(self, event: Event) -> None:
        self.why = str(event.fields.get("why", self.why))
        if event.name not in TOLD_HERE:
            self._beyond.tell(event)


class Authorization:
    """Takes one refresh token into a job's care. `show` puts a prompt before a person, `say` a line."""

    def __init__(
        self,
        parts: daemon.Parts,
        interruption: Interruption,
        *,
        show: Callable[[Prompt], None],
        say: Callable[[str], None],
    ) -> None:
        self._parts = parts
        self._interruption = interruption
        self._ask = Ask(
            http=parts.http, discovery=parts.discovery, clock=parts.clock, interruption=interruption, show=show
        )
        self._say = say

    async def by_consent(self, job: Job, consent: Consent, *, force: bool) -> Ended:
        """Ask a person, store what comes, and prove it.

        Raises RefresherError: InterruptedWaitError, PortTakenError, StoreError, UnreadableReferenceError.
        """
        charge = _on_trial(job, None)
        if (ended := await self._hindrance(charge)) is not None:
            return ended
        held = _held(charge)
        if held is not None and not force:
            if (ended := await self._working(charge, held)) is not None:
                return ended
            self._say(f"{job.name}: the refresh token in {job.state} is refused; a new consent is needed")
        await self._parts.rotation.prove(charge)
        secrets = await self._parts.references.resolve(charge.job.references())
        verdict = await self._ask.consent(charge.job, consent, secrets)
        if isinstance(verdict, Rejected):
            return Ended(verdict="not_given", why=explain_consent(job, verdict))
        if verdict.token.refresh_token is None:
            return Ended(verdict="no_refresh_token")
        charge = replace(charge, unkept=verdict.token.refresh_token, refused="", latch=None, trouble=None)
        await self._save(charge)
        return await self._judged(charge)

    async def by_reference(self, job: Job, reference: Reference, *, force: bool) -> Ended:
        """Prove the refresh token that `reference` points to, and store it when it works."""
        charge = _on_trial(job, reference)
        if (ended := await self._hindrance(charge)) is not None:
            return ended
        imported = (await self._parts.references.resolve({"--import": reference}))["--import"]
        held = _held(charge)
        if held is not None and held != imported:
            if not force and (ended := await self._working(charge, held)) is not None:
                return ended
            charge.open_latch()
            charge.refused = self._fingerprint(held)  # so that the walk takes the other one
            charge.trouble = None
        ended = await self._judged(charge)
        if ended.verdict == "proven" and _held(charge) in (None, held):  # it was not rotated by its use
            charge.unkept = imported
            await self._save(charge)
        return ended

    async def _hindrance(self, charge: Charge) -> Ended | None:
        """Look at what stands in Vault: whatever halts the job halts this."""
        ended = await self._parts.rotation.look(charge)
        blocked = charge.held is None or ended.reason == "unmanaged"
        return Ended(verdict="blocked", outcome=ended) if blocked else None

    async def _working(self, charge: Charge, held: Secret) -> Ended | None:
        """Use the held refresh token; None: it is refused."""
        ended = await self._walk(charge)
        if _took(ended):
            return Ended(verdict="working", outcome=ended)
        if self._fingerprint(held) in charge.refused.split():
            return None
        return Ended(verdict="unchecked", outcome=ended)

    async def _judged(self, charge: Charge) -> Ended:
        ended = await self._walk(charge)
        if _took(ended):
            return Ended(verdict="proven", outcome=ended)
        if ended.outcome == "rejected_permanent":
            return Ended(verdict="refused", outcome=ended)
        return Ended(verdict="unproven", outcome=ended)

    async def _walk(self, charge: Charge) -> Outcome:
        """Walk until it is clear whether the refresh token is taken; what a walk brought is written before the next."""
        for _ in range(TRIES):
            ended = await self._parts.rotation.rotate(charge, force=True)
            if charge.pending:
                ended = await self._save(charge)
            retry_at = charge.trouble.retry_at if charge.trouble is not None else None
            wait = timedelta() if retry_at is None else retry_at - self._parts.clock.now()
            if _took(ended) or ended.outcome == "rejected_permanent" or wait >= LONGEST_WAIT:
                break
            try:
                await self._interruption.pause(wait)
            except InterruptedWaitError:
                break
        if ended.outcome in ("rotated", "fresh") and charge.last_at is not None:
            charge.attempted = Attempted(at=charge.last_at, outcome=ended.outcome, error=ended.error)
            self._parts.ledger.note(ended, charge.last_at, to_keep(charge))
        return ended

    async def _save(self, charge: Charge) -> Outcome:
        """Write what was issued, until it is written: there is no other copy."""
        while True:
            ended = await self._parts.rotation.save(charge)
            if not charge.pending:
                return ended
            self._say(
                f"{charge.job.name}: Vault does not take what was issued ({ended.error}). There is no other copy:"
                " it is tried again until it is written; mend Vault, and do not end this"
            )
            await self._parts.clock.sleep(RETRY)

    def _fingerprint(self, token: Secret) -> str:
        return fingerprint(self._parts.identity.key, token)


def _on_trial(job: Job, reference: Reference | None) -> Charge:
    """Return a charge of `job` that knows no grant but the refresh token, in the record or at `reference`."""
    return Charge(job=replace(job, grant="refresh_token", refresh_token=reference))


def _took(ended: Outcome) -> bool:
    """Whether the provider took the refresh token; it is not asked while another may be spending it, or has."""
    return ended.outcome in ("rotated", "fresh") and ended.reason not in ("grant_unknown", "leased")


def _held(charge: Charge) -> Secret | None:
    return charge.record.refresh_token if charge.record is not None else None


async def authorize(  # noqa: PLR0913  # what an operator says
    settings: Settings,
    job: Job,
    *,
    reference: Reference | None,
    force: bool,
    show: Callable[[Prompt], None],
    say: Callable[[str], None],
) -> Ended:
    """Take a refresh token of `job` into care, from `reference` or by the consent that `job.shape` describes.

    Raises ValueError where there is neither.
    """
    interruption, reasons = Interruption(), Reasons(LogSink())
    async with daemon.build(replace(settings, jobs={job.name: job}), sinks=(reasons,)) as parts:
        one = Authorization(parts, interruption, show=show, say=say)
        with interruption.signals():
            if reference is not None:
                ended = await one.by_reference(job, reference, force=force)
            elif job.shape.consent is not None:
                ended = await one.by_consent(job, job.shape.consent, force=force)
            else:
                raise ValueError("neither a reference nor a way to consent")
    return replace(ended, why=ended.why or reasons.why)
