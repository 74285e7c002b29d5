"""A daemon that starts on a ledger, a journal and an identity with flipped bits: it starts, rebuilds, and says so.

Without its identity it is another daemon than the one whose intent stands in Vault, and waits for that one's lease.
"""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import pytest

from tests.failpoints.lives import Daemon, Yard, side_by_side, yard

HEALED_S = 10
LOADED_S = 45  # the same among other tests, which may have all of the machine
REACHED_S = 60
LEASE_S = 30
DAEMONS = 12  # side by side


@dataclass
class Told:
    """What came of one daemon's lives; seconds to the first rotation after each spoiling."""

    daemon: Daemon
    wrongs: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    healed: list[float] = field(default_factory=list)
    after_lease: list[float] = field(default_factory=list)


def flip(daemon: Daemon, chance: random.Random, files: tuple[str, ...]) -> Counter[str]:
    """Flip a few bits of these files, or cut one short now and then, which counts as one; return how many by kind."""
    flips: Counter[str] = Counter()
    state = daemon.folder / "state"
    kinds = {"ledger": state.glob("ledger-*.sqlite3"), "journal": state.glob("journal-*/*.next")}
    for kind in files:
        for path in kinds.get(kind, state.glob("identity-*.json")):
            content = bytearray(path.read_bytes())
            used = len(content.rstrip(b"\0"))  # a slot of the journal is much longer than what is in it
            for _ in range(chance.choice((0, 1, 8, 64))):
                content[chance.randrange(used)] ^= 1 << chance.randrange(8)
                flips[kind] += 1
            cut = chance.random() < 0.1
            flips[kind] += cut
            path.write_bytes(content[: chance.randrange(used)] if cut else content)
    return flips


async def live_on_spoiled_files(place: Yard, rounds: int, chance: random.Random) -> Told:
    """Kill a daemon whose answer is in the journal and not in Vault, spoil its files, and start it on them."""
    told = Told(place.daemon())
    for number in range(rounds):
        await (await told.daemon.start("journal_entry.synced", "kill", str(chance.choice((1, 2))))).ended
        anew = number % 4 == 3
        flips = flip(told.daemon, chance, ("ledger", "journal", "identity") if anew else ("ledger", "journal"))
        told.counts += flips
        life, began = await told.daemon.start(), time.monotonic()
        healed = await life.event("rotated", within=LEASE_S + REACHED_S)
        (told.after_lease if flips["identity"] else told.healed).append(time.monotonic() - began)
        if healed is None:
            told.wrongs.append("not healed")
        told.counts["recovered" if healed and healed["reason"] == "unwritten" else "not recovered"] += 1
        told.counts["unknown"] += bool(life.events("grant_unknown"))
        told.counts["anew"] += sum("anew" in str(one) or "made new" in str(one) for one in life.events("started"))
        if (code := await life.end(signal.SIGTERM)) != 0:
            told.wrongs.append(f"exit code {code}: {life.log.read_text()[-500:]}")
    told.wrongs += await told.daemon.wrongs()
    return told


@pytest.mark.e2e
@pytest.mark.fault("F57")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("rounds", "within"), [(1, LOADED_S), pytest.param(20, HEALED_S, marks=pytest.mark.nightly)], ids=["12", "240"]
)
async def test_it_starts_on_whatever_is_there(openbao, tmp_path, measured, rounds, within):
    chance = random.Random(57)  # noqa: S311  # the same damage at each run
    async with yard(tmp_path, openbao, ttl=12) as place:  # long enough to outlive a slow start
        lives = [partial(live_on_spoiled_files, place, rounds, random.Random(chance.random())) for _ in range(DAEMONS)]  # noqa: S311  # as above
        told = await side_by_side(lives, at_once=DAEMONS)
    counts = sum((one.counts for one in told), Counter())
    healed, after_lease = (
        sorted(chain(*spans)) for spans in zip(*((t.healed, t.after_lease) for t in told), strict=True)
    )
    measured(
        f"{rounds * DAEMONS} starts on {counts['ledger']} flips in the ledger, {counts['journal']} in the journal,"
        f" {counts['identity']} in the identity: healed within {healed[-1]:.1f} s, with a new identity"
        f" {max(after_lease, default=0):.1f} s; {counts['recovered']} answers from the journal,"
        f" {counts['unknown']} told of as unknown, {counts['anew']} files told of as begun anew"
    )
    wrong = [f"{one.daemon.name}: {'; '.join(one.wrongs)}" for one in told if one.wrongs]
    assert not wrong, "\n" + "\n".join(wrong)
    assert counts["recovered"] > 0
    assert counts["unknown"] == counts["not recovered"] > 0, "what can't be read is told of"
    assert healed[-1] <= within
    assert max(after_lease, default=0) <= LEASE_S + within
