"""A fresh site for each test."""

import itertools
from pathlib import Path

import pytest

from refresher.demo.openbao import OpenBao
from tests.e2e.site import Site

_numbers = itertools.count()


@pytest.fixture
def site(tmp_path: Path, openbao: OpenBao) -> Site:
    """An installation on the session's OpenBao, in a mount of its own."""
    mount = f"site-{next(_numbers)}"
    openbao.mount(mount)
    return Site(tmp_path, openbao, mount)


@pytest.fixture
def raft_site(tmp_path: Path, openbao_raft: OpenBao) -> Site:
    """An installation on an OpenBao of its own, which the test may stop and start again."""
    return Site(tmp_path, openbao_raft, "secret")
