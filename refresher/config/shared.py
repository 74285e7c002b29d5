"""The values of the jobs of one reading, in memory: equal ones are one, and none keeps what the file was read into.

Of all that a file is read into a few texts remain, scattered over it, and memory goes back in large pieces alone: a
hundred thousand jobs would keep three times what they take. So what remains is copied out before the rest is let go.
"""

from typing import Any


class Shared:
    """What was seen so far."""

    def __init__(self) -> None:
        self._known: dict[object, Any] = {}

    def share(self, table: dict[str, Any]) -> None:
        """Have the values of `table` be shared ones."""
        for key, value in table.items():
            table[key] = self._one(value)

    def name(self, name: str) -> str:
        """Return a copy of `name`, of which there is no other."""
        return _copied(name)

    def _one(self, value: Any) -> Any:  # noqa: ANN401  # each key has its type in JobTable
        kind = type(value)
        if kind is str:
            return self._known.get(value) or self._known.setdefault(copy := _copied(value), copy)
        if kind is tuple:  # of texts, of pairs, of references: each can be a key
            return self._known.setdefault(value, value)
        return value


def _copied(text: str) -> str:
    return (text + " ")[:-1]
