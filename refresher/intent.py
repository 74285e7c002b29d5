"""What an intent that stands in a state record means to us: another's lease, or a grant that nobody knows about.

Rules of this module:
- The same holder takes its own intent over at once, another only after a lease, by Vault's clock.
- A used refresh token may be sent again where the catalogue says so: from its first use on, so not after a second one.
"""

from datetime import datetime, timedelta
from typing import Final

from refresher.charge import Charge
from refresher.core import outcome
from refresher.core.published import StateRecord
from refresher.core.secret import Secret
from refresher.ports import Sink

LEASE: Final = timedelta(seconds=30)  # longer than a request and the write after it: then an intent is nobody's
REQUEST: Final = timedelta(seconds=30)  # a replay that begins so late in the leeway may come too late


def weigh(charge: Charge, record: StateRecord, now: datetime, sink: Sink, *, ours: bool) -> None:
    """Note in `charge` what the intent in `record` means. `ours`: this process alone can have written it."""
    charge.leased_until = None
    if record.spending and record.nonce in charge.settled:
        return  # it spent nothing: of the grant is known what was known before
    charge.replay_until = None
    if not record.spending:
        charge.unknown = False
        return
    if not ours:
        if charge.watched is None or charge.watched[0] != record.nonce:
            charge.watched = record.nonce, now - min(record.age, LEASE)
        charge.leased_until = charge.watched[1] + LEASE
        if now < charge.leased_until:
            return
    charge.unknown = True
    if charge.job.leeway is not None and record.following <= record.generation + 1:
        charge.replay_until = now - record.age + charge.job.leeway - REQUEST
    if charge.told != record.nonce:
        charge.told = record.nonce
        replayed = not charge.job.single_use or (charge.replay_until is not None and now < charge.replay_until)
        sink.tell(outcome.grant_unknown(charge.job, record, replayed=replayed))


def newest(charge: Charge, record: StateRecord | None) -> Secret | None:
    """Return the refresh token that goes on: the answer's, else the one that stands there, where that is of use.

    It is not after a full grant, which was taken since nobody knew of it; what it fetched itself speaks for it.
    """
    if charge.unkept is not None or record is None:
        return charge.unkept
    return None if charge.unknown and charge.job.grant != "refresh_token" else record.refresh_token
