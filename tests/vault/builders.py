"""A cluster, its login, and the answers that Vault gives when all is well."""

import json
from collections.abc import Mapping
from dataclasses import replace

from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import HttpRequest, HttpResponse, Reference
from refresher.core.secret import Secret
from refresher.core.settings import Auth, Cluster
from tests.fakes.http import answer

REFERENCE = Reference(kind="file", target="/run/vault")
APPROLE = Auth(method="approle", role_id="role", secret_id=REFERENCE)
GIVEN = Auth(method="token", token=REFERENCE)
JWT = Auth(method="jwt", jwt=REFERENCE, mount="jwt")
WRAPPED = Auth(method="approle", role_id="role", secret_id=REFERENCE, wrapped=True)


def a_cluster(auth: Auth = APPROLE, **changes: object) -> Cluster:
    return Cluster(**{"address": "https://vault.example.com:8200", "auth": auth} | changes)


class Local:
    """The one secret of this machine; `None` can't be read."""

    def __init__(self, text: str | None = "CANARY") -> None:
        self.text = text

    def read(self, reference: Reference) -> Secret:
        if self.text is None:
            raise UnreadableReferenceError(str(reference), "there is no such file")
        return Secret(self.text)


def logged_in(token: str = "hvs.1", ttl: int = 1200, *, renewable: bool = True) -> HttpResponse:  # noqa: S107  # made up
    """Answer a login or a renewal."""
    return answer(200, {"auth": {"client_token": token, "lease_duration": ttl, "renewable": renewable}})


def looked_up(ttl: int = 1200, *, renewable: bool = True) -> HttpResponse:
    return answer(200, {"data": {"ttl": ttl, "renewable": renewable}})


def mounted(mount: str = "secret", version: str | None = "2", kind: str = "kv") -> HttpResponse:
    options = None if version is None else {"version": version}
    return answer(200, {"data": {"path": f"{mount}/", "type": kind, "options": options}})


def written(version: object = 1) -> HttpResponse:
    return answer(200, {"data": {"version": version, "deletion_time": ""}})


def standing(version: int, data: Mapping[str, object]) -> HttpResponse:
    return answer(200, {"data": {"data": data, "metadata": {"version": version}}})


def indexed(response: HttpResponse, index: str) -> HttpResponse:
    return replace(response, headers=(*response.headers, ("x-vault-index", index)))


def header(request: HttpRequest, name: str) -> str | None:
    return dict(request.headers).get(name)


def payload(request: HttpRequest) -> dict[str, object]:
    return json.loads(request.body)
