"""A fingerprint tells two secrets apart and nothing else."""

import hashlib
import hmac

from refresher.core.fingerprint import fingerprint
from refresher.core.secret import Secret

KEY = bytes(range(32))


def test_it_is_the_head_of_an_hmac() -> None:
    expected = hmac.new(KEY, b"token", hashlib.sha256).hexdigest()[:12]
    assert fingerprint(KEY, Secret("token")) == expected


def test_another_key_or_another_secret_is_another_fingerprint() -> None:
    marks = {fingerprint(key, Secret(text)) for key in (KEY, b"other") for text in ("token", "token ", "", "\ud800")}
    assert len(marks) == 8


def test_parts_do_not_run_into_each_other() -> None:
    assert fingerprint(KEY, "ab", "c") != fingerprint(KEY, "a", "bc")
