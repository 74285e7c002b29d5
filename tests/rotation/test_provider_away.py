"""A provider that refuses connections for six hours: asked less and less often, and back at once when it is back."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.fakes.http import lost
from tests.rotation.house import HOUR, MINUTE, House, many

JOBS = 20


@pytest.mark.fault("F34", "F42")
async def test_six_hours_without_a_provider(measured):
    """Nothing was sent: a refused connection, or a name that nobody knows, which is the same to the walk."""
    house = House(*many(JOBS), drift=timedelta(days=9))
    async with house.serving():
        await house.advance(30 * MINUTE)
        began = house.clock.now()
        house.provider.refuse = lambda _asked: lost(sent=False)
        await house.advance(6 * HOUR)
        house.provider.refuse, back = lambda _asked: None, house.clock.now()
        await house.advance(6 * MINUTE)
    tries = {name: [one.at for one in house.provider.requests(name) if began <= one.at < back] for name in house.jobs}
    pauses = {name: [(after - before) / MINUTE for before, after in pairwise(at)] for name, at in tries.items()}
    hours = [
        sum(1 for at in times if began + hour * HOUR <= at < began + (hour + 1) * HOUR)
        for times in tries.values()
        for hour in range(6)
    ]
    first = [next(one.at for one in house.provider.requests(name) if one.at >= back) - back for name in house.jobs]
    a_job = sum(hours) / (6 * JOBS)
    measured(
        f"{a_job:.1f} requests per job and hour, {max(hours[::6])} in the first; longest pause "
        f"{max(map(max, pauses.values())):.1f} min; asked again {max(first).total_seconds():.0f} s after, at the latest"
    )
    assert max(map(max, pauses.values())) <= 5
    assert a_job <= 16
    assert max(hours) == max(hours[::6]), "the first hour has the expiry in it"
    assert max(first) <= 5 * MINUTE
    assert len(house.sink.named("failing")) == JOBS, "told once each"
