"""Makes docs/img/status.png: the status page after a day with a few troubles, in Chromium. `make picture-of-page`."""

import asyncio
import tempfile
from pathlib import Path

from tests.e2e.chromium import chromium
from tests.web import story

TARGET = Path(__file__).with_name("img") / "status.png"
JOBS = 40
SIZE = (1280, 800)


async def main() -> None:
    """Let a day go by in virtual time, and look at the page."""
    with tempfile.TemporaryDirectory() as folder:
        state, profile = Path(folder) / "state", Path(folder) / "profile"
        state.mkdir()
        async with story.stage(state, JOBS).serving(after=story.DAY) as stage:
            TARGET.write_bytes(await asyncio.to_thread(_picture, stage.url, profile))


def _picture(url: str, profile: Path) -> bytes:
    with chromium(profile) as browser:
        browser.view(*SIZE)
        browser.open(url)
        browser.wait_until("return document.getElementById('live').textContent === 'live'")
        return browser.picture()


if __name__ == "__main__":
    asyncio.run(main())
