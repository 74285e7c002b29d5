"""`python frozen.py JOBS run ...`: refresher, which stops itself by SIGSTOP, once, between answer and write.

That is when the answers of so many jobs, each to a refresh token, are in the journal and not one is in Vault. Each
write that check-and-set refuses after that is told by a line `refused` on standard error.
"""

import asyncio
import json
import os
import signal
import sys

from refresher.cli import main
from refresher.core.errors import StoreConflictError
from refresher.keeping import Keeping
from refresher.vault.kv import KeyValue


class Freeze:
    """Stands in for the two deeds that it watches."""

    def __init__(self, jobs: int) -> None:
        self.missing = jobs
        self.over = asyncio.Event()
        self.record, self.write = Keeping.record, KeyValue.write

    def install(self) -> None:
        freeze = self

        async def record(keeping, charge):
            if charge.journalled and charge.record.refresh_token is not None and not freeze.over.is_set():
                await freeze.wait()
            await freeze.record(keeping, charge)

        async def write(store, place, data, *, cas):
            try:
                return await freeze.write(store, place, data, cas=cas)
            except StoreConflictError as error:
                if freeze.over.is_set():
                    line = {"level": "debug", "event": "refused", "error": error.code, "path": str(place)}
                    print(json.dumps(line), file=sys.stderr, flush=True)
                raise

        Keeping.record, KeyValue.write = record, write

    async def wait(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            self.over.set()
        await self.over.wait()


if __name__ == "__main__":
    Freeze(int(sys.argv.pop(1))).install()
    sys.exit(main())
