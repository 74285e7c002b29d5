"""What the process does to itself before it touches a secret.

Kept out: core dumps, other users' eyes on new files, a debugger of the same user, TLS session keys written to a file,
certificate authorities that the environment names.
Not kept out: root, who can read any process's memory.
"""

import ctypes
import faulthandler
import gc
import os
import resource
import sys
from contextlib import suppress
from typing import Final

PR_SET_DUMPABLE: Final = 4  # prctl(2)
OF_OPENSSL: Final = ("SSLKEYLOGFILE", "SSL_CERT_FILE", "SSL_CERT_DIR")  # who has the keys, and whom all trust
FILES_OF_A_WALK: Final = (
    2  # a connection to the provider and one to Vault; more than one file of a secret is never open
)
RARELY: Final = (20_000, 20, 20)  # objects more than there were, and rounds of the generation below
OWN_FILES: Final = 64  # log, ledger, journal, loop, what is there at the start, and connections that are kept


def harden() -> tuple[str, ...]:
    """Close what can be closed; return a line for each thing that this system does not offer.

    Call it first: OpenSSL reads its variables at the making of every TLS context, whatever the HTTP client is told.
    """
    os.umask(0o077)
    for name in OF_OPENSSL:
        os.environ.pop(name, None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # frames only, never a value: all that is left of a crash without a core
    try:
        failed = ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0
    except (AttributeError, OSError):  # no Linux
        failed = True
    return ("the process stays dumpable: a debugger of the same user can read its memory",) if failed else ()


def files_short(walks: int) -> str:
    """Return what to tell where so many walks at once may need more open files than this process may have."""
    allowed, needed = resource.getrlimit(resource.RLIMIT_NOFILE)[0], walks * FILES_OF_A_WALK + OWN_FILES
    if allowed == resource.RLIM_INFINITY or needed <= allowed:
        return ""
    return (
        f"{walks} requests at once may need {needed} open files, and {allowed} are allowed:"
        " raise LimitNOFILE= of the service (ulimit -n), or lower [limits] total"
    )


def keep_what_stands() -> None:
    """Spare the garbage collector what stands now: it is there to stay. Give back what the way there took.

    Else it looks through everything that is known of every job again and again, while nobody is served: of ten
    thousand jobs for an eighth of a second. And to read jobs.toml takes more memory than the jobs do that come of it.
    From then on it looks more rarely: a rotation makes hundreds of objects, next to none of them in a ring, and with
    Python's usual thresholds to look for those takes a twelfth of a burst.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)
    with suppress(AttributeError, OSError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)
