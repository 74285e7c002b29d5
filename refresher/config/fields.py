"""What readers find under which name at each of a job's destinations: `fields`, its own or else the job's."""

from collections.abc import Iterable

from refresher.config import words
from refresher.config.draft import Draft
from refresher.config.job_tables import DestinationTable
from refresher.config.places import Named
from refresher.core import fields
from refresher.core.fields import Fields
from refresher.core.model import Location


def of_destinations(draft: Draft, destinations: Iterable[Named]) -> tuple[tuple[Location, Fields], ...]:
    """Return the fields of the destinations that have any, telling every member that no token has."""
    usual: Fields = draft.stated("fields", ())
    tables: list[DestinationTable] = draft.chosen("path", "destinations").get("destinations") or []
    if not usual and not tables:
        return ()
    own = {f"destinations[{number}]": table.fields for number, table in enumerate(tables)}
    told = {f"{key}.fields": found for key, found in own.items() if found}
    for where, found in (("fields", usual), *told.items()):
        _check(draft, where, found)
    chosen = ((place, own.get(key)) for key, place in destinations)
    laid = ((place, usual if found is None else found) for place, found in chosen)
    return tuple((place, found) for place, found in laid if found)


def _check(draft: Draft, where: str, found: Fields) -> None:
    keep = draft.stated("keep", ())
    known = (*fields.MEMBERS, *keep)
    members = {member: name for name, text in found for member in fields.named(text)}
    if draft.unsure("keep"):
        return
    for member, name in members.items():
        if member not in known:
            hint = words.hint(member, known)
            draft.wrong(f"{where}.{name}", f"names a member that is not published{hint} (keep adds those of the reply)")
    if found and members.keys().isdisjoint((fields.ACCESS_TOKEN, *keep)):
        draft.wrong(where, 'leaves readers without a token: name it, e.g. token = "{access_token}"')
