"""One job: what its provider and its grant need, with the defaults filled in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from refresher.config import endpoint, fields, needs, program, shadow, times, words
from refresher.config.draft import Draft
from refresher.config.endpoint import Blanks
from refresher.config.job_tables import ResponseTable
from refresher.config.members import Pairs
from refresher.config.places import Named, Places
from refresher.config.request_keys import EXEC
from refresher.config.shape import shape
from refresher.core.job import USUAL_REPLY, Job, ResponseMap
from refresher.core.model import Location
from refresher.providers import Provider, catalogue

_TARGETS: Final = ("audience", "resource")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One job's outcome; `job` is None where a mistake was told. `chained`: its subject_token counts."""

    draft: Draft
    job: Job | None
    keys: tuple[str, ...]
    places: tuple[Location, ...]
    chained: bool

    @property
    def destinations(self) -> Iterable[Named]:
        """Its destinations, each with the key that names it."""
        return zip(self.keys, self.places, strict=True)


def build(draft: Draft, places: Places) -> Built:
    """Return the job that `draft` describes, telling every mistake in it."""
    told = len(draft.findings.mistakes)
    keys, locations = places.destinations(draft)
    states = places.states(draft, locations)
    places.references(draft)
    if draft.get("provider") == EXEC:
        job: Job | None = _program(draft, locations, states)
    else:
        provider = _provider(draft)
        job = None if provider is None else _job(draft, provider, locations, states)
    laid_out = fields.of_destinations(draft, zip(keys, locations, strict=True))
    if job is not None:
        job = replace(job, fields=laid_out) if laid_out else job
        job = shadow.beside(draft, job)
    whole = not draft.bad and len(draft.findings.mistakes) == told
    return Built(
        draft=draft,
        job=job if whole else None,
        keys=keys,
        places=locations if job is None else job.destinations,
        chained=job is not None and job.grant == "token_exchange",
    )


def _job(draft: Draft, provider: Provider, destinations: tuple[Location, ...], states: Location) -> Job | None:
    for key in sorted(program.OWN.intersection(draft.own)):
        draft.wrong(key, f'is used with provider = "{EXEC}" alone: take it out')
    blanks = Blanks(draft, provider.vars)
    where = endpoint.endpoint(draft, provider, blanks)
    choice = needs.choice(draft, provider)
    lifetime = draft.stated("lifetime", provider.lifetime)
    times.promise(draft, lifetime)
    params = _params(draft, provider, blanks)
    if choice is None:
        return None
    token_url, issuer = where or ("", "")
    refreshes = choice.grant == "refresh_token" or provider.refreshes
    made = shape(draft, provider, blanks, choice, issuer)
    if where is not None:
        blanks.close()
    used = {key: draft.get(key) for key in choice.used}
    return Job(
        name=draft.name,
        provider=provider.name,
        token_url=token_url,
        grant=choice.grant,
        client_auth=choice.client_auth,
        client_id=draft.get("client_id") or "",
        client_secret=next(iter(used.get("client_secret") or ()), None),
        username=used.get("username"),
        password=used.get("password"),
        refresh_token=used.get("refresh_token"),
        scope=draft.stated("scope", provider.scope),
        params=params,
        lifetime=lifetime,
        refreshes=provider.refreshes,
        single_use=provider.single_use is not False,  # where nobody says, it counts as void once used
        leeway=provider.leeway,
        revokes_previous=draft.stated("revokes_previous", bool(provider.revokes_previous)),
        response=_response(provider.response, draft.get("response")),
        shape=made,
        times=times.times(draft, lifetime, refreshes=refreshes, usual=provider.refresh_every),
        **_rest(draft),
        destinations=destinations,
        states=states,
    )


def _program(draft: Draft, destinations: tuple[Location, ...], states: Location) -> Job:
    """Return the job of a program: it is run again as freely as client credentials are shown again."""
    lifetime = draft.get("lifetime")
    times.promise(draft, lifetime)
    return Job(
        name=draft.name,
        provider=EXEC,
        token_url="",
        grant="client_credentials",
        client_auth="none",
        client_id="",
        lifetime=lifetime,
        revokes_previous=draft.stated("revokes_previous", False),  # noqa: FBT003  # the value of a key
        response=_response(USUAL_REPLY, draft.get("response")),
        shape=program.shape(draft),
        times=times.times(draft, lifetime, refreshes=False),
        **_rest(draft),
        destinations=destinations,
        states=states,
    )


def _rest(draft: Draft) -> dict[str, Any]:
    """Return what every job may state, whoever issues its token."""
    return {
        "require_scope": draft.stated("require_scope", ()),
        "renew_before": draft.get("renew_before"),
        "reader_lag": draft.get("reader_lag"),
        "keep": draft.stated("keep", ()),
        "adopt": draft.stated("adopt", False),  # noqa: FBT003  # the value of a key
        "moved_from": draft.own.get("moved_from", ""),
        "client_secret_expires": draft.get("client_secret_expires"),
        "hooks": draft.get("hooks"),
    }


def _provider(draft: Draft) -> Provider | None:
    name = draft.get("provider")
    if name in catalogue():
        return catalogue()[name]
    draft.require("provider", "is required: refresher providers lists them; oauth2 is any RFC 6749 endpoint")
    if name is not None:
        hint = words.hint(name, (*catalogue(), EXEC))
        draft.wrong("provider", f"is not in the catalogue{hint} (refresher providers lists it; oauth2 is any endpoint)")
    if "command" not in draft.own:
        draft.require("client_id", "is required")
    return None


def _params(draft: Draft, provider: Provider, blanks: Blanks) -> Pairs:
    """Return the extra members of the request: the job's own win over its provider's."""
    own: Pairs = draft.stated("params", ())
    for key in _TARGETS:
        if (targets := draft.get(key)) is not None:
            if any(name == key for name, _ in own):
                draft.wrong(key, "stands in params, too: write one of the two")
            own = (*own, *((key, target) for target in targets))
    names = {name for name, _ in own}
    known = ((name, blanks.fill(value)) for name, value in provider.params.items() if name not in names)
    return (*known, *own)


def _response(known: ResponseMap, table: ResponseTable | None) -> ResponseMap:
    return known if table is None else replace(known, **table.said())
