"""What runs at installation, upgrade and removal: of one mind in the .deb and the .rpm, in the order of each.

Rules of this module:
- Nothing is started that did not run before: there is nothing to do until jobs.toml says it.
- Whatever runs is stopped before its files are replaced, and started again after: no process mixes two versions. What
  is under way is finished first.
- Nothing here fails the installation: a daemon that does not start says why by itself.

The order of a .deb's scripts: Debian Policy, chapter 6; of an .rpm's: rpm-scriptlets(7).
"""

from typing import Final

UNITS: Final = "'refresher.service' 'refresher@*.service' 'refresher-once.*'"
NOTE: Final = "/run/refresher.upgrade"  # what ran; the folder is root's alone

STOP: Final = f"""\
if [ -d /run/systemd/system ]; then
    systemctl list-units --plain --no-legend --state=active,activating,reloading {UNITS} |
        cut -d ' ' -f 1 | grep -v '^refresher-once.service$' >{NOTE} || true
    systemctl stop {UNITS} || true
fi
"""
FORGET: Final = "find /usr/lib/refresher -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true\n"
COMPILE: Final = "@PYTHON@ -I -m compileall -q /usr/lib/refresher || true\n"
RELOAD: Final = "[ ! -d /run/systemd/system ] || systemctl daemon-reload || true\n"
START: Final = f"""\
if [ -s {NOTE} ]; then
    xargs -r systemctl start --no-block <{NOTE} || true
fi
rm -f {NOTE}
"""
DISABLE: Final = f"""\
if [ -d /run/systemd/system ]; then
    systemctl stop {UNITS} 'refresher-reload@*' || true
    systemctl disable --quiet refresher.service refresher@.service refresher-once.timer refresher-reload@.path || true
fi
"""
PURGE: Final = """\
rm -rf /var/lib/private/refresher /var/lib/private/refresher-* /var/lib/refresher /var/lib/refresher-*
"""


def deb(python: str) -> dict[str, str]:
    """Return the scripts of the .deb by nfpm's names. `python`: the interpreter's path."""
    return {
        "preinstall": _script(_when("upgrade", STOP + FORGET)),
        "postinstall": _script(_when("configure", COMPILE), RELOAD + START, python=python),
        "preremove": _script(_when("remove", DISABLE + FORGET)),
        "postremove": _script(RELOAD, _when("purge", PURGE)),
    }


def rpm(python: str) -> dict[str, str]:
    """Return the scripts of the .rpm by nfpm's names. The first argument is how many versions there will be."""
    return {
        "preinstall": _script(_when("2", STOP + FORGET)),
        "postinstall": _script(COMPILE + RELOAD, python=python),
        "preremove": _script(_when("0", DISABLE + FORGET)),
        "postremove": _script(RELOAD),
        "posttrans": _script(START),
    }


def _when(argument: str, deed: str) -> str:
    indented = "".join(f"    {line}\n" for line in deed.splitlines())
    return f'if [ "$1" = {argument} ]; then\n{indented}fi\n'


def _script(*parts: str, python: str = "") -> str:
    return "#!/bin/sh\nset -e\n" + "".join(parts).replace("@PYTHON@", python)
