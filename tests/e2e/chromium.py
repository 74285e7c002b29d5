"""Debian's Chromium without a screen, driven by WebDriver (W3C Recommendation) as chromedriver speaks it."""

import base64
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

START_S = 30
STARTS = 3
FIND_S = 10
LONG_S = 300  # a page that is busy answers no question
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # what WebDriver calls a reference to an element
FLAGS = (
    "--headless",
    "--no-sandbox",  # tests run as root, too
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Chromium:
    """One browser window."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._http = httpx.Client(base_url=driver, trust_env=False, timeout=httpx.Timeout(START_S, read=LONG_S))
        options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._session = f"/session/{self._call('POST', '/session', wanted)['sessionId']}"

    def open(self, url: str) -> None:
        self._do("POST", "/url", {"url": url})

    def type(self, name: str, text: str) -> None:
        """Type into the field of that name."""
        self._do("POST", f"/element/{self._find(f'input[name={name}]')}/value", {"text": text})

    def press(self, page: str, button: str) -> None:
        """Wait until the page with the title `page` is there, and press its button."""
        self.wait_for(page)
        script = "return [...document.querySelectorAll('button')].find((one) => one.textContent === arguments[0])"
        found = self._do("POST", "/execute/sync", {"script": script, "args": [button]})
        self._do("POST", f"/element/{found[ELEMENT]}/click", {})

    def wait_for(self, page: str) -> str:
        """Wait for the page with that title and return its text."""
        ends = time.monotonic() + FIND_S
        while (title := self._do("GET", "/title")) != page:
            assert time.monotonic() < ends, (
                f"the page {page!r} did not come, but {title!r} at {self._do('GET', '/url')}"
            )
            time.sleep(0.05)  # WebDriver tells of no title that changes
        return self._do("GET", f"/element/{self._find('body')}/text")

    def view(self, width: int, height: int, *, dark: bool = False, still: bool = True) -> None:
        """Look at pages in a window of that size, in light or dark, without movement."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", size)
        features = {"prefers-color-scheme": "dark" if dark else "light"}
        features |= {"prefers-reduced-motion": "reduce"} if still else {}
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.command("Emulation.setEmulatedMedia", {"features": media})

    def command(self, name: str, params: dict[str, Any]) -> Any:
        """Send a command of the Chrome DevTools Protocol, as chromedriver takes it."""
        return self._do("POST", "/goog/cdp/execute", {"cmd": name, "params": params})

    def run(self, script: str, *args: Any) -> Any:
        """Run the body of a function in the page and return what it returns."""
        return self._do("POST", "/execute/sync", {"script": script, "args": list(args)})

    def wait_until(self, script: str, *args: Any, within: float = FIND_S) -> Any:
        """Wait until the body of a function returns something true, and return that."""
        ends = time.monotonic() + within
        while not (found := self.run(script, *args)):
            assert time.monotonic() < ends, f"this did not come true within {within} s: {script}"
            time.sleep(0.05)  # WebDriver tells of no change of a page
        return found

    def picture(self, *, whole: bool = False) -> bytes:
        """Return the window, or the `whole` page, as PNG."""
        shot = self.command("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End the browser."""
        self._call("DELETE", self._session)
        self._http.close()

    def _find(self, selector: str) -> str:
        return self._do("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def _do(self, method: str, path: str, body: object = None) -> Any:
        return self._call(method, self._session + path, body)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._http.request(method, path, json=body).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Start chromedriver and a browser with a new profile in `folder`, and see to it that both end."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("Debian's packages chromium and chromium-driver are not installed")
    with ExitStack() as ending:
        said = [ending.enter_context(_listening(driver))]
        while said[-1][0] is None:
            assert len(said) < STARTS, said
            said.append(ending.enter_context(_listening(driver)))
        browser = Chromium(f"http://127.0.0.1:{said[-1][0]}", folder)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _listening(driver: str) -> Iterator[tuple[str | None, str]]:
    """Start chromedriver; yield its port and what it said. No port: it ended by itself, which a second one may not."""
    process = subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        port, lines = None, []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"successfully on port (\d+)", line):
                port = found.group(1)
                break
        yield port, "".join(lines)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a group of its own: the driver, and a browser that hangs
        process.wait()
        process.stdout.close()
