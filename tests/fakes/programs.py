"""ports.Programs that answers from a script, and the provider's side of a walk on fakes."""

from refresher.core.model import HttpResponse
from refresher.discovery import Discovery
from refresher.endpoint import Endpoint
from refresher.verify import Verifier
from tests.fakes.http import answer


class ScriptedPrograms:
    """Answers each run with the next step: what it prints, or an error to raise."""

    def __init__(self, *steps: HttpResponse | Exception | dict[str, object]) -> None:
        self.steps = list(steps)
        self.runs: list[tuple[str, dict[str, str]]] = []

    async def run(self, job, secrets) -> HttpResponse:
        self.runs.append((job.name, {name: secret.reveal() for name, secret in secrets.items()}))
        assert self.steps, f"unexpected run of {job.name}"
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return answer(200, step) if isinstance(step, dict) else step


def provider_side(*, http, references, clock, programs=None) -> dict[str, object]:
    """Return what a Rotation needs to speak with providers."""
    discovery = Discovery(http=http, clock=clock)
    programs = programs or ScriptedPrograms()
    return {
        "endpoint": Endpoint(http=http, programs=programs, discovery=discovery, clock=clock),
        "verifier": Verifier(http=http, discovery=discovery, references=references, clock=clock),
    }
