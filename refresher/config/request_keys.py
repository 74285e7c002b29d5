"""The keys of a job that say how a token is asked for, in the groups in which the reference page shows them.

Every key may be left out: what a job needs depends on its provider, its grant and on [defaults] (see needs.py).
"""

from typing import Annotated, Final

from refresher.config import keys
from refresher.config.job_tables import AssertionTable, AuthorizeTable, ClientKeyTable
from refresher.config.keys import Table, choice, optional

GRANTS: Final = ("client_credentials", "password", "refresh_token", "jwt_bearer", "token_exchange")
CLIENT_AUTHS: Final = ("basic", "basic_raw", "post", "private_key_jwt", "client_secret_jwt", "tls", "none")
EXEC: Final = "exec"  # the provider that is a program on this machine


class ProviderKeys(Table):
    """Provider and token endpoint. One of `token_url`, `issuer`, `base_url`, `environment`, as the provider needs."""

    provider: keys.Text | None = optional(
        "A provider of the catalogue (`refresher providers` lists them); `oauth2` is any token endpoint, "
        "`exec` a program. Required.",
        "oauth2",
    )
    environment: keys.Environment | None = optional(
        "One of the provider's environments. With provider `exec`: all the variables that the program "
        "gets; no secrets.",
        "pre",
        {"LANG": "C.UTF-8"},
    )
    base_url: keys.Template | None = optional(
        "The provider's host, where its document names the path alone.", "https://id.example.com"
    )
    token_url: keys.Template | None = optional(
        "The whole URL of the token endpoint.",
        "https://crm.example.com/oauth/token",
        "https://{tenant}.example.com/oauth/token",
    )
    issuer: keys.Template | None = optional(
        "The token endpoint is the one that this issuer's metadata name (RFC 8414, OpenID Connect Discovery).",
        "https://id.example.com/realms/acme",
    )
    vars: keys.Blanks | None = optional(
        "What stands for each `{name}` in an address. Letters, digits, `_`, `-`, and `.` inside.", {"tenant": "acme"}
    )


class ClientKeys(Table):
    """Who asks, and how it proves that."""

    client_id: keys.Text | None = optional(
        "The client's name at the provider. Required, but where an assertion says it all.", "acme"
    )
    client_auth: Annotated[str | None, choice(*CLIENT_AUTHS)] = optional(
        "How the client proves itself; else the provider's way. `basic`: the secret in a header, "
        "form-encoded first (RFC 6749, section 2.3.1); `basic_raw`: not encoded; `post`: in the form; "
        "`private_key_jwt` and `client_secret_jwt`: by a signed JWT; `tls`: by its certificate (RFC 8705); `none`.",
        "post",
        otherwise="basic",
    )
    client_secret: keys.Secrets | None = optional(
        "The client's secret. A second one is tried once when the first is refused: for the time in "
        "which a secret is being changed.",
        "file:/etc/refresher/crm.secret",
        ["vault:secret/clients/crm#next", "vault:secret/clients/crm#client_secret"],
    )
    client_key: ClientKeyTable | None = optional(
        "With `private_key_jwt` and `client_secret_jwt`: how to sign.",
        {"key": "file:/etc/refresher/crm.key", "algorithm": "ES256", "key_id": "2026-11"},
    )
    client_assertion: keys.SecretKey | None = optional(
        "With `private_key_jwt`, instead of `client_key`: a JWT that somebody else signs, read at each try "
        "(workload identity).",
        "file:/var/run/secrets/tokens/crm",
    )


class GrantKeys(Table):
    """What is shown to the provider for a token."""

    grant: Annotated[str | None, choice(*GRANTS)] = optional(
        "How the token is asked for, in the words of RFC 6749; `jwt_bearer` is RFC 7523, `token_exchange` "
        "RFC 8693. Else the provider's.",
        "client_credentials",
    )
    username: keys.Text | None = optional("Grant `password`: the user.", "api@acme.example")
    password: keys.SecretKey | None = optional(
        "Grant `password`: the user's password.", "vault:secret/clients/crm#password"
    )
    refresh_token: keys.SecretKey | None = optional(
        "Grant `refresh_token`: the first one; those that follow are refresher's own. Not needed with `authorize`.",
        "vault:secret/clients/crm#refresh_token",
    )
    authorize: AuthorizeTable | None = optional(
        "Grant `refresh_token`: how a person consents once.",
        {"flow": "device_code", "url": "https://id.example.com/device"},
        {"flow": "authorization_code", "url": "https://id.example.com/authorize"},
    )
    assertion: AssertionTable | None = optional(
        "Grant `jwt_bearer`: what is signed.", {"key": "file:/etc/refresher/crm.key", "subject": "api@acme.example"}
    )
    subject_token: keys.Subject | None = optional(
        "Grant `token_exchange`: the token to exchange, e.g. the one that another job keeps.",
        "job:login",
        "file:/var/run/secrets/tokens/crm",
    )
    subject_token_type: keys.Uri | None = optional(
        "Grant `token_exchange`: what kind of token that is (RFC 8693, section 3).",
        "urn:ietf:params:oauth:token-type:jwt",
        otherwise="urn:ietf:params:oauth:token-type:access_token",
    )


class RequestKeys(Table):
    """The token request."""

    scope: keys.Scope | None = optional(
        "What to ask for; else the provider's. `[]` asks for none.",
        ["orders.read", "orders.write"],
        "orders.read orders.write",
    )
    audience: keys.Several | None = optional(
        "For whom the token is to be; the same as in `params`.", "https://api.crm.example.com"
    )
    resource: keys.Several | None = optional(
        "For which resources the token is to be (RFC 8707); the same as in `params`.",
        ["https://api.crm.example.com", "https://files.crm.example.com"],
    )
    params: keys.Params | None = optional(
        "Further members of the request; a list is a member that is repeated. No secrets.",
        {"account_id": "42", "tag": ["a", "b"]},
    )
    method: Annotated[str | None, choice("POST", "GET")] = optional(
        "`GET` puts it all, secrets too, into the URL: only where the provider takes nothing else.",
        "GET",
        otherwise="POST",
    )
    body: Annotated[str | None, choice("form", "json")] = optional(
        "How the members are written; else the provider's way.", "json", otherwise="form"
    )
    headers: keys.Headers | None = optional("Further headers; no secrets.", {"X-Tenant": "acme"})
    proxy: keys.Proxy | None = optional(
        "The proxy to go through; those of the environment are not used.", "http://proxy.example.com:3128"
    )
    ca_file: keys.File | None = optional(
        "The certificates to trust, PEM; else the system's.", "/etc/ssl/partner-ca.pem"
    )
    cert_file: keys.File | None = optional(
        "The client's certificate, PEM (mutual TLS); required with `tls`.", "/etc/refresher/crm.pem"
    )
    key_file: keys.File | None = optional(
        "Its private key, PEM; else it stands in `cert_file`.", "/etc/refresher/crm.key"
    )
