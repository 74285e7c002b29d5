"""`python counted.py FILE run ...`: refresher that tells in FILE what descriptors, threads and memory it has.

Nobody else may look: a process that holds secrets shows its descriptors to root alone.
"""

import json
import sys
import threading
from pathlib import Path

from refresher.cli import main


def count(file: Path) -> None:
    draft = file.with_suffix(".new")
    while True:
        status = Path("/proc/self/status").read_text()
        fds = len(list(Path("/proc/self/fd").iterdir())) - 1  # less the one that it takes to look
        rss_kb = int(status.partition("VmRSS:")[2].split()[0])
        draft.write_text(json.dumps({"fds": fds, "threads": threading.active_count() - 1, "rss_kb": rss_kb}))
        draft.rename(file)
        threading.Event().wait(0.1)


if __name__ == "__main__":
    threading.Thread(target=count, args=[Path(sys.argv.pop(1))], daemon=True).start()
    sys.exit(main())
