"""What the guides for readers show for Kubernetes, where nothing of it can run here, is held to names and types."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from refresher.core.model import Location
from refresher.web.snippets import snippets
from tests.web.stage import CLUSTER

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "how-to" / "readers"
SHAPES = json.loads((ROOT / "tests/data/operators.json").read_text())
SPAN = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s))+")


def resources(text: str) -> list[dict]:
    return [one for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) for one in yaml.safe_load_all(block)]


def snippet() -> str:
    place = Location(mount="secret", path="tokens/crm")
    made = snippets(CLUSTER, place, version_1=False, promised=timedelta(minutes=10))
    return next(f"```yaml\n{one.text}\n```" for one in made if one.title == "External Secrets")


def faults(shape, value, where: str) -> list[str]:
    """Return what of `value` does not have `shape` (tests/data/operators.json)."""
    match shape:
        case dict() if isinstance(value, dict):
            known = {name.removesuffix("!"): inner for name, inner in shape.items()}
            unknown = [f"{where}.{name} is unknown" for name in value.keys() - known.keys()]
            missing = [
                f"{where}.{name[:-1]} is missing" for name in shape if name[-1] == "!" and name[:-1] not in value
            ]
            deeper = [faults(known[name], inner, f"{where}.{name}") for name, inner in value.items() if name in known]
            return unknown + missing + [one for some in deeper for one in some]
        case [dict() as each] if isinstance(value, list):
            return [one for item in value for one in faults(each, item, f"{where}[]")]
        case _ if fits(shape, value):
            return []
    return [f"{where} is no {shape}"]


def fits(shape, value) -> bool:
    match shape:
        case [str(), *_]:
            return value in shape
        case "flag":
            return isinstance(value, bool)
        case "duration":
            return isinstance(value, str) and SPAN.fullmatch(value) is not None
        case _:
            return shape == "text" and isinstance(value, str)


def of_resource(resource: dict) -> list[str]:
    assert resource["metadata"].keys() == {"name"}
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", resource["metadata"]["name"])
    return faults(SHAPES[resource["apiVersion"]][resource["kind"]], resource["spec"], resource["kind"])


@pytest.mark.parametrize("page", ["external-secrets.md", "vault-secrets-operator.md", "the status page"])
def test_every_resource_has_the_members_that_its_operator_knows(page):
    shown = resources(snippet() if page == "the status page" else (GUIDES / page).read_text())
    assert shown
    assert [fault for one in shown for fault in of_resource(one)] == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("refreshInterval: 2m", "refreshIntervall: 2m", "ExternalSecret.refreshIntervall is unknown"),
        ("refreshInterval: 2m", "refreshInterval: 2 minutes", "ExternalSecret.refreshInterval is no duration"),
        ("key: tokens/crm", "path: tokens/crm", "ExternalSecret.data[].remoteRef.key is missing"),
        ("version: v2", "version: 2", "SecretStore.provider.vault.version is no ['v1', 'v2']"),
        ("server: https://vault.example.com:8200", "server: [x]", "SecretStore.provider.vault.server is no text"),
    ],
)
def test_what_an_operator_would_refuse_is_found(old, new, told):
    text = (GUIDES / "external-secrets.md").read_text()
    assert old in text
    assert told in [fault for one in resources(text.replace(old, new)) for fault in of_resource(one)]


def test_each_guide_for_a_copy_says_its_margin_and_the_overview_names_it():
    overview = (GUIDES / "index.md").read_text()
    pages = {page.name for page in GUIDES.glob("*.md")} - {"index.md"}
    assert pages == set(re.findall(r"\]\(([a-z-]+\.md)\)", overview))
    assert all("Margin: " in (GUIDES / page).read_text() for page in pages - {"watch.md", "hvac.md"})
