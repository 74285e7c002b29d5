"""Where a job's requests go: the one of four keys that it chose, with its `vars` filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from refresher.config import addresses, words
from refresher.config.draft import Draft
from refresher.config.words import BadValueError
from refresher.providers import Provider
from refresher.providers.provider import fill
from refresher.providers.row import PLACEHOLDER

WAYS: Final = ("token_url", "issuer", "base_url", "environment")
_TEMPLATES: Final = (*WAYS, "verify", "authorize", "provider")  # what may hold a `{name}`


@dataclass(slots=True)
class Blanks:
    """The `{name}`s of a job's addresses and of its provider's params, and what stands for them."""

    draft: Draft
    examples: Mapping[str, str]
    values: dict[str, str] = field(init=False)
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.values = dict(self.draft.get("vars") or ())

    def fill(self, template: str) -> str:
        """Return `template` with each `{name}` replaced; one without a value stays, and is told by `close`."""
        if "{" not in template:
            return template
        names = PLACEHOLDER.findall(template)
        self.asked.update(names)
        return fill(template, {name: self.values.get(name, f"{{{name}}}") for name in names})

    def url(self, key: str, template: str) -> str:
        """Return the address that `template`, the value of `key`, becomes; it is judged as it is when it is whole."""
        filled = self.fill(template)
        if filled != template and "{" not in filled:
            try:
                addresses.url(filled)
            except BadValueError as problem:
                self.draft.wrong(key, f"with its vars filled in {problem}")
        return filled

    def close(self) -> None:
        """Tell which values are missing, and which of the job's own stand for nothing."""
        if not (self.asked or self.values) or self.draft.unsure("vars"):
            return
        for name in sorted(self.asked - self.values.keys()):
            example = self.examples.get(name, "acme")
            self.draft.wrong("vars", f'"{name}" is missing, e.g. vars = {{ {name} = "{example}" }}')
        if "vars" in self.draft.own and not self.draft.unsure(*_TEMPLATES):
            for name in sorted(self.values.keys() - self.asked):
                self.draft.wrong("vars", f'"{name}" is used nowhere: no address of the job holds {{{name}}}')


def endpoint(draft: Draft, provider: Provider, blanks: Blanks) -> tuple[str, str] | None:
    """Return the token endpoint's URL and the issuer, one of which is empty; None where a mistake was told."""
    match draft.chosen(*WAYS):
        case _ if draft.unsure(*WAYS):
            return None
        case several if len(several) > 1:
            first, second, *_ = several
            draft.wrong(second, f"stands beside {first}: write one of the two")
            return None
        case {"issuer": issuer}:
            return "", blanks.url("issuer", issuer)
        case chosen:
            found = _token_url(draft, provider, chosen)
            return None if found is None else (blanks.url(*found), "")


def _token_url(draft: Draft, provider: Provider, chosen: dict[str, Any]) -> tuple[str, str] | None:
    """Return the key that decides, and the address that it leads to."""
    match chosen:
        case {"token_url": url}:
            return "token_url", url
        case {"base_url": url} if provider.token_path is not None:
            return "base_url", url.rstrip("/") + provider.token_path
        case {"base_url": _}:
            draft.wrong("base_url", f"is not enough: no path is known for {provider.name}; write token_url")
        case {"environment": str(name)}:
            return _environment(draft, provider, name)
        case {"environment": _}:
            draft.wrong("environment", "a table of variables is for provider exec; elsewhere it is one word")
        case _:
            return _usual(draft, provider)
    return None


def _environment(draft: Draft, provider: Provider, name: str) -> tuple[str, str] | None:
    if name in provider.environments:
        return "environment", provider.environments[name] + (provider.token_path or "")
    if provider.environments:
        known = words.listed(provider.environments)
        draft.wrong("environment", f"must be {known}{words.hint(name, provider.environments)}; or write token_url")
    else:
        draft.wrong("environment", f"{provider.name} has none; write {_host_key(provider)}")
    return None


def _usual(draft: Draft, provider: Provider) -> tuple[str, str] | None:
    if provider.token_url is not None:
        return "vars", provider.token_url
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
