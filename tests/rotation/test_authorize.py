"""A refresh token is taken into care: from a person's consent or from elsewhere, on the walk's own fakes."""

import signal
from types import SimpleNamespace

import pytest

from refresher.authorize import Authorization
from refresher.consent import InterruptedWaitError
from refresher.core.errors import StoreRefusedError, UnreadableReferenceError
from refresher.core.model import Reference
from refresher.discovery import Discovery
from tests.consent.scene import DEVICE, OFFERED, PENDING, Patience
from tests.core.builders import PLACE, STATE
from tests.fakes.http import answer
from tests.rotation.stage import IDENTITY, SEED, Stage, refresh_only, refreshing, refused, token

CONSENTED = token(1, refresh_token="RT-1")
REFRESHED = token(2, refresh_token="RT-2")
ELSEWHERE = Reference(kind="env", target="ELSEWHERE")


class Office(Stage):
    """A stage on which a person is asked instead of a daemon being run."""

    def __init__(self, *steps, job=None, held: str | None = None, ends: int = 1000, **how) -> None:
        super().__init__(*steps, job=job or refresh_only(refresh_token=None), **how)
        self.references.texts[str(ELSEWHERE)] = "RT-elsewhere"
        if held is not None:
            self.store.put(STATE, {"refresh_token": held, "generation": "7", "job": "crm"})
        self.prompts, self.lines, self.noted = [], [], []
        self.clock.sleep = self.clock.advance  # nobody else is there to let time pass
        parts = SimpleNamespace(
            http=self.http,
            discovery=Discovery(http=self.http, clock=self.clock),
            ledger=SimpleNamespace(note=lambda ended, _at, kept: self.noted.append((ended.outcome, kept))),
            clock=self.clock,
            rotation=self.rotation,
            stores=self.stores,
            references=self.references,
            identity=IDENTITY,
        )
        self.patience = Patience(self.clock, ends=ends)
        self.desk = Authorization(parts, self.patience, show=self.prompts.append, say=self.lines.append)

    async def consent(self, *, force: bool = False) -> str:
        self.ended = await self.desk.by_consent(self.charge.job, DEVICE, force=force)
        return self.ended.verdict

    async def take(self, reference: Reference = ELSEWHERE, *, force: bool = False) -> str:
        self.ended = await self.desk.by_reference(self.charge.job, reference, force=force)
        return self.ended.verdict

    def grants(self) -> list[str]:
        """What was asked of the token endpoint, in order: a refresh by its token, else the grant."""
        asked = [form for form in self.sent() if "grant_type" in form]
        return [form.get("refresh_token", form["grant_type"]) for form in asked]

    @property
    def kept(self) -> tuple[str, str] | None:
        """The refresh token in the state record, and its generation."""
        record = self.stands(STATE)
        return (
            None if record is None or "refresh_token" not in record else (record["refresh_token"], record["generation"])
        )

    def access_token(self) -> str | None:
        return (self.stands(PLACE) or {}).get("access_token")


async def test_a_consent_is_stored_before_it_is_tried_and_its_token_published():
    office = Office(OFFERED, PENDING, CONSENTED, REFRESHED)
    assert await office.consent() == "proven"
    assert office.grants()[-1] == "RT-1"
    assert office.kept == ("RT-2", "2")
    assert office.access_token() == "AT-2", "the refreshed one: the one of the consent was only a proof"
    deeds = office.deeds()
    writes = [deed for deed in deeds if deed.startswith("write")]
    record, journal, token_ = "write refresher/default/crm", "write refresher/default.journal", "write tokens/crm"
    assert writes == [record, journal, record, record, token_], "kept; then the key, the intent, the answer, the token"
    proofs = [deed for deed in deeds[: deeds.index(writes[0])] if deed.startswith("prove")]
    assert proofs == ["prove refresher/default/crm", "prove tokens/crm"]


async def test_a_job_with_a_full_grant_proves_the_refresh_token_and_not_its_password():
    office = Office(OFFERED, CONSENTED, refused(), job=refreshing())
    assert await office.consent() == "refused"
    assert "password" not in office.grants()
    assert office.access_token() is None


async def test_one_that_works_stays_and_nobody_is_asked():
    office = Office(REFRESHED, held="RT-held")
    assert await office.consent() == "working"
    assert office.prompts == []
    assert office.kept == ("RT-2", "8"), "what its use brought is kept"


