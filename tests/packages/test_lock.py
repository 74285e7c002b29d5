"""What the packages ship is locked by hash, listed with a reason, and told in a bill of materials."""

import hashlib
import json
import re
import subprocess
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from referencing import Registry, Resource

from packages import audit, libraries, lock
from packages.sbom import sbom

ROOT = Path(__file__).parents[2]
LOCKED = {one.name: one for one in lock.read()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RELOCK = "make lock writes it"


@pytest.mark.leak("L33")
def test_each_release_is_locked_by_hash_at_the_version_that_was_tested():
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()[1:])
    tested = {canonicalize_name(name): version for name, version in tested.items()}
    assert all(one.hashes for one in LOCKED.values())
    assert {name: one.version for name, one in LOCKED.items()}.items() <= tested.items(), RELOCK


@pytest.mark.leak("L33")
def test_what_builds_the_wheel_is_locked_by_hash_too():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = {one.name: one for one in lock.read(lock.BUILD.read_text())}
    assert all(one.hashes for one in locked.values())
    assert "://" not in lock.BUILD.read_text()
    for one in map(Requirement, project["build-system"]["requires"]):
        assert one.specifier.contains(locked[one.name].version), RELOCK


def test_all_that_pyproject_wants_is_locked_and_all_that_is_locked_is_wanted():
    wanted = {canonicalize_name(one.name): one for one in map(Requirement, PROJECT["dependencies"])}
    assert {name for name, one in LOCKED.items() if "refresher" in one.wanted_by} == set(wanted), RELOCK
    assert all(one.specifier.contains(LOCKED[name].version) for name, one in wanted.items()), RELOCK
    assert all(one.wanted_by and {*one.wanted_by} <= {"refresher", *LOCKED} for one in LOCKED.values())


def test_the_lock_names_no_registry_and_is_one_for_every_python():
    assert "://" not in lock.FILE.read_text()
    assert not [one.name for one in LOCKED.values() if "python_version" in one.marker or "platform_mach" in one.marker]


def test_the_page_lists_each_release_with_who_wants_it_and_a_reason():
    page = (ROOT / "docs" / "reference" / "dependencies.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    shown = [(name, tuple(by.split(", "))) for name, by, _ in rows if name != "package"]
    assert shown == [(one.name, one.wanted_by) for one in LOCKED.values()]


@pytest.mark.parametrize("line", ["aiohttp==1", "aiohttp", "    --hash=md5:00", "--index-url https://x.example"])
def test_what_is_no_line_of_a_lock_is_told(line):
    with pytest.raises(ValueError, match="no line of a lock"):
        lock.read(line)


@pytest.fixture
def wheel(tmp_path):
    """A wheel that a pip without an index finds."""
    file = tmp_path / "wheels" / "harmless-1.0-py3-none-any.whl"
    file.parent.mkdir()
    members = {"METADATA": "Metadata-Version: 2.1\nName: harmless\nVersion: 1.0\nLicense: MIT\n", "RECORD": ""}
    members["WHEEL"] = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"harmless-1.0.dist-info/{name}", text)
    return file


@pytest.mark.leak("L33")
@pytest.mark.parametrize("hashed", ["its own", "another's", "none"])
def test_a_file_whose_hash_is_not_in_the_lock_is_not_shipped(tmp_path, monkeypatch, capfd, wheel, hashed):
    own = hashlib.sha256(wheel.read_bytes()).hexdigest()
    ends = {
        "its own": f" \\\n    --hash=sha256:{own}\n",
        "another's": f" \\\n    --hash=sha256:{'0' * 64}\n",
        "none": "\n",
    }
    locked = tmp_path / "requirements.lock"
    locked.write_text("harmless==1.0" + ends[hashed])
    monkeypatch.setattr(libraries, "FILE", locked)
    monkeypatch.setattr(libraries.sys, "prefix", str(tmp_path))
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheel.parent), "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    if hashed == "its own":
        folder, hashes = libraries.libraries("3.11")
        assert hashes == {"harmless": own}
        assert (folder / "harmless-1.0.dist-info").is_dir()
    else:
        with pytest.raises(subprocess.CalledProcessError):
            libraries.libraries("3.11")
        assert "hash" in capfd.readouterr().err.lower()


def test_the_bill_is_one_of_cyclonedx_and_names_each_release(tmp_path):
    about = tmp_path / "aiohttp-1.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Name: aiohttp\nVersion: 1\nLicense-Expression: Apache-2.0\n")
    text = sbom(tmp_path, {"aiohttp": "0" * 64}, "0.1.0")
    assert text == sbom(tmp_path, {"aiohttp": "0" * 64}, "0.1.0")
    bill = json.loads(text)
    found = {one["name"]: one for one in bill["components"]}
    assert {name: one["version"] for name, one in found.items()} == {one.name: one.version for one in LOCKED.values()}
    assert found["aiohttp"]["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert found["aiohttp"]["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert len(needs["pkg:pypi/refresher@0.1.0"]) == len(PROJECT["dependencies"])
    assert needs[found["cffi"]["purl"]] == [found["pycparser"]["purl"]]
    # The schemas come with what pip-audit is made of.
    schemas = files("cyclonedx.schema").joinpath("_res")
    known = {name: json.loads(schemas.joinpath(f"{name}.SNAPSHOT.schema.json").read_text()) for name in SCHEMAS}
    registry = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in known.values())
    jsonschema.Draft7Validator(known["bom-1.6"], registry=registry).validate(bill)


SCHEMAS = ("bom-1.6", "spdx", "jsf-0.82")


def report(*dependencies: dict) -> tuple[str, ...]:
    return ("sh", "-c", 'printf "%s" "$0"; exit 1', json.dumps({"dependencies": dependencies}))


FINE = {"name": "a", "version": "1", "vulns": []}
FLAW = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("program", "passes", "said"),
    [
        (report(FINE), True, ["audit: no known vulnerability in 1 releases"]),
        (report(FINE, UNKNOWN), True, ["audit: could not ask about c", "audit: no known vulnerability in 1 releases"]),
        (report(UNKNOWN), True, ["audit: could not ask: nobody here knows of vulnerabilities"]),
        (report(FINE, FLAW), False, ["audit: b 2: PYSEC-1, mended in 3"]),
        (report(FLAW, UNKNOWN), False, ["audit: b 2: PYSEC-1, mended in 3", "audit: could not ask about c"]),
        (("false",), True, ["audit: could not ask: pip-audit gave no report"]),
        (("/no/such/program",), True, ["audit: could not ask: pip-audit gave no report"]),
        (("sh", "-c", "exec sleep 60"), True, ["audit: could not ask: no answer within 0.2 s"]),
    ],
)
def test_a_vulnerability_fails_the_check_and_a_missing_network_does_not(program, passes, said):
    assert audit.audit(program, limit=0.2 if "exec sleep 60" in program else 20) == (passes, said)


def test_one_that_can_not_be_met_here_is_ignored_by_any_of_its_names(monkeypatch):
    monkeypatch.setattr(audit, "IGNORED", {"CVE-1": "no server of it is started"})
    assert audit.audit(report(FLAW))[0]
