"""Every verb has a man page, and every option stands on it."""

from rich.text import Text

from packages import man
from packages.surface import verbs
from refresher.cli import EXITS, VERBS

PAGES = man.pages(verbs(), "1.2.3")


def shown(text):
    return text.replace("\\-", "-")


def test_every_verb_has_its_page_and_its_line_on_the_first():
    assert {*PAGES} == {"refresher.1", *(f"refresher-{verb}.1" for verb in VERBS)}
    first = shown(PAGES["refresher.1"])
    for verb, about in VERBS.items():
        assert f"\\fBrefresher-{verb}\\fR(1)\n{about}\n" in first
        assert shown(PAGES[f"refresher-{verb}.1"]).count(about) >= 1
    for code, meaning in EXITS.items():
        assert f"\\fB{code}\\fR\n{meaning}\n" in PAGES["refresher.1"]


def test_no_help_loses_words_that_rich_takes_for_markup():
    for verb in verbs():
        for word in (*verb.options, *verb.arguments):
            assert Text.from_markup(word.about).plain == word.about, f"{verb.name} {word.names[0]}"


def test_every_option_and_argument_stands_on_it():
    words = 0
    for verb in verbs():
        page = shown(PAGES[f"refresher-{verb.name}.1"])
        for word in (*verb.options, *verb.arguments):
            words += 1
            assert all(f"\\fB{name}\\fR" in page for name in word.names)
            assert word.about in page
            assert f"\\fI{word.metavar}\\fR" in page or not word.metavar
    assert words > 25


def test_a_page_shows_what_roff_would_take_for_its_own():
    assert man._plain(".start \\ of-it") == "\\&.start \\e of\\-it"