async def test_one_that_is_refused_makes_way_without_ceremony():
    office = Office(refused(), OFFERED, CONSENTED, REFRESHED, held="RT-held")
    assert await office.consent() == "proven"
    assert office.kept == ("RT-2", "9")
    assert office.lines == [
        "crm: the refresh token in secret/refresher/default/crm is refused; a new consent is needed"
    ]
    assert office.grants().count("RT-held") == 1
    ((outcome, kept),) = office.noted
    assert (outcome, kept.attempted.outcome, kept.latch) == ("rotated", "rotated", None), (
        "history has the rotation alone"
    )


async def test_a_consent_may_bring_the_very_one_that_was_refused():
    office = Office(refused(), OFFERED, CONSENTED, token(2), held="RT-1")
    assert await office.consent() == "proven"
    assert office.kept == ("RT-1", "7")


@pytest.mark.parametrize("trouble", [refused("invalid_client", 401), answer(503), answer(200, b"<html>")])
async def test_one_that_can_not_be_tried_stays(trouble):
    office = Office(*[trouble] * 3, held="RT-held")
    assert await office.consent() == "unchecked"
    assert (office.prompts, office.kept) == ([], ("RT-held", "7"))


async def test_force_replaces_one_without_a_look_at_it():
    office = Office(OFFERED, CONSENTED, REFRESHED, held="RT-held")
    assert await office.consent(force=True) == "proven"
    assert "RT-held" not in office.grants()
    assert office.kept == ("RT-2", "9")


async def test_a_consent_that_was_denied_changes_nothing():
    office = Office(refused(), OFFERED, refused("access_denied"), held="RT-held")
    assert await office.consent() == "not_given"
    assert office.ended.why == "access_denied: consent was denied at the provider"
    assert office.kept == ("RT-held", "7")


async def test_an_access_token_alone_is_not_what_was_asked_for():
    office = Office(OFFERED, token(1))
    assert await office.consent() == "no_refresh_token"
    assert (office.kept, office.access_token()) == (None, None)


async def test_a_server_that_fails_within_the_second_of_issue_is_asked_once_more():
    office = Office(OFFERED, CONSENTED, answer(500), REFRESHED)
    assert await office.consent() == "proven"
    assert office.grants()[-2:] == ["RT-1", "RT-1"]


async def test_a_server_that_goes_on_failing_leaves_it_unproven_and_kept():
    office = Office(OFFERED, CONSENTED, *[answer(500)] * 3)
    assert await office.consent() == "unproven"
    assert office.kept == ("RT-1", "1")


async def test_a_server_that_says_when_to_come_back_is_left_alone_until_then():
    office = Office(OFFERED, CONSENTED, answer(429, retry_after="600"))
    assert await office.consent() == "unproven"


async def test_nobody_waits_longer_than_wanted_for_the_proof():
    office = Office(OFFERED, CONSENTED, answer(500), ends=1)
    assert await office.consent() == "unproven"
    assert office.kept == ("RT-1", "1")


async def test_an_end_before_the_answer_leaves_nothing_behind():
    office = Office(OFFERED, PENDING, ends=1)
    with pytest.raises(InterruptedWaitError) as end:
        await office.consent()
    assert end.value.number == signal.SIGINT
    assert (office.kept, office.access_token()) == (None, None)


async def test_what_came_is_written_however_long_vault_is_away():
    office = Office(OFFERED, CONSENTED, REFRESHED)
    tries = 0

    def away_for_a_while(deed, place):
        nonlocal tries
        if deed == "write" and place == STATE:
            tries += 1
            office.store.away = tries < 4

    office.store.before = away_for_a_while
    office.patience.interrupt(signal.SIGTERM)
    assert await office.consent() == "proven"
    assert tries >= 4
    assert len(office.lines) == 3
    assert "There is no other copy" in office.lines[0]
    assert office.kept == ("RT-2", "2")
    assert "RT-1" not in " ".join(office.lines)


