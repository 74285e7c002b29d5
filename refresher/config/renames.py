"""Jobs that had another name before (`moved_from`): one heir for each, and none for a job that still stands."""

from collections.abc import Iterable

from refresher.config.jobs import Built
from refresher.config.mistakes import dotted


def check(outcomes: Iterable[Built]) -> None:
    """Tell each `moved_from` that can't be followed."""
    built = {each.draft.name: each.draft for each in outcomes}
    heirs: dict[str, str] = {}
    for name, draft in built.items():
        before = draft.get("moved_from")
        if before is None:
            continue
        if "moved_from" not in draft.own:
            draft.wrong("moved_from", "stands in [defaults]: it is one job's alone")
        elif before == name:
            draft.wrong("moved_from", "is the job's own name")
        elif before in built:
            draft.wrong("moved_from", f"[{dotted('jobs', before)}] still stands: take it out, or moved_from")
        elif before in heirs:
            draft.wrong("moved_from", f"[{dotted('jobs', heirs[before])}] was moved from it, too")
        heirs.setdefault(before, name)
