"""A fresh site for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from refresher.demo.openbao import OpenBao
from tests.e2e.site import Site

_numbers = itertools.count()


@pytest.fixture
def site(tmp_path: Path, openbao: OpenBao) -> Iterator[Site]:
    """An installation on the session's OpenBao, in a mount of its own; no output of its may show a secret."""
    mount = f"site-{next(_numbers)}"
    openbao.mount(mount)
    site = Site(tmp_path, openbao, mount)
    yield site
    site.check_outputs()


@pytest.fixture
def raft_site(tmp_path: Path, openbao_raft: OpenBao) -> Iterator[Site]:
    """An installation on an OpenBao of its own, which the test may stop and start again."""
    site = Site(tmp_path, openbao_raft, "secret")
    yield site
    site.check_outputs()
