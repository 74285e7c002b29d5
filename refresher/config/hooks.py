"""The hooks of a file, and what of their tables does not fit together."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from refresher.config import words
from refresher.config.draft import Draft
from refresher.config.hook_words import BEFORE
from refresher.config.mistakes import Findings, Reading, dotted
from refresher.config.models import File, HookTable
from refresher.core.hooks import Hook
from refresher.core.job import Program

_KINDS: Final = ("command", "url", "reload")
_NEEDS: Final = {"secrets": "command", "deadline": "command", "secret": "url"}
DEADLINE_BEFORE: Final = timedelta(seconds=5)
LONGEST_BEFORE: Final = timedelta(seconds=30)  # as long as a rotation may take (`due.slack`)


def build(main: Reading[File], findings: Findings) -> Mapping[str, Hook]:
    """Return the hooks by name, telling every mistake in them."""
    found = {name: _hook(main, name, table, findings) for name, table in main.model.hooks.items()}
    return {name: hook for name, hook in found.items() if hook is not None}


def check(drafts: Collection[Draft], main: Reading[File], findings: Findings) -> None:
    """Tell each hook that a job, or [defaults] for all of them, names and that there is not."""
    known = {*main.model.hooks, *(place[1] for place in main.bad if place[0] == "hooks" and len(place) > 1)}

    def strange(names: Iterable[str] | None) -> Iterator[str]:
        unknown = (name for name in names or () if name not in known)
        return (f"names a hook that has no table [hooks.NAME]{words.hint(name, known)}" for name in unknown)

    defaults = main.model.defaults
    for message in strange(None if defaults is None else defaults.hooks):
        findings.wrong(main.file, "defaults", "hooks", message)
    for draft in drafts:
        for message in strange(draft.own.get("hooks")):
            draft.wrong("hooks", message)


def _hook(main: Reading[File], name: str, table: HookTable, findings: Findings) -> Hook | None:
    said, told = table.said(), len(findings.mistakes)
    bad = {place[2] for place in main.bad if place[:2] == ("hooks", name) and len(place) > 2}  # noqa: PLR2004  # a key

    def wrong(key: str, message: str) -> None:
        findings.wrong(main.file, dotted("hooks", name), key, message)

    kinds = [key for key in _KINDS if key in said or key in bad]
    if len(kinds) > 1:
        wrong(kinds[1], f"stands beside {kinds[0]}: write one of the two")
    elif not kinds:
        wrong("", f"does nothing: write one of {words.listed(_KINDS)}")
    for key, needed in _NEEDS.items():
        if key in said and needed not in kinds:
            wrong(key, f"is not used without {needed}: take it out")
    before = table.on == (BEFORE,)
    if before and kinds and "command" not in kinds:
        wrong("on", "before is asked of a command alone")
    if before and "level" in said:
        wrong("level", "is not used with before: take it out")
    if before and table.deadline is not None and table.deadline > LONGEST_BEFORE:
        wrong("deadline", f"is at most {words.spell(LONGEST_BEFORE)} with before: a rotation waits for it")
    if bad or len(findings.mistakes) > told:
        return None
    return Hook(
        name=name,
        moment="before" if before else "after",
        events=frozenset(event for event in table.on or () if event != BEFORE),
        level=table.level,
        program=_program(table, before=before),
        url=table.url or "",
        secret=table.secret,
        unit=table.reload or "",
    )


def _program(table: HookTable, *, before: bool) -> Program | None:
    if table.command is None:
        return None
    deadline = table.deadline or (DEADLINE_BEFORE if before else Program(argv=()).deadline)
    return Program(argv=table.command, secrets=table.secrets or (), deadline=deadline)
