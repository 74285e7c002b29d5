"""django-oauth-toolkit as any RFC 6749 server: client_credentials, password, and refresh_token with rotation.

It takes the secret in the form, or in Basic percent-encoded (RFC 6749 section 2.3.1) and never raw.
"""

from tests.servers.django_server import run

run("/token", scopes=("read", "write"), grants=("client_credentials", "password", "refresh_token"))
