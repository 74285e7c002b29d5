"""The policies that `refresher policy` prints: enough for all that refresher does, and not a line more."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from refresher import bootstrap, daemon
from refresher.config import load
from refresher.core import rights
from refresher.core.errors import StoreRefusedError
from refresher.core.secret import Secret
from refresher.core.settings import Settings
from refresher.demo.openbao import OpenBao, OpenBaoError
from refresher.vault import auth
from tests.e2e.site import lines_of
from tests.failpoints.provider import StrictProvider
from tests.rotation.stage import Memory

pytestmark = pytest.mark.e2e

LONG = 12  # seconds: an answer that Vault does not take holds the process up


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a login given back however long a busy OpenBao takes: what is asked here is whether it may be."""
    monkeypatch.setattr(auth, "REVOKE_S", 30.0)


@dataclass
class Place:
    """One installation in this process: three jobs, which between them need every right that there is."""

    folder: Path
    bao: OpenBao
    mount: str
    url: str
    version: int = 2
    method: str = "approle"

    def __post_init__(self) -> None:
        self.bao.mount(self.mount, version=self.version)
        self.role_id, self.secret_id = self.bao.approle(self.mount, "# none yet")
        client = {"client_secret": "vendor-secret"}
        path, body = (f"{self.mount}/clients/all", client)
        if self.version == 2:
            path, body = f"{self.mount}/data/clients/all", {"data": client}
        self.bao.api("POST", path, body)
        self.given = ""
        if self.method == "token":
            made = {"policies": [self.mount], "no_default_policy": True, "ttl": "1h"}
            self.given = self.bao.api("POST", "auth/token/create", made)["auth"]["client_token"]

    def settings(self, *jobs: str, state: str = "state") -> Settings:
        """Return a jobs.toml with these jobs, and the daemon's login in it."""
        login = {"method": "approle", "role_id": self.role_id, "secret_id": self._file("s", self.secret_id.reveal())}
        if self.method == "token":
            login = {"method": "token", "token": self._file("t", self.given)}
        all_jobs = self._jobs()
        tables = {
            "state": {"dir": str(self.folder / state)},
            "web": {"listen": ""},
            "vault": {"address": self.bao.address, "mount": self.mount, "auth": login},
            **{f"jobs.{name}": all_jobs[name] for name in jobs},
        }
        config = self.folder / "jobs.toml"
        config.touch(mode=0o600)
        config.write_text("".join(f"[{table}]\n{lines_of(members)}\n" for table, members in tables.items()))
        return load(config)

    def _jobs(self) -> dict[str, dict[str, object]]:
        common = {"token_url": self.url, "client_secret": f"vault:{self.mount}/clients/all#client_secret"}
        plain = {"provider": "oauth2", "grant": "client_credentials", "client_auth": "post"}
        user = {"provider": "semansys", "username": "u", "password": self._file("p", "pass-word")}
        return {
            "plain": {**common, **plain, "client_id": "plain", "path": "tokens/plain"},
            "spends": {**common, **user, "client_id": "spends", "path": "tokens/spends"},
            "old": {**common, **user, "client_id": "renamed", "path": "tokens/old"},
            "renamed": {**common, **user, "client_id": "renamed", "path": "tokens/renamed", "moved_from": "old"},
        }

    def _file(self, name: str, text: str) -> str:
        path = self.folder / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(text)
        return f"file:{path}"

    def printed(self, settings: Settings) -> str:
        """Return refresher's own policy as the verb prints it for the mounts that there are."""
        mounts = {"": rights.Mounts({self.mount: self.version})}
        return next(one for one in rights.policies(settings, mounts)).hcl()

    def allow(self, hcl: str) -> None:
        self.bao.api("PUT", f"sys/policies/acl/{self.mount}", {"policy": hcl})

    async def wrong(self, settings: Settings) -> list[str]:
        """Do all that refresher does, twice, and return what did not come out as it should."""
        found: list[str] = []
        for force in (False, True):
            sink = Memory()
            async with daemon.build(settings, sinks=(sink,)) as parts:
                ended = await parts.roster().once(tuple(settings.jobs), force=force)
                found += [f"{one.job}: {one.error}" for one in ended if not one.well]
                found += [f"{event.job}: unkept" for event in sink.events if event.fields.get("unkept")]
                store = parts.stores[""]
                found += await self._login(store._login)
                if await store.perishable() is None:
                    found.append("nobody knows whether the login runs out")
                for job in settings.jobs.values():
                    await store.prove(job.destinations[0])
                token = (await store._login.token()).reveal()
            if self.method != "token" and self.lives(token):
                found.append("the token outlives the process")
        return found

    async def _login(self, login) -> list[str]:
        """Renew the token now; say so where another had to be had, or its life is not known."""
        before = await login.token()
        if login._lease.life is None:
            return ["nobody knows how long the token lives"]
        login._lease = replace(login._lease, renew_at=0.0)
        await login.token()
        pause = login._lease.renew_at - login._clock.monotonic()
        renewed = pause > login._lease.life / 2 and login._lease.token == before
        return [] if renewed else ["the token was not renewed"]

    def lives(self, token: str) -> bool:
        try:
            return bool(self.bao.api("POST", "auth/token/lookup", {"token": token}))
        except OpenBaoError:
            return False


