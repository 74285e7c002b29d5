"""First consent: a person is asked, and the token endpoint answers with the first refresh token.

Rules of this package:
- Waiting for the person can be ended at any moment; a request that is under way never is: its answer may bear a token.
- What people see is made by whoever calls (`show`); no code, verifier or token is among it.
"""

from refresher.consent.flow import Ask, BrowserPrompt, DevicePrompt, Prompt
from refresher.consent.interruption import InterruptedWaitError, Interruption
from refresher.consent.loopback import PortTakenError

__all__ = [
    "Ask",
    "BrowserPrompt",
    "DevicePrompt",
    "InterruptedWaitError",
    "Interruption",
    "PortTakenError",
    "Prompt",
]
