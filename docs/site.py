"""Builds the documentation's site and checks every link in it. `make docs`.

Rules of this module:
- What is on a page is what lies in docs/. A link to a file that is not on the site (a test, the README) becomes text.
- Any doubt of the generator's, and any link or anchor that leads nowhere, is a failure. Other hosts are not asked.
- A new page needs no entry here: it comes up in its folder, under its own heading.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "build" / "site"
FOLDERS: Final = {
    "tutorial": "Tutorial",
    "how-to": "How-to",
    "reference": "Reference",
    "explanation": "Explanation",
    "adr": "Decisions",
}
GROUPS: Final = {
    "Set it up": ("bootstrap", "vault-login", "systemd", "from-cron", "destinations", "teams"),
    "Ask for tokens": (
        *("client-credentials", "password", "refresh-token", "authorize", "signed-grant", "token-exchange"),
        *("client-authentication", "discovery", "unusual-requests", "exec", "verify", "mtls", "proxy"),
        "add-a-provider",
    ),
    "Watch over it": ("monitoring", "plan", "hooks", "expiry", "break-glass"),
}
INNER: Final = {"readers": "Read tokens", "runbooks": "Runbooks"}
ON_THE_SITE: Final = (".md", ".png", ".svg", ".json")
_LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def main() -> None:
    """Build the site into build/site; exit 1 where something is wrong with it."""
    shutil.rmtree(TARGET, ignore_errors=True)
    pages = build(TARGET)
    dead = sorted(dead_links(TARGET))
    print(*dead, f"{pages} pages in {TARGET.relative_to(ROOT)}, {len(dead)} dead links", sep="\n")
    sys.exit(bool(dead))


def build(target: Path, source: Path = ROOT / "docs") -> int:
    """Build the site of `source` in `target`; return how many pages it has. Raises SystemExit."""
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name)
        docs = stage / "docs"
        for file in source.rglob("*"):
            if file.suffix in ON_THE_SITE:
                copy = docs / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                if file.suffix == ".md":
                    copy.write_text(_within(file, source), "utf-8")
                else:
                    shutil.copyfile(file, copy)
        config = (ROOT / "zensical.toml").read_text("utf-8")
        head, mark, rest = config.partition("[project.theme]")
        (stage / "zensical.toml").write_text(f"{head}nav = {_toml(list(_nav(docs)))}\n\n{mark}{rest}", "utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
        done = subprocess.run(  # noqa: S603  # what is run is ours
            command, cwd=stage, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode or "No issues found" not in done.stdout:
            raise SystemExit(_plain(done.stdout))
        shutil.copytree(stage / "site", target)
        return len(list(docs.rglob("*.md")))


def _within(page: Path, source: Path) -> str:
    """Return the text of `page`, its links to what is not on the site as their words."""

    def kept(link: re.Match[str]) -> str:
        target = (page.parent / link[2]).resolve()
        leaves = not target.is_relative_to(source.resolve()) or (target.exists() and target.suffix not in ON_THE_SITE)
        return link[1] if "://" not in link[2] and leaves else link[0]

    return _LINK.sub(kept, page.read_text("utf-8"))


def _nav(docs: Path) -> Iterator[Any]:
    """Yield the navigation: the folders in the order of FOLDERS, the guides in their groups."""
    yield "index.md"
    for folder, title in FOLDERS.items():
        pages = [page for page in _sorted(docs / folder) if page.parent == docs / folder]
        entries: list[Any] = []
        if folder == "how-to":
            by_name = {page.stem: page for page in pages}
            grouped = {
                group: [by_name.pop(name) for name in names if name in by_name] for group, names in GROUPS.items()
            }
            inner = {name: _sorted(docs / folder / path) for path, name in INNER.items()}
            entries += [{name: _names(some, docs)} for name, some in (grouped | inner).items() if some]
            pages = list(by_name.values())
        if entries or pages:
            yield {title: [*entries, *_names(pages, docs)]}


def _sorted(folder: Path) -> list[Path]:
    """Return the pages of a folder: its first one, then by their names (decisions have numbers)."""
    return sorted(folder.rglob("*.md"), key=lambda page: (page.stem not in {"index", "README"}, page.stem))


def _names(pages: list[Path], docs: Path) -> list[str]:
    return [str(page.relative_to(docs)) for page in pages]


def _toml(value: Any) -> str:  # noqa: ANN401  # texts, lists, tables of one key
    match value:
        case dict():
            return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return json.dumps(value)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class _Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.add(value)
            if name == "id" or (tag == "a" and name == "name"):
                self.places.add(value or "")


def dead_links(site: Path) -> Iterator[str]:
    """Yield a line for each link within the site that leads nowhere."""
    pages = {path: _Page(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target)
            lost = parts.fragment and known is not None and unquote(parts.fragment) not in known.places
            if not target.exists() or lost:
                yield f"{path.relative_to(site)} links to {link}"


if __name__ == "__main__":
    main()
