"""What the process did to itself, as the kernel sees it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from refresher.host import process

LOOK = """
import json, os, resource, ssl
from refresher.core.model import Channel
from refresher.host.process import harden
from refresher.tls import context
said = harden()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "said": said,
    "umask": status["Umask"].strip(),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "dumpable": __import__("ctypes").CDLL(None).prctl(3, 0, 0, 0, 0),
    "keylog": ssl.create_default_context().keylog_filename,
    "environ": sorted(name for name in os.environ if "SSL" in name),
    "trusts": len(context(Channel()).get_ca_certs()) > 1,
}))
import faulthandler; assert faulthandler.is_enabled()
"""


@pytest.mark.leak("L13", "L14", "L23", "L28")
def test_the_kernel_agrees(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={"SSLKEYLOGFILE": str(tmp_path / "keys"), "SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": str(tmp_path)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ran.stdout) == {
        "said": [],
        "umask": "0077",
        "core": [0, 0],
        "dumpable": 0,
        "keylog": None,
        "environ": [],
        "trusts": True,
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [AttributeError, OSError])
def test_a_system_without_prctl_is_told_of(monkeypatch: pytest.MonkeyPatch, failure: type[Exception]) -> None:
    def no_libc(_name: None) -> None:
        raise failure

    for module, name in ((process.os, "umask"), (process.resource, "setrlimit"), (process.faulthandler, "enable")):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(process.ctypes, "CDLL", no_libc)
    assert process.harden() == ("the process stays dumpable: a debugger of the same user can read its memory",)


@pytest.mark.parametrize(("walks", "allowed", "short"), [(16, 96, False), (17, 96, True), (10**6, -1, False)])
def test_too_few_open_files_are_told(monkeypatch, walks, allowed, short):
    monkeypatch.setattr(process.resource, "getrlimit", lambda _which: (allowed, -1))
    assert bool(process.files_short(walks)) == short


def test_what_stands_is_kept_out_of_the_collectors_rounds() -> None:
    code = """
import gc
from refresher.host import process
gc.collect()
before = len(gc.get_objects())
process.keep_what_stands()
assert gc.get_freeze_count() >= before * 0.9 > 0, (gc.get_freeze_count(), before)
assert len(gc.get_objects()) < before / 10
"""
    subprocess.run([sys.executable, "-c", code], check=True)
