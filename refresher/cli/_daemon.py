"""What the verbs share that ask the running daemon: an outcome in words, and the exit code of several."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from refresher.cli import _words

BESIDE: Final = ("store_down", "node")  # what the daemon says of an outcome beside what is printed
DECLINED: Final = {
    "cooldown": "it was asked for not long ago",
    "paused": "it is paused: refresher resume {job} ends that",
    "released": "its path was handed back: refresher resume {job} takes it again",
    "unmanaged": "a secret that refresher did not write stands at its path",
    "unknown": "nobody could look at its path yet",
    "busy": "an answer of the provider waits to be written first",
    "stopping": "the daemon is about to end",
    "reloaded": "jobs.toml has just taken it out, or renamed it: look with refresher status, and ask again",
    "elsewhere": "node {node} has it in hand: try again in a moment, or ask there: refresher {verb} {job}",
    "scheduler_away": "PostgreSQL is away, and nobody knows which node has it: try again once it is back",
    "latched": "the provider refused the credential, which has not changed since",
    "backoff": "it failed not long ago",
    "expires_in": "nobody says how long the token lives: say so by --expires-in",
    "refresh_token": "there is a refresh token in it: that is for refresher authorize {job} --import",
}


def told(
    answers: Iterable[Mapping[str, Any]],
    *,
    as_json: bool,
    verb: str = "rotate",
    progress: Callable[[], None] = lambda: None,
) -> list[Mapping[str, Any]]:
    """Print each outcome of `verb` as it comes, and return them."""
    outcomes = []
    for answer in answers:
        shown = {name: value for name, value in answer.items() if name not in BESIDE}
        print(json.dumps(shown) if as_json else line(answer, verb), flush=True)
        outcomes.append(answer)
        progress()
    return outcomes


def is_well(ended: Mapping[str, Any]) -> bool:
    """Whether readers are served as promised."""
    return ended["outcome"] in ("rotated", "fresh") and not any(one.get("error") for one in ended["destinations"])


def alone(row: Mapping[str, Any]) -> None:
    """Say so where the other nodes of a fleet could not be told of what a person has decided."""
    if row.get("told") is False:  # an older daemon does not say
        print("PostgreSQL is away: this node alone knows of it, and tells the others once it is back")


def line(ended: Mapping[str, Any], verb: str = "rotate") -> str:
    """Return one line for an outcome of `verb` that the daemon told."""
    words, reason, error = f"{ended['job']}: {ended['outcome'].replace('_', ' ')}", ended["reason"], ended["error"]
    if ended["outcome"] in ("rotated", "fresh"):
        places = ", ".join(_place(one) for one in ended["destinations"])
        expiry, renewal = _moment(ended["expires_at"]), _moment(ended["renew_at"])
        return f"{words} ({reason}), {places}, expires {expiry}, next {renewal}"
    status = f", HTTP {ended['http_status']}" if ended["http_status"] else ""
    why = DECLINED.get(reason, "") if ended["outcome"] == "halted" else DECLINED.get(error or "", "")
    words = f"{words} ({error}{status})" + (
        f": {why.format(job=ended['job'], node=ended.get('node', ''), verb=verb)}" if why else ""
    )
    if ended["retry_after"] is not None:
        return f"{words}; again in {ended['retry_after']} s"
    return words if ended["renew_at"] is None else f"{words}; next try {_moment(ended['renew_at'])}"


def _place(one: Mapping[str, Any]) -> str:
    if one.get("error"):
        return f"{one['path']} lacks it ({one['error']})"
    return f"{one['path']} v{one['version']}" if one["version"] else str(one["path"])


def _moment(text: str | None) -> str:
    return "-" if text is None else _words.moment(datetime.fromisoformat(text))