async def test_what_the_proof_brought_is_written_however_long_vault_is_away():
    office = Office(OFFERED, CONSENTED, REFRESHED)
    writes = 0

    def away_the_second_time(deed, place):
        nonlocal writes
        if deed == "write" and place == STATE:
            writes += 1
            office.store.away = writes in (3, 4)

    office.store.before = away_the_second_time
    assert await office.consent() == "proven"
    assert (office.kept, office.access_token()) == (("RT-2", "2"), "AT-2")


async def test_what_is_only_written_late_is_not_proven_by_that():
    no_access_token = answer(200, {"refresh_token": "RT-2"})
    office = Office(OFFERED, CONSENTED, no_access_token, token(3, refresh_token="RT-3"))
    writes = 0

    def away_the_second_time(deed, place):
        nonlocal writes
        if deed == "write" and place == STATE:
            writes += 1
            office.store.away = writes == 3

    office.store.before = away_the_second_time
    assert await office.consent() == "proven"
    assert office.grants()[-2:] == ["RT-1", "RT-2"]
    assert (office.kept[0], office.access_token()) == ("RT-3", "AT-3")


@pytest.mark.parametrize("path", [STATE.path, PLACE.path])
async def test_nobody_is_asked_for_what_vault_would_not_take(path):
    office = Office()
    office.store.before = lambda deed, _: deed == "prove" and office.store.denied.add(path)
    with pytest.raises(StoreRefusedError, match="policy"):
        await office.consent()
    assert (office.prompts, office.http.requests) == ([], [])


async def test_nobody_is_asked_where_vault_keeps_no_versions():
    office = Office(version=1)
    with pytest.raises(StoreRefusedError, match="KV v1"):
        await office.consent()
    assert office.prompts == []


async def test_nobody_is_asked_for_a_path_that_is_a_stranger_s():
    office = Office()
    office.store.put(PLACE, {"password": "somebody else's"})
    assert await office.consent() == "blocked"
    assert office.ended.outcome.reason == "unmanaged"
    assert office.prompts == []


async def test_nobody_is_asked_while_vault_is_away():
    office = Office()
    office.store.away = True
    assert await office.consent() == "blocked"
    assert office.ended.outcome.store_down


async def test_one_from_elsewhere_is_tried_then_kept():
    office = Office(REFRESHED)
    assert await office.take() == "proven"
    assert office.grants() == ["RT-elsewhere"]
    assert (office.kept, office.access_token()) == (("RT-2", "1"), "AT-2")


@pytest.mark.parametrize("held", [None, "RT-held"])
async def test_one_from_elsewhere_that_its_use_does_not_change_is_kept_itself(held):
    office = Office(*([refused()] if held else []), token(2), held=held)
    assert await office.take() == "proven"
    assert office.kept[0] == "RT-elsewhere"


@pytest.mark.parametrize(("held", "kept"), [(None, None), ("RT-held", ("RT-held", "7"))])
async def test_one_from_elsewhere_that_is_refused_is_not_kept(held, kept):
    office = Office(refused(), held=held)
    assert await office.take(force=True) == "refused"
    assert office.grants() == ["RT-elsewhere"]
    assert (office.kept, office.access_token()) == (kept, None)


async def test_one_from_elsewhere_does_not_replace_one_that_works():
    office = Office(token(2), held="RT-held")
    assert await office.take() == "working"
    assert office.kept == ("RT-held", "7")


async def test_one_from_elsewhere_replaces_one_that_is_refused():
    office = Office(refused(), REFRESHED, held="RT-held")
    assert await office.take() == "proven"
    assert office.grants() == ["RT-held", "RT-elsewhere"]
    assert office.kept == ("RT-2", "8")


async def test_the_one_that_is_held_may_come_again():
    office = Office(token(2), held="RT-elsewhere")
    assert await office.take() == "proven"
    assert (office.grants(), office.kept) == (["RT-elsewhere"], ("RT-elsewhere", "7"))


async def test_one_that_can_not_be_read_spends_nothing():
    office = Office(held="RT-held")
    with pytest.raises(UnreadableReferenceError, match="env:NOWHERE"):
        await office.take(Reference(kind="env", target="NOWHERE"), force=True)
    assert office.http.requests == []


async def test_the_job_s_own_reference_is_left_out():
    office = Office(OFFERED, CONSENTED, refused(), job=refresh_only(refresh_token=SEED))
    assert await office.consent() == "refused"
    assert "RT-seed" not in office.grants()
