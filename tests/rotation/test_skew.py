"""The Date of each reply against our clock: told once for each host, and once more when it is over."""

from email.utils import format_datetime

import pytest

from refresher.core.model import HttpRequest
from refresher.skew import Skew
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer
from tests.rotation.house import HOUR, SECOND
from tests.rotation.stage import Memory

HERE, THERE = "https://vault.example.com:8200/v1/x", "https://login.example.com/token"


class Hosts:
    """Servers whose clock is apart from ours by `off`, asked through a Skew. A request may take some time."""

    def __init__(self) -> None:
        self.clock, self.sink, self.off, self.takes = VirtualClock(), Memory(), 0 * SECOND, 0 * SECOND
        self.http = ScriptedHttp()
        self.skew = Skew(self.http, clock=self.clock, sink=self.sink)

    async def ask(self, url: str = HERE, **headers: str) -> None:
        self.http.steps.append(self._answer(**headers))
        assert (await self.skew.send(HttpRequest(url=url))).status == 200

    def _answer(self, **headers: str):
        said = {"date": format_datetime((self.clock.now() - self.off).replace(microsecond=0), usegmt=True)} | headers

        def step(_request):
            self.clock._pass(self.clock.monotonic() + self.takes.total_seconds())
            return answer(200, **said)

        return step

    @property
    def told(self):
        return [(one.level, one.fields["host"], one.fields["skew_s"]) for one in self.sink.named("clock_skew")]


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_clock_that_is_off_is_told_once_for_each_host_and_again_when_that_is_over(sign):
    hosts = Hosts()
    for off in (0, 29, 3600, 3601, 20, 18, 3600):
        hosts.off = sign * off * SECOND
        await hosts.ask()
    assert [level for level, _, _ in hosts.told] == ["error"], "and a clock at the border is no news"
    await hosts.ask(THERE)
    hosts.off = 0 * SECOND
    await hosts.ask()
    here, there = "vault.example.com:8200", "login.example.com"
    ahead = 3599.0 if sign > 0 else -3600.0
    assert hosts.told == [("error", here, ahead), ("error", there, ahead), ("info", here, 0.0)]


async def test_a_reply_that_took_long_or_a_clock_that_leapt_meanwhile_is_no_skew():
    hosts = Hosts()
    hosts.takes = HOUR
    await hosts.ask()
    hosts.takes = 0 * SECOND
    step = hosts._answer()

    def sleeps(request):
        hosts.clock.jump(HOUR)  # as after a suspend, which the monotonic clock does not count
        return step(request)

    hosts.off = -HOUR
    step = hosts._answer()
    hosts.http.steps.append(sleeps)
    await hosts.skew.send(HttpRequest(url=HERE))
    assert hosts.told == []


@pytest.mark.parametrize("headers", [{"age": "7200"}, {"date": "yesterday"}, {"date": ""}], ids=str)
async def test_what_says_nothing_of_a_clock_is_not_compared(headers):
    hosts = Hosts()
    hosts.off = 2 * HOUR
    await hosts.ask(**headers)
    assert hosts.told == []
