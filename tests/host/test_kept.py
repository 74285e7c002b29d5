"""What is kept in small private files: all of it comes back, however much there is to say."""

from pathlib import Path

import pytest

from refresher.core.errors import StoreRefusedError
from refresher.host.kept import Kept


@pytest.mark.parametrize("count", [0, 1, 50, 60, 5000])
def test_what_was_kept_comes_back(tmp_path: Path, count: int) -> None:
    told = {f"certificate of job-{number:04}": "2026-12-24T00:00:00Z 604800" for number in range(count)}
    Kept(tmp_path, "default", prefix="told").write("expiries", told)
    assert Kept(tmp_path, "default", prefix="told").read("expiries") == told


def test_what_others_may_read_is_not_believed(tmp_path: Path) -> None:
    Kept(tmp_path, "default").write("login", {"a": "b"})
    (tmp_path / "login-default-login.json").chmod(0o644)
    with pytest.raises(StoreRefusedError, match="others may read it"):
        Kept(tmp_path, "default").read("login")
