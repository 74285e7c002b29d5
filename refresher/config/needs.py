"""What each grant and each way to prove the client takes: which keys it needs, and which make no sense beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from refresher.config import words
from refresher.config.draft import Draft
from refresher.config.job_tables import AssertionTable
from refresher.core.job import ClientAuth, GrantName
from refresher.providers import Provider

USED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "grant": {
        "client_credentials": (),
        "password": ("username", "password"),
        "refresh_token": ("refresh_token", "authorize"),
        "jwt_bearer": ("assertion",),
        "token_exchange": ("subject_token", "subject_token_type"),
    },
    "client_auth": {
        "basic": ("client_secret",),
        "basic_raw": ("client_secret",),
        "post": ("client_secret",),
        "client_secret_jwt": ("client_secret", "client_key"),
        "private_key_jwt": ("client_key", "client_assertion"),
        "tls": (),
        "none": (),
    },
}
_KEYS: Final = {what: frozenset(key for keys in used.values() for key in keys) for what, used in USED.items()}
_WHY: Final = {
    "username": "is required with grant password",
    "password": "is required with grant password",
    "refresh_token": "is required with this grant: a reference to the first refresh token; or write authorize",
    "assertion": 'is required with this grant, e.g. assertion = { key = "file:/etc/refresher/name.key" }',
    "subject_token": 'is required with this grant: a reference, or "job:NAME" for the token of another job',
}
_INSTEAD: Final = {"refresh_token": "authorize"}
_SPEAKS_FOR_ITSELF: Final = ("jwt_bearer", "token_exchange")  # the client's id may be left out (RFC 7523, section 2.1)
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {  # the claims for which the client's id stands in, by dialect
    "": ("issuer", "subject"),
    "github_app": ("issuer",),
    "google_service_account": (),  # its key file says who signs
}


@dataclass(frozen=True, slots=True)
class Choice:
    """How a job asks for its token, and how its client proves itself."""

    grant: GrantName
    client_auth: ClientAuth

    @property
    def used(self) -> tuple[str, ...]:
        """Return the keys that this choice takes."""
        return USED["grant"][self.grant] + USED["client_auth"][self.client_auth]


def choice(draft: Draft, provider: Provider) -> Choice | None:
    """Return the job's choice, telling what it lacks and what it does not use; None where it is not known."""
    grant = _grant(draft, provider)
    client_auth = _client_auth(draft, provider, grant)
    if provider.required and grant == provider.grant:
        _required(draft, provider)
    return None if grant is None or client_auth is None else Choice(grant, client_auth)


def _grant(draft: Draft, provider: Provider) -> GrantName | None:
    chosen: GrantName | None = draft.get("grant") or provider.grant
    if draft.unsure("grant"):
        return None
    if chosen is None:
        draft.wrong("grant", f"is required: {words.listed(USED['grant'])}")
        return None
    if provider.dialect and chosen != provider.grant and provider.grant is not None:
        draft.wrong("grant", f'must be "{provider.grant}" with provider {provider.name}, which knows no other')
        chosen = provider.grant
    for key in USED["grant"][chosen]:
        instead = _INSTEAD.get(key)
        if key in _WHY and (instead is None or (draft.get(instead) is None and not draft.unsure(instead))):
            draft.require(key, _WHY[key])
    if chosen == "password" and provider.grant != "password":
        draft.odd("grant", "password is what RFC 9700, section 2.4, forbids: ask the provider for another grant")
    if provider.grants and chosen not in provider.grants:
        draft.odd("grant", f"{provider.name} is known to offer {words.listed(provider.grants)}, and not this one")
    _unused(draft, "grant", chosen)
    return chosen


def _client_auth(draft: Draft, provider: Provider, grant: GrantName | None) -> ClientAuth | None:
    chosen: ClientAuth = draft.get("client_auth") or provider.client_auth
    if draft.unsure("client_auth"):
        return None
    match chosen:
        case "private_key_jwt":
            _one_of_two(draft, "client_key", "client_assertion")
        case "tls":
            draft.require("cert_file", "is required with client_auth tls: the client's certificate")
        case "none" if grant == "client_credentials":
            draft.odd("client_auth", "nothing proves the client with none, which this grant asks for (RFC 6749, 4.4)")
        case "none":
            pass
        case _:
            draft.require("client_secret", "is required")
    if chosen == "basic_raw" and ":" in (draft.get("client_id") or ""):
        draft.wrong("client_id", 'holds a colon, which basic_raw can\'t send: write client_auth = "basic" or "post"')
    if chosen != "none" or grant not in _SPEAKS_FOR_ITSELF:
        draft.require("client_id", "is required")
    elif grant == "jwt_bearer" and not draft.unsure("assertion") and (why := _nameless(draft, provider)):
        draft.require("client_id", why)
    _unused(draft, "client_auth", chosen)
    return chosen


def _required(draft: Draft, provider: Provider) -> None:
    """Tell what the provider's usual grant takes beside: a key, or the member of params that it stands for."""
    params = {name for name, _ in draft.get("params") or ()}
    for key in provider.required.keys() - params:
        draft.require(key, f'is required with provider {provider.name}, e.g. {key} = "{provider.required[key]}"')


def _nameless(draft: Draft, provider: Provider) -> str:
    """Return why an assertion needs the client's id, `""` where it says all by itself."""
    table: AssertionTable | None = draft.get("assertion")
    match [key for key in _NAMES[provider.dialect] if getattr(table, key, None) is None]:
        case []:
            return ""
        case ["issuer"]:
            return "is required, or assertion.issuer: who signs"
        case ["subject"]:
            return "is required, or assertion.subject: for whom it is signed"
        case _:
            return "is required, or assertion.issuer and assertion.subject: who signs, and for whom"


def _one_of_two(draft: Draft, first: str, second: str) -> None:
    if draft.unsure(first, second):
        return
    match draft.chosen(first, second):
        case several if len(several) > 1:
            draft.wrong(second, f"stands beside {first}: write one of the two")
        case none if not none:
            draft.wrong(first, f"is required with client_auth private_key_jwt, or {second}")
        case _:
            pass


def _unused(draft: Draft, what: str, chosen: str) -> None:
    """Tell each key of the job's own that another choice would use."""
    used = USED[what]
    for key in sorted(_KEYS[what].intersection(draft.own).difference(used[chosen])):
        others = words.listed(other for other, keys in used.items() if key in keys)
        draft.wrong(key, f"is not used with {what} {chosen}: take it out, or write {what} = {others}")
