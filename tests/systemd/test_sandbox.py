"""What a program can do, and not do, that runs as the units say; and that each directive is there for a reason."""

import json

import pytest

from tests.systemd.box import Box
from tests.systemd.install import UNITS

PROBE = """\
import ctypes, json, mmap, os, resource, shutil, socket, stat, subprocess, time

def tried(deed):
    try:
        deed()
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return "allowed"

state = os.environ["STATE_DIRECTORY"]
places = [state, os.environ.get("RUNTIME_DIRECTORY", state), "/tmp", "/var/tmp", "/dev/shm"]
programs = [shutil.copy("/bin/true", place + "/program") for place in places]
for program in programs:
    os.chmod(program, 0o700)
status = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status"))
namespaces = lambda: ctypes.CDLL(None, use_errno=True).unshare(0x10000000)
print(json.dumps({
    "capabilities": int(status["CapBnd"], 16),
    "no new privileges": status["NoNewPrivs"],
    "umask": status["Umask"],
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "users": open("/proc/self/uid_map").readline().split()[2],
    "root's home": oct(stat.S_IMODE(os.stat("/root").st_mode)),
    "credentials of others": oct(stat.S_IMODE(os.stat("/etc/credstore").st_mode)),
    "other processes": os.path.exists("/proc/1"),
    "the machine's numbers": os.path.exists("/proc/stat"),
    "write to /etc": tried(lambda: open("/etc/probe", "w")),
    "write to the state directory": tried(lambda: open(state + "/probe", "w")),
    "run what was written": sorted({tried(lambda: subprocess.run([one], check=True)) for one in programs}),
    "writable": [one for one in ("/", "/usr", "/etc", "/var") if not os.statvfs(one).f_flag & os.ST_RDONLY],
    "run what is installed": tried(lambda: subprocess.run(["/bin/true"], check=True)),
    "writable code": tried(lambda: mmap.mmap(-1, 4096, prot=7)),
    "netlink": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "internet": tried(lambda: socket.socket(socket.AF_INET6)),
    "namespaces": "allowed" if namespaces() == 0 else "denied",
    "set-user-id": tried(lambda: os.chmod(program, 0o4700)),
    "host name": tried(lambda: socket.sethostname("probe")),
    "clock": tried(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())),
    "priority": tried(lambda: os.nice(1)),
}))
"""
EXPECTED = {
    "capabilities": 0,
    "no new privileges": "1",
    "umask": "0077",
    "core": [0, 0],
    "users": "1",
    "root's home": "0o0",
    "credentials of others": "0o0",
    "other processes": False,
    "the machine's numbers": False,
    "write to /etc": "OSError",
    "write to the state directory": "allowed",
    "run what was written": ["PermissionError"],
    "writable": [],
    "run what is installed": "allowed",
    "writable code": "PermissionError",
    "netlink": "OSError",
    "internet": "allowed",
    "namespaces": "denied",
    "set-user-id": "PermissionError",
    "host name": "PermissionError",
    "clock": "PermissionError",
    "priority": "PermissionError",
}
SERVING = ("ConditionPathExists", "Type", "NotifyAccess", "Exec", "WatchdogSec", "Restart", "LoadCredential")
MUTATIONS = {
    "MemoryDenyWriteExecute": "writable code",
    "RestrictAddressFamilies": "netlink",
    "RestrictNamespaces": "namespaces",
    "NoExecPaths": "run what was written",
    "InaccessiblePaths": "credentials of others",
    "ProtectHome": "root's home",
    "ProtectProc": "other processes",
    "ProcSubset": "the machine's numbers",
    "UMask": "umask",
    "LimitCORE": "core",
    "SystemCallFilter": "priority",
}


def facts(box: Box, unit: str) -> dict[str, object]:
    """Run the probe in the sandbox of the text `unit`."""
    lines = [line for line in unit.splitlines() if not line.startswith(SERVING)]
    lines.insert(lines.index("[Service]") + 1, "Type=oneshot\nExecStart=/usr/bin/python3 -I /usr/lib/probe.py")
    box.write("/usr/lib/probe.py", PROBE)
    box.write("/etc/credstore/other", "s3cret", mode=0o600)
    box.write("/etc/systemd/system/probe.service", "\n".join(lines).replace("%i", "probe"))
    box.systemctl("daemon-reload")
    started = box.run("systemctl", "start", "probe.service", check=False)
    said = box.log("probe.service").splitlines()
    assert started.returncode == 0, said
    return json.loads(next(line for line in said[::-1] if line.startswith("{")))


@pytest.mark.parametrize("unit", ["refresher.service", "refresher@.service", "refresher-once.service"])
def test_a_program_can_do_what_it_must_and_no_more(box: Box, unit: str) -> None:
    assert facts(box, (UNITS / unit).read_text()) == EXPECTED


@pytest.mark.parametrize("directive", MUTATIONS)
def test_a_directive_that_is_taken_away_is_missed(box: Box, directive: str) -> None:
    lines = (UNITS / "refresher.service").read_text().splitlines()
    left = [line for line in lines if not line.startswith(f"{directive}=")]
    assert len(left) < len(lines)
    found = facts(box, "\n".join(left))
    assert [name for name in EXPECTED if found[name] != EXPECTED[name]] == [MUTATIONS[directive]]


@pytest.mark.leak("L28")
def test_the_daemon_itself_runs_in_that_sandbox(host) -> None:
    host.start()
    text = host.box.run("cat", f"/proc/{host.box.main_pid(host.unit)}/status").stdout
    status = dict(line.split(":\t", 1) for line in text.splitlines())
    names = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Umask")
    assert [int(status[name], 8 if name == "Umask" else 16) for name in names] == [0, 0, 1, 2, 0o077]
    assert status["Uid"].split()[0] != "0"
