"""The journal's key where two make it at once."""

import base64

import pytest

from refresher.core.errors import StoreConflictError, StoreRefusedError
from refresher.core.model import Absent, Found, Location
from refresher.core.secret import Secret
from refresher.journal_key import Keys
from tests.rotation.stage import IDENTITY

STATES = Location(mount="refresher", path="refresher/default")
THEIRS = b"t" * 32


class Raced:
    """A store in which the key appears between our look and our write, unless it `vanishes`."""

    def __init__(self, error: Exception, *, vanishes: bool = False) -> None:
        self.error, self.vanishes, self.reads = error, vanishes, 0

    async def read(self, _place: Location) -> Found | Absent:
        self.reads += 1
        if self.reads == 1 or self.vanishes:
            return Absent(version=0)
        return Found(version=1, data={"key": Secret(base64.b64encode(THEIRS).decode())})

    async def write(self, *_ports: object, cas: int) -> None:
        assert cas == 0
        raise self.error


DENIED = StoreRefusedError("denied", "the policy denies it")  # who may create it and not change it


@pytest.mark.parametrize("error", [DENIED, StoreConflictError("cas", "somebody wrote in between")])
async def test_the_key_of_whoever_was_faster_is_ours(error):
    assert await Keys({"": Raced(error)}, IDENTITY).of(STATES) == THEIRS


async def test_a_denial_that_is_no_race_is_told():
    with pytest.raises(StoreRefusedError) as caught:
        await Keys({"": Raced(DENIED, vanishes=True)}, IDENTITY).of(STATES)
    assert caught.value.code == "denied"
