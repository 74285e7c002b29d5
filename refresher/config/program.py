"""A job whose provider is a program on this machine (`provider = "exec"`)."""

from typing import Any, Final

from refresher.config.draft import Draft
from refresher.config.endpoint import Blanks
from refresher.config.job_keys import PlaceKeys, ProgramKeys, ReplyKeys, TellKeys, TimeKeys
from refresher.config.shape import verify
from refresher.core.job import Program, Shape

OWN: Final = frozenset(ProgramKeys.__annotations__)
_TAKES: Final = OWN.union(
    ("provider", "environment", "vars"), *(keys.__annotations__ for keys in (PlaceKeys, ReplyKeys, TellKeys, TimeKeys))
)


def shape(draft: Draft) -> Shape:
    """Return the shape of a job that runs a program, telling what it lacks and what it does not use."""
    for key in sorted(draft.own.keys() - _TAKES):
        draft.wrong(key, "is not used with provider exec, whose program knows whom to ask and how: take it out")
    draft.require("command", 'is required with provider exec, e.g. ["/usr/local/bin/fetch-token", "crm"]')
    environment = draft.get("environment")
    if "environment" in draft.own and isinstance(environment, str):
        draft.wrong("environment", 'must be a table with provider exec, e.g. { LANG = "C.UTF-8" }')
    blanks = Blanks(draft, {})
    tried = verify(draft, blanks, issuer="")
    if tried is not None and tried.introspect:
        draft.wrong("verify.introspect", "is not used with provider exec, which has no client to ask with: write url")
    blanks.close()
    found: dict[str, Any] = {key: draft.get(key) for key in ("secrets", "deadline") if draft.get(key) is not None}
    if isinstance(environment, tuple):
        found["environment"] = environment
    return Shape(program=Program(argv=draft.get("command") or (), **found), verify=tried)
