"""The documentation's site: what leads nowhere is found, and every page is on it. `make check` builds the real one."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("docs_site", ROOT / "docs" / "site.py")
site = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(site)


@pytest.fixture
def pages(tmp_path) -> Path:
    docs = tmp_path / "docs"
    for name, text in {
        "index.md": "# Here\n\n[there](how-to/there.md#a-part) [shape](reference/shape.json) [test](../tests/x.py)",
        "how-to/there.md": "# There\n\n## A part\n\n[here](../index.md)",
        "how-to/readers/index.md": "# Readers",
        "reference/shape.json": "{}",
        "secret.py": "print()",
    }.items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(text)
    return docs


def test_pages_in_folders_become_a_site_without_a_dead_link(pages, tmp_path):
    target = tmp_path / "site"
    assert site.build(target, pages) == 3
    assert {str(one.relative_to(target)) for one in target.rglob("*.html")} == {
        *("404.html", "index.html", "how-to/there.html", "how-to/readers/index.html")
    }
    assert not list(target.rglob("*.py"))
    index = (target / "index.html").read_text()
    assert "how-to/readers/index.html" in index, "each page is in the navigation"
    assert "tests/x.py" not in index
    assert "fonts.g" not in index, "nothing is loaded from elsewhere"
    assert list(site.dead_links(target)) == []
    (target / "reference" / "shape.json").unlink()
    (target / "how-to" / "there.html").write_text('<a href="../index.html#gone">')
    assert sorted(site.dead_links(target)) == [
        "how-to/there.html links to ../index.html#gone",
        "index.html links to how-to/there.html#a-part",
        "index.html links to reference/shape.json",
    ]


@pytest.mark.parametrize("link", ["nowhere.md", "how-to/there.md#nowhere"])
def test_a_link_that_leads_nowhere_fails_the_build(pages, tmp_path, link):
    (pages / "index.md").write_text(f"# Here\n\n[x]({link})")
    with pytest.raises(SystemExit) as caught:
        site.build(tmp_path / "site", pages)
    assert "does not exist" in str(caught.value)
    assert not (tmp_path / "site").exists()
