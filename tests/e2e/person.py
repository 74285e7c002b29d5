"""A person who signs in and consents: fills in the forms that a server shows, as a browser without scripts would."""

from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from tests.servers.provider import Provider

STEPS = 20  # pages and redirects of one consent


class Form(HTMLParser):
    """The first form of a page: where it goes to, and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.action = known.get("action", "")
        elif tag == "input" and known.get("name"):
            self.fields[known["name"]] = known.get("value", "")


class Person:
    """One who has an account at `provider`, with a browser of their own. Close it at the end."""

    def __init__(self, provider: Provider) -> None:
        self._known = {"login": provider.username, "password": provider.password}
        self._browser = httpx.Client(trust_env=False, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()

    def open(self, url: str, *, deny: bool = False, until: str | None = None) -> httpx.Response | str:
        """Go where `url` leads, signing in and consenting (or, with `deny`, cancelling), and return the last page.

        `until`: stop before the first address with this path, and return that address.
        """
        answer = self._browser.get(url)
        for _ in range(STEPS):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if urlsplit(target).path == until:
                    return target
                answer = self._browser.get(target)
                continue
            form = Form(answer.text)
            if form.action is None or form.fields.get("user_code") == "":  # the device page, back at its beginning
                return answer
            fields = {name: self._known.get(name, value) for name, value in form.fields.items()}
            signed_in = not {"login", "user_code"} & fields.keys() or "confirm" in fields
            pressed = {"abort": "yes"} if deny and signed_in else {}
            answer = self._browser.post(urljoin(str(answer.url), form.action), data=fields | pressed)
        raise AssertionError(f"no end after {STEPS} pages: {answer.url}")
