"""Every example of the README is held to the program."""

import re
from pathlib import Path

import pytest

from refresher.cli import VERBS
from refresher.config import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_jobs_toml_has_no_mistake(tmp_path):
    (text,) = blocks("toml")
    file = tmp_path / "jobs.toml"
    file.write_text(text)
    file.chmod(0o600)
    assert set(load(file).jobs) == {"semansys", "crm"}


def test_every_command_is_a_verb_or_a_target():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = [line.split() for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) >= 10
    for program, word, *_ in commands:
        assert word in (VERBS if program == "refresher" else targets)


@pytest.mark.parametrize(
    "page", [*sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")), "README.md"]
)
def test_no_link_is_dead(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"
