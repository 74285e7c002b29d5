"""What the demo needs in place before it starts: secrets and policies in OpenBao, and a jobs.toml like anybody's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from refresher.core.secret import Secret
from refresher.demo.openbao import OpenBao
from refresher.demo.practice import Client

# Every job has a lifetime of its own, so that the rotations do not come in step.
CLIENTS: Final[Mapping[str, Client]] = {
    name: Client(vendor=vendor, id=f"{name}-client", lifetime=timedelta(seconds=seconds))
    for name, vendor, seconds in (
        ("semansys", "semansys", 12),
        ("semansys-filing", "semansys", 21),
        ("smartdocumentor", "smartdocumentor", 15),
        ("smartdocumentor-scan", "smartdocumentor", 24),
        ("screening-eagle", "screening-eagle", 18),
        ("screening-eagle-site", "screening-eagle", 30),
    )
}

DAEMON_POLICY: Final = """
path "secret/data/tokens/*" { capabilities = ["create", "update", "read"] }
path "refresher/data/*" { capabilities = ["create", "update", "read"] }
path "secret/data/clients/*" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
READER_POLICY: Final = 'path "secret/data/tokens/*" { capabilities = ["read"] }'

_HEAD: Final = """\
[vault]
address = "{address}"
mount = "secret"
state_mount = "refresher"
auth = {{ method = "approle", role_id = "{role_id}", secret_id = "file:{folder}/secret_id" }}

[state]
dir = "{folder}/state"

[web]
listen = ""
"""
_JOB: Final = """
[jobs.{name}]
provider = "{vendor}"
base_url = "{url}"
client_id = "{client_id}"
client_secret = "vault:secret/clients/{name}#client_secret"
path = "tokens/{name}"
"""
_MORE: Final[Mapping[str, str]] = {
    "semansys": 'username = "{username}"\npassword = "vault:secret/clients/{name}#password"\n',
    "screening-eagle": 'keep = ["id_token"]\n',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where things are: `reader` may read the tokens' paths, `header` is a file for `curl -H @file`."""

    jobs: Path
    header: Path
    reader: Secret


def set_up(folder: Path, bao: OpenBao, urls: Mapping[str, str]) -> Stage:
    """Fill `bao` and `folder`; `urls` are the vendors' by name."""
    bao.mount("secret")
    bao.mount("refresher")
    for name, client in CLIENTS.items():
        secrets = {"client_secret": client.secret, "password": client.password}
        bao.api("POST", f"secret/data/clients/{name}", {"data": secrets})
    role_id, secret_id = bao.approle("refresher", DAEMON_POLICY)
    _private(folder / "secret_id", secret_id.reveal())
    bao.api("PUT", "sys/policies/acl/reader", {"policy": READER_POLICY})
    made = bao.api("POST", "auth/token/create", {"policies": ["reader"], "no_default_policy": True, "ttl": "24h"})
    reader = Secret(made["auth"]["client_token"])
    return Stage(
        jobs=_private(folder / "jobs.toml", _jobs(folder, bao.address, role_id, urls)),
        header=_private(folder / "reader.header", f"X-Vault-Token: {reader.reveal()}\n"),
        reader=reader,
    )


def _jobs(folder: Path, address: str, role_id: str, urls: Mapping[str, str]) -> str:
    text = _HEAD.format(address=address, role_id=role_id, folder=folder)
    for name, client in CLIENTS.items():
        form = _JOB + _MORE.get(client.vendor, "")
        text += form.format(
            name=name,
            vendor=client.vendor,
            url=urls[client.vendor],
            client_id=client.id,
            username=client.username,
        )
    return text


def _private(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file
