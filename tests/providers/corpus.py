"""The recorded replies of tests/data: each line with its reply, its job, and what must come of it."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refresher.core.job import Job, ResponseMap
from refresher.core.model import Granted, HttpResponse, Verdict
from refresher.core.secret import Secret
from refresher.providers import interpret
from tests.core.builders import a_job

FILE = Path(__file__).parents[1] / "data" / "token_responses.jsonl"
KEPT_OUT = {"generated_token"}  # flags that speak of the line, not of the token


@dataclass(frozen=True)
class Line:
    raw: dict[str, Any]

    @property
    def id(self) -> str:
        return self.raw["id"]

    @property
    def context(self) -> dict[str, Any]:
        return self.raw.get("ctx", {})

    @property
    def needs_socket(self) -> bool:
        """Whether the line is about the connection, not about a reply."""
        return "wire_b64" in self.raw or "play" in self.context

    @property
    def body(self) -> bytes:
        if "body_b64" in self.raw:
            return base64.b64decode(self.raw["body_b64"])
        if long := self.raw.get("body_gen"):
            return (long["prefix"] + long["repeat"] * long["n"] + long["suffix"]).encode()
        return self.raw["body"].encode(errors="surrogatepass")

    @property
    def response(self) -> HttpResponse:
        headers = [
            (name.lower(), value)
            for name, values in self.raw["headers"].items()
            for value in (values if isinstance(values, list) else [values])
        ]
        return HttpResponse(status=self.raw["status"], headers=tuple(headers), body=self.body)

    @property
    def job(self) -> Job:
        profile = dict(self.context.get("profile", {}))
        if "error_ok" in profile:
            profile["error_ok"] = tuple(profile["error_ok"])
        scopes = {key: tuple(self.context.get(name, ())) for key, name in SCOPES.items()}
        return a_job(response=ResponseMap(**profile), **scopes)

    def interpret(self, job: Job | None = None) -> Verdict:
        """Return what the reply means to the line's job, or to another."""
        secrets = {name: Secret(self.context[name]) for name in SECRETS if name in self.context}
        return interpret(
            self.response,
            job or self.job,
            sent_at=datetime.fromtimestamp(self.context.get("now", 1_700_000_000), UTC),
            sent_refresh_token=secrets.get("sent_refresh_token"),
            previous=secrets.get("previous_access_token"),
            secrets=[secrets["client_secret"]] if "client_secret" in secrets else (),
        )

    @property
    def expected(self) -> dict[str, Any]:
        """What must come out, with all that the line says of it."""
        expect = self.raw["expect"] | {}
        expect["flags"] = set(expect.get("flags", ()))
        if "generated_token" in expect["flags"]:
            expect["token"] = expect["token"] | {"access_token": "A" * 65_536}
        if "reason" in expect:
            expect["error"] = expect.pop("reason")
        return expect | {"flags": expect["flags"] - KEPT_OUT}

    def shown(self, verdict: Verdict) -> dict[str, Any]:
        """Return `verdict` in the words of the corpus, as far as the line speaks of it."""
        if isinstance(verdict, Granted):
            token = verdict.token
            values = {
                "access_token": token.access_token.reveal(),
                "token_type": token.token_type,
                "expires_in": token.expires_in,
                "refresh_token": token.refresh_token.reveal() if token.refresh_token else None,
                "scope": list(token.scope) if token.scope else None,
            }
            return {"outcome": "accept", "token": values, "flags": set(token.flags) & self.expected["flags"]}
        found = {"outcome": f"reject_{verdict.kind}", "error": verdict.error, "retry_after": verdict.retry_after}
        return {key: value for key, value in found.items() if key in self.expected} | {"flags": set()}


SCOPES = {"scope": "requested_scope", "require_scope": "require_scope"}
SECRETS = ("sent_refresh_token", "previous_access_token", "client_secret")
LINES = [Line(json.loads(text)) for text in FILE.read_text("utf-8").splitlines()]
