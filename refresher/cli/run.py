"""`refresher run`: the daemon."""

import asyncio

from refresher.cli._config import ConfigOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.host import log


def run(config: ConfigOption = None) -> int:
    from refresher import daemon  # noqa: PLC0415  # --help needs none of it

    settings = load_or_exit(find_config(config))
    set_up(settings)

    async def main() -> int:
        log.watch(asyncio.get_running_loop())
        return await daemon.run(settings)

    return asyncio.run(main())
