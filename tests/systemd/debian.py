"""A small tree of another Debian, and so of another systemd, than the machine's."""

import subprocess
from pathlib import Path

NEEDED = (
    "systemd", "systemd-sysv", "dbus", "libnss-systemd", "python3", "ca-certificates", "iproute2", "procps", "man-db",
)  # fmt: skip


def debian(suite: str, folder: Path) -> Path:
    """Make in `folder` the tree of a Debian `suite`, from the mirror that the machine's own packages come from."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    sites = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    mirror = next(site for site in sites if site.rstrip("/").endswith("debian"))
    include = f"--include={','.join(NEEDED)}"
    log = folder.with_suffix(".log")
    with log.open("wb") as out:
        made = ["debootstrap", "--variant=minbase", include, suite, str(folder), mirror]
        done = subprocess.run(made, stdout=out, stderr=out, check=False, timeout=800)
    assert done.returncode == 0, log.read_text()[-2000:]
    return folder
