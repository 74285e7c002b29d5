"""`python buggy.py run ...`: refresher with a defect in job `bug` that takes its secrets along; libraries that talk.

The exception's text, its arguments, a local and the note all show what the job was about to send.
"""

import asyncio
import logging
import sys
import threading
from typing import Any

from refresher import endpoint
from refresher.cli import main
from refresher.host import log

whole = endpoint.Endpoint.ask


async def ask(self: endpoint.Endpoint, job: Any, grant: Any, secrets: Any) -> Any:
    for name in (None, *log.LIBRARIES):
        logging.getLogger(name).setLevel(logging.DEBUG)
    if job.name != "bug":
        return await whole(self, job, grant, secrets)
    texts = {name: secret.reveal() for name, secret in secrets.items()}
    asyncio.get_running_loop().call_soon(int, str(texts))  # its error quotes it, and nobody catches it
    thread = threading.Thread(target=int, args=[str(texts)])
    thread.start()
    thread.join()
    logging.getLogger("hvac").error("about to send %s %d", texts, "x")
    error = ValueError(f"it was {texts}", texts)
    error.add_note(str(texts))
    raise error


if __name__ == "__main__":
    endpoint.Endpoint.ask = ask
    sys.exit(main())
