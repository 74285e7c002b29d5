"""Asks whether a release that the packages ship has a known vulnerability: `python -m packages.audit`, in `make check`.

By pip-audit, of what stands in requirements.lock. Where nobody can be asked it says so and passes: a machine without a
network is no vulnerability. It never waits for longer than LIMIT_S.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from packages.lock import FILE

LIMIT_S: Final = 60
IGNORED: Final[Mapping[str, str]] = {}
"""Vulnerabilities by id, each with the reason why it can't be met here."""
PROGRAM: Final = (str(Path(sys.executable).with_name("pip-audit")),)
_ASK: Final = ("--requirement", str(FILE), "--require-hashes", "--disable-pip", "--format", "json")
_QUIET: Final = ("--progress-spinner", "off", "--timeout", "5", "--cache-dir", str(Path(sys.prefix) / "audit-cache"))


def audit(program: tuple[str, ...] = PROGRAM, limit: float = LIMIT_S) -> tuple[bool, list[str]]:
    """Return whether it passes, and what to say."""
    try:
        ran = subprocess.run([*program, *_ASK, *_QUIET], capture_output=True, text=True, timeout=limit, check=False)
        asked = json.loads(ran.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return True, [f"audit: could not ask: no answer within {limit:g} s"]
    except (OSError, ValueError, KeyError, TypeError):
        return True, ["audit: could not ask: pip-audit gave no report"]
    return _judge(asked)


def _judge(asked: list[dict[str, Any]]) -> tuple[bool, list[str]]:
    found = [
        f"audit: {one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for one in asked
        for flaw in one.get("vulns", ())
        if not IGNORED.keys() & {flaw["id"], *flaw["aliases"]}
    ]
    skipped = [one["name"] for one in asked if "skip_reason" in one]
    if skipped and len(skipped) == len(asked):
        return True, ["audit: could not ask: nobody here knows of vulnerabilities"]
    if skipped:
        found.append(f"audit: could not ask about {', '.join(skipped)}")
    if len(found) == bool(skipped):
        found.append(f"audit: no known vulnerability in {len(asked) - len(skipped)} releases")
        return True, found
    return False, found


if __name__ == "__main__":
    passed, lines = audit()
    print("\n".join(lines))
    sys.exit(not passed)
