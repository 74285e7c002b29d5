"""What can go wrong, split by whose fault it is and what to do next.

    RefresherError
    |-- ConfigError               the person who wrote jobs.toml mends it (exit 78)
    |-- UnreadableReferenceError  a secret reference cannot be read now
    |   `-- AwaitedSecretError    another job has yet to write what it points to: soon
    |-- ElsewhereError            another node of the fleet has the job in hand: ask there, or later
    |-- TransportError            the wire, or a program, gave no whole reply: try again
    `-- StoreError                Vault
        |-- StoreUnavailableError    down, sealed, throttled, failing over: try again
        |-- StoreAmbiguousError      the write may have landed: repeat it identically, then look
        |-- StoreConflictError       the check-and-set value is not the current version: look again
        `-- StoreRefusedError        policy, mount, login: a person mends it

Texts are ours: no foreign exception's text is carried over, since it may quote a secret.
"""

from dataclasses import dataclass


class RefresherError(Exception):
    """The root of every error of refresher's own."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a configuration: what, where, and what to do."""

    file: str
    table: str
    key: str
    message: str

    def __str__(self) -> str:
        where = f"[{self.table}] {self.key}".strip() if self.table else self.key
        return f"{self.file}: {where}: {self.message}" if where else f"{self.file}: {self.message}"


class ElsewhereError(RefresherError):
    """Another node of the fleet has the job in hand; the text is what that is called."""


class ConfigError(RefresherError):
    """Every mistake of a configuration at once."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(str(m) for m in mistakes))
        self.mistakes = mistakes


class UnreadableReferenceError(RefresherError):
    """A secret reference (`vault:`, `file:`, `credential:`, `env:`) that cannot be read now."""

    code = "secret_unreadable"

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"{reference}: {why}")
        self.reference = reference
        self.why = why


class AwaitedSecretError(UnreadableReferenceError):
    """A token to exchange that is not in Vault yet: the job that writes it has not come to it."""

    code = "secret_awaited"


class TransportError(RefresherError):
    """No whole reply came: over the wire, or from a program.

    `code` is `transport` (refused, reset, TLS, DNS, garbage), `deadline`, `discovery` (the issuer's metadata led
    nowhere) or `not_ours` (another machine may have the job now), and of a program `exit_N`, `signal_N` or
    `not_started`; `why` is a text for people.
    `sent` says whether the request may have reached the server. `stale`: it went over a connection that had been kept,
    and that ended before anything came.
    """

    def __init__(self, code: str, why: str, *, sent: bool, stale: bool = False) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why
        self.sent = sent
        self.stale = stale


class StoreError(RefresherError):
    """Vault did not do what was asked.

    `code` is a short constant (`sealed`, `denied`, `cas`, ...); `status` the HTTP status, 0 when there was none.
    """

    def __init__(self, code: str, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after = retry_after


class StoreUnavailableError(StoreError):
    """Vault is away, sealed, throttling or failing over: try again later."""


class StoreAmbiguousError(StoreError):
    """The write may or may not have landed: repeat it identically."""


class StoreConflictError(StoreError):
    """Somebody wrote in between: the check-and-set value is not the current version."""


class StoreRefusedError(StoreError):
    """Policy, mount, namespace or login: a person has to mend it."""
