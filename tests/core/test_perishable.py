"""When somebody is told that something comes to an end."""

from datetime import UTC, date, datetime, timedelta

import pytest

from refresher.core import perishable
from refresher.core.model import Token
from refresher.core.perishable import Perishable
from refresher.core.secret import Secret
from tests.core.builders import NOW

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("life", "left", "warned"),
    [
        (None, 31 * DAY, None),
        (None, 30 * DAY, 30),
        (None, 15 * DAY, 30),
        (None, 14 * DAY, 14),
        (None, 7 * DAY, 7),
        (None, DAY, 1),
        (None, -DAY, 1),
        (365 * DAY, 30 * DAY, 30),
        (90 * DAY, 30 * DAY, 30),
        (89 * DAY, 30 * DAY, None),  # a certificate that is renewed when a third of its life is left
        (89 * DAY, 14 * DAY, 14),
        (30 * DAY, 8 * DAY, None),  # a refresh token that is new with each rotation
        (30 * DAY, 7 * DAY, 7),
        (3 * DAY, DAY, 1),
        (2 * DAY, DAY, None),
        (2 * DAY, timedelta(hours=4), 0.2),
        (timedelta(hours=1), timedelta(minutes=12), None),  # kubelet writes the next one then
        (timedelta(hours=1), timedelta(minutes=6), 1 / 240),
        (timedelta(hours=1), timedelta(minutes=-1), 1 / 240),
    ],
)
def test_warnings_come_30_14_7_and_1_days_before_as_far_as_the_life_allows(life, left, warned):
    ends = NOW + left
    one = Perishable(what="client_secret", issued_at=ends - life if life else None, ends_at=ends)
    found = perishable.threshold(one, NOW)
    assert (None if found is None else found / DAY) == (None if warned is None else pytest.approx(warned))
    assert perishable.is_soon(one, NOW) is (warned is not None)


def test_what_does_not_end_is_never_soon_and_what_is_gone_always():
    assert not perishable.is_soon(Perishable(what="token"), NOW)
    assert perishable.is_soon(Perishable(what="secret_id", gone=True), NOW)


def test_a_client_secret_ends_with_the_beginning_of_its_day():
    assert perishable.client_secret(date(2027, 3, 1)).ends_at == datetime(2027, 3, 1, tzinfo=UTC)


def test_a_refresh_token_ends_as_the_provider_says_and_another_one_of_which_it_says_nothing_does_not():
    token = Token(access_token=Secret("a"), issued_at=NOW, expires_in=60)
    again = Token(access_token=Secret("a"), issued_at=NOW, expires_in=60, refresh_token=Secret("r"))
    stated = Token(access_token=Secret("a"), issued_at=NOW, expires_in=60, refresh_expires_in=86400)
    before = (NOW - DAY, NOW + 3 * DAY)
    assert perishable.refresh_token_life(stated, before) == (NOW, NOW + DAY)
    assert perishable.refresh_token_life(token, before) == before
    assert perishable.refresh_token_life(again, before) is None
