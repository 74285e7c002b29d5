"""hvac's adapter over our own wire.

hvac knows Vault's paths and payloads; stock, it sends them by `requests`: not asynchronous, following redirects with
the token to any host, taking tokens from the environment and the home folder, with no total deadline. This adapter
sends them over the Http port and hands every answer back as a Reply, whatever its status: `answers.py` judges.

hvac methods that look at the result themselves (kv.v2.patch, sys.is_sealed, kv.v1.create_or_update_secret without a
`method`, Client.is_authenticated, Client.logout) do not work over it. `hvac.Client` is never made: it is what looks
at VAULT_TOKEN, VAULT_ADDR and ~/.vault-token.
"""

import json
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import urlencode

from hvac.adapters import Adapter as HvacAdapter

from refresher.core.model import HttpRequest
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Http
from refresher.vault.answers import OPENBAO_BEHIND, Reply, read_reply


class Adapter(HvacAdapter):  # type: ignore[misc]  # hvac has no types
    """Sends the requests of hvac's API classes to `cluster` with one token, or none.

    `index` is what the node that answers must have seen. One that has not says so; OpenBao is then asked to forward the
    request to its active node. HashiCorp's Vault takes that as a mistake unless an administrator allowed it: there the
    answer is handed back, to be asked for again.
    """

    def __init__(self, http: Http, cluster: Cluster, token: Secret | None = None, *, index: str = "") -> None:
        # The base class is not initialised: all that it would make is a session of `requests`.
        self._http = http
        self._cluster = cluster
        self._token = token
        self._index = index

    async def request(self, method: str, url: str, **sent: Any) -> Reply:  # noqa: ANN401  # whatever hvac sends
        """Send one request; raise TransportError when there is no answer."""
        query = f"?{urlencode(sent['params'])}" if sent.get("params") else ""
        request = HttpRequest(
            method=method.upper(),
            url=f"{self._cluster.address.rstrip('/')}/{url.strip('/')}{query}",
            headers=(*self._headers(), *(sent.get("headers") or {}).items()),
            body=json.dumps(sent["json"]).encode() if "json" in sent else b"",
        )
        reply = read_reply(await self._http.send(request))
        if self._index and reply.is_behind and reply.status == OPENBAO_BEHIND:
            forwarded = replace(request, headers=(*request.headers, ("x-vault-inconsistent", "forward-active-node")))
            reply = read_reply(await self._http.send(forwarded))
        return reply

    async def login(self, url: str, use_token: bool = True, **kwargs: object) -> Reply:  # noqa: ARG002, FBT001, FBT002  # hvac's signature
        """Send a login; its token is the caller's to take."""
        reply: Reply = await self.post(url, **kwargs)
        return reply

    def get_login_token(self, response: object) -> NoReturn:
        """Never called: `login` above hands the whole answer back."""
        raise NotImplementedError

    def _headers(self) -> tuple[tuple[str, str], ...]:
        headers = [("content-type", "application/json"), ("x-vault-request", "true")]
        if self._token is not None:
            headers.append(("x-vault-token", self._token.reveal()))
        if self._cluster.namespace:
            headers.append(("x-vault-namespace", self._cluster.namespace))
        if self._index:
            headers.append(("x-vault-index", self._index))
        return tuple(headers)
