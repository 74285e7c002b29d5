"""A person who is asked, and a provider that answers from a script; time passes as fast as it is waited for."""

import asyncio
import signal
from datetime import timedelta
from urllib.parse import parse_qsl

from refresher.consent import Ask, BrowserPrompt, DevicePrompt, InterruptedWaitError, Interruption
from refresher.core.job import Consent
from refresher.discovery import Discovery
from tests.core.builders import a_job
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer

DEVICE = Consent(flow="device_code", url="https://id.example.com/device")
BROWSER = Consent(flow="authorization_code", url="https://id.example.com/authorize")
JOB = a_job(client_auth="none", grant="refresh_token")
CODES = {"device_code": "the-device-code", "user_code": "WDJB-MJHT", "verification_uri": "https://id.example.com/d"}
OFFERED = answer(200, CODES | {"expires_in": 60, "interval": 5})
TOKEN = answer(200, {"access_token": "AT", "refresh_token": "RT", "token_type": "Bearer", "expires_in": 3600})
PENDING = answer(400, {"error": "authorization_pending"})
SLOW = answer(400, {"error": "slow_down"})


class Patience(Interruption):
    """Pauses let the virtual clock pass, and are remembered; an answer is waited for in real time."""

    def __init__(self, clock: VirtualClock, *, ends: int = 1000) -> None:
        super().__init__()
        self.clock = clock
        self.ends = ends
        self.pauses: list[float] = []

    async def pause(self, span: timedelta) -> None:
        if len(self.pauses) == self.ends:
            raise InterruptedWaitError(signal.SIGINT)
        self.pauses.append(span.total_seconds())
        await self.clock.advance(span)


class Scene:
    """A provider that answers `steps`, a person who sees `prompts`."""

    def __init__(self, *steps, ends: int = 1000) -> None:
        self.clock = VirtualClock()
        self.http = ScriptedHttp(*steps)
        self.patience = Patience(self.clock, ends=ends)
        self.prompts: list[DevicePrompt | BrowserPrompt] = []
        self.shown = asyncio.Event()
        discovery = Discovery(http=self.http, clock=self.clock)
        self.ask = Ask(
            http=self.http, discovery=discovery, clock=self.clock, interruption=self.patience, show=self.show
        )

    def show(self, prompt) -> None:
        self.prompts.append(prompt)
        self.shown.set()

    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(request.body.decode())) for request in self.http.requests]
