"""A wrapped secret ID: unwrapped once, kept for restarts, and an alarm when somebody else was there before."""

import asyncio
import hashlib
import json
from datetime import timedelta

import pytest

from refresher.core.errors import StoreError, StoreRefusedError, StoreUnavailableError
from refresher.host.kept import Kept
from refresher.vault.auth import Login
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer, lost
from tests.rotation.stage import Memory
from tests.vault.builders import WRAPPED, Local, a_cluster, header, logged_in, payload

LOOK, UNWRAP = "POST /v1/sys/wrapping/lookup", "POST /v1/sys/wrapping/unwrap"
LOGIN, REVOKE = "POST /v1/auth/approle/login", "POST /v1/auth/token/revoke-self"
SPENT = answer(400, {"errors": ["wrapping token is not valid or does not exist"]})
UNWRAPPED = answer(200, {"data": {"secret_id": "SID-1", "secret_id_accessor": "x"}})


def holds(path: str = "auth/approle/role/refresher/secret-id"):
    return answer(200, {"data": {"creation_path": path, "creation_ttl": 60}})


class House:
    """A state directory, a delivered wrapping token, and processes that come and go."""

    def __init__(self, folder) -> None:
        self.kept, self.local, self.sink, self.clock = (
            Kept(folder, "default"),
            Local("WRAP-1\n"),
            Memory(),
            VirtualClock(),
        )
        self.file = folder / "login-default-default.json"

    def process(self, *steps: object) -> Login:
        self.http = ScriptedHttp(*steps)
        ports = {"http": self.http, "clock": self.clock, "local": self.local, "keeper": self.kept, "sink": self.sink}
        return Login(cluster=a_cluster(WRAPPED), **ports)

    async def fails(self, *steps: object) -> StoreError:
        with pytest.raises(StoreError) as caught:
            await self.process(*steps).token()
        assert not any(secret in str(caught.value) for secret in ("WRAP", "SID"))
        return caught.value

    @property
    def alarms(self) -> list[str]:
        return [event.fields["why"] for event in self.sink.events if event.name == "secret_exposed"]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


async def test_it_is_unwrapped_once_and_kept_for_restarts(house):
    assert (await house.process(holds(), UNWRAPPED, logged_in()).token()).reveal() == "hvs.1"
    assert house.http.asked == [LOOK, UNWRAP, LOGIN]
    assert [header(request, "x-vault-token") for request in house.http.requests] == ["WRAP-1", "WRAP-1", None]
    assert payload(house.http.requests[2])["secret_id"] == "SID-1"
    assert house.file.stat().st_mode & 0o777 == 0o600
    assert "WRAP-1" not in house.file.read_text()

    await house.process(logged_in()).token()
    assert house.http.asked == [LOGIN]

    house.local.text = None  # whoever delivered it took it away
    await house.process(logged_in()).token()
    assert payload(house.http.requests[0])["secret_id"] == "SID-1"
    assert house.alarms == []


async def test_a_new_one_is_unwrapped_in_its_turn(house):
    await house.process(holds(), UNWRAPPED, logged_in()).token()
    house.local.text = "WRAP-2"
    second = answer(200, {"data": {"secret_id": "SID-2"}})

    await house.process(holds("ns/auth/approle/role/x/custom-secret-id"), second, logged_in()).token()

    assert payload(house.http.requests[2])["secret_id"] == "SID-2"
    assert json.loads(house.file.read_text())["secret_id"] == "SID-2"


@pytest.mark.parametrize("before", [(), (holds(),)])
async def test_another_process_of_ours_that_was_faster_is_no_alarm(house, before):
    def spent(_request):
        digest = hashlib.sha256(b"WRAP-1").hexdigest()
        house.kept.write("default", {"wrapping": digest, "secret_id": "SID-9"})
        return SPENT

    await house.process(*before, spent, logged_in()).token()

    assert payload(house.http.requests[-1])["secret_id"] == "SID-9"
    assert house.alarms == []


@pytest.mark.parametrize("steps", [(SPENT,), (holds(), SPENT)])
async def test_one_that_was_used_is_an_alarm_told_once(house, steps):
    login = house.process(*steps, *steps)
    for _ in range(2):
        with pytest.raises(StoreRefusedError) as caught:
            await login.token()
        await house.clock.advance(timedelta(minutes=1))
    assert caught.value.code == "login"
    assert len(house.alarms) == 1
    assert "somebody else" in house.alarms[0]


async def test_one_that_wraps_something_else_is_an_alarm_and_is_not_unwrapped(house):
    error = await house.fails(holds("sys/wrapping/wrap"))

    assert (type(error), error.code, house.http.asked) == (StoreRefusedError, "login", [LOOK])
    assert "exchanged on its way" in house.alarms[0]


