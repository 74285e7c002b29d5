from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core import backoff
from refresher.core.model import Rejected
from tests.core.builders import NOW, a_job


def after(rejected, *, before=None, left=None, grant="client_credentials", now=NOW):
    return backoff.after_rejection(
        rejected,
        job=a_job(),
        grant=grant,
        before=before,
        now=now,
        expires_at=None if left is None else now + left,
        credential="c",
        holder="h",
    )


@pytest.mark.fault("F34")
@given(
    st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.integers(1, 3600).map(lambda s: timedelta(seconds=s))
)
def test_backoff_doubles_to_the_cap_and_its_jitter_is_the_upper_fifth(count, part, longest):
    whole = min(timedelta(seconds=2 ** min(count - 1, 12)), longest)
    assert whole * 0.8 <= backoff.backoff(count, longest, part) <= whole


@given(
    st.sampled_from(["permanent", "transient", "malformed"]),
    st.one_of(st.none(), st.integers(1, 3600)),
    st.integers(-3600, 10**6),
    st.integers(1, 50),
)
def test_the_wait_after_any_failure_is_bounded_and_honours_retry_after(kind, retry_after, left, failures):
    trouble = None
    for _ in range(failures):
        rejected = Rejected(kind=kind, error="x", retry_after=retry_after)
        trouble = after(rejected, before=trouble, left=timedelta(seconds=left))
    wait = trouble.retry_at - NOW
    assert timedelta(seconds=0.8) <= wait <= timedelta(hours=1)
    if retry_after is not None and kind != "permanent":
        assert wait >= timedelta(seconds=retry_after)
    assert trouble.count == failures


def test_a_transient_failure_is_tried_sooner_while_expiry_is_near():
    trouble = None
    for _ in range(9):
        trouble = after(Rejected(kind="transient", error="x"), before=trouble, left=timedelta(minutes=3))
    assert trouble.retry_at - NOW == timedelta(minutes=1)
    dead = after(Rejected(kind="transient", error="x"), before=trouble, left=timedelta(0))
    assert dead.retry_at - NOW > timedelta(minutes=4), "nothing is urgent about what is dead already"


@pytest.mark.parametrize(
    ("left", "wait"), [(3600, 900), (600, 150), (100, 60), (0, 900), (-5, 900)], ids=lambda value: f"{value}s"
)
def test_a_refused_client_is_asked_again_after_a_quarter_of_the_life_left(left, wait):
    trouble = after(Rejected(kind="permanent", error="invalid_client", status=401), left=timedelta(seconds=left))
    assert trouble.retry_at - NOW == timedelta(seconds=wait)


@pytest.mark.parametrize("grant", ["password", "refresh_token"])
@pytest.mark.parametrize(
    ("error", "again"),
    [
        ("invalid_grant", False),
        ("invalid_request", False),
        ("http_403", False),
        ("http_400", False),
        ("invalid_client", True),
        ("unauthorized_client", True),
        ("http_404", True),
        ("http_307", True),
    ],
)
def test_a_refused_password_or_refresh_token_is_not_sent_again(grant, error, again):
    trouble = after(Rejected(kind="permanent", error=error), grant=grant, left=timedelta(hours=1))
    assert (trouble.retry_at is not None) is again
    assert trouble.credential == "c"


@pytest.mark.parametrize("grant", ["client_credentials", "jwt_bearer", "token_exchange"])
def test_what_is_new_at_each_try_is_sent_again(grant):
    """An assertion is signed afresh, a token to exchange is read afresh."""
    trouble = after(Rejected(kind="permanent", error="invalid_grant"), grant=grant, left=timedelta(hours=1))
    assert trouble.retry_at - NOW == timedelta(minutes=15)


def test_another_kind_of_failure_counts_afresh_and_the_trouble_keeps_its_start():
    first = after(Rejected(kind="transient", error="x"))
    later = NOW + timedelta(minutes=1)
    second = after(Rejected(kind="malformed", error="body"), before=first, now=later)
    assert (second.count, second.since) == (1, NOW)


def test_vault_is_asked_again_soon_and_a_refusal_of_it_slowly():
    def waits(*, refused):
        trouble = None
        for _ in range(12):
            trouble = backoff.after_store(
                "x", status=503, job=a_job(), before=trouble, now=NOW, refused=refused, holder="h"
            )
        return trouble.retry_at - NOW

    assert waits(refused=False) <= timedelta(seconds=5) < timedelta(minutes=4) < waits(refused=True)


def test_a_bug_backs_off_and_is_named_by_its_type():
    trouble = backoff.after_crash(KeyError("secret"), job=a_job(), before=None, now=NOW, holder="h")
    assert (trouble.kind, trouble.error) == ("internal", "KeyError")
    assert trouble.retry_at - NOW <= timedelta(seconds=1)
