"""What changed, and who is told of it: a page that is open gets the rows that are new.

Rules of this module:
- A page says which revision it shows; what it is sent is all that changed since. Nothing is lost between the page and
  its stream, nor while a stream is broken.
- Nobody waits for a page that reads slowly: it is sent what stands when it reads on.
"""

import secrets
from collections.abc import Iterable
from typing import Final, TypeAlias

from refresher.core.view import JobView

Key: TypeAlias = tuple[object, ...]
START: Final = 0


class Changes:
    """The revision at which each job last changed. `boot` names this process: revisions mean nothing to another."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(4)
        self.revision = START
        self._keys: dict[str, Key] = {}
        self._changed: dict[str, int] = {}
        self._names_changed = START

    def look(self, views: Iterable[JobView], *, whole: bool) -> None:
        """Note what of `views` is new; `whole`: these are all jobs that there are, and others are gone."""
        new = {view.name: _key(view) for view in views}
        changed = [name for name, key in new.items() if self._keys.get(name) != key]
        gone = [name for name in self._keys if name not in new] if whole else []
        if not changed and not gone:
            return
        self.revision += 1
        if gone or any(name not in self._keys for name in changed):
            self._names_changed = self.revision
        for name in gone:
            del self._keys[name], self._changed[name]
        for name in changed:
            self._keys[name], self._changed[name] = new[name], self.revision

    def since(self, revision: int) -> list[str]:
        """Return the jobs that changed after `revision`."""
        return [name for name, at in self._changed.items() if at > revision]

    def renamed(self, revision: int) -> bool:
        """Whether jobs came or went after `revision`."""
        return self._names_changed > revision


def _key(view: JobView) -> Key:
    """Return what of a job is to be seen, but for the time that passes."""
    last = None if view.last is None else (view.last.at, view.last.outcome)
    due = None if view.state == "due" else view.renew_at  # what is due is due now, at every look
    seen = (view.provider, view.state, view.alive, view.expires_at, due, view.failures, view.error, last, view.places)
    beside = ((one.standing, one.version) for one in view.beside)
    return (*seen, *view.secrets, *view.behind.items(), *beside)
