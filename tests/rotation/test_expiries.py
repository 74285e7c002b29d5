"""What stands behind jobs and logins is told of before it ends, each warning once."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from refresher.charge import Charge
from refresher.core.errors import StoreRefusedError, StoreUnavailableError
from refresher.core.job import Signing
from refresher.core.model import Channel, Reference
from refresher.core.perishable import Perishable
from refresher.core.remembered import read, written
from refresher.expiries import Expiries, perishables_of
from refresher.memory import recall, to_keep
from tests.core.builders import a_job
from tests.fakes.clock import START, VirtualClock
from tests.keys import certificate_pem
from tests.rotation.stage import FakeReferences, Memory, Stage, refreshing, token

DAY = timedelta(days=1)
PEM = Reference(kind="env", target="PEM")


class Roster:
    def __init__(self, *jobs) -> None:
        self.charges = {job.name: Charge(job=job) for job in jobs}


class Shelf:
    """What the next process finds; `full`: it takes nothing."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, str]] = {}
        self.full = False

    def read(self, name):
        return self.kept.get(name, {})

    def write(self, name, members):
        if self.full:
            raise StoreRefusedError("login", "no room")
        self.kept[name] = dict(members)


class Cluster:
    """A store whose login is as it is told to be; an exception: Vault is away."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)

    async def perishable(self):
        now = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(now, Exception):
            raise now
        return now


class Scene:
    def __init__(self, *jobs, **stores) -> None:
        self.clock, self.sink, self.shelf = VirtualClock(), Memory(), Shelf()
        self.roster, self.stores = Roster(*jobs), {name.strip("_"): one for name, one in stores.items()}
        self.references = FakeReferences({})
        self.start()

    def start(self) -> None:
        self.expiries = Expiries(
            self.roster,
            lambda: dict(self.stores),
            references=self.references,
            shelf=self.shelf,
            clock=self.clock,
            sink=self.sink,
        )

    async def days(self, count: int, *, restarts: bool = False) -> list[str]:
        """Look four times a day, and return what was told, and on which day."""
        for _ in range(count * 4):
            if restarts:
                self.start()
            await self.expiries.look()
            await self.clock.advance(DAY / 4)
        told = self.sink.events
        assert {(event.name, event.level) for event in told} <= {("secret_expiring", "warning")}
        return [f"{event.job or event.fields['cluster']} {event.fields['secret']}" for event in told]


SECRET = a_job(client_secret_expires=(START + 31 * DAY).date())


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_client_secret_is_told_of_30_14_7_and_1_days_before_each_once(restarts):
    scene, told = Scene(SECRET), []
    for day in range(40):
        count = len(scene.sink.events)
        await scene.days(1, restarts=restarts)
        told += [31 - day] * (len(scene.sink.events) - count)
    assert told == [31, 15, 8, 2], "in the quarters of the days before those: it ends with the beginning of a day"
    fields = dict(scene.sink.events[0].fields)
    assert fields == {
        "secret": "client_secret",
        "expires_at": f"{START + 31 * DAY:%Y-%m-%dT00:00:00Z}",
        "why": "the client secret runs out, and no new token is issued then: get a new one at the provider, put it in "
        "its place, and change client_secret_expires",
    }


async def test_a_new_secret_is_another_matter():
    scene = Scene(replace(SECRET, client_secret_expires=(START + 3 * DAY).date()))
    assert await scene.days(1) == ["crm client_secret"]
    scene.roster.charges["crm"].job = replace(SECRET, client_secret_expires=(START + 300 * DAY).date())
    assert len(await scene.days(2)) == 1
    assert scene.shelf.kept == {"warnings": {}}
    scene.roster.charges["crm"].job = replace(SECRET, client_secret_expires=(START + 9 * DAY).date())
    assert len(await scene.days(1)) == 2


async def test_a_state_directory_that_is_full_or_a_mess_costs_one_more_warning_at_a_restart():
    scene = Scene(replace(SECRET, client_secret_expires=(START + 6 * DAY).date()))
    scene.shelf.full = True
    assert len(await scene.days(1)) == 1
    scene.start()
    assert len(await scene.days(1)) == 2
    scene.shelf.kept = {"warnings": {"job crm client_secret": "soon enough"}}
    scene.start()
    assert len(await scene.days(1)) == 3


async def test_what_we_log_in_with_is_told_of_and_kept_for_the_metrics():
    one = Perishable(what="secret_id", issued_at=START - 300 * DAY, ends_at=START + 8 * DAY)
    scene = Scene(_=Cluster(one), eu=Cluster(None))
    assert await scene.days(4) == ["default secret_id"] * 2, "14 and 7 days before"
    assert scene.expiries.logins == {"": one}
    assert scene.sink.events[0].fields["why"] == (
        "the secret_id that refresher logs in with runs out: put a new one in its place"
    )


async def test_a_cluster_that_is_gone_is_no_longer_told_of():
    gone = Perishable(what="secret_id", gone=True)
    scene = Scene(eu=Cluster(gone))
    assert len(await scene.days(1)) == 1
    del scene.stores["eu"]
    assert len(await scene.days(3)) == 1
    assert scene.expiries.logins == {}


async def test_a_vault_that_is_away_has_nothing_told_twice():
    one = Perishable(what="secret_id", issued_at=START - 300 * DAY, ends_at=START + 8 * DAY)
    away = StoreUnavailableError("sealed", "Vault is sealed")
    assert await Scene(eu=Cluster(one, away, one)).days(1) == ["eu secret_id"]


async def test_nor_of_a_certificate_that_stands_in_that_vault():
    plain, pem = a_job(), Reference(kind="vault", target="secret/pem#pem")
    scene = Scene(replace(plain, shape=replace(plain.shape, client_key=Signing(key=pem, certificate=pem))))
    text = scene.references.texts[str(pem)] = certificate_pem(begins=START - 300 * DAY, ends=START + 20 * DAY)
    assert len(await scene.days(1)) == 1
    known = scene.roster.charges["crm"].perishables
    assert [one.what for one in known] == ["signing_certificate"]
    del scene.references.texts[str(pem)]
    assert len(await scene.days(1)) == 1
    assert scene.roster.charges["crm"].perishables == known, "the metrics go on"
    scene.references.texts[str(pem)] = text
    assert len(await scene.days(1)) == 1, "not told again"
    del scene.references.texts[str(pem)]
    await scene.days(1, restarts=True)
    scene.references.texts[str(pem)] = text
    assert len(await scene.days(1)) == 1, "nor after a restart"


async def test_what_is_gone_or_used_up_is_told_once_a_day_and_what_is_new_is_another_matter():
    gone, few = Perishable(what="secret_id", gone=True), Perishable(what="secret_id", uses_left=1)
    many = Perishable(what="secret_id", uses_left=2)
    scene = Scene(eu=Cluster(many, few, gone))
    assert len(await scene.days(2)) == 4
    assert [one.fields["why"].split(":")[0] for one in scene.sink.events] == [
        "the secret_id is good for 2 logins more, and each start needs one",
        "the secret_id is good for 1 login more, and each start needs one",
        "Vault does not know the secret_id or its role any more, the next login will be refused",
        "Vault does not know the secret_id or its role any more, the next login will be refused",
    ]


async def test_certificates_tell_it_themselves(tmp_path):
    pem = certificate_pem(begins=START, ends=START + 90 * DAY)
    (tmp_path / "client.pem").write_text(pem)
    plain = a_job()
    shape = replace(
        plain.shape,
        channel=Channel(cert_file=tmp_path / "client.pem"),
        client_key=Signing(key=Reference(kind="env", target="KEY"), certificate=PEM),
    )
    charge = Charge(job=replace(plain, shape=shape))
    found = await perishables_of(charge, FakeReferences({str(PEM): pem}))
    assert [(one.what, one.issued_at, one.ends_at) for one in found] == [
        ("client_certificate", START, START + 90 * DAY),
        ("signing_certificate", START, START + 90 * DAY),
    ]
    (tmp_path / "client.pem").write_text("half of it")
    assert await perishables_of(charge, FakeReferences({})) == []


async def test_a_refresh_token_that_is_stated_to_end_does_so_after_a_restart_too():
    stage = Stage(token(refresh_token="RT-1", refresh_expires_in=86400), job=refreshing())
    await stage.rotate()
    (one,) = await perishables_of(stage.charge, stage.references)
    assert (one.what, one.ends_at) == ("refresh_token", START + DAY)
    kept = read(written(to_keep(stage.charge)))
    assert await perishables_of(recall(Charge(job=stage.charge.job), kept), stage.references) == [one]


async def test_what_a_provider_says_without_sense_ends_nothing():
    for stated in (0, -5, "soon", None, True):
        stage = Stage(token(refresh_token="RT-1", refresh_expires_in=stated), job=refreshing())
        assert (await stage.rotate()).well
        assert await perishables_of(stage.charge, stage.references) == []


async def test_ten_thousand_secrets_are_looked_at_without_a_word():
    jobs = [a_job(name=f"job-{number}", client_secret_expires=date(2031, 1, 1)) for number in range(10_000)]
    scene = Scene(*jobs)
    await scene.expiries.look()
    assert scene.sink.events == []
