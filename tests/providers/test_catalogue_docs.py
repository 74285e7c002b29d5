"""What is written about the catalogue is true."""

import re
from pathlib import Path

from refresher import config
from refresher.cli.providers import facts
from refresher.config import jobs
from refresher.providers import catalogue, example
from refresher.providers.provider import Provider
from refresher.providers.row import READERS, read
from tests.config.conftest import VAULT
from tests.providers import reference

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-provider.md"


def test_the_reference_page_is_made_of_the_catalogue():
    assert reference.PAGE.read_text("utf-8") == reference.page(), "python -m tests.providers.reference writes it"


def test_the_reference_page_leaves_no_provider_out():
    text = reference.page()
    for row in catalogue().values():
        assert f"| [{row.name}](#{row.name}) |" in text
        assert f"\n## {row.name}\n" in text
        assert all(f"- {fact.what}: " in text for fact in facts(row))


def test_the_guide_s_example_is_a_provider_with_a_job(tmp_path, monkeypatch):
    [row_text] = re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    acme = Provider(name="acme", **read("acme", row_text))
    assert set(acme.verified) <= set(READERS)
    known = {**catalogue(), "acme": acme}
    monkeypatch.setattr(jobs, "catalogue", lambda: known)
    file = tmp_path / "jobs.toml"
    file.write_text(VAULT + example(acme))
    file.chmod(0o644)
    assert config.load(file).jobs["acme"].token_url == "https://example.acme.example/oauth/token"


def test_the_guide_tells_of_every_field():
    table = GUIDE.read_text("utf-8").partition("## The fields")[2]
    named = set(re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE))))
    assert named == set(READERS)
