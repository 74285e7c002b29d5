"""Names and paths that would leave their mount, alias another path, or forge a line of a log: all refused at load."""

import json

import pytest

from tests.config.conftest import VAULT, job

INJECTIONS = (
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "a/..",
    "a/./b",
    "a//b",
    "/lead",
    "trail/",
    "*",
    "a+b",
    "%2e%2e",
    "a?x=1",
    "a#b",
    "a\\b",
    "é",
    "a b",
    "a\nb",
    "a\n",
    "a\0b",
    "a" * 513,
)
AUTH = 'auth = { method = "token", token = "file:/x" }'
SPOTS = {
    "a job's path": VAULT + job(path="%s"),
    "a destination's path": VAULT + job(path=None, destinations="[{ path = %s }]"),
    "a destination's mount": VAULT + job(path=None, destinations='[{ mount = %s, path = "a" }]'),
    "a job's name": VAULT + job("%s"),
    "the instance": VAULT + "[instance]\nname = %s\n" + job(),
    "the mount": VAULT + "mount = %s\n" + job(),
    "the state path": VAULT + "state_path = %s\n" + job(),
    "the state mount": VAULT.replace('"refresher"', "%s") + job(),
    "the auth mount": VAULT.replace("{ method", "{ mount = %s, method") + job(),
    "a cluster's name": VAULT + f'[clusters.%s]\naddress = "https://v.example"\n{AUTH}\n' + job(),
}


def test_the_list_is_whole():
    assert len(set(INJECTIONS)) == 22


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda text: json.dumps(text[:20]))
@pytest.mark.leak("L25")
def test_refused(mistakes, spot, injection):
    (line,) = mistakes(SPOTS[spot].replace("%s", json.dumps(injection)))
    assert line.isprintable()


@pytest.mark.parametrize("spot", SPOTS)
def test_a_plain_word_is_taken(load, spot):
    load(SPOTS[spot].replace("%s", '"plain-word.v2_X"'))


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda text: json.dumps(text[:20]))
@pytest.mark.leak("L25")
def test_refused_in_a_reference(mistakes, injection):
    (line,) = mistakes(VAULT + job(client_secret=json.dumps(f"vault:secret/{injection}#field")))
    assert "client_secret" in line


@pytest.mark.leak("L22", "L25")
def test_an_unknown_key_forges_no_line(mistakes):
    (line,) = mistakes(VAULT + job() + '"x\\njobs.toml: all is well" = 1\n')
    assert line == 'jobs.toml: [jobs.crm] "x\\njobs.toml: all is well": unknown key'