async def test_an_answer_that_was_lost_is_said_to_be_perhaps_our_own(house):
    assert isinstance(await house.fails(holds(), lost()), StoreUnavailableError)

    await house.fails(SPENT)

    assert "refresher itself asked for it and lost the answer, or somebody else" in house.alarms[0]


class Full(Kept):
    """A state directory on a disk that takes so many writes more."""

    left = 0

    def write(self, name: str, members: dict[str, str]) -> None:
        self.left -= 1
        if self.left >= 0:
            return super().write(name, members)
        raise StoreRefusedError("login", "No space left on device: what the login needs can't be kept")


async def test_nothing_is_unwrapped_that_cannot_be_kept(house, tmp_path):
    house.kept = Full(tmp_path, "default")

    error = await house.fails(holds())

    assert (type(error), house.http.asked) == (StoreRefusedError, [LOOK])


async def test_a_disk_that_fills_up_in_between_costs_this_process_nothing(house, tmp_path):
    house.kept = Full(tmp_path, "default")
    house.kept.left = 1
    login = house.process(holds(), UNWRAPPED, logged_in(ttl=30, renewable=False), logged_in())
    await login.token()
    await house.clock.advance(timedelta(seconds=20))
    await login.token()
    assert payload(house.http.requests[-1])["secret_id"] == "SID-1"


async def test_whoever_may_not_look_into_the_state_directory_takes_nothing_for_stolen(house, tmp_path):
    await house.process(holds(), UNWRAPPED, logged_in()).token()
    house.kept = Kept(tmp_path / "missing", "default")

    error = await house.fails()

    assert (type(error), error.code, house.http.asked) == (StoreRefusedError, "login", [])
    assert "No such file or directory" in str(error)
    assert house.alarms == []


@pytest.mark.parametrize("reply", [answer(503, {"errors": ["Vault is sealed"]}), answer(200, b"<html>")])
@pytest.mark.parametrize("before", [(), (holds(),)])
async def test_a_vault_in_trouble_is_no_alarm(house, before, reply):
    assert isinstance(await house.fails(*before, reply), StoreUnavailableError)
    assert house.alarms == []


async def test_whoever_gives_up_waiting_does_not_take_the_answer_along(house, monkeypatch):
    login = house.process(holds(), UNWRAPPED, logged_in(), answer(204))
    sending, answered = asyncio.Event(), asyncio.Event()
    send = house.http.send

    async def slowly(request):
        if request.url.endswith("/unwrap"):
            sending.set()
            await answered.wait()
        return await send(request)

    monkeypatch.setattr(house.http, "send", slowly)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(login.token())
        await sending.wait()
        first.cancel()
    second = asyncio.ensure_future(login.token())
    await asyncio.sleep(0)
    answered.set()

    assert (await second).reveal() == "hvs.1"
    assert house.http.asked == [LOOK, UNWRAP, LOGIN]


async def test_a_stop_waits_for_the_answer(house, monkeypatch):
    login = house.process(holds(), UNWRAPPED)
    sending = asyncio.Event()
    send = house.http.send

    async def slowly(request):
        if request.url.endswith("/unwrap"):
            sending.set()
            await asyncio.sleep(0)
        return await send(request)

    monkeypatch.setattr(house.http, "send", slowly)
    first = asyncio.ensure_future(login.token())
    await sending.wait()
    first.cancel()

    await login.revoke()

    assert json.loads(house.file.read_text())["secret_id"] == "SID-1"


@pytest.mark.parametrize("content", ["", "[]", '{"secret_id": 1}', "{"])
async def test_what_was_kept_and_makes_no_sense_is_told(house, content):
    house.file.write_text(content)
    house.file.chmod(0o600)

    error = await house.fails()

    assert (type(error), house.alarms) == (StoreRefusedError, [])
    assert "delete it" in str(error)


@pytest.mark.leak("L27")
async def test_what_others_could_have_written_is_not_used(house):
    house.kept.write("default", {"secret_id": "SID-1"})
    house.file.chmod(0o644)

    assert "others may read it" in str(await house.fails())


def test_a_directory_that_takes_no_file_is_told(tmp_path):
    with pytest.raises(StoreRefusedError, match="what the login needs can't be kept"):
        Kept(tmp_path / "missing", "default").write("default", {})


def test_an_instance_of_several_words_keeps_its_login(tmp_path):
    Kept(tmp_path, "eu/blue").write("default", {"secret_id": "x"})
    assert Kept(tmp_path, "eu/blue").read("default") == {"secret_id": "x"}
