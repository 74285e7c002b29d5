"""Every outward step of the daemon, by name: where a test may end, break or stall it.

A point is a function of refresher's, or of the wire under it, and the moment before it is called or after it has
returned. The program knows nothing of this: tests/failpoints/deeds.py wraps the functions in a process of the tests'.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from refresher.core.model import HttpRequest
from refresher.vault.kv import IMPOSSIBLE_CAS

Part = Literal["start", "walk", "life", "reload", "end"]
REQUEST: ContextVar[HttpRequest | None] = ContextVar("REQUEST", default=None)  # what the wire is busy with


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """`target`: `module:attribute.path`. `which` is asked with the arguments whether this call is meant.

    `nth`: the usual occurrence; on the walk the second one, by a single-use refresh token. `unknown`: whether after a
    kill here nobody can know if the grant was spent, so that it must be told (None: either may be).
    """

    target: str
    when: Literal["before", "after"]
    part: Part = "walk"
    nth: int = 2
    unknown: bool | None = False
    which: Callable[..., bool] = lambda *_, **__: True


def _proves(prefix: str) -> Callable[..., bool]:
    return lambda _kv, place: place.path.startswith(prefix)


def _writes(prefix: str, phase: str | None = None) -> Callable[..., bool]:
    return lambda _kv, place, plain, _cas: place.path.startswith(prefix) and plain.get("phase") == phase


def _on_the_wire(part_of_url: str, text: str = "") -> Callable[..., bool]:
    """Whether the wire is busy with a write of `text` to such a URL, other than a proof."""

    def which(*_: Any, **__: Any) -> bool:
        request = REQUEST.get()
        if request is None or request.method != "POST" or part_of_url not in request.url:
            return False
        return text.encode() in request.body and str(IMPOSSIBLE_CAS).encode() not in request.body

    return which


def _both(name: str, target: str, **more: Any) -> dict[str, Point]:
    return {f"{name}.{when}": Point(target=target, when=when, **more) for when in ("before", "after")}


def _written(name: str, prefix: str, phase: str | None, **unknown: bool | None) -> dict[str, Point]:
    """Points of a write to Vault: before it is sent, once its request is out, and once Vault has said yes."""
    attempt, which = "refresher.vault.kv:KeyValue._attempt", _writes(prefix, phase)
    wire = _on_the_wire(f"/data/{prefix}", "" if phase is None else f'"{phase}"')
    send = "aiohttp.client_reqrep:ClientRequest.send"
    before, sent, acked = (unknown.get(name, False) for name in ("before", "sent", "acked"))
    return {
        f"{name}.before": Point(target=attempt, when="before", which=which, unknown=before),
        f"{name}.sent": Point(target=send, when="after", which=wire, unknown=sent),
        f"{name}.acked": Point(target=attempt, when="after", which=which, unknown=acked),
    }


TOKEN = _on_the_wire("/connect/token")
ROTATED = {"which": lambda _sink, event: event.name == "rotated"}

POINTS: dict[str, Point] = {
    **_both("config_read", "refresher.config.settings:load", part="start", nth=1),
    **_both("identity", "refresher.host.paths:identity", part="start", nth=1),
    **_both("ledger_open", "refresher.state.ledger:Ledger._open", part="start", nth=1),
    **_both("vault_login", "refresher.vault.auth:Login._log_in", part="start", nth=1),
    **_both("mount_lookup", "refresher.vault.mounts:Mounts._find", nth=1),
    **_both("look", "refresher.look:Look.at"),
    **_both("recall", "refresher.keeping:Keeping.recall"),
    **_both("secret_read", "refresher.vault.references:ReferenceReader.resolve"),
    **_both("prove_destination", "refresher.vault.kv:KeyValue.prove", which=_proves("tokens/")),
    **_both("prove_state", "refresher.vault.kv:KeyValue.prove", which=_proves("refresher/")),
    **_both("journal_key", "refresher.journal_key:Keys._text", nth=1),
    **_both("journal_slot", "refresher.state.journal:Journal._reserve"),
    **_written("intent", "refresher/", "spending", sent=None, acked=True),
    "request.before": Point(target="refresher.endpoint:Endpoint.ask", when="before", unknown=True),
    "request.connected": Point(target="refresher.http:_note_connection", when="after", which=TOKEN, unknown=True),
    "request.sent": Point(target="aiohttp.client_reqrep:ClientRequest.send", when="after", which=TOKEN, unknown=True),
    "headers.after": Point(
        target="httpx_aiohttp:AiohttpTransport.handle_async_request", when="after", which=TOKEN, unknown=True
    ),
    "body.after": Point(
        target="refresher.http:Wire._exchange",
        when="after",
        which=lambda _wire, request: "/connect/token" in request.url,
        unknown=True,
    ),
    **_both("parse", "refresher.exchange:interpret", unknown=True),
    "journal_entry.before": Point(target="refresher.state.journal:Journal.enter", when="before", unknown=True),
    "journal_entry.sealed": Point(target="refresher.state.journal:_sealed", when="after", unknown=True),
    "journal_entry.written": Point(target="refresher.state.journal:_fill", when="after", unknown=False),
    "journal_entry.synced": Point(target="refresher.state.journal:Journal.enter", when="after"),
    **_written("state_record", "refresher/", "idle"),
    **_both("verify", "refresher.verify:Verifier.refusal"),
    **_written("destination", "tokens/", None),
    **_both("log_write", "refresher.sinks.log:LogSink.tell", **ROTATED),
    **_both("journal_keep", "refresher.state.journal:Journal._keep"),
    **_both("ledger_note", "refresher.state.ledger:Ledger.note"),
    **_both("ledger_commit", "refresher.state.tables:insert"),
    **_both("schedule", "refresher.scheduler.apscheduler:Bell.schedule"),
    **_both("bell", "refresher.scheduler.apscheduler:Bell._take", part="life", nth=4, unknown=None),
    **_both("vault_renew", "refresher.vault.auth:Login._renew", part="life", nth=1, unknown=None),
    **_both("reload", "refresher.reload:read", part="reload", nth=1, unknown=None),
    **_both("drain", "refresher.walks:Walks.finish", part="end", nth=1, unknown=None),
    **_both("bell_close", "refresher.scheduler.apscheduler:Bell.close", part="end", nth=1, unknown=None),
    **_both("vault_revoke", "refresher.vault.auth:Login.revoke", part="end", nth=1, unknown=None),
    **_both("ledger_close", "refresher.state.ledger:Ledger.close", part="end", nth=1, unknown=None),
}