NAMES = iter(f"policy-{number}" for number in range(10_000))


@pytest.fixture
async def url():
    async with StrictProvider(ttl=3600) as provider:
        yield provider.url


@pytest.fixture
def place(tmp_path, openbao, url) -> Place:
    return Place(tmp_path, openbao, next(NAMES), url)


async def prepared(place: Place) -> Settings:
    """Let `old` run under its old name, so that there is something to carry over; no journal key is left."""
    old = place.settings("old", state="before")
    place.allow(place.printed(old))
    assert await place.wrong(old) == []
    place.bao.api("DELETE", f"{place.mount}/metadata/refresher/default.journal")
    return place.settings("plain", "spends", "renamed")


def without_each_right(hcl: str) -> Iterator[tuple[str, str]]:
    """Yield the policy without one right of one path at a time, and what was taken away."""
    lines = hcl.splitlines()
    for number, line in enumerate(lines):
        path, granted = re.fullmatch(r'path "(.*)" \{ capabilities = \[(.*)\] \}', line).groups()
        for right in granted.split(", "):
            left = [one for one in granted.split(", ") if one != right]
            kept = [f'path "{path}" {{ capabilities = [{", ".join(left)}] }}'] if left else []
            yield f"{right} on {path}", "\n".join((*lines[:number], *kept, *lines[number + 1 :]))


@pytest.mark.leak("L31")
async def test_it_is_enough_and_taking_any_right_away_breaks_something(tmp_path, openbao, url):
    whole = Place(tmp_path / "whole", openbao, next(NAMES), url)
    whole.folder.mkdir()
    settings = await prepared(whole)
    whole.allow(whole.printed(settings))
    assert await whole.wrong(settings) == []

    async def breaks(number: int, taken: str) -> str:
        """Return what was taken away where nothing came of it."""
        place = Place(tmp_path / str(number), openbao, next(NAMES), url)
        place.folder.mkdir()
        settings = await prepared(place)
        place.allow(tuple(without_each_right(place.printed(settings)))[number][1])
        try:
            async with asyncio.timeout(LONG):
                wrong = await place.wrong(settings)
        except Exception as error:  # noqa: BLE001  # whatever it was, it was needed
            wrong = [repr(error)]
        return "" if wrong else taken

    taken = [what for what, _ in without_each_right(whole.printed(settings))]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(breaks(number, what)) for number, what in enumerate(taken)]
    assert [what for task in tasks if (what := task.result())] == []


