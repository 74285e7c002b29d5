"""Token requests by hand, for the tests of the servers themselves."""

import base64
from urllib.parse import quote

import httpx

from tests.servers.provider import Provider


def ask(
    provider: Provider, *, client: str = "", secret: str = "", auth: str = "", timeout: float = 10, **form: str
) -> httpx.Response:
    """Send a token request: a full grant unless `form` names another, as the first client unless told otherwise."""
    client, secret = client or provider.client_id, secret or provider.client_secret
    auth = auth or provider.client_auth
    headers = {}
    if provider.username:
        grant = {"grant_type": "password", "username": provider.username, "password": provider.password}
    else:
        grant = {"grant_type": "client_credentials", "scope": provider.scope}
    form = form if "grant_type" in form else {**grant, **form}
    if auth == "post":
        form |= {"client_id": client, "client_secret": secret}
    else:
        pair = f"{client}:{secret}" if auth == "basic_raw" else f"{quote(client, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return httpx.post(provider.token_url, data=form, headers=headers, timeout=timeout, trust_env=False)


def refresh(provider: Provider, token: str) -> httpx.Response:
    return ask(provider, grant_type="refresh_token", refresh_token=token)
