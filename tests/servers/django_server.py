"""django-oauth-toolkit as a server in one process: its tables are made afresh at each start in the folder given."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path

from tests.servers.harness import World, serve

REFRESH_TTL_S = 30 * 86400
APPS = ("django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider")


def configure(world: World, folder: Path, scopes: tuple[str, ...]) -> None:
    settings.configure(
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["127.0.0.1"],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=APPS,
        MIDDLEWARE=[],
        # The tables straight from the models: the library's migrations one by one take four seconds.
        MIGRATION_MODULES=dict.fromkeys((app.rsplit(".", 1)[-1] for app in APPS), None),
        # Django's default hasher makes one token take seconds; the delay of a slow server is a fault of the harness.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "server.sqlite3",
                "CONN_MAX_AGE": None,
                "OPTIONS": {
                    "timeout": 20,
                    "transaction_mode": "IMMEDIATE",
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
                },
            }
        },
        OAUTH2_PROVIDER={
            "SCOPES": {scope: scope for scope in scopes},
            "DEFAULT_SCOPES": list(scopes),
            "EXTRA_SERVER_KWARGS": {"token_expires_in": lambda request: world.lifetime(request.client.client_id)},
            "REFRESH_TOKEN_EXPIRE_SECONDS": REFRESH_TTL_S,
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
        },
    )
    django.setup()


class Toolkit:
    """The library behind the harness. Its models can only be imported after `configure`."""

    def __init__(self, token_path: str, grants: tuple[str, ...]) -> None:
        from django.contrib.auth.models import User  # noqa: PLC0415  # see the docstring
        from oauth2_provider.models import get_application_model  # noqa: PLC0415  # as above
        from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: PLC0415  # as above
        from oauth2_provider.settings import oauth2_settings  # noqa: PLC0415  # as above
        from oauth2_provider.views import TokenView  # noqa: PLC0415  # as above

        class Validator(OAuth2Validator):
            """The library ties a client to one grant; here every client may use each grant of the server."""

            def validate_grant_type(self, client_id, grant_type, client, request, *args, **kwargs):  # noqa: ARG002  # the library calls it so
                return grant_type in grants

        oauth2_settings.OAUTH2_VALIDATOR_CLASS = Validator
        settings.ROOT_URLCONF = (path(token_path.lstrip("/"), TokenView.as_view()),)
        call_command("migrate", run_syncdb=True, verbosity=0)
        self.users = User.objects
        self.clients = get_application_model().objects
        self.wsgi = get_wsgi_application()

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self.wsgi(environ, start_response)

    def accepts(self, environ: dict[str, Any]) -> bool:
        from django.core.handlers.wsgi import WSGIRequest  # noqa: PLC0415  # needs the settings
        from oauth2_provider.oauth2_backends import get_oauthlib_core  # noqa: PLC0415  # as above

        return get_oauthlib_core().verify_request(WSGIRequest(environ), scopes=[])[0]

    def add(self, clients: dict[str, dict[str, Any]], users: dict[str, str]) -> None:
        for name, password in users.items():
            self.users.update_or_create(username=name, defaults={"password": make_password(password)})
        for client_id, client in clients.items():
            known = {"client_type": "confidential", "authorization_grant_type": "client-credentials"}
            self.clients.update_or_create(client_id=client_id, defaults={"client_secret": client["secret"], **known})

    def forget(self) -> None:
        self.clients.all().delete()
        self.users.all().delete()


def run(token_path: str, scopes: tuple[str, ...], grants: tuple[str, ...]) -> None:
    """Serve until the parent ends; the one argument of the program is a folder for the database."""
    world = World()
    configure(world, Path(sys.argv[1]), scopes)
    serve(token_path, world, Toolkit(token_path, grants))
