"""What a fleet has told in PostgreSQL, for a verb that asks no daemon."""

from typing import TYPE_CHECKING, Final

from refresher.core.remembered import News
from refresher.core.settings import Postgres
from refresher.host.credentials import LocalReferences
from refresher.scheduler import administration
from refresher.scheduler.database import Database, FleetError
from refresher.scheduler.news import Tidings
from refresher.state.shared import SharedLedger

if TYPE_CHECKING:
    from refresher.parts import Parts
    from refresher.roster import Roster

BOTH: Final = "from Vault and the fleet's ledger: no daemon was asked"
OWN: Final = "from Vault and this host's ledger: no daemon was asked"


async def heard(settings: Postgres, parts: "Parts", roster: "Roster") -> str:
    """Have `roster` stand as the nodes have told, and return in words what was looked at."""

    def hear(news: News, node: str) -> bool:
        return roster.hear(news.job, news.kept, node, own=False)

    def mark(name: str, node: str) -> None:
        if (charge := roster.charges.get(name)) is not None:
            charge.node = node

    database = Database(settings, holder="status", read=LocalReferences().read)
    told = SharedLedger(parts.ledger, settings.schema, "", parts.clock)  # type: ignore[arg-type]  # one that only looks is not shared
    tidings = Tidings(database, told=told, clock=parts.clock, hear=hear, mark=mark)
    try:
        await administration.answered(database, tidings.hear)
    except FleetError as error:
        return f"{OWN}; {error}"
    return f"{BOTH}; {tidings.view().words}"
