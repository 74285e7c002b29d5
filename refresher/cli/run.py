"""`refresher run`: the daemon."""

import asyncio

from refresher.cli._config import ConfigOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.host import log, process


def run(config: ConfigOption = None) -> int:
    settings = load_or_exit(find_config(config))
    set_up(settings)
    process.keep_what_stands()  # what was read; and, when the daemon is ready, what it knows
    from refresher import daemon  # noqa: PLC0415  # the wire is for a hardened process, and --help needs none of it

    async def main() -> int:
        log.watch(asyncio.get_running_loop())
        return await daemon.run(settings, started=lambda *_: process.keep_what_stands(), last=True)

    return asyncio.run(main())
