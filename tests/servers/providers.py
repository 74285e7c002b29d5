"""Real authorization servers as pytest fixtures: one process of each kind for a session, made clean for each test.

A test that wants several of one kind, or one that it may break, asks for `start_provider`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.provider import Provider


@pytest.fixture
def start_provider(tmp_path: Path) -> Iterator[Callable[[str], Provider]]:
    """Start a server of a kind for this test alone: `start_provider("semansys")`."""
    with ExitStack() as running:

        def start_one(name: str) -> Provider:
            folder = tmp_path / f"provider-{len(list(tmp_path.glob('provider-*')))}"
            folder.mkdir()
            provider = Provider(name, folder)
            running.callback(provider.stop)
            return provider

        yield start_one


@pytest.fixture(scope="session")
def provider_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Provider]]:
    """Return the session's server of a kind, started at first use and made clean at each."""
    started: dict[str, Provider] = {}

    def clean(name: str) -> Provider:
        if name in started:
            started[name].reset()
        else:
            started[name] = Provider(name, tmp_path_factory.mktemp(name))
        return started[name]

    yield clean
    for provider in started.values():
        provider.stop()


@pytest.fixture
def semansys(provider_pool: Callable[[str], Provider]) -> Provider:
    return provider_pool("semansys")


@pytest.fixture
def smartdocumentor(provider_pool: Callable[[str], Provider]) -> Provider:
    return provider_pool("smartdocumentor")


@pytest.fixture
def screening_eagle(provider_pool: Callable[[str], Provider]) -> Provider:
    return provider_pool("screening_eagle")


@pytest.fixture
def oidc_provider(provider_pool: Callable[[str], Provider]) -> Provider:
    """oidc-provider as any OAuth 2.0 server; its clients use `basic`, or `post` with `add_client(auth="post")`."""
    return provider_pool("oidc_provider")


@pytest.fixture
def oidc_tls(provider_pool: Callable[[str], Provider]) -> Provider:
    """oidc-provider over https; with `add_client(auth="tls", subject="CN=...")` a certificate proves the client."""
    return provider_pool("oidc_tls")


@pytest.fixture
def oidc_consent(provider_pool: Callable[[str], Provider]) -> Provider:
    """oidc-provider with pages for login and consent: device code, and authorization code with PKCE."""
    return provider_pool("oidc_consent")


@pytest.fixture
def oauth2(provider_pool: Callable[[str], Provider]) -> Provider:
    """django-oauth-toolkit as any OAuth 2.0 server: `post` or `basic`."""
    return provider_pool("oauth2")


@pytest.fixture
def node_oauth2(provider_pool: Callable[[str], Provider]) -> Provider:
    """@node-oauth/oauth2-server as any OAuth 2.0 server: `basic_raw` or `post`."""
    return provider_pool("node_oauth2")


@pytest.fixture
def authlib(provider_pool: Callable[[str], Provider]) -> Provider:
    """Authlib: JWT-bearer grants, and clients that sign (`private_key_jwt`, `client_secret_jwt`)."""
    return provider_pool("authlib")


@pytest.fixture
def jmondi(provider_pool: Callable[[str], Provider]) -> Provider:
    """@jmondi/oauth2-server: token exchange."""
    return provider_pool("jmondi")
