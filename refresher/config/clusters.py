"""The tables [vault] and [clusters.NAME] as values: an address and a way to log in for each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from refresher.config import addresses
from refresher.config.mistakes import Findings, Reading, dotted
from refresher.config.models import AuthTable, File, VaultTable
from refresher.config.words import BadValueError
from refresher.core.model import Reference
from refresher.core.settings import Auth, AuthMethod, Cluster

_VARIABLES = ("VAULT_ADDR", "BAO_ADDR")
_POD_TOKEN = Reference(kind="file", target="/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """What a method needs; of each inner tuple one. What it may have besides."""

    needs: tuple[tuple[str, ...], ...]
    takes: tuple[str, ...] = ()

    @property
    def all(self) -> set[str]:
        return {*chain(*self.needs), *self.takes}


_METHODS: Mapping[AuthMethod, _Keys] = {
    "token": _Keys(needs=(("token",),)),
    "approle": _Keys(needs=(("role_id",), ("secret_id", "wrapped_secret_id"))),
    "kubernetes": _Keys(needs=(("role",),), takes=("jwt",)),
    "jwt": _Keys(needs=(("jwt",),), takes=("role",)),
    "cert": _Keys(needs=(("cert_file",),), takes=("key_file", "role")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """Where to tell a mistake of one cluster's table."""

    findings: Findings
    file: str
    table: str
    unread: frozenset[str]

    def wrong(self, key: str, message: str) -> None:
        self.findings.wrong(self.file, self.table, key, message)


def tables(reading: Reading[File]) -> dict[str, VaultTable]:
    """Return the clusters' tables by name, the default one under `""`; its address may come from the environment."""
    return {"": reading.model.vault or VaultTable()} | reading.model.clusters


def build(reading: Reading[File], findings: Findings) -> dict[str, Cluster]:
    """Return the clusters by name, telling every mistake; those with a mistake are left out."""
    found: dict[str, Cluster] = {}
    if reading.model.vault is None and ("vault",) not in reading.bad:
        findings.wrong(reading.file, "vault", "", "this table is missing: it says which Vault to write to, and how")
    for name, table in tables(reading).items():
        place = ("clusters", name) if name else ("vault",)
        unread = frozenset(str(bad[-1]) for bad in reading.bad if bad[:-1] == place)
        told = _Told(
            findings=findings, file=reading.file, table=dotted("clusters", name) if name else "vault", unread=unread
        )
        if name or reading.model.vault is not None:
            address, auth = _address(name, table, told), _auth(table, told)
            if address is not None and auth is not None and auth.cert_file and address.startswith("http:"):
                told.wrong("address", "must be https with method cert: the certificate is shown in the TLS handshake")
            if address is not None and auth is not None:
                found[name] = Cluster(
                    name=name,
                    address=address,
                    mount=table.mount,
                    namespace=table.namespace,
                    ca_file=table.ca_file,
                    auth=auth,
                )
    return found


def _address(name: str, table: VaultTable, told: _Told) -> str | None:
    if table.address is not None:
        return table.address.rstrip("/")
    if "address" in told.unread:
        return None
    variable = next((each for each in _VARIABLES if os.environ.get(each)), None)
    if name or variable is None:
        told.wrong("address", "is required" if name else "is required, here or in $VAULT_ADDR")
        return None
    try:
        return addresses.url(os.environ[variable]).rstrip("/")
    except BadValueError as problem:
        told.wrong("address", f"${variable} stands in for it and {problem}")
        return None


def _auth(table: VaultTable, told: _Told) -> Auth | None:
    auth = table.auth
    if "auth" in told.unread:
        return None
    if auth is None or auth.method is None:
        key = "auth" if auth is None else "auth.method"
        told.wrong(key, 'is required, e.g. auth = { method = "token", token = "file:/run/secrets/vault-token" }')
        return None
    _check(auth, auth.method, told)
    jwt = auth.jwt or (_POD_TOKEN if auth.method == "kubernetes" else None)
    return Auth(
        method=auth.method,
        token=auth.token,
        role_id=auth.role_id or "",
        secret_id=auth.secret_id or auth.wrapped_secret_id,
        wrapped=auth.wrapped_secret_id is not None,
        role=auth.role or "",
        jwt=jwt,
        cert_file=auth.cert_file,
        key_file=auth.key_file,
        mount=auth.mount or auth.method,
    )


def _check(auth: AuthTable, method: AuthMethod, told: _Told) -> None:
    said, keys = auth.said(), _METHODS[method]
    for names in keys.needs:
        stated = [name for name in names if name in said]
        if not stated:
            told.wrong(f"auth.{names[0]}", f"is required with method {method}")
        for name in stated[1:]:
            told.wrong(f"auth.{name}", f"stands beside {stated[0]}: write one of the two")
    for key in sorted(keys.all & said.keys()):
        if isinstance(said[key], Reference) and said[key].kind == "vault":
            told.wrong(f"auth.{key}", 'a login can\'t stand in the Vault that it opens: write "file:" or "credential:"')
    for key in sorted(said.keys() & {key for other in _METHODS.values() for key in other.all} - keys.all):
        told.wrong(f"auth.{key}", f"is not used with method {method}: take it out")
