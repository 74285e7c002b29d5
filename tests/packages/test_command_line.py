"""docs/reference/command-line.md says what the program takes, and leaves nothing out."""

from refresher.cli import VERBS
from tests.packages import reference


def test_the_page_is_what_the_program_takes():
    assert reference.PAGE.read_text("utf-8") == reference.page(), "python -m tests.packages.reference writes it"


def test_every_verb_with_codes_of_its_own_is_one():
    assert reference.CODES.keys() <= VERBS.keys()
