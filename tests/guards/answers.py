"""docs/explanation/vault-answers.md and the marks of its tests: `python -m tests.guards.answers` brings it up to date.

As faults.py does for the faults, with `@pytest.mark.answer("V17")`.
"""

from pathlib import Path

from tests.guards import faults

PAGE = faults.PAGE.with_name("vault-answers.md")
ROWS = tuple(f"V{number}" for number in range(1, 52))
COUNTED = "Of {} answers, {} are provoked for real, {} are recorded ones, {} have no test."


def collect(folder: Path = faults.TESTS) -> faults.Marks:
    """Read the marks of every test below `folder`."""
    return faults.collect(folder, mark="answer", known=ROWS)


def filled(text: str, marks: faults.Marks) -> str:
    """Return the page with the cells that are made of the marks; what is on no server is `recorded`."""
    fakes = faults.filled(text.replace("| recorded |", "| fakes |"), marks.tests, COUNTED)
    return fakes.replace("| fakes |", "| recorded |")


if __name__ == "__main__":
    PAGE.write_text(filled(faults.merged(PAGE.read_text("utf-8")), collect()), "utf-8")
