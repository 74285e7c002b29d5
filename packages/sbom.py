"""The software bill of materials of a package (CycloneDX 1.6, JSON): what stands in it, from which files, for whom."""

import json
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

from packages.libraries import normal, terms
from packages.lock import Locked, read

OURS: Final = "refresher"


def sbom(folder: Path, hashes: dict[str, str], version: str) -> str:
    """Return the bill of what is installed in `folder`; `hashes`: the SHA-256 of each wheel, by name.

    The same tree gives the same text: nothing in it is of the moment.
    """
    known = read()
    licences = dict(_licences(folder))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component("application", OURS, version, "Apache-2.0")},
        "components": [
            _component("library", one.name, one.version, licences.get(one.name, ""), hashes.get(one.name, ""))
            for one in known
        ],
        "dependencies": [_needs(OURS, version, known), *(_needs(one.name, one.version, known) for one in known)],
    }
    return json.dumps(document, indent=1) + "\n"


def _reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _component(kind: str, name: str, version: str, licence: str, sha256: str = "") -> dict[str, Any]:
    purl = _reference(name, version)
    made: dict[str, Any] = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licence:
        made["licenses"] = [{"license": {"name": licence}}]
    if sha256:
        made["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return made


def _needs(name: str, version: str, known: tuple[Locked, ...]) -> dict[str, Any]:
    needed = [_reference(one.name, one.version) for one in known if name in one.wanted_by]
    return {"ref": _reference(name, version), "dependsOn": needed}


def _licences(folder: Path) -> list[tuple[str, str]]:
    abouts = [HeaderParser().parsestr(file.read_text("utf-8")) for file in folder.glob("*.dist-info/METADATA")]
    return [(normal(about["Name"]), terms(about)) for about in abouts]
