"""What the process does to itself before it touches a secret.

Kept out: core dumps, other users' eyes on new files, a debugger of the same user, TLS session keys written to a file.
Not kept out: root, who can read any process's memory.
"""

import ctypes
import faulthandler
import os
import resource
import sys
from typing import Final

PR_SET_DUMPABLE: Final = 4  # prctl(2)


def harden() -> tuple[str, ...]:
    """Close what can be closed; return a line for each thing that this system does not offer.

    Call it first: SSLKEYLOGFILE is read by every TLS context at its making, whatever the HTTP client is told.
    """
    os.umask(0o077)
    os.environ.pop("SSLKEYLOGFILE", None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # frames only, never a value: all that is left of a crash without a core
    try:
        failed = ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0
    except (AttributeError, OSError):  # no Linux
        failed = True
    return ("the process stays dumpable: a debugger of the same user can read its memory",) if failed else ()
