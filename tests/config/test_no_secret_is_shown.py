"""A secret that somebody wrote into jobs.toml is in no message, wherever it stands."""

import traceback

import pytest

from refresher import config
from refresher.config import models
from refresher.core.errors import ConfigError
from tests.config.conftest import VAULT, job, write

WHERE = sorted(set(models.JobTable.model_fields) - {"client_id", "username"})


def show(folder, text: str) -> str:
    """Return all that an error shows, traceback and all; one mistake more sees to it that there is an error."""
    with pytest.raises(ConfigError) as caught:
        config.load(write(folder, "drift_check = 0\n" + text))
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.mistakes)


@pytest.mark.parametrize("key", WHERE)
@pytest.mark.parametrize(
    "shape",
    [
        "%s",
        "[%s]",
        "{ a = %s }",
        "{ client_secret = %s }",
        "[{ path = %s }]",
        "[[%s]]",
        "{ key = %s }",
        "{ flow = %s }",
        "{ url = %s, introspect = %s }",
        '{ key = "env:K", claims = { a = %s }, algorithm = %s }',
    ],
)
@pytest.mark.leak("L10")
def test_in_any_key_of_a_job(tmp_path, canaries, key, shape):
    secret = canaries.plant("secret", odd="!$ %")
    canaries.check(show(tmp_path, VAULT + job(**{key: shape.replace("%s", f'"{secret}"')})))


@pytest.mark.parametrize(
    "form",
    [
        "%s",
        "file:%s",
        "env:%s",
        "credential:%s/",
        "vault:%s",
        "vault:%s:a/b#c",
        "vault:a/%s",
        "https://u:%s@h",
        "%s\\n",
        "job:%s",
        "job:%s/",
    ],
)
@pytest.mark.parametrize("key", ["client_secret", "password", "refresh_token", "client_assertion", "subject_token"])
@pytest.mark.leak("L10")
def test_in_what_looks_like_a_reference(tmp_path, canaries, key, form):
    secret = canaries.plant("secret", odd="-!")
    canaries.check(show(tmp_path, VAULT + job(**{key: '"' + form.replace("%s", secret) + '"'})))


@pytest.mark.parametrize(
    "text", ['auth = { method = "token", token = "%s" }', 'auth = "%s"', 'auth = { method = "%s" }']
)
@pytest.mark.leak("L10")
def test_in_vault_s_table(tmp_path, canaries, text):
    secret = canaries.plant("secret")
    canaries.check(
        show(tmp_path, '[vault]\naddress = "https://v.example"\n' + text.replace("%s", secret) + "\n" + job())
    )


@pytest.mark.parametrize("text", ["a = %s", 'a = "%s', "%s", "a = 1\n%s %s", "[%s", 'a = "\\q%s"', "a = {%s}"])
@pytest.mark.leak("L10")
def test_in_a_syntax_error(tmp_path, canaries, text):
    secret = canaries.plant("secret")
    shown = show(tmp_path, text.replace("%s", secret))
    assert "is not valid TOML at line" in shown
    canaries.check(shown)
