"""Every figure of the page about performance comes from what a benchmark found."""

import re

import pytest

from bench import page, report, targets

FOUND = report.load()


def test_the_page_and_the_picture_are_made_of_the_results() -> None:
    assert page.page(page.PAGE.read_text(), FOUND) == page.PAGE.read_text(), "run: python -m bench page"
    assert page.picture(FOUND) == page.PICTURE.read_text(), "run: python -m bench page"


def test_every_table_is_on_the_page() -> None:
    assert {name for _, name, _ in page.TABLE.findall(page.PAGE.read_text())} == set(page.TABLES)


def test_no_figure_on_the_page_was_written_by_hand() -> None:
    text = re.sub(r"```.*?```", "", page.TABLE.sub("", page.PAGE.read_text()), flags=re.DOTALL)
    text = page.FIGURE.sub("", re.sub(r"\]\([^)]*\)|`[^`]*`", "", text))
    assert re.findall(r"\d[\d.,]* ?(?:x|ms|s|us|%|KiB|MiB|/s)\b", text) == []


def test_results_are_of_whole_runs_and_tell_of_no_host() -> None:
    assert FOUND
    for path in report.RESULTS.glob("*.json"):
        text = path.read_text()
        assert '"quick": false' in text
        assert not re.search(r"/(?:root|home|tmp|work|usr)/|127\.0\.0\.1:\d|localhost", text)


def test_a_target_knows_what_meets_it() -> None:
    figures = {"a": report.Figure("a", "x", 2.0, 1.0, 3.0, 3)}
    found = {"one": report.Report("one", figures=figures)}
    assert targets.Target("a", 2.0, "x", ("one.a",)).measured(found) == ("2 x (1 to 3)", True)
    assert targets.Target("a", 1.9, "x", ("one.a",)).measured(found) == ("2 x (1 to 3)", False)
    assert targets.Target("a", 2.1, "x", ("one.a",), at_least=True).measured(found) == ("2 x (1 to 3)", False)
    assert targets.Target("a", 2.0, "x", ("one.b",)).measured(found) == ("not measured", None)


def test_a_figure_that_is_not_of_the_results_is_seen() -> None:
    text = "<!-- one.a -->9 x<!-- -->"
    figures = {"a": report.Figure("a", "x", 2.0, 1.0, 3.0, 3)}
    assert page.page(text, {"one": report.Report("one", figures=figures)}) == "<!-- one.a -->2 x<!-- -->"


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (0.01234, "0.0123"), (1.15, "1.15"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_three_digits_count(value: float, said: str) -> None:
    assert report.digits(value) == said
