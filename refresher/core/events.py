"""What is told to log, ledger, metrics and hooks: constant names, plain fields, never a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

EventName: TypeAlias = Literal[
    "rotated",
    "rotation_rejected",
    "store_failed",
    "failing",
    "latched",
    "recovered",
    "expiring",
    "expired",
    "secret_expiring",
    "secret_exposed",
    "grant_unknown",
    "foreign_change",
    "shadow_compared",
    "clock_skew",
    "program_output",
    "asked",
    "hook_failed",
    "vetoed",
    "reloaded",
    "reload_refused",
    "scheduler_away",
    "scheduler_back",
    "started",
    "stalled",
    "stopped",
]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Field: TypeAlias = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; `job` is `""` for the daemon's own. docs/reference/events.md names the fields."""

    name: EventName
    level: Level = "info"
    job: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
