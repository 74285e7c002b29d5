"""SmartDocumentor as its document tells: POST /connect/token, client_credentials, scope WebAPI, the secret in the form.

django-oauth-toolkit answers exactly as documented: the four members, and `{"error": "invalid_client"}`.
"""

from tests.servers.django_server import run

run("/connect/token", scopes=("WebAPI",), grants=("client_credentials",))
