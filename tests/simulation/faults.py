"""Every fault of the simulated world as a probability. 0: it never happens."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """First what may become of one call, as a probability; then what happens now and then, as a rate.

    A rate is per virtual day: of the whole world, or where its comment says so of each token host or job.
    """

    # One request for a token.
    refused: float = 0.004  # the connection is refused
    lost: float = 0.0005  # a token is issued, and its answer is lost
    error: float = 0.006  # 500, 502 or 503, by half of the hosts with a Retry-After of up to 2 min
    throttled: float = 0.004  # 429, by half of the hosts with a Retry-After of up to 5 min
    malformed: float = 0.002  # a proxy's page with status 200, or JSON without a token
    hangs: float = 0.002  # no answer until the deadline
    # One call of Vault.
    vault_error: float = 0.0005  # it is away for this call
    vault_refuses: float = 0.0002  # 403, once
    vault_ambiguous: float = 0.002  # a write lands, or does not, and the answer is lost
    # Vault, per day.
    vault_away: float = 1.0  # down, sealed, or answering everything but writes; 5 s to 9 min
    vault_away_long: float = 0.15  # 12 min to 90 min
    touched: float = 4.0  # somebody writes a version of his own with what stood there, to a path or a state record
    stranger: float = 2.0  # somebody puts a token of his own to a path
    deleted: float = 1.0  # somebody deletes what stands at a path
    # Providers, per day and host.
    host_away: float = 0.5  # refuses, hangs, answers 5xx or 429; 10 s to 9 min
    host_away_long: float = 0.04  # 15 min to 3 h
    false_refusal: float = 0.1  # invalid_client to everybody; up to 12 min
    # Providers, per day and job.
    quota: float = 0.01  # 429 with a Retry-After of 10 min to an hour, for one client alone
    # The machine, per day.
    killed: float = 4.0  # SIGKILL; started again after 1 s to 30 s
    stopped: float = 0.5  # SIGTERM; the same
    down_long: float = 0.05  # SIGKILL; started again after 15 min to an hour
    suspended: float = 0.3  # the machine sleeps for 5 s to 8 min, and its monotonic clock with it
    clock_leaps: float = 0.5  # by an hour to or fro; set right after up to 30 min
    clock_steps: float = 12.0  # by up to 10 s to or fro
    # At a start, as a probability.
    ledger_lost: float = 0.05  # nothing of it can be read; of what was noted in the last second nothing is there anyway

    def changed(self, words: Iterable[str]) -> "Faults":
        """Return them with `words` like `lost=0.01`, or `all=0`. Raises ValueError: what is wrong, in one line."""
        changes: dict[str, float] = {}
        names = [field.name for field in fields(self)]
        for word in words:
            name, _, value = word.partition("=")
            if name not in (*names, "all"):
                raise ValueError(f"--fault {word}: there is no such fault; there are all, {', '.join(names)}")
            try:
                rate = float(value)
            except ValueError:
                raise ValueError(f"--fault {word}: NAME=RATE, and a rate is a number") from None
            if not 0 <= rate < float("inf"):
                raise ValueError(f"--fault {word}: a rate is 0 or more")
            changes |= dict.fromkeys(names if name == "all" else (name,), rate)
        return replace(self, **changes)


PLAIN = Faults().changed(["all=0", "refused=0.004", "error=0.006", "vault_away=1", "killed=1"])  # for very many jobs