@pytest.mark.parametrize(("version", "method"), [(1, "approle"), (2, "token")])
async def test_on_kv_v1_and_with_a_given_token(tmp_path, openbao, url, version, method):
    place = Place(tmp_path, openbao, next(NAMES), url, version=version, method=method)
    settings = place.settings("plain")
    policy = place.printed(settings)
    place.allow(policy)
    assert await place.wrong(settings) == []
    own = "sys/capabilities-self" if version == 1 else "auth/token/"
    assert policy.count(own) == (1 if version == 1 else 2)
    for line in policy.splitlines():
        if own in line:
            place.allow(policy.replace(line, ""))
            try:
                assert await place.wrong(settings), line
            except StoreRefusedError as error:
                assert error.code == "denied"  # noqa: PT017  # it was needed, as it should be


FORBIDDEN = {
    "list the tokens": ("LIST", "{mount}/metadata/tokens", None),
    "delete a token": ("DELETE", "{mount}/data/tokens/plain", None),
    "destroy a version": ("PUT", "{mount}/destroy/tokens/plain", {"versions": [1]}),
    "write metadata": ("POST", "{mount}/metadata/tokens/plain", {"max_versions": 1}),
    "write to a path that is no job's": ("POST", "{mount}/data/tokens/other", {"data": {"a": "b"}}),
    "write a client's secret": ("POST", "{mount}/data/clients/all", {"data": {"client_secret": "x"}}),
    "read a secret that is no job's": ("GET", "{mount}/data/clients/other", None),
    "make a token": ("POST", "auth/token/create", {}),
    "make a secret ID": ("POST", "auth/approle/role/{mount}/secret-id", {}),
    "change its policy": ("PUT", "sys/policies/acl/{mount}", {"policy": ""}),
}
READERS = {
    "read the state record": ("GET", "{mount}/data/refresher/default/spends", None),
    "read another job's token": ("GET", "{mount}/data/tokens/spends", None),
    "write its token": ("POST", "{mount}/data/tokens/plain", {"data": {"a": "b"}}),
    "list the tokens": ("LIST", "{mount}/metadata/tokens", None),
}


def refused(place: Place, deed: tuple[str, str, object], token: str) -> bool:
    method, path, body = deed
    text = b"" if body is None else json.dumps(body).encode()
    return place.bao._ask(method, f"{path.format(mount=place.mount)}", text, Secret(token))[0] == 403


@pytest.mark.leak("L31")
async def test_what_neither_refresher_nor_a_reader_may(place):
    settings = place.settings("plain", "spends")
    place.allow(place.printed(settings))
    assert await place.wrong(settings) == []
    reader = next(one for one in rights.policies(settings, {}) if one.name == "refresher-read-plain")
    place.bao.api("PUT", f"sys/policies/acl/{place.mount}-reader", {"policy": reader.hcl()})
    for policy, forbidden in ((place.mount, FORBIDDEN), (f"{place.mount}-reader", READERS)):
        made = place.bao.api("POST", "auth/token/create", {"policies": [policy], "no_default_policy": True})
        token = made["auth"]["client_token"]
        assert [what for what, deed in forbidden.items() if not refused(place, deed, token)] == []
        assert not refused(place, ("GET", "{mount}/data/tokens/plain", None), token)


async def test_they_are_written_by_an_administrators_token_and_again_is_harmless(place):
    settings, root = place.settings("plain"), place.bao.root_token
    first = await bootstrap.policies(settings, "", root, apply=True)
    assert [(one.name, written) for one, written in first] == [("refresher", True), ("refresher-read-plain", True)]
    assert [written for _, written in await bootstrap.policies(settings, "", root, apply=True)] == [False, False]
    assert place.bao.api("GET", "sys/policies/acl/refresher")["data"]["policy"] == place.printed(settings)
    place.bao.api("DELETE", "sys/policies/acl/refresher")
    assert [written for _, written in await bootstrap.policies(settings, "", root, apply=False)] == [False, False]
    with pytest.raises(OpenBaoError):
        place.bao.api("GET", "sys/policies/acl/refresher")
