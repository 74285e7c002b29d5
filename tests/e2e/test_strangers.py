"""A stranger who writes to a real OpenBao between our look and our write, a hundred times over."""

from datetime import timedelta

import pytest

from refresher.core.model import Location
from tests.rotation.stage import Stage, refreshing, replaceable, token
from tests.servers.openbao import policy

pytestmark = pytest.mark.e2e
ROUNDS = 100
STRANGE = {"access_token": "STRANGE", "expires_at": "2026-11-21T13:00:00Z"}


class Racing:
    """The real store; a stranger writes to `victim` just before our next write there reaches it."""

    def __init__(self, store, put) -> None:
        self._store, self._put = store, put
        self.victim: Location | None = None

    async def write(self, place, data, *, cas):
        if place == self.victim:
            self.victim = None
            self._put(place.path, STRANGE)
        return await self._store.write(place, data, cas=cas)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.mark.fault("F20")
async def test_what_a_stranger_writes_in_between_is_never_overwritten_and_told_once(space, vault, measured):
    state_too = f'path "{space.mount}/data/refresher/*" {{ capabilities = ["create", "update", "read"] }}\n'
    space.server.api("PUT", f"sys/policies/acl/{space.mount}", {"policy": policy(space.mount) + state_too})
    overwritten, told = 0, []
    for number in range(ROUNDS):
        store = Racing(vault, space.put)
        place, states = space.place(f"tokens/job-{number}"), space.place(f"refresher/job-{number}")
        job = (replaceable, refreshing)[number % 2](destinations=(place,), states=states)
        stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in (1, 2)), job=job, store=store)
        assert (await stage.rotate()).outcome == "rotated"

        await stage.clock.advance(timedelta(minutes=50))
        store.victim = place
        assert (await stage.rotate()).reason == "foreign"
        assert store.victim is None, "he did write in between"
        await stage.look()
        await stage.later(minutes=5)

        found = await vault.read(place)
        overwritten += found.version != 2 or found.data["access_token"].reveal() != "STRANGE"
        told.append(len(stage.sink.named("foreign_change")))
        if number % 2:
            kept = (await vault.read(job.state)).data
            assert (kept["refresh_token"].reveal(), kept["phase"].reveal()) == ("RT-2", "idle"), (
                "what was spent is kept"
            )
    measured(f"{ROUNDS} strangers: {overwritten} overwritten, {told.count(1)} told once")
    assert (overwritten, set(told)) == (0, {1})
