"""One job as its file and [defaults] state it: the keys that stand there, and where to tell a mistake."""

from dataclasses import dataclass
from typing import Any

from refresher.config.mistakes import Findings, dotted


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`own` and `defaults` hold what could be read, `both` what counts of it; `bad` the keys that could not be."""

    name: str
    file: str
    own: dict[str, Any]
    defaults: dict[str, Any]
    both: dict[str, Any]
    bad: frozenset[str]
    findings: Findings

    def get(self, key: str) -> Any:  # noqa: ANN401  # each key has its type in models.JobTable
        """Return the job's value, else the default one, else None."""
        return self.both.get(key)

    def stating(self, keys: frozenset[str]) -> frozenset[str]:
        """Return those of `keys` that the job or [defaults] state."""
        return keys.intersection(self.both)

    def chosen(self, *keys: str) -> dict[str, Any]:
        """Return those of the alternative `keys` that count: the job's own choice, else that of [defaults]."""
        for table in (self.own, self.defaults):
            if found := {key: table[key] for key in keys if key in table}:
                return found
        return {}

    def unsure(self, *keys: str) -> bool:
        """Whether one of `keys` stands there and could not be read, so that nothing can be said of it."""
        return not self.bad.isdisjoint(keys)

    def require(self, key: str, why: str) -> None:
        """Tell that `key` is missing, unless it stands there and could not be read."""
        if self.get(key) is None and not self.unsure(key):
            self.wrong(key, why)

    def wrong(self, key: str, message: str) -> None:
        self.findings.wrong(self.file, dotted("jobs", self.name), key, message)

    def odd(self, key: str, message: str) -> None:
        self.findings.odd(self.file, dotted("jobs", self.name), key, message)

    def stated(self, key: str, otherwise: Any) -> Any:  # noqa: ANN401  # as get()
        """Return the job's value, else the default one, else `otherwise`."""
        return self.both.get(key, otherwise)
