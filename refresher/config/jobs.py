"""One job: what its provider and its grant need, with the defaults filled in."""

from dataclasses import dataclass, replace
from typing import Final

from refresher.config import words
from refresher.config.draft import Draft
from refresher.config.models import ResponseTable
from refresher.config.places import Named, Places
from refresher.core import due
from refresher.core.job import GrantName, Job, ResponseMap
from refresher.core.model import Location
from refresher.providers import Provider, catalogue

_ENDPOINT: Final = ("token_url", "base_url", "environment")
_REFERENCES: Final = ("client_secret", "password", "refresh_token")
_GRANTS: Final = ("client_credentials", "password", "refresh_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One job's outcome; `job` is None where a mistake was told."""

    draft: Draft
    job: Job | None
    destinations: tuple[Named, ...]


def build(draft: Draft, places: Places) -> Built:
    """Return the job that `draft` describes, telling every mistake in it."""
    told = len(draft.findings.mistakes)
    destinations = places.destinations(draft)
    locations = tuple(location for _, location in destinations)
    state = places.state(draft, locations)
    for key in _REFERENCES:
        places.reference(draft, key)
    for key in ("client_id", "client_secret"):
        _require(draft, key, "is required")
    provider = _provider(draft)
    job = None if provider is None else _job(draft, provider, locations, state)
    whole = not draft.bad and len(draft.findings.mistakes) == told
    return Built(draft=draft, job=job if whole else None, destinations=destinations)


def _job(draft: Draft, provider: Provider, destinations: tuple[Location, ...], state: Location) -> Job | None:
    token_url = _token_url(draft, provider)
    grant = _grant(draft, provider)
    client_auth = draft.get("client_auth") or provider.client_auth
    if client_auth == "basic_raw" and ":" in (draft.get("client_id") or ""):
        draft.wrong("client_id", 'holds a colon, which basic_raw can\'t send: write client_auth = "basic" or "post"')
    _life(draft, provider)
    if token_url is None or grant is None:
        return None
    return Job(
        name=draft.name,
        provider=provider.name,
        token_url=token_url,
        grant=grant,
        client_auth=client_auth,
        client_id=draft.get("client_id") or "",
        client_secret=draft.get("client_secret"),
        username=draft.get("username"),
        password=draft.get("password"),
        refresh_token=draft.get("refresh_token"),
        scope=draft.stated("scope", provider.scope),
        require_scope=draft.stated("require_scope", ()),
        params=draft.stated("params", ()),
        renew_before=draft.get("renew_before"),
        lifetime=draft.stated("lifetime", provider.lifetime),
        refreshes=provider.refreshes,
        revokes_previous=draft.stated("revokes_previous", bool(provider.revokes_previous)),
        response=_response(provider.response, draft.get("response")),
        keep=draft.stated("keep", ()),
        adopt=draft.stated("adopt", False),  # noqa: FBT003  # the value of a key
        destinations=destinations,
        state=state,
    )


def _require(draft: Draft, key: str, why: str) -> None:
    if draft.get(key) is None and not draft.unsure(key):
        draft.wrong(key, why)


def _provider(draft: Draft) -> Provider | None:
    _require(draft, "provider", "is required: refresher providers lists them; oauth2 is any RFC 6749 endpoint")
    name = draft.get("provider")
    if name is None or name in catalogue():
        return None if name is None else catalogue()[name]
    hint = words.hint(name, catalogue())
    draft.wrong("provider", f"is not in the catalogue{hint} (refresher providers lists it; oauth2 is any endpoint)")
    return None


def _token_url(draft: Draft, provider: Provider) -> str | None:
    """Return the whole URL of the token endpoint, from the one of three keys that the job chose."""
    match draft.chosen(*_ENDPOINT):
        case _ if draft.unsure(*_ENDPOINT):
            pass
        case several if len(several) > 1:
            first, second, *_ = several
            draft.wrong(second, f"stands beside {first}: write one of the two")
        case {"token_url": url}:
            return str(url)
        case {"base_url": url} if provider.token_path is not None:
            return str(url).rstrip("/") + provider.token_path
        case {"base_url": _}:
            draft.wrong("base_url", f"is not enough: {provider.name} stands for any path; write token_url")
        case {"environment": name}:
            return _environment(draft, provider, name)
        case _:
            return _usual(draft, provider)
    return None


def _environment(draft: Draft, provider: Provider, name: str) -> str | None:
    if name in provider.environments:
        return provider.environments[name] + (provider.token_path or "")
    if provider.environments:
        known = words.listed(provider.environments)
        draft.wrong("environment", f"must be {known}{words.hint(name, provider.environments)}; or write token_url")
    else:
        draft.wrong("environment", f"{provider.name} has none; write {_host_key(provider)}")
    return None


def _usual(draft: Draft, provider: Provider) -> str | None:
    if provider.environment is not None:
        return _environment(draft, provider, provider.environment)
    if provider.environments:
        known = words.listed(provider.environments)
        draft.wrong("environment", f"is required: {known}; or write token_url")
    else:
        draft.wrong(_host_key(provider), f"is required with provider {provider.name}")
    return None


def _host_key(provider: Provider) -> str:
    return "token_url" if provider.token_path is None else "base_url"


def _grant(draft: Draft, provider: Provider) -> GrantName | None:
    """Return the grant, telling what it needs and lacks, and what it does not use."""
    grant: GrantName | None = draft.get("grant") or provider.grant
    if draft.unsure("grant"):
        return None
    match grant:
        case None:
            draft.wrong("grant", f"is required: {words.listed(_GRANTS)}")
        case "password":
            _require(draft, "username", "is required with grant password")
            _require(draft, "password", "is required with grant password")
        case "refresh_token":
            _require(draft, "refresh_token", "is required with this grant: a reference to the first refresh token")
        case "client_credentials":
            pass
    used = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}
    for owner, keys in used.items():
        for key in keys:
            if grant is not None and owner != grant and key in draft.own:
                draft.odd(key, f"is not used with grant {grant}")
    return grant


def _life(draft: Draft, provider: Provider) -> None:
    """Warn where readers are promised less than renew_before asks for."""
    margin, lifetime = draft.get("renew_before"), draft.stated("lifetime", provider.lifetime)
    if lifetime is None:
        return
    if lifetime < due.SHORTEST:
        draft.odd("lifetime", f"is shorter than {words.spell(due.SHORTEST)}: nothing is promised to readers")
    elif margin is not None and due.promised(lifetime, margin) < due.renew_before(lifetime, margin):
        promised = words.spell(due.promised(lifetime, margin))
        draft.odd("renew_before", f"readers are promised {promised} and no more, a quarter of the token's lifetime")


def _response(known: ResponseMap, table: ResponseTable | None) -> ResponseMap:
    return known if table is None else replace(known, **table.said())
